import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { StackError, throwIfAborted } from './errors.ts';
import type { Guardian } from './guardian.ts';
import { runTool, toolEnvironment } from './tools.ts';
import type { Progress } from './progress.ts';

export interface GoBuild {
  readonly name: string;
  /** Folder of the go.mod that names the program and all its dependencies. */
  readonly module: string;
  readonly package: string;
  /** Values stamped into the program: variable → text. */
  readonly stamps: Readonly<Record<string, string>>;
  readonly output: string;
  /** Folder for the compiler's own temporary files; removed by the caller whatever happens. */
  readonly scratch: string;
  readonly progress: Progress;
  readonly guardian: Guardian;
  readonly signal?: AbortSignal | undefined;
}

const reportEveryMs = 10_000;
const interruptedWithinMs = 3_000;

/**
 * The flags of every build. The paths of the sources stay in the programs (no -trimpath), so that Go's own build cache
 * is shared with a plain `go build`.
 */
export function goBuildFlags(stamps: Readonly<Record<string, string>>): readonly string[] {
  const stamped = Object.entries(stamps).map(([variable, value]) => `-X ${variable}=${value}`);
  return ['-buildvcs=false', '-ldflags', ['-s', '-w', ...stamped].join(' ')];
}

/**
 * Builds one Go program and says every ten seconds how far it is. An abort ends the compiler with all its children.
 * @throws StackError BUILD_FAILED with the compiler's last words; ABORTED.
 */
export async function goBuild(options: GoBuild): Promise<void> {
  const { name, module, output, scratch, progress, guardian, signal } = options;
  throwIfAborted(signal);
  const start = systemClock.monotonic();
  const seconds = (): string => `${Math.round((systemClock.monotonic() - start) / 1000)} s`;
  const go = spawn('go', ['build', '-v', ...goBuildFlags(options.stamps), '-o', output, options.package], {
    cwd: module,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...toolEnvironment(), CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', GOTMPDIR: scratch },
  });
  const group = go.pid;
  if (group !== undefined) guardian.guard(group);
  const compiled = new BuildOutput();
  go.stderr.setEncoding('utf8').on('data', (text: string) => compiled.add(text));
  const report = setInterval(
    () => progress.step(`${name}: ${compiled.summary()}, ${seconds()}`),
    reportEveryMs,
  );
  const interrupt = (): void => interruptGroup(group);
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      go.once('error', reject);
      go.once('close', (exitCode) => resolve(exitCode));
    });
    throwIfAborted(signal);
    if (code !== 0) {
      throw new StackError(
        'BUILD_FAILED',
        `Building ${name} failed after ${seconds()}. ${compiled.lastWords()}`,
      );
    }
    progress.done(`built ${name} in ${seconds()}`);
  } finally {
    clearInterval(report);
    signal?.removeEventListener('abort', interrupt);
    if (group !== undefined) guardian.forget(group);
  }
}

/** The go command removes its temporary files when it is interrupted, if it is given a moment. */
function interruptGroup(group: number | undefined): void {
  if (group === undefined) return;
  const send = (name: NodeJS.Signals): void => {
    try {
      process.kill(-group, name);
    } catch {
      // The group has ended.
    }
  };
  send('SIGINT');
  systemClock.after(interruptedWithinMs, () => send('SIGKILL'));
}

/** Understands what `go build -v` writes: packages as they are compiled, modules as they come, else messages. */
export class BuildOutput {
  #packages = 0;
  #modules = 0;
  #rest = '';
  readonly #messages: string[] = [];

  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  /** For people: what has been done so far. */
  summary(): string {
    const downloaded = this.#modules === 0 ? '' : `, ${this.#modules} modules downloaded`;
    return `${this.#packages} packages compiled${downloaded}`;
  }

  lastWords(): string {
    const messages = [...this.#messages, this.#rest].filter((line) => line.trim() !== '').slice(-15);
    return messages.length === 0
      ? 'The go command gave no reason.'
      : `The go command said:\n${messages.map((line) => `    ${line}`).join('\n')}`;
  }

  #line(line: string): void {
    if (line.startsWith('go: downloading ')) this.#modules++;
    else if (/^[\w.~-]+(\/[\w.~-]+)*$/.test(line)) this.#packages++;
    else this.#messages.push(line);
  }
}

/** The Go toolchain that builds in this folder. Older ones fetch the one that go.mod asks for, where that is allowed. */
const oldestGo = { major: 1, minor: 21 };

/**
 * Makes sure that there is a Go toolchain for the module in this folder.
 * @throws StackError TOOL_MISSING with what to install.
 */
export async function requireGo(module: string, wanted: string, signal?: AbortSignal): Promise<void> {
  const answer = await runTool('go', ['version'], { cwd: module, signal });
  const install = `Install Go ${wanted} or newer (https://go.dev/dl/) and put it on PATH: the local stack builds its servers from source.`;
  if (answer === undefined) throw new StackError('TOOL_MISSING', `The go command was not found. ${install}`);
  const found = /go(\d+)\.(\d+)/.exec(answer.stdout);
  const tooOld = found !== null && (Number(found[1]) < oldestGo.major || Number(found[2]) < oldestGo.minor);
  if (answer.code !== 0 || found === null || tooOld) {
    const said = (answer.code === 0 ? answer.stdout : answer.stderr).trim().split('\n').at(-1) ?? '';
    throw new StackError('TOOL_MISSING', `The go command on PATH cannot be used (${said}). ${install}`);
  }
}

/** The version of a module that a go.mod asks for, or the language version for `go`. */
export function versionIn(goMod: string, module: string): string {
  const found = new RegExp(
    `^\\s*(?:require\\s+)?${module.replaceAll('.', '\\.')}\\s+(v?[\\w.+-]+)`,
    'm',
  ).exec(goMod);
  if (found?.[1] === undefined) throw new StackError('BUILD_FAILED', `The go.mod does not name ${module}.`);
  return found[1];
}

/** Where a module's go.mod and go.sum are. */
export function moduleFiles(module: string): readonly [string, string] {
  return [join(module, 'go.mod'), join(module, 'go.sum')];
}
