import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StackError } from '../stack/errors.ts';
import { isAlive } from '../stack/identity.ts';
import { withLock } from '../stack/lock.ts';
import { installOperator, startOperator } from '../stack/operator.ts';
import { stopProcess, type ProcessRecord } from '../stack/process.ts';
import type { Progress } from '../stack/progress.ts';
import { openStack, startStack, type Stack } from '../stack/stack.ts';
import { deleteData, readState, StateFile, type StackState } from '../stack/state.ts';
import { endpointName, runEndpoint } from './endpoint.ts';
import { writeEnvironment } from './environment.ts';
import { operatorName, serversOf, statusTable } from './servers.ts';

/** What every command of `npm run local` works with. */
export interface LocalContext {
  /** The folder `.local` of the checkout. */
  readonly dir: string;
  readonly progress: Progress;
  /** Takes the result, as opposed to progress. */
  readonly print: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Starts what does not run yet, leaves it running in the background and says how to use it.
 * @throws StackError
 */
export function up(context: LocalContext, options: { readonly operator: boolean }): Promise<void> {
  return exclusively(context, async () => {
    const { dir, progress, signal } = context;
    const before = readState(dir);
    const servers = serversOf(before);
    const dead = servers.filter(({ running }) => !running);
    for (const { name, pid } of dead) {
      progress.note(`${name}${pid === undefined ? '' : ` (process ${pid})`} is not running any more`);
    }
    const hadOperator = servers.some(({ name }) => name === operatorName);
    const operator = options.operator || hadOperator;
    const runs = (name: string): boolean => servers.some((s) => s.name === name && s.running);
    const missing = [operatorName, endpointName].filter((name) => !runs(name));
    const onlyOursMissing = servers.length > 0 && dead.every(({ name }) => missing.includes(name));
    if (before === undefined || !onlyOursMissing) {
      if (dead.length > 0) progress.note('starting everything again with the same data');
      const stack = await startWithHint(context, before);
      await finish(stack, context, operator ? [operatorName, endpointName] : []);
    } else if (operator && missing.length > 0) {
      await finish(await openStack(dir, before, progress), context, missing);
    } else {
      progress.note('everything is running already');
    }
    throwIfAbortedLate(signal);
    context.print(instructions(dir, readState(dir)));
  });
}

/** Stops everything; the data go too unless they are to be kept. */
export function down(context: LocalContext, options: { readonly keep: boolean }): Promise<void> {
  return exclusively(context, async () => {
    const { dir, progress } = context;
    const state = readStateLeniently(context);
    const running = (state?.processes ?? []).filter((record) => isAlive(record));
    await stopInOrder(running, progress);
    rmSync(join(dir, 'env'), { force: true });
    if (options.keep && state?.complete === true) {
      new StateFile(dir, { ...state, processes: [] }).update({});
      progress.done(`stopped; the data stay in ${dir}`);
    } else {
      deleteData(dir, state);
      progress.done(running.length === 0 ? 'nothing was running' : 'stopped, and the data deleted');
    }
  });
}

/** Prints what runs. @returns whether everything that should does. @throws StackError STATE_UNREADABLE. */
export function status(context: LocalContext): boolean {
  const servers = serversOf(readState(context.dir));
  if (servers.length === 0) {
    context.print('Nothing is running here. Start it with: npm run local -- up');
    return false;
  }
  context.print(statusTable(servers));
  const fine = servers.every(({ running }) => running);
  if (!fine) context.print('\nStart what is dead again with: npm run local -- up');
  return fine;
}

/** One command at a time in a checkout. */
async function exclusively(context: LocalContext, work: () => Promise<void>): Promise<void> {
  const { dir, progress, signal } = context;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  await withLock(join(dir, 'lock'), work, {
    signal,
    onWait: (pid) =>
      progress.note(`process ${pid} is at work on the local stack of this checkout; waiting for it`),
  });
  try {
    rmdirSync(dir);
  } catch {
    // Something of it is there to stay.
  }
}

async function startWithHint(context: LocalContext, before: StackState | undefined): Promise<Stack> {
  const { dir, progress, signal } = context;
  try {
    return await startStack({ dir, progress, signal, keepData: true });
  } catch (error) {
    if (before?.complete !== true || !(error instanceof StackError) || error.code === 'ABORTED') throw error;
    const hint =
      'If it does not get better, `npm run local -- down` deletes the data and the next up begins afresh.';
    throw new StackError('NOT_READY', `${error.message}\n${hint}`, { cause: error });
  }
}

/** Everything up to the moment from which the servers live on without us. */
async function finish(stack: Stack, context: LocalContext, missing: readonly string[]): Promise<void> {
  const { dir, progress, signal } = context;
  try {
    if (missing.includes(operatorName)) {
      progress.step('installing config/default');
      await installOperator(stack.kubernetes, signal);
      await startOperator(stack, { signal });
    }
    if (missing.includes(endpointName)) {
      progress.step('installing config/apiserver');
      await runEndpoint(stack, signal);
    }
    throwIfAbortedLate(signal);
    const state = readState(dir);
    if (state?.coder === undefined) throw new StackError('NOT_READY', 'Coder has no accounts yet.');
    writeEnvironment(dir, {
      kubeconfig: stack.kubernetes.adminKubeconfig,
      coderUrl: `http://127.0.0.1:${state.ports.coder ?? 0}`,
      accounts: state.coder,
      bin: stack.bin,
    });
    stack.detach();
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

function throwIfAbortedLate(signal: AbortSignal): void {
  if (signal.aborted)
    throw new StackError('ABORTED', 'Stopped before it was finished.', { cause: signal.reason });
}

/** Clients before their servers, so that none of them waits for another. */
async function stopInOrder(running: readonly ProcessRecord[], progress: Progress): Promise<void> {
  const last = [['coder', 'kube-controller-manager'], ['postgres', 'kube-apiserver'], ['etcd']];
  const named = last.flat();
  const waves = [
    running.filter(({ name }) => !named.includes(name)),
    ...last.map((names) => running.filter(({ name }) => names.includes(name))),
  ];
  for (const wave of waves) {
    await Promise.all(
      wave.map(async (record) => {
        if (await stopProcess(record)) progress.done(`stopped ${record.name} (process ${record.pid})`);
      }),
    );
  }
}

/** A damaged state must not have to be deleted by hand: all that is known then is that there may be data. */
function readStateLeniently(context: LocalContext): StackState | undefined {
  try {
    return readState(context.dir);
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    context.progress.note(
      `${error.message} Its processes, if there are any, cannot be known; deleting the data.`,
    );
    return undefined;
  }
}

function instructions(dir: string, state: StackState | undefined): string {
  const env = join(dir, 'env');
  const { coder, ports, processes = [] } = state ?? {};
  if (coder === undefined || !existsSync(env)) return 'Nothing is running.';
  const operator = processes.find(({ name }) => name === operatorName);
  const endpoint = processes.find(({ name }) => name === endpointName);
  return [
    '',
    'The local stack is running in the background.',
    '',
    '  source .local/env                 KUBECONFIG, CODER_URL, tokens and PATH for this shell',
    '  kubectl get namespaces',
    `  Coder: http://127.0.0.1:${ports?.coder ?? 0}    user ${coder.adminEmail}, password ${coder.adminPassword}`,
    operator === undefined
      ? '  npm run local -- up --operator    also installs and runs the operator'
      : `  The operator runs as process ${operator.pid}, log ${operator.logFile}`,
    ...(endpoint === undefined
      ? []
      : [
          `  The endpoint runs as process ${endpoint.pid}, log ${endpoint.logFile}`,
          '  kubectl get coderworkspaces.aggregation.coder.com -A',
        ]),
    '  npm run local -- status           what runs, and where the logs are',
    '  npm run local -- down             stops all of it',
  ].join('\n');
}
