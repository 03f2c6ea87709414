import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Ends process groups when this process is gone, however it ended: the guardian is a shell that reads a pipe whose
 * other end only we hold, and the end of that pipe is the one sign that even SIGKILL leaves behind. (A parent-death
 * signal would reach the server alone and not what it started, such as Coder's Terraform processes.)
 */
const script = `
groups=
while read -r verb group; do
  case $verb in
    guard) groups="$groups $group" ;;
    forget)
      rest=
      for g in $groups; do [ "$g" = "$group" ] || rest="$rest $g"; done
      groups=$rest ;;
    remove) set -- "$@" "$group" ;;
    release) exit 0 ;;
  esac
done
for g in $groups; do kill -s KILL -- "-$g"; done 2>/dev/null
[ $# -eq 0 ] || rm -rf -- "$@"
`;

export class Guardian {
  readonly #shell: ChildProcess;

  constructor() {
    // A session of its own: Ctrl-C at the terminal must reach us, not the guardian.
    this.#shell = spawn('/bin/sh', ['-c', script, 'guardian'], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.unref();
    this.#shell.on('error', () => undefined);
    this.#shell.stdin?.on('error', () => undefined);
    const pipe = this.#shell.stdin as { unref?: () => void } | null;
    pipe?.unref?.();
  }

  /** From now on this process group does not outlive us. */
  guard(group: number): void {
    this.#say(`guard ${group}`);
  }

  /** When this process has gone without a word, this folder is deleted too. */
  removeLater(folder: string): void {
    this.#say(`remove ${folder}`);
  }

  /** The group has ended; its number may belong to somebody else from now on. */
  forget(group: number): void {
    this.#say(`forget ${group}`);
  }

  /** Ends the guardian; every group lives on. */
  release(): void {
    this.#say('release -');
    this.#shell.stdin?.end();
  }

  /** Ends the guardian and whatever it still guards. */
  close(): void {
    this.#shell.stdin?.end();
  }

  #say(line: string): void {
    if (this.#shell.stdin?.writable) this.#shell.stdin.write(`${line}\n`);
  }
}
