import { aliveAndDead, type PortName, type StackState } from '../stack/state.ts';

/** What has to run for the local stack to be up, in the order of their start. */
const needed = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'postgres', 'coder'] as const;

export const operatorName = 'operator';

/** A server of the local stack as `status` shows it. */
export interface ServerStatus {
  readonly name: string;
  /** Undefined when it was never started, or ended before that was written down. */
  readonly pid: number | undefined;
  readonly running: boolean;
  readonly address: string | undefined;
  readonly logFile: string | undefined;
}

/** Every server that should run according to the state, and whether it does; none when the stack is down. */
export function serversOf(state: StackState | undefined): readonly ServerStatus[] {
  if (state?.complete !== true || state.processes.length === 0) return [];
  const { alive } = aliveAndDead(state);
  const extra = state.processes.map(({ name }) => name).filter((name) => !needed.some((n) => n === name));
  return [...needed, ...extra].map((name) => {
    const record = state.processes.find((process) => process.name === name);
    return {
      name,
      pid: record?.pid,
      running: record !== undefined && alive.includes(record),
      address: addressOf(name, state.ports[name as PortName]),
      logFile: record?.logFile,
    };
  });
}

function addressOf(name: string, port: number | undefined): string | undefined {
  if (port === undefined) return undefined;
  const scheme = { postgres: 'postgres', coder: 'http', [operatorName]: 'http' }[name] ?? 'https';
  return `${scheme}://127.0.0.1:${port}`;
}

/** A table for people: one line a server, columns aligned. */
export function statusTable(servers: readonly ServerStatus[]): string {
  const rows = [
    ['SERVER', 'STATE', 'PROCESS', 'ADDRESS', 'LOG'],
    ...servers.map(({ name, pid, running, address, logFile }) => [
      name,
      running ? 'running' : 'DEAD',
      pid === undefined ? '-' : String(pid),
      address ?? '-',
      logFile ?? '-',
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
