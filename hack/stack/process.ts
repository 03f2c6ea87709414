import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, fstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { StackError, throwIfAborted } from './errors.ts';
import type { Guardian } from './guardian.ts';
import { identify, isAlive, type ProcessIdentity } from './identity.ts';
import { until } from './wait.ts';

/** What has to be remembered of a server to find and end it from another process. */
export interface ProcessRecord extends ProcessIdentity {
  readonly name: string;
  readonly logFile: string;
  /** Asks the server to end; it leads a process group of its own. */
  readonly stopSignal: NodeJS.Signals;
  /** Milliseconds that it is given before SIGKILL. */
  readonly stopWithinMs: number;
}

export interface ServerSpec {
  /** As in messages: `kube-apiserver`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Takes standard output and error; appended to. */
  readonly logFile: string;
  readonly stopSignal: NodeJS.Signals;
  readonly stopWithinMs: number;
  /** One look whether it answers. Must come back by itself within a few seconds. */
  readonly ready: () => Promise<boolean>;
  readonly readyWithinMs: number;
}

/** Who has to know which servers run. */
export interface ProcessWatch {
  readonly guardian: Guardian;
  started(record: ProcessRecord): void;
  ended(record: ProcessRecord): void;
}

/** A server of the stack: a child process with a process group and a log file of its own. */
export class Server {
  readonly spec: ServerSpec;
  readonly #watch: ProcessWatch;
  #record: ProcessRecord | undefined;

  constructor(spec: ServerSpec, watch: ProcessWatch) {
    this.spec = spec;
    this.#watch = watch;
  }

  get record(): ProcessRecord | undefined {
    return this.#record;
  }

  get running(): boolean {
    return this.#record !== undefined && isAlive(this.#record);
  }

  /**
   * Starts the server and waits until it answers. When it does not, nothing of it is left running.
   * @throws StackError PORT_TAKEN, PROCESS_ENDED or NOT_READY with the last lines of its log; ABORTED.
   */
  async start(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (this.running) return;
    const { spec } = this;
    mkdirSync(dirname(spec.logFile), { recursive: true, mode: 0o700 });
    const log = openSync(spec.logFile, 'a', 0o600);
    const logStart = fstatSync(log).size;
    let child: ChildProcess;
    try {
      child = spawn(spec.command, spec.args, {
        detached: true,
        stdio: ['ignore', log, log],
        ...(spec.env === undefined ? {} : { env: spec.env }),
        ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
      });
    } finally {
      closeSync(log);
    }
    let ended: string | undefined;
    child.once('error', (error) => (ended = error.message));
    child.once('exit', (code, by) => {
      ended ??= by === null ? `with exit code ${code ?? 0}` : `by ${by}`;
      this.#forget(child.pid);
    });
    child.unref();
    this.#remember(child.pid);
    try {
      const ready = await until(
        async () => {
          if (ended !== undefined) throw this.#endedEarly(ended, logStart);
          return (await spec.ready()) || undefined;
        },
        { withinMs: spec.readyWithinMs, everyMs: 50, signal },
      );
      if (ready === undefined) {
        const seconds = Math.round(spec.readyWithinMs / 1000);
        throw new StackError(
          'NOT_READY',
          `${spec.name} did not become ready within ${seconds} s.${logTail(spec.logFile, logStart)}`,
        );
      }
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Asks the server to end and, when it does not in time, ends it. Harmless when it does not run. */
  async stop(signal?: NodeJS.Signals): Promise<void> {
    const record = this.#record;
    if (record !== undefined)
      await stopProcess(signal === undefined ? record : { ...record, stopSignal: signal });
  }

  /** Ends the server and all that it started, at once. Harmless when it does not run. */
  async kill(): Promise<void> {
    if (this.#record !== undefined) await stopProcess({ ...this.#record, stopSignal: 'SIGKILL' });
  }

  #remember(pid: number | undefined): void {
    if (pid === undefined) return;
    this.#watch.guardian.guard(pid);
    const identity = identify(pid);
    if (identity === undefined) return;
    const { name, logFile, stopSignal, stopWithinMs } = this.spec;
    this.#record = { name, ...identity, logFile, stopSignal, stopWithinMs };
    this.#watch.started(this.#record);
  }

  #forget(pid: number | undefined): void {
    if (pid === undefined) return;
    signalGroup(pid, 'SIGKILL');
    this.#watch.guardian.forget(pid);
    const record = this.#record;
    if (record?.pid !== pid) return;
    this.#record = undefined;
    this.#watch.ended(record);
  }

  #endedEarly(how: string, logStart: number): StackError {
    const { name, logFile } = this.spec;
    const tail = logTail(logFile, logStart);
    const taken = /address already in use|could not bind/i.test(tail);
    return new StackError(
      taken ? 'PORT_TAKEN' : 'PROCESS_ENDED',
      `${name} ended while it was starting (${how}).${tail}`,
    );
  }
}

/**
 * Ends a recorded process and its group: the stop signal, then SIGKILL after its time is over. A process that only
 * happens to have the recorded id is left alone.
 * @returns whether the process was still running.
 */
export async function stopProcess(record: ProcessRecord): Promise<boolean> {
  if (!isAlive(record)) return false;
  signalGroup(record.pid, record.stopSignal);
  const gone = (): true | undefined => (isAlive(record) ? undefined : true);
  const withinMs = record.stopSignal === 'SIGKILL' ? 0 : record.stopWithinMs;
  if ((await until(gone, { withinMs, everyMs: 20 })) === undefined && isAlive(record)) {
    signalGroup(record.pid, 'SIGKILL');
    await until(gone, { withinMs: 10_000, everyMs: 20 });
  }
  // What the leader has left behind in its group: no new process can get the number while the group exists.
  signalGroup(record.pid, 'SIGKILL');
  return true;
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The group is gone already.
  }
}

/** The last lines that a server has written since `from`, as the end of a message; empty when there are none. */
export function logTail(file: string, from = 0, lines = 15): string {
  let text: string;
  try {
    const handle = openSync(file, 'r');
    try {
      const { size } = fstatSync(handle);
      const start = Math.max(from, size - 16_384);
      const bytes = Buffer.alloc(Math.max(0, size - start));
      readSync(handle, bytes, 0, bytes.length, start);
      text = bytes.toString('utf8');
    } finally {
      closeSync(handle);
    }
  } catch {
    return '';
  }
  const last = text.trimEnd().split('\n').slice(-lines);
  return last.join('').trim() === ''
    ? ` It wrote nothing to ${file}.`
    : ` The end of ${file}:\n${last.map((line) => `    ${line}`).join('\n')}`;
}
