import { installOperator, startOperator, type Operator } from '../../hack/stack/operator.ts';
import { startStack, type Stack } from '../../hack/stack/stack.ts';
import { terminalProgress } from '../../hack/stack/progress.ts';

/** The real servers that several test files use; started when the first one asks, ended after the last test. */
let full: Promise<Stack> | undefined;
let operator: Promise<Operator> | undefined;

/** First start of the servers, when the programs have to be built. */
export const SERVERS_WITHIN_MS = 900_000;

/** Flags with which the tests' operator runs: short waits, so that a test sees a retry within seconds. */
const OPERATOR_ARGS = [
  ...['--retry-base', '2s', '--request-timeout', '4s', '--lease-duration', '12s', '--drift-cooldown', '2s'],
  ...['--log-format', 'text', '--log-level', 'debug'],
];

/** Kubernetes with our CRDs and RBAC, and Coder. */
export function servers(): Promise<Stack> {
  full ??= (async () => {
    const stack = await startStack({
      auditLog: true,
      progress: terminalProgress(),
      // Abandoned jobs, schedules and deadlines are looked at every second instead of every minute.
      coderSettings: {
        env: { CODER_JOB_HANG_DETECTOR_INTERVAL: '1s', CODER_AUTOBUILD_POLL_INTERVAL: '1s' },
      },
    });
    await installOperator(stack.kubernetes);
    return stack;
  })();
  return full;
}

/** The operator that works on them, under its own service account. */
export function runningOperator(): Promise<Operator> {
  operator ??= (async () => startOperator(await servers(), { args: OPERATOR_ARGS }))();
  return operator;
}

export async function stopServers(): Promise<void> {
  try {
    await (await operator)?.stop();
  } finally {
    // The servers end, whatever became of the operator.
    await (await full)?.stop();
  }
  operator = undefined;
  full = undefined;
}
