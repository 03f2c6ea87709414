import { spawn } from 'node:child_process';
import { homedir } from 'node:os';

export interface ToolAnswer {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Given to the tool's standard input. */
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The environment of every program that is started here: ours, without what would change how it behaves. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(CODER_|TF_|KUBECONFIG$|PG|NODE_OPTIONS$)/.test(name),
  );
  return { HOME: homedir(), ...Object.fromEntries(kept) };
}

/** Which of the pinned Coders is wished, such as `2.29`; undefined for the one that everything is made for. */
export function wantedCoder(): string | undefined {
  const wanted = process.env['STACK_CODER_VERSION'];
  return wanted === '' ? undefined : wanted;
}

/** Runs a program to its end; undefined when it is not there. */
export function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolAnswer | undefined> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: options.env ?? toolEnvironment(),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve(undefined);
      else stderr += error.message;
    });
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
