import { expect } from 'chai';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { ConfigMaps, type ConfigMap, type ConfigMapAnswer } from '../../../src/controller/configmaps.ts';
import type { KubeClient, ListOptions, WatchOptions } from '../../../src/kube/client.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import type { KubeList } from '../../../src/kube/objects.ts';
import { FakeClock, settle } from '../../support/clock.ts';

const forbidden = (): KubeError =>
  new KubeError('KUBE_REFUSED', 'no right', { status: 403, reason: 'Forbidden' });
const down = (): KubeError => new KubeError('KUBE_UNREACHABLE', 'no answer', { retryable: true });

/** The API server's part: the ConfigMaps of all namespaces, and one open watch for each. */
class FakeKube {
  readonly objects = new Map<string, ConfigMap>();
  readonly calls: string[] = [];
  readonly #watches = new Map<string, (event: object) => void>();
  #version = 10;
  /** What a call of that verb fails with. */
  readonly failing = new Map<'get' | 'list' | 'watch', () => KubeError>();
  /** Lists are not answered. */
  isSilent = false;

  get client(): Pick<KubeClient, 'get' | 'list' | 'watch'> {
    return {
      get: <T extends KubeObject>(
        _: ResourceType,
        namespace: string | undefined,
        name: string,
      ): Promise<T> => {
        const found = this.objects.get(`${namespace ?? ''}/${name}`);
        return this.#answer('get', `${namespace ?? ''}/${name}`, () => {
          if (found === undefined)
            throw new KubeError('KUBE_REFUSED', 'none', { status: 404, reason: 'NotFound' });
          return found as unknown as T;
        });
      },
      list: <T extends KubeObject>(_: ResourceType, namespace: string | undefined, options?: ListOptions) =>
        this.#answer('list', namespace ?? '', (): KubeList<T> | Promise<KubeList<T>> => {
          expect(options?.limit).to.be.at.most(100);
          const items = [...this.objects.values()].filter(({ metadata }) => metadata.namespace === namespace);
          const list = {
            metadata: { resourceVersion: String(this.#version) },
            items: items as unknown as T[],
          };
          return this.isSilent ? new Promise(() => undefined) : list;
        }),
      watch: (_: ResourceType, namespace: string | undefined, options: WatchOptions) =>
        this.#answer('watch', namespace ?? '', () => this.#stream(namespace ?? '', options.signal)),
    };
  }

  /** Namespaces that are watched now. */
  get watched(): string[] {
    return [...this.#watches.keys()];
  }

  put(namespace: string, name: string, data: Readonly<Record<string, string>>): void {
    const key = `${namespace}/${name}`;
    const type = this.objects.has(key) ? 'MODIFIED' : 'ADDED';
    const uid = `uid-${name}`;
    const resourceVersion = String(++this.#version);
    const object = { metadata: { name, namespace, uid, resourceVersion, annotations: { a: 'b' } }, data };
    this.objects.set(key, object);
    this.#watches.get(namespace)?.({ type, object });
  }

  remove(namespace: string, name: string): void {
    const object = this.objects.get(`${namespace}/${name}`);
    if (object === undefined) return;
    this.objects.delete(`${namespace}/${name}`);
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.#watches.get(namespace)?.({ type: 'DELETED', object: { ...object, metadata } });
  }

  #answer<T>(verb: 'get' | 'list' | 'watch', what: string, answer: () => T | Promise<T>): Promise<T> {
    this.calls.push(`${verb} ${what}`);
    return new Promise((resolve) => {
      const failure = this.failing.get(verb);
      if (failure !== undefined) throw failure();
      resolve(answer());
    });
  }

  async *#stream(namespace: string, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const lines: string[] = [];
    let wake: () => void = () => undefined;
    this.#watches.set(namespace, (event) => {
      lines.push(`${JSON.stringify(event)}\n`);
      wake();
    });
    signal?.addEventListener('abort', () => wake());
    try {
      while (signal?.aborted !== true) {
        const line = lines.shift();
        if (line === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else yield Buffer.from(line);
      }
    } finally {
      this.#watches.delete(namespace);
    }
  }
}

