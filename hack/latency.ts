/**
 * `npm run latency`: how much time the operator adds to Coder's own builds.
 *
 * On real servers of its own it applies workspaces one after the other and flips them, and prints the time from the
 * request to `Ready=True` less the build's own (`completed_at − created_at` of its job). In between it gives a template
 * new archives of 1 MiB, and prints the time from that to the version being there in Coder.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { systemClock } from '../src/base/clock.ts';
import { silentLogger } from '../src/base/logger.ts';
import {
  controlPlanes,
  templates,
  workspaces,
  type CoderTemplate,
  type CoderWorkspace,
} from '../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../src/api/meta.ts';
import { archiveOf } from '../src/coder/archive.ts';
import { CoderClient } from '../src/coder/client.ts';
import { MAX_ARCHIVE_BYTES } from '../src/coder/layout.ts';
import { KubeClient } from '../src/kube/client.ts';
import { openConnection } from '../src/kube/connection.ts';
import { Store } from '../src/kube/store.ts';
import { quantile } from './bench/figures.ts';
import { isReady, reflect, timedWish, untilObject, type WishTimes } from './bench/wish.ts';
import { controlPlane, namespace, template } from './demo/manifests.ts';
import { installOperator, startOperator } from './stack/operator.ts';
import { terminalProgress } from './stack/progress.ts';
import { startStack, type Stack } from './stack/stack.ts';

const TRIES = 30;
/** A new archive after so many workspaces, ten in all. */
const ARCHIVE_EVERY = 3;
/**
 * Content is sent once in seven seconds in the long run, and so few may go a little sooner. One that had to wait for its
 * turn would measure nothing.
 */
const BETWEEN_ARCHIVES_MS = 6_000;

const progress = terminalProgress();
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => stop.abort(new Error(`ended by ${name}`)));

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
    const reflecting = reflect(kube, workspaces, namespace, store, stop.signal);
    const archives = await Archives.open(kube);
    const starts: WishTimes[] = [];
    const stops: WishTimes[] = [];
    const uploads: number[] = [];
    for (let i = 1; i <= TRIES; i++) {
      const name = `coder.${coder.accounts.adminUser}.try${i}`;
      const object = { metadata: { namespace, name }, spec: { templateName: 'hello', running: true } };
      const created = (): Promise<KubeObject> => kube.create(workspaces, object);
      starts.push(await timedWish(store, client, created));
      const patched = (): Promise<KubeObject> =>
        kube.mergePatch(workspaces, namespace, name, { spec: { running: false } });
      stops.push(await timedWish(store, client, patched));
      if (i % ARCHIVE_EVERY === 0) uploads.push(await archives.timed());
      progress.note(`${i} of ${TRIES}`);
    }
    print('start', starts);
    print('stop', stops);
    console.log(`a new archive of 1 MiB to its version in Coder: ${quantiles(uploads)} of ${uploads.length}`);
    stop.abort();
    await Promise.all([reflecting, archives.close()]);
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

/** A template whose content comes from archives of 1 MiB, on a server of this process. */
class Archives {
  readonly #kube: KubeClient;
  readonly #store = new Store<CoderTemplate>();
  readonly #name = 'coder.archive';
  readonly #key = `${namespace}/${this.#name}`;
  /** What is served, by its path. */
  readonly #served = new Map<string, Buffer>();
  readonly #server: Server;
  readonly #reflecting: Promise<void>;
  readonly #versions = new Set<string>();
  /** By the monotonic clock. */
  #lastAt = -Infinity;

  private constructor(kube: KubeClient) {
    this.#kube = kube;
    this.#reflecting = reflect(kube, templates, namespace, this.#store, stop.signal);
    this.#server = createServer((request, response) => {
      const bytes = this.#served.get(request.url ?? '');
      response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
    });
  }

  /** The template is there, with a first version. */
  static async open(kube: KubeClient): Promise<Archives> {
    const archives = new Archives(kube);
    await new Promise<void>((resolve) => archives.#server.listen(0, '127.0.0.1', resolve));
    await archives.#give((spec) =>
      kube.create(templates, { metadata: { namespace, name: archives.#name }, ...{ spec } }),
    );
    return archives;
  }

  /** Milliseconds from a new archive to its version. */
  async timed(): Promise<number> {
    await systemClock.sleep(
      Math.max(0, this.#lastAt + BETWEEN_ARCHIVES_MS - systemClock.monotonic()),
      stop.signal,
    );
    return this.#give((spec) => this.#kube.mergePatch(templates, namespace, this.#name, { spec }));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#reflecting;
  }

  async #give(request: (spec: object) => Promise<KubeObject>): Promise<number> {
    const spec = { source: { archive: await this.#publish() } };
    const start = systemClock.monotonic();
    const { generation } = (await request(spec)).metadata;
    const { at } = await untilObject(this.#store, this.#key, ({ status }) => {
      const id = status?.pendingVersion?.id ?? status?.activeVersion?.id;
      return id !== undefined && !this.#versions.has(id);
    });
    this.#lastAt = at;
    const { object } = await untilObject(this.#store, this.#key, (o) => isReady(o, generation));
    this.#versions.add(object.status?.activeVersion?.id ?? '');
    return at - start;
  }

  /** Serves other content than ever before, as large as a template may be. */
  async #publish(): Promise<{ readonly url: string; readonly sha256: string }> {
    const text = 'resource "terraform_data" "archive" {}\n';
    const files = { 'main.tf': text, 'data.bin': randomBytes(MAX_ARCHIVE_BYTES - text.length) };
    const bytes = gzipSync(await archiveOf(files));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const path = `/${sha256}.tar.gz`;
    this.#served.set(path, bytes);
    const { port } = this.#server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}${path}`, sha256 };
  }
}

function print(what: string, samples: readonly WishTimes[]): void {
  const added = samples.map((s) => s.totalMs - s.buildMs);
  const builds = samples.map((s) => s.buildMs);
  console.log(
    `${what.padEnd(6)} beyond Coder's build: ${quantiles(added)} of ${samples.length}` +
      ` (the build itself: ${quantiles(builds)})`,
  );
}

function quantiles(samples: readonly number[]): string {
  const at = (q: number): string => `${Math.round(quantile(samples, q))} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)}`;
}

const stack = await startStack({ progress, signal: stop.signal });
try {
  await installOperator(stack.kubernetes, stop.signal);
  await startOperator(stack, { signal: stop.signal });
  await measure(stack);
} finally {
  stop.abort();
  await stack.stop();
}
