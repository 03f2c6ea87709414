import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { controlPlanes, workspaces, type CoderControlPlane } from '../../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { runApiServer } from '../../../src/apiserver/run.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { KubeClient, WatchOptions } from '../../../src/kube/client.ts';
import type { KubeList } from '../../../src/kube/objects.ts';
import {
  ask,
  connectRaw,
  GROUP_PATH,
  stopTestApis,
  testPair,
  WORKSPACES,
} from '../../support/apiserver-http.ts';
import { FakeClock } from '../../support/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { ReviewKube } from '../../support/review-kube.ts';

/** The API server's part: a list of each resource, and a watch of each on which a test lets it speak. */
class QuietKube {
  readonly #objects: Readonly<Record<string, readonly KubeObject[]>>;
  readonly #speak = new Map<string, (line: string | undefined) => void>();

  constructor(objects: Readonly<Record<string, readonly KubeObject[]>>) {
    this.#objects = objects;
  }

  get client(): KubeClient {
    const reading = {
      list: <T extends KubeObject>({ plural }: ResourceType): Promise<KubeList<T>> =>
        Promise.resolve({
          metadata: { resourceVersion: '10' },
          items: (this.#objects[plural] ?? []) as readonly T[],
        }),
      watch: ({ plural }: ResourceType, _namespace: string | undefined, options: WatchOptions) =>
        Promise.resolve(this.#watch(plural, options.signal)),
    };
    return { ...reading, ...new ReviewKube(() => ({ allowed: true })).client } as unknown as KubeClient;
  }

  bookmark({ plural, kind, group, version }: ResourceType): void {
    const object = { kind, apiVersion: `${group}/${version}`, metadata: { resourceVersion: '20' } };
    this.#speak.get(plural)?.(JSON.stringify({ type: 'BOOKMARK', object }));
  }

  async *#watch(plural: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    signal?.addEventListener('abort', () => this.#speak.get(plural)?.(undefined), { once: true });
    for (;;) {
      const line = await new Promise<string | undefined>((resolve) => this.#speak.set(plural, resolve));
      if (line === undefined) return;
      yield Buffer.from(`${line}\n`);
    }
  }
}

function controlPlane(namespace: string): CoderControlPlane {
  const synced = {
    type: 'Synced',
    status: 'False' as const,
    reason: 'CoderUnreachable',
    message: 'no answer',
    observedGeneration: 1,
    lastTransitionTime: '2026-01-02T03:04:05Z',
  };
  return {
    metadata: { namespace, name: `plane-of-${namespace}`, uid: namespace, resourceVersion: '5' },
    spec: { credentialsSecretRef: { name: 'coder' } },
    status: { conditions: [synced] },
  };
}

describe('runApiServer', () => {
  let folder: string;
  let clock: FakeClock;
  let kube: QuietKube;
  let registry: Registry;
  let api: { readonly port: number };
  let end: () => Promise<void>;

  async function run(planes: readonly CoderControlPlane[] = []): Promise<void> {
    kube = new QuietKube({ [controlPlanes.plural]: planes });
    const stop = new AbortController();
    let port = 0;
    let isOver = false;
    const options = {
      ...{ kube: kube.client, registry, clock, certDir: folder, logger: silentLogger },
      ...{ listen: { host: '127.0.0.1', port: 0 }, drainDelayMs: 0, maxRequests: 10 },
    };
    const running = runApiServer({ ...options, onListening: (free) => (port = free) }, stop.signal).finally(
      () => (isOver = true),
    );
    end = async () => {
      stop.abort();
      await eventually(async () => {
        await clock.advance(1_000);
        return isOver;
      });
      await running;
    };
    // Until the certificate was read handshakes fail, and until the lists are in there are no answers.
    await eventually(async () => {
      if (port === 0) return false;
      const answer = await ask({ port }, WORKSPACES).catch(() => undefined);
      return answer?.status === 200;
    });
    api = { port };
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'run-'));
    const { cert, key } = await testPair();
    writeFileSync(join(folder, 'tls.crt'), cert);
    writeFileSync(join(folder, 'tls.key'), key);
    clock = new FakeClock(new Date());
    registry = new Registry();
    end = () => Promise.resolve();
  });

