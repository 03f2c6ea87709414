import { readdirSync, readFileSync } from 'node:fs';
import { StackError } from '../stack/errors.ts';

/** What Linux tells of a process in /proc/PID/stat. */
export interface ProcessTimes {
  readonly parent: number;
  /** Of the process and of its children that have ended, in the kernel's ticks. */
  readonly ticks: number;
}

/** The kernel counts time for programs in hundredths of a second, whatever its own clock does (USER_HZ). */
const TICKS_A_SECOND = 100;

/** Memory of a process in bytes. */
export interface Memory {
  readonly now: number;
  readonly peak: number;
}

/** The name of the program stands in parentheses and may hold some itself, so fields are counted behind the last one. */
export function parseTimes(line: string): ProcessTimes | undefined {
  const fields = line
    .slice(line.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  const [parent] = fields.slice(1);
  const times = fields.slice(11, 15);
  if (parent === undefined || times.length < 4 || times.some(Number.isNaN)) return undefined;
  return { parent, ticks: times.reduce((total, t) => total + t, 0) };
}

/** Out of /proc/PID/status. */
export function parseMemory(text: string): Memory | undefined {
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
  const [now, peak] = [kilobytes('VmRSS'), kilobytes('VmHWM')];
  return Number.isNaN(now) || Number.isNaN(peak) ? undefined : { now: now * 1024, peak: peak * 1024 };
}

/** Ids of a process and of all below it. */
export function withDescendants(pid: number, parents: ReadonlyMap<number, number>): ReadonlySet<number> {
  const found = new Set([pid]);
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const [child, parent] of parents) if (found.has(parent)) found.add(child);
  }
  return found;
}

/** Seconds of CPU that a process and all below it have used so far. @throws StackError NOT_READY. */
export function cpuSeconds(pid: number): number {
  const all = new Map<number, ProcessTimes>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const times = parseTimes(readOrNothing(`/proc/${name}/stat`));
    if (times !== undefined) all.set(Number(name), times);
  }
  if (!all.has(pid)) throw new StackError('NOT_READY', `Process ${pid} is not running any more.`);
  const parents = new Map([...all].map(([id, { parent }]) => [id, parent]));
  let ticks = 0;
  for (const id of withDescendants(pid, parents)) ticks += all.get(id)?.ticks ?? 0;
  return ticks / TICKS_A_SECOND;
}

/** @throws StackError NOT_READY. */
export function memoryOf(pid: number): Memory {
  const memory = parseMemory(readOrNothing(`/proc/${pid}/status`));
  if (memory === undefined) throw new StackError('NOT_READY', `Process ${pid} is not running any more.`);
  return memory;
}

/** What a process has open: `socket`, `pipe`, `anon_inode` or `file`, and how many of each. */
export function openFiles(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of names) {
    const kind = /^(socket|pipe|anon_inode):/.exec(name)?.[1] ?? 'file';
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}
