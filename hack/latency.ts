/**
 * `npm run latency`: how much time the operator adds to Coder's own builds.
 *
 * On real servers of its own it applies workspaces one after the other and flips them, and prints the time from the
 * request to `Ready=True` less the build's own (`completed_at − created_at` of its job).
 */
import { systemClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import { findCondition } from '../src/api/conditions.ts';
import { controlPlanes, templates, workspaces, type CoderWorkspace } from '../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../src/api/meta.ts';
import { CoderClient } from '../src/coder/client.ts';
import { KubeClient } from '../src/kube/client.ts';
import { openConnection } from '../src/kube/connection.ts';
import { Reflector } from '../src/kube/reflector.ts';
import { Store } from '../src/kube/store.ts';
import { controlPlane, namespace, template } from './demo/manifests.ts';
import { installOperator, startOperator } from './stack/operator.ts';
import { terminalProgress } from './stack/progress.ts';
import { startStack, type Stack } from './stack/stack.ts';

const TRIES = 30;
const LONGEST_WAIT_MS = 120_000;

interface Sample {
  /** From the request to Ready, in milliseconds. */
  readonly totalMs: number;
  /** Of that, the build's own. */
  readonly buildMs: number;
}

const progress = terminalProgress();
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => stop.abort(new Error(`ended by ${name}`)));

const stack = await startStack({ progress, signal: stop.signal });
try {
  await installOperator(stack.kubernetes, stop.signal);
  await startOperator(stack, { signal: stop.signal });
  await measure(stack);
} finally {
  stop.abort();
  await stack.stop();
}

async function measure(servers: Stack): Promise<void> {
  const { kubernetes, coder } = servers;
  const connection = await openConnection({
    kubeconfig: kubernetes.adminKubeconfig,
    clock: systemClock,
    logger: silentLogger,
  });
  const kube = new KubeClient({ connection, clock: systemClock, userAgent: 'coder-operator-latency' });
  const client = new CoderClient({
    url: coder.url,
    token: coder.adminToken,
    policy: { httpHosts: ['127.0.0.1'], allowLoopback: true },
    requestsPerMinute: 100_000,
  });
  try {
    await prepare(servers);
    const store = new Store<CoderWorkspace>();
    const reflector = new Reflector({
      client: kube,
      resource: workspaces,
      namespace,
      store,
      clock: systemClock,
      logger: silentLogger,
    });
    const reflecting = reflector.run(stop.signal);
    const starts: Sample[] = [];
    const stops: Sample[] = [];
    for (let i = 1; i <= TRIES; i++) {
      const name = `coder.${coder.accounts.adminUser}.try${i}`;
      const object = { metadata: { namespace, name }, spec: { templateName: 'hello', running: true } };
      const created = (): Promise<KubeObject> => kube.create(workspaces, object);
      starts.push(await timed(store, client, name, created));
      const patched = (): Promise<KubeObject> =>
        kube.mergePatch(workspaces, namespace, name, { spec: { running: false } });
      stops.push(await timed(store, client, name, patched));
      progress.note(`${i} of ${TRIES}`);
    }
    print('start', starts);
    print('stop', stops);
    stop.abort();
    await reflecting;
  } finally {
    client.close();
    await connection.close();
  }
}

async function prepare({ kubernetes, coder }: Stack): Promise<void> {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'coder' },
    type: 'coder.com/credentials',
    stringData: { url: coder.url, token: coder.operatorToken },
  };
  await kubernetes.kubectl(['create', 'namespace', namespace]);
  await kubernetes.kubectl(['apply', '-n', namespace, '-k', 'config/tenant']);
  const input = [JSON.stringify(secret), controlPlane, template].join('\n---\n');
  await kubernetes.kubectl(['-n', namespace, 'apply', '-f', '-'], { input });
  const ready = async (resource: ResourceType): Promise<void> => {
    const args = ['wait', '--for=condition=Ready', resource.plural, '--all', '--timeout=60s'];
    await kubernetes.kubectl(['-n', namespace, ...args]);
  };
  await ready(controlPlanes);
  await ready(templates);
}

/** Times one wish from its request to Ready. */
async function timed(
  store: Store<CoderWorkspace>,
  client: CoderClient,
  name: string,
  request: () => Promise<KubeObject>,
): Promise<Sample> {
  const start = systemClock.monotonic();
  const { generation } = (await request()).metadata;
  const { object, at } = await untilReady(store, name, generation ?? 0);
  const workspace = await client.workspace(object.status?.id ?? '');
  const { job } = workspace.latest_build;
  return {
    totalMs: at - start,
    buildMs: new Date(job.completed_at ?? '').getTime() - new Date(job.created_at).getTime(),
  };
}

function untilReady(
  store: Store<CoderWorkspace>,
  name: string,
  generation: number,
): Promise<{ readonly object: CoderWorkspace; readonly at: number }> {
  return new Promise((resolve, reject) => {
    const cancel = systemClock.after(LONGEST_WAIT_MS, () =>
      reject(new Error(`${name} did not become ready`)),
    );
    const look = (): void => {
      const object = store.get(`${namespace}/${name}`);
      const isReady = findCondition(object?.status?.conditions, 'Ready')?.status === 'True';
      if (object === undefined || !isReady || object.status?.observedGeneration !== generation) return;
      cancel();
      unsubscribe();
      resolve({ object, at: systemClock.monotonic() });
    };
    const unsubscribe = store.subscribe(look);
    look();
  });
}

function print(what: string, samples: readonly Sample[]): void {
  const added = samples.map((s) => s.totalMs - s.buildMs).sort((a, b) => a - b);
  const builds = samples.map((s) => s.buildMs).sort((a, b) => a - b);
  const at = (sorted: readonly number[], q: number): string =>
    `${Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0)} ms`;
  console.log(
    `${what.padEnd(6)} beyond Coder's build: p50 ${at(added, 0.5)}, p99 ${at(added, 0.99)} of ${samples.length}` +
      ` (the build itself: p50 ${at(builds, 0.5)}, p99 ${at(builds, 0.99)})`,
  );
}