  afterEach(async () => {
    await stopTestApis();
    await end();
    rmSync(folder, { recursive: true });
  });

  const warningsOf = async (path: string): Promise<string> => {
    const { headers } = await ask(api, path);
    return String(headers['warning'] ?? '');
  };
  const silence = async (plural: string): Promise<number> => {
    const line = `coder_operator_endpoint_silence_seconds{resource="${plural}"} `;
    const found = (await registry.metrics()).split('\n').find((text) => text.startsWith(line));
    return Number(found?.slice(line.length));
  };

  describe('cut off from the API server', () => {
    it('tells by a gauge for how long, of each resource apart', async () => {
      await run();
      await clock.advance(90_000);
      kube.bookmark(workspaces);
      await eventually(async () => (await silence('coderworkspaces')) === 0);
      await clock.advance(45_000);
      expect(await silence('coderworkspaces')).to.equal(45);
      expect(await silence('codertemplates')).to.equal(135);
      expect(await silence('codercontrolplanes')).to.equal(135);
    });

    it('warns whoever reads after two minutes, and no longer once there is a word', async () => {
      await run();
      await clock.advance(120_000);
      expect(await warningsOf(WORKSPACES)).to.equal('');
      await clock.advance(1);
      const warning =
        /^299 - "this replica has heard nothing of coderworkspaces from .*: what is shown may be old"$/;
      expect(await warningsOf(WORKSPACES)).to.match(warning);
      expect(await warningsOf(`${GROUP_PATH}/codertemplates`)).to.match(/nothing of codertemplates/);
      const watch = await connectRaw(api);
      watch.socket.write(`GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: here\r\n\r\n`);
      const head = await watch.until(/\r\n\r\n/);
      expect(head)
        .to.match(/^HTTP\/1.1 200 /)
        .and.match(/\r\nwarning: 299 - "this replica has heard nothing/i);

      kube.bookmark(workspaces);
      await eventually(async () => (await silence('coderworkspaces')) === 0);
      expect(await warningsOf(WORKSPACES)).to.equal('');
      expect(await warningsOf(`${GROUP_PATH}/codertemplates`)).to.match(/nothing of codertemplates/);
    });
  });

  describe('names in its warnings only control planes of what the request reads', () => {
    const named = async (path: string): Promise<readonly string[]> =>
      [...(await warningsOf(path)).matchAll(/plane-of-\w+/g)].map(([name]) => name);
    const inA = `${GROUP_PATH}/namespaces/a/coderworkspaces`;

    beforeEach(() => run([controlPlane('a'), controlPlane('b')]));

    it('all for a list of all', async () => {
      expect(await named(WORKSPACES)).to.deep.equal(['plane-of-a', 'plane-of-b']);
    });

    it('that of its namespace for a list or an object there', async () => {
      for (const path of [
        inA,
        `${inA}?labelSelector=x`,
        `${WORKSPACES}?fieldSelector=metadata.namespace%3Da`,
      ])
        expect(await named(path), path).to.deep.equal(['plane-of-a']);
      expect(await warningsOf(`${GROUP_PATH}/namespaces/c/coderworkspaces`)).to.equal('');
    });

    it('none for a choice of objects of all namespaces, and says so much', async () => {
      for (const query of [
        'fieldSelector=metadata.name%3Dx',
        // The right to read what is called so is asked for in all namespaces, and tells nothing of this one.
        'fieldSelector=metadata.name%3Dx,metadata.namespace%3Da',
        'labelSelector=team%3Dx',
      ]) {
        expect(await warningsOf(`${WORKSPACES}?${query}`), query).to.equal(
          '299 - "a control plane does not hear from Coder: what is shown may be old"',
        );
      }
    });
  });
});