describe('ConfigMaps', () => {
  let clock: FakeClock;
  let kube: FakeKube;
  let stop: AbortController;
  let changes: string[];
  let configMaps: ConfigMaps;

  beforeEach(() => {
    clock = new FakeClock();
    kube = new FakeKube();
    kube.put('team', 'settings', { region: 'eu' });
    stop = new AbortController();
    changes = [];
    configMaps = new ConfigMaps({
      kube: kube.client,
      clock,
      logger: silentLogger,
      signal: stop.signal,
      onChange: (namespace, name) => changes.push(`${namespace}/${name}`),
    });
  });

  afterEach(async () => {
    stop.abort();
    await settle();
    expect(kube.watched, 'no watch is left').to.deep.equal([]);
    expect(clock.pending, 'no timer is left').to.equal(0);
  });

  async function watching(...names: readonly string[]): Promise<void> {
    configMaps.refer('team', 'w1', names);
    await settle();
    kube.calls.length = 0;
  }

  const dataOf = (answer: ConfigMapAnswer): unknown => (answer === 'forbidden' ? answer : answer?.data);
  const read = async (name = 'settings'): Promise<unknown> => dataOf(await configMaps.read('team', name));
  const gets = (): number => kube.calls.filter((call) => call.startsWith('get')).length;

  describe('watching', () => {
    it('begins with the first reference of a namespace and ends with the last', async () => {
      expect(kube.calls).to.deep.equal([]);
      configMaps.refer('team', 'w1', ['settings']);
      configMaps.refer('team', 'w2', ['settings', 'more']);
      configMaps.refer('other', 'w3', ['x']);
      configMaps.refer('bare', 'w4', []);
      await settle();
      expect(kube.calls).to.have.members(['list team', 'list other', 'watch team', 'watch other']);
      configMaps.refer('team', 'w1', []);
      configMaps.refer('other', 'w3', []);
      await settle();
      expect(kube.watched).to.deep.equal(['team']);
      configMaps.refer('team', 'w2', ['another']);
      await settle();
      expect(kube.watched, 'it goes on for another name').to.deep.equal(['team']);
      configMaps.refer('team', 'w2', []);
      await settle();
      expect(kube.watched).to.deep.equal([]);
      await watching('settings');
      expect(kube.watched, 'and begins again').to.deep.equal(['team']);
    });

    it('ends when nothing works on any more', async () => {
      await watching('settings');
      configMaps.close();
      await settle();
      expect(kube.watched).to.deep.equal([]);
    });

    it('begins no more once it has ended', async () => {
      stop.abort();
      configMaps.refer('team', 'w1', ['settings']);
      await settle();
      expect(kube.calls).to.deep.equal([]);
    });
  });

  describe('telling changes', () => {
    it('tells when one that is referred to comes, changes or goes', async () => {
      await watching('settings', 'late');
      expect(changes, 'the first list is no change').to.deep.equal([]);
      kube.put('team', 'late', {});
      await settle();
      kube.put('team', 'settings', { region: 'us' });
      await settle();
      kube.remove('team', 'settings');
      await settle();
      expect(changes).to.deep.equal(['team/late', 'team/settings', 'team/settings']);
    });

    it('tells nothing of the others, nor of those that nobody refers to any more', async () => {
      configMaps.refer('team', 'w2', ['keeps-the-watch']);
      await watching('settings');
      configMaps.refer('team', 'w1', []);
      kube.put('team', 'unrelated', {});
      kube.put('team', 'settings', { region: 'us' });
      await settle();
      expect(changes).to.deep.equal([]);
    });
  });

  describe('reading', () => {
    it('reads once what many ask for, until it changes', async () => {
      await watching('settings');
      expect(await Promise.all([read(), read(), read()])).to.deep.equal([
        { region: 'eu' },
        { region: 'eu' },
        { region: 'eu' },
      ]);
      expect(gets()).to.equal(1);
      kube.put('team', 'settings', { region: 'us' });
      await settle();
      expect(await read()).to.deep.equal({ region: 'us' });
      expect(await read()).to.deep.equal({ region: 'us' });
      expect(gets()).to.equal(2);
    });

    it('knows without a call what is not there, and what has come', async () => {
      await watching('late');
      expect(await read('late')).to.equal(undefined);
      expect(gets()).to.equal(0);
      kube.put('team', 'late', { a: 'b' });
      await settle();
      expect(await read('late')).to.deep.equal({ a: 'b' });
      kube.remove('team', 'late');
      await settle();
      expect(await read('late')).to.equal(undefined);
    });

    it('does not keep what nobody refers to any more', async () => {
      configMaps.refer('team', 'w2', ['keeps-the-watch']);
      await watching('settings');
      await read();
      configMaps.refer('team', 'w1', []);
      configMaps.refer('team', 'w1', ['settings']);
      await read();
      expect(gets()).to.equal(2);
      expect(await read('unrelated')).to.equal(undefined);
    });

    it('reads what nothing is watched for', async () => {
      expect(await read()).to.deep.equal({ region: 'eu' });
      expect(await read('nothing')).to.equal(undefined);
      kube.failing.set('get', forbidden);
      expect(await read()).to.equal('forbidden');
      expect(kube.watched).to.deep.equal([]);
    });

    it('does not keep a failure, nor an answer of no use', async () => {
      await watching('settings');
      for (const failure of [down, forbidden]) {
        kube.failing.set('get', failure);
        expect(await read().catch((error: unknown) => error)).to.satisfy(
          (answer: unknown) => answer === 'forbidden' || answer instanceof KubeError,
        );
      }
      kube.failing.clear();
      expect(await read()).to.deep.equal({ region: 'eu' });
    });

    it('waits for the first list', async () => {
      configMaps.refer('team', 'w1', ['settings']);
      expect(await read()).to.deep.equal({ region: 'eu' });
      expect(kube.calls.slice(0, 2)).to.deep.equal(['list team', 'get team/settings']);
    });

    it('does not wait longer than five seconds, and tells when the list is in', async () => {
      kube.failing.set('list', down);
      configMaps.refer('team', 'w1', ['settings', 'late']);
      const answers = Promise.all([read(), read('late')]);
      await clock.advance(4_999);
      expect(gets()).to.equal(0);
      await clock.advance(1);
      expect(await answers).to.deep.equal([{ region: 'eu' }, undefined]);
      expect(await read(), 'and nobody waits after that').to.deep.equal({ region: 'eu' });
      expect(changes).to.deep.equal([]);
      kube.failing.clear();
      await clock.advance(30_000);
      expect(changes).to.have.members(['team/settings', 'team/late']);
    });

    it('lets no reader hang when the last reference goes meanwhile', async () => {
      kube.isSilent = true;
      configMaps.refer('team', 'w1', ['settings']);
      const answer = read();
      await settle();
      configMaps.refer('team', 'w1', []);
      expect(await answer).to.deep.equal({ region: 'eu' });
    });
  });

  describe('without the right to list', () => {
    it('says so at once, and tells when it has the right', async () => {
      kube.failing.set('list', forbidden);
      configMaps.refer('team', 'w1', ['settings', 'unread']);
      expect(await read()).to.equal('forbidden');
      expect(gets()).to.equal(0);
      await clock.advance(30_000);
      expect(changes).to.deep.equal([]);
      kube.failing.clear();
      await clock.advance(30_000);
      expect(changes).to.deep.equal(['team/settings']);
      expect(await read()).to.deep.equal({ region: 'eu' });
      await clock.advance(60_000);
      expect(changes, 'it tells once').to.have.length(1);
    });
  });
});
