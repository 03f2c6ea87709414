import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/base/clock.ts';
import { StackError } from './errors.ts';
import { toolEnvironment } from './tools.ts';

/** A line of the program in hack/tools/clients. */
export interface ClientLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface ClientOptions {
  /** Path of the built program. */
  readonly program: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment, such as `KUBE_FEATURE_WatchListClient`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends it at once. */
  readonly signal?: AbortSignal | undefined;
}

/** How much of what it wrote to standard error is told when it fails. */
const TAIL = 2_000;

/** A client that follows a resource until it is told to end. */
export class Client {
  readonly #options: ClientOptions;
  readonly #child: ChildProcess;
  readonly #lines: ClientLine[] = [];
  readonly #closed: Promise<void>;
  #waiting: (() => void)[] = [];
  #stderr = '';
  #code: number | null | undefined;

  constructor(options: ClientOptions) {
    const { program, command, args, env = {}, signal } = options;
    this.#options = options;
    this.#child = spawn(program, [command, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...toolEnvironment(), ...env },
      ...(signal === undefined ? {} : { signal, killSignal: 'SIGKILL' as const }),
    });
    this.#child.on('error', (error) => (this.#stderr += error.message));
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-TAIL);
    });
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout, crlfDelay: Infinity }).on('line', (line) => {
        this.#lines.push(JSON.parse(line) as ClientLine);
        this.#wake();
      });
    }
    this.#closed = new Promise((resolve) =>
      this.#child.once('close', (code) => {
        this.#code = code;
        resolve();
        this.#wake();
      }),
    );
  }

  /** All that it has said so far. */
  get lines(): readonly ClientLine[] {
    return this.#lines;
  }

  of(event: string): readonly ClientLine[] {
    return this.#lines.filter((line) => line.event === event);
  }

  get running(): boolean {
    return this.#code === undefined;
  }

  /**
   * The first line that is as `isSo` says, of those that it has said and of those to come.
   * @throws StackError NOT_READY when there is none in time, or before it ended.
   */
  async until(
    isSo: (line: ClientLine) => boolean,
    what: string,
    { withinMs = 30_000, from = 0 } = {},
  ): Promise<ClientLine> {
    const end = systemClock.monotonic() + withinMs;
    for (let next = from; ;) {
      for (; next < this.#lines.length; next++) {
        const line = this.#lines[next];
        if (line !== undefined && isSo(line)) return line;
      }
      const left = end - systemClock.monotonic();
      if (!this.running || left <= 0) {
        const how = this.running ? `within ${withinMs} ms` : `before it ended (${String(this.#code)})`;
        throw new StackError(
          'NOT_READY',
          `${this.#options.command} did not say ${what} ${how}.${this.#tail()}`,
        );
      }
      await this.#change(left);
    }
  }

  /** Gives it a line on its standard input. */
  send(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  /** What it says to a line that it answers with such an event. @throws StackError as `until`. */
  async ask(text: string, event: string): Promise<ClientLine> {
    const from = this.#lines.length;
    this.send(text);
    return this.until((line) => line.event === event, event, { from });
  }

  /** Ends its standard input and waits until it has ended. @throws StackError TOOL_FAILED when it failed. */
  async end(): Promise<readonly ClientLine[]> {
    this.#child.stdin?.end();
    await this.#closed;
    if (this.#code === 0) return this.#lines;
    throw new StackError('TOOL_FAILED', `${this.#options.command} failed.${this.#tail()}`);
  }

  /** Ends it at once. Harmless when it has ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = systemClock.after(withinMs, resolve);
      this.#waiting.push(() => {
        cancel();
        resolve();
      });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #tail(): string {
    const last = this.#lines.slice(-5).map((line) => JSON.stringify(line));
    return [` It said:`, ...last, this.#stderr.trim()].join('\n    ');
  }
}

/** Runs a client to its end. @throws StackError TOOL_FAILED. */
export async function runClient(options: ClientOptions, input?: string): Promise<readonly ClientLine[]> {
  const client = new Client(options);
  if (input !== undefined) client.send(input);
  return client.end();
}
