/** `npm run demo`: starts real servers of its own, shows the main job on them, and stays up to be played with. */
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Narrator } from './demo/narrator.ts';
import { tour, TourError } from './demo/tour.ts';
import { runEndpoint } from './local/endpoint.ts';
import { shellQuote, writeEnvironment } from './local/environment.ts';
import { StackError } from './stack/errors.ts';
import { installOperator, startOperator } from './stack/operator.ts';
import { terminalProgress } from './stack/progress.ts';
import { startStack, type Stack } from './stack/stack.ts';

const HELP = `Usage: npm run demo [-- --exit]

Builds (the first time) and starts etcd, kube-apiserver, Postgres and Coder, runs the operator and the aggregated endpoint
on them, and shows how a workspace comes, stops and goes because of what is applied. Nothing of it touches a running \`npm run local\`.

  --exit    end after the tour; status 0 only if all of it really happened
  --help    show this
`;

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(HELP);
    return 0;
  }
  const unknown = args.find((arg) => arg !== '--exit');
  if (unknown !== undefined) {
    console.error(`npm run demo does not know "${unknown}".\n\n${HELP}`);
    return 2;
  }
  const interrupt = new AbortController();
  let endedBy: 'SIGINT' | 'SIGTERM' | undefined;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      endedBy ??= name;
      interrupt.abort();
    });
  }
  let stack: Stack | undefined;
  try {
    stack = await startStack({ progress: terminalProgress(), signal: interrupt.signal });
    await installOperator(stack.kubernetes, interrupt.signal);
    await startOperator(stack, { args: ['--log-format', 'text'], signal: interrupt.signal });
    await runEndpoint(stack, interrupt.signal);
    await tour({ stack, narrator: new Narrator((text) => console.log(text)), signal: interrupt.signal });
    if (args.includes('--exit')) {
      console.log('\nAll of it happened.');
      return 0;
    }
    await stayUp(stack, interrupt.signal);
    return 0;
  } catch (error) {
    if (endedBy !== undefined) return 128 + constants.signals[endedBy];
    console.error(error instanceof StackError || error instanceof TourError ? `\n${error.message}` : error);
    return 1;
  } finally {
    await stack?.stop();
    if (stack !== undefined) console.log('The servers are stopped; nothing is left behind.');
  }
}

async function stayUp(stack: Stack, signal: AbortSignal): Promise<void> {
  writeEnvironment(stack.dir, {
    kubeconfig: stack.kubernetes.adminKubeconfig,
    coderUrl: stack.coder.url,
    accounts: stack.coder.accounts,
    bin: stack.bin,
  });
  const sample = join(fileURLToPath(new URL('../config/samples', import.meta.url)), 'workspace.yaml');
  console.log(`
The servers stay up for you to play. In another terminal:

   source ${shellQuote(join(stack.dir, 'env'))}
   kubectl -n demo get coder
   kubectl -n demo apply -f ${shellQuote(sample)}

Coder: ${stack.coder.url}  (${stack.coder.accounts.adminEmail} / ${stack.coder.accounts.adminPassword})
Logs:  ${stack.logs}

Ctrl-C ends it all.`);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

process.exitCode = await main(process.argv.slice(2));
