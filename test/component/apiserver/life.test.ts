import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { apiServiceName, registerEndpoint, untilAvailable } from '../../../hack/stack/apiserver.ts';
import { endpointServerName, mountServingCertificate } from '../../../hack/stack/serving.ts';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { isNotFound } from '../../../src/kube/errors.ts';
import { aggregated, AGGREGATED_WITHIN_MS, type Aggregated } from '../../support/aggregated.ts';
import { MASTERS, type Caller, type Reply } from '../../support/aggregated-calls.ts';
import { createWorkspace, label, viewPath, VIEW_WORKSPACES } from '../../support/aggregated-objects.ts';
import { settled } from '../../support/settled.ts';

const GROUP = 'aggregation.coder.com';
/** Kube-apiserver looks every half minute. */
const SEEN_WITHIN_MS = 35_000;
const configMaps = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };

describe('the life of the endpoint', function () {
  this.timeout(120_000);
  const namespace = 'life';
  const name = 'coder.alice.dev';
  let rig: Aggregated;
  let admin: Caller;

  before(async function () {
    this.timeout(AGGREGATED_WITHIN_MS);
    rig = await aggregated();
    await rig.namespace(namespace);
    await createWorkspace(rig.kube, namespace, name);
    await createWorkspace(rig.kube, namespace, 'coder.alice.other');
  });
  beforeEach(() => (admin = rig.through()));
  afterEach(() => rig.tidy());

  const managerLog = (): string => join(rig.stack.logs, 'kube-controller-manager.log');

  async function available(): Promise<{
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }> {
    const text = await rig.kubectl(['get', 'apiservice', apiServiceName, '-o', 'json']);
    type Condition = { type: string; status: string; reason: string; message: string };
    const { status } = JSON.parse(text) as { status?: { conditions?: Condition[] } };
    const found = status?.conditions?.find(({ type }) => type === 'Available');
    return found ?? { status: 'Unknown', reason: '', message: '' };
  }

  const untilStatus = (
    wanted: 'True' | 'False',
    withinMs = SEEN_WITHIN_MS,
  ): Promise<{ reason: string; message: string }> =>
    settled(
      async () => {
        const condition = await available();
        return condition.status === wanted ? condition : undefined;
      },
      `Available=${wanted}`,
      withinMs,
    );

  const register = (caFile = rig.certificate.caFile): Promise<void> =>
    registerEndpoint(rig.stack.kubernetes, { port: rig.balancer.port, caFile });

  /** Starts both replicas; kube-apiserver looks at once, should it have found none of them meanwhile. */
  async function startAll(): Promise<void> {
    await Promise.all(rig.replicas.map((replica) => replica.start()));
    const mark = `test.coder.com/started=${Date.now()}`;
    await rig.kubectl(['annotate', 'apiservice', apiServiceName, '--overwrite', mark]);
    await untilAvailable(rig.stack.kubernetes);
  }

  /** Asks again and again until it is stopped, and keeps every answer that was no success. */
  function steadily(
    everyMs: number,
    ask: () => Promise<Reply>,
  ): () => Promise<{ count: number; failures: unknown[] }> {
    const stop = new AbortController();
    const isStopped = (): boolean => stop.signal.aborted;
    const failures: unknown[] = [];
    let count = 0;
    const running = (async () => {
      while (!isStopped()) {
        count++;
        try {
          const { status, headers, text } = await ask();
          const isDeferred = status === 429 && headers['retry-after'] !== undefined;
          if (status !== 200 && !isDeferred) failures.push({ status, text: text.slice(0, 300) });
        } catch (error) {
          failures.push(error);
        }
        await systemClock.sleep(everyMs);
      }
    })();
    return async () => {
      stop.abort();
      await running;
      return { count, failures };
    };
  }

  it('54. the quota counts the objects once, and the controllers complain of nothing of ours', async () => {
    const counted = await rig.namespace('life-quota');
    for (const each of [name, 'coder.bob.dev']) await createWorkspace(rig.kube, counted, each);
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'all', namespace: counted },
      spec: { hard: { 'count/coderworkspaces.coder.com': '100', [`count/coderworkspaces.${GROUP}`]: '100' } },
    };
    await rig.kubectl(['create', '-f', '-'], JSON.stringify(quota));
    const used = await settled(async () => {
      const text = await rig.kubectl(['get', 'resourcequota', 'all', '-n', counted, '-o', 'json']);
      const { status } = JSON.parse(text) as { status?: { used?: Record<string, string> } };
      return status?.used?.['count/coderworkspaces.coder.com'] === '2' ? status.used : undefined;
    }, 'the quota');
    expect(used).to.not.have.property(`count/coderworkspaces.${GROUP}`);
    // Everything since the endpoint was announced: the first time that it is taken away comes below.
    const complaints = readFileSync(managerLog(), 'utf8')
      .split('\n')
      .filter((line) => /^[EW]/.test(line) && line.includes(GROUP));
    expect(complaints).to.deep.equal([]);
  });

  it('2. the certificate is for the name of the Service; a wrong caBundle is told, a right one heals it', async () => {
    const [port] = rig.balancer.ready;
    expect((await served(port ?? 0)).subjectaltname).to.include(`DNS:${endpointServerName}`);
    const folder = mkdtempSync(join(tmpdir(), 'coder-operator-other-ca-'));
    try {
      await register((await mountServingCertificate(folder)).caFile);
      const { reason, message } = await untilStatus('False');
      expect(reason).to.equal('FailedDiscoveryCheck');
      expect(message).to.include('x509');
    } finally {
      await register();
      rmSync(folder, { recursive: true, force: true });
    }
    await untilStatus('True');
    expect((await admin.call(viewPath(namespace))).status).to.equal(200);
  });

  it('4. a new certificate is taken up without a failure, and watches go on', async () => {
    const direct = rig.direct(rig.replicas[0]);
    const watches = [
      await admin.watch(`${viewPath(namespace)}?watch=1`),
      await direct.watch(`${viewPath(namespace)}?watch=1`, MASTERS),
    ];
    const before = await served(rig.replicas[0].port);
    const ends = [
      steadily(10, () => admin.call(viewPath(namespace, name))),
      steadily(10, () => direct.call(viewPath(namespace, name), { headers: MASTERS })),
      // A handshake each time.
      steadily(50, () => rig.direct(rig.replicas[1]).call(viewPath(namespace, name), { headers: MASTERS })),
    ];
    await mountServingCertificate(rig.stack.dir);
    for (const { port } of rig.replicas) {
      await settled(
        async () => (await served(port)).serialNumber !== before.serialNumber || undefined,
        'the new certificate',
      );
    }
    const change = await label(rig.kube, namespace, name, { certificate: 'new' });
    for (const watch of watches) {
      await watch.until(
        ({ object }) => object.metadata.resourceVersion === change.metadata.resourceVersion,
        'the change',
      );
    }
    for (const end of ends) {
      const { count, failures } = await end();
      expect(failures).to.deep.equal([]);
      expect(count).to.be.above(3);
    }
  });

  it('5. replicas are restarted one after the other without a failed read or a lost event', async () => {
    const scope = ['--resource', VIEW_WORKSPACES, '--namespace', namespace];
    const { metadata } = await rig.kube.list(workspaces, namespace);
    const informers = ['true', 'false'].map((watchList) =>
      rig.client('informer', scope, { KUBE_FEATURE_WatchListClient: watchList }),
    );
    const watcher = rig.client('retrywatch', [...scope, '--from', metadata.resourceVersion]);
    const pager = rig.client('pager', [...scope, '--limit', '1', '--step']);
    await pager.until(({ event }) => event === 'page', 'the first page');
    const ends = [
      steadily(10, () => admin.call(viewPath(namespace, name))),
      steadily(30, () => admin.call(viewPath())),
    ];
    const written: string[] = [];
    const writing = steadily(50, async () => {
      const { metadata: m } = await label(rig.kube, namespace, name, { written: String(written.length) });
      written.push(m.resourceVersion ?? '');
      return { status: 200, headers: {}, text: '' };
    });
    for (const replica of rig.replicas) {
      await replica.stop();
      expect(replica.running).to.equal(false);
      await replica.start();
      await settled(() => Promise.resolve(rig.balancer.ready.length === 2 || undefined), 'both replicas');
    }
    expect((await writing()).failures).to.deep.equal([]);
    for (const end of ends) {
      const { count, failures } = await end();
      expect(failures, `of ${count} reads`).to.deep.equal([]);
      expect(count).to.be.above(20);
    }
    const last = written.at(-1);
    await watcher.until((l) => l['resourceVersion'] === last, 'the last change');
    expect(watcher.of('MODIFIED').map((l) => l['resourceVersion'])).to.deep.equal(written);
    for (const informer of informers) {
      await informer.until((l) => l['resourceVersion'] === last, 'the last change');
      expect((await informer.ask('dump', 'set'))['objects']).to.have.property(`${namespace}/${name}`, last);
    }
    // Nobody has the list any more of which this client has one page: it reads all of it anew.
    for (let i = 0; i < 3; i++) pager.send('');
    const set = (await pager.end()).find(({ event }) => event === 'set');
    expect(set, '32.').to.include({ count: 2, duplicates: 0 });
    expect(
      pager.of('page').map((l) => (l['status'] as { code?: number } | undefined)?.code),
      '32.',
    ).to.include(410);
  });

  it('37. what is owned through the endpoint lives as long as the object, also across a restart', async () => {
    const owner = await createWorkspace(rig.kube, namespace, 'coder.alice.owner');
    const exists = (key: string): Promise<boolean> =>
      rig.kube.get(configMaps, namespace, key).then(
        () => true,
        (error: unknown) => {
          if (isNotFound(error)) return false;
          throw error;
        },
      );
    const own = (key: string, uid: string | undefined): Promise<string> => {
      const reference = {
        apiVersion: `${GROUP}/v1alpha1`,
        kind: 'CoderWorkspace',
        name: 'coder.alice.owner',
        uid,
      };
      const object = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: key, namespace, ownerReferences: [reference] },
      };
      return rig.kubectl(['create', '-f', '-'], JSON.stringify(object));
    };
    const gone = (key: string): Promise<true> =>
      settled(async () => !(await exists(key)) || undefined, `the end of ${key}`);
    await own('owned', owner.metadata.uid);
    // What names an owner that there is not shows that the collector has been at work.
    await own('orphan-1', '00000000-0000-4000-8000-000000000001');
    await gone('orphan-1');
    expect(await exists('owned')).to.equal(true);
    await Promise.all(rig.replicas.map((replica) => replica.kill()));
    await own('orphan-2', '00000000-0000-4000-8000-000000000002');
    await startAll();
    await gone('orphan-2');
    expect(await exists('owned')).to.equal(true);
    await rig.kube.delete(workspaces, namespace, 'coder.alice.owner');
    await gone('owned');
  });

  it('43. informers list again when no replica knows the history any more', async () => {
    const scope = ['--resource', VIEW_WORKSPACES, '--namespace', namespace];
    const informers = ['true', 'false'].map((watchList) =>
      rig.client('informer', scope, { KUBE_FEATURE_WatchListClient: watchList }),
    );
    for (const informer of informers) await informer.until(({ event }) => event === 'synced', 'synced');
    await createWorkspace(rig.kube, namespace, 'coder.alice.gone');
    for (const informer of informers) {
      await informer.until((l) => l['key'] === `${namespace}/coder.alice.gone`, 'the new object');
    }
    await Promise.all(rig.replicas.map((replica) => replica.kill()));
    await rig.kube.delete(workspaces, namespace, 'coder.alice.gone');
    await createWorkspace(rig.kube, namespace, 'coder.alice.came');
    await startAll();
    for (const informer of informers) {
      await informer.until(
        (l) => l.event === 'added' && l['key'] === `${namespace}/coder.alice.came`,
        'the one that came',
        { withinMs: 60_000 },
      );
      await informer.until(
        (l) => l.event === 'deleted' && l['key'] === `${namespace}/coder.alice.gone`,
        'the end of the one that went',
        { withinMs: 60_000 },
      );
    }
    await rig.kube.delete(workspaces, namespace, 'coder.alice.came');
  });

  it('53. a namespace with objects goes away completely', async () => {
    await rig.namespace('life-goes');
    await createWorkspace(rig.kube, 'life-goes', name);
    await rig.kubectl(['delete', 'namespace', 'life-goes', '--timeout=60s']);
    await expectGone(name, 'life-goes');
  });

  describe('without any replica', function () {
    this.timeout(240_000);
    const [kept, removed] = ['life-kept', 'life-removed'];

    before(async () => {
      for (const each of [kept, removed]) {
        await rig.namespace(each);
        await createWorkspace(rig.kube, each, name);
      }
      await Promise.all(rig.replicas.map((replica) => replica.kill()));
    });

    const freshness = async (): Promise<string | undefined> => {
      const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
      const { items } = await admin.json<{
        items: readonly { metadata: { name: string }; versions: readonly { freshness: string }[] }[];
      }>('/apis', ['accept', accept]);
      return items.find(({ metadata }) => metadata.name === GROUP)?.versions[0]?.freshness;
    };

    async function deletionMessage(each: string): Promise<string> {
      type Condition = { type: string; status: string; message: string };
      return settled(async () => {
        const text = await rig.kubectl(['get', 'namespace', each, '-o', 'json']);
        const { status } = JSON.parse(text) as { status: { conditions?: Condition[] } };
        return status.conditions?.find(
          (c) => c.type === 'NamespaceDeletionDiscoveryFailure' && c.status === 'True',
        )?.message;
      }, 'the reason why the namespace stays');
    }

    it('1. the APIService becomes unavailable', async () => {
      expect((await untilStatus('False')).reason).to.equal('FailedDiscoveryCheck');
    });

    it('19. our version is stale, and nothing else suffers', async () => {
      await settled(async () => ((await freshness()) === 'Stale' ? true : undefined), 'Stale');
      expect(await rig.tryKubectl(['get', 'pods', '-A'])).to.include({ code: 0 });
      expect(await rig.tryKubectl(['get', 'coderworkspaces', '-n', namespace])).to.include({ code: 0 });
    });

    it('53. a namespace stays with our group as the only reason, and goes when the APIService does', async () => {
      await rig.kubectl(['delete', 'namespace', removed, '--wait=false']);
      const message = await deletionMessage(removed);
      expect([...new Set(message.match(/[\w.]+\/v\w+/g))]).to.deep.equal([`${GROUP}/v1alpha1`]);
      await rig.kubectl(['delete', 'apiservice', apiServiceName]);
      await rig.kubectl(['wait', '--for=delete', `namespace/${removed}`, '--timeout=90s']);
      await expectGone(name, removed);
    });

    it('53. another one goes when the endpoint is back', async () => {
      await register();
      await untilStatus('False');
      await rig.kubectl(['delete', 'namespace', kept, '--wait=false']);
      expect(await deletionMessage(kept)).to.include(GROUP);
      await Promise.all(rig.replicas.map((replica) => replica.start()));
      const start = systemClock.monotonic();
      await untilAvailable(rig.stack.kubernetes);
      expect(systemClock.monotonic() - start, '1. from the restart to Available').to.be.below(SEEN_WITHIN_MS);
      await settled(async () => ((await freshness()) === 'Current' ? true : undefined), '19. Current');
      await rig.kubectl(['wait', '--for=delete', `namespace/${kept}`, '--timeout=90s']);
      await expectGone(name, kept);
    });
  });

  async function expectGone(object: string, from: string): Promise<void> {
    const error: unknown = await rig.kube
      .get<CoderWorkspace>(workspaces, from, object)
      .catch((reason: unknown) => reason);
    expect(isNotFound(error)).to.equal(true);
  }
});

/** The certificate with which a server at this port shows itself. */
function served(port: number): Promise<{ readonly serialNumber: string; readonly subjectaltname: string }> {
  return new Promise((resolve, reject) => {
    // Who signed it is not of interest here.
    const socket = connect(
      { host: '127.0.0.1', port, servername: endpointServerName, rejectUnauthorized: false },
      () => {
        const { serialNumber, subjectaltname = '' } = socket.getPeerCertificate();
        socket.destroy();
        resolve({ serialNumber, subjectaltname });
      },
    );
    socket.once('error', reject);
  });
}
