import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** How a program ended, and all that it printed. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

export interface ProgramOptions {
  /** Milliseconds after which it has to end. Default 25 s. */
  readonly withinMs?: number;
  /** What it is sent then. Default SIGKILL. */
  readonly signal?: NodeJS.Signals;
  /** Variables beside those of the test. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs Node in the project's folder, as a person or a pod would, until it ends. */
export function runNode(args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  const { withinMs = 25_000, signal = 'SIGKILL', env = {} } = options;
  const child = spawn(process.execPath, args, {
    cwd: root,
    timeout: withinMs,
    killSignal: signal,
    env: { ...process.env, ...env },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

/** Runs the program from its sources, until it ends. */
export function runMain(args: readonly string[], options?: ProgramOptions): Promise<Ended> {
  return runNode(['--import', 'tsx', 'src/main.ts', ...args], options);
}
