import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Process ids are used again, also after a reboot. A process is therefore recorded together with a text that no other
 * process with that id can have: the boot and the moment at which it started.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly identity: string;
}

/** The identity of a live process, or undefined when there is none with that id (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | undefined {
  const identity = existsSync('/proc/self/stat') ? fromProc(pid) : fromPs(pid);
  return identity === undefined ? undefined : { pid, identity };
}

/** Whether the very process that was recorded is still alive. */
export function isAlive(recorded: ProcessIdentity): boolean {
  return identify(recorded.pid)?.identity === recorded.identity;
}

/**
 * State and start time out of a line of /proc/PID/stat. The second field, the program's name in parentheses, may hold
 * spaces and parentheses itself, so the fields are counted from the last one.
 */
export function parseStat(line: string): { readonly state: string; readonly startTime: string } | undefined {
  const fields = line
    .slice(line.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
  const state = fields[0];
  const startTime = fields[19];
  return state === undefined || state === '' || startTime === undefined ? undefined : { state, startTime };
}

function fromProc(pid: number): string | undefined {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}:${stat.startTime}`;
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.slice(line.indexOf(' ') + 1).trim();
  } catch {
    return undefined;
  }
}
