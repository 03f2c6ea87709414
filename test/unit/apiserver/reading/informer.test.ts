import { expect } from 'chai';
import fc from 'fast-check';
import { FakeClock, settle } from '../../../support/clock.ts';
import type { Widget } from '../../../support/kube-objects.ts';
import { namesOf, ReadingWorld } from '../../../support/reading.ts';
import { MemorySink } from '../../../support/watch-sink.ts';

const NAMES = ['a', 'b', 'c', 'd'] as const;
const STREAMING = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';

/** The API server behind all replicas: what is there, and what happened. */
class Upstream {
  version = 10;
  readonly objects = new Map<string, Widget>();
  readonly log: { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Widget }[] = [];

  put(name: string, tier: string): void {
    const known = this.objects.get(name);
    this.version++;
    const uid = known?.metadata.uid ?? `uid-${name}-${this.version}`;
    const object = widgetOf(name, uid, this.version, tier);
    this.objects.set(name, object);
    this.log.push({ type: known === undefined ? 'ADDED' : 'MODIFIED', object });
  }

  remove(name: string): void {
    const known = this.objects.get(name);
    if (known === undefined) return;
    this.version++;
    const { uid = '', labels } = known.metadata;
    this.objects.delete(name);
    this.log.push({ type: 'DELETED', object: widgetOf(name, uid, this.version, labels?.['tier'] ?? '') });
  }
}

function widgetOf(name: string, uid: string, version: number, tier: string): Widget {
  const resourceVersion = String(version);
  return { metadata: { name, namespace: 'default', uid, resourceVersion, labels: { tier } }, spec: {} };
}

/** One replica, which hears of everything later. */
class Replica {
  readonly world: ReadingWorld;
  readonly #upstream: Upstream;
  #heard: number;
  #relist: Generator<void, void> | undefined;

  constructor(upstream: Upstream, clock: FakeClock) {
    this.world = new ReadingWorld({ store: { historyEvents: 12 } }, clock);
    this.#upstream = upstream;
    this.#heard = 0;
    this.relist();
    this.finish();
  }

  /** Takes in the next event of its watch, or a step of a new list. */
  hear(): void {
    if (this.#relist !== undefined) {
      if (this.#relist.next().done === true) this.#relist = undefined;
      return;
    }
    const next = this.#upstream.log[this.#heard];
    if (next === undefined) {
      this.world.widgets.store.advance(String(this.#upstream.version));
      return;
    }
    this.#heard++;
    this.world.widgets.store.apply(next);
  }

  /** Its watch broke, and what happened meanwhile is forgotten. */
  relist(): void {
    if (this.#relist !== undefined) return;
    const { store } = this.world.widgets;
    this.#heard = this.#upstream.log.length;
    const items = [...this.#upstream.objects.values()].map((object) => store.prepare(object));
    this.#relist = store.replaceInSteps(items, String(this.#upstream.version), 0);
  }

  finish(): void {
    while (this.#relist !== undefined) this.hear();
    while (this.#heard < this.#upstream.log.length) this.hear();
    this.hear();
  }
}

/** A client as an informer is: it lists or streams a list, follows, and begins anew when it has to. */
class Informer {
  readonly objects = new Map<string, string>();
  readonly #selector: string;
  readonly #isStreaming: boolean;
  #version: string | undefined;
  #sink = new MemorySink();
  #read = 0;

  constructor(selector: string, isStreaming: boolean) {
    this.#selector = selector;
    this.#isStreaming = isStreaming;
    this.#sink.gone();
  }

  get isGone(): boolean {
    return this.#sink.signal.aborted;
  }

  async connect({ world }: Replica): Promise<void> {
    this.leave();
    if (this.#version === undefined && !this.#isStreaming) {
      const { json } = await world.read(`/widgets?limit=2&${this.#selector}`);
      let page = json;
      this.objects.clear();
      for (;;) {
        for (const item of page.items) {
          this.objects.set(namesOf({ items: [item] })[0] ?? '', item.metadata?.resourceVersion ?? '');
        }
        const token = page.metadata.continue;
        if (token === undefined) break;
        page = (await world.read(`/widgets?limit=2&${this.#selector}&continue=${token}`)).json;
      }
      this.#version = json.metadata.resourceVersion;
    }
    if (this.#version === undefined) this.objects.clear();
    const how = this.#version === undefined ? STREAMING : `resourceVersion=${this.#version}`;
    this.#sink = new MemorySink();
    this.#read = 0;
    const target = `/widgets?watch=1&allowWatchBookmarks=true&timeoutSeconds=100000&${this.#selector}&${how}`;
    await world.watch(target, { sink: this.#sink });
  }

  leave(): void {
    this.take();
    this.#sink.gone();
  }

  /** Takes in what has come. */
  take(): void {
    for (const { type, object } of this.#sink.events.slice(this.#read)) {
      this.#read++;
      const { name = '', resourceVersion } = object.metadata;
      const known = this.objects.get(name);
      switch (type) {
        case 'ERROR':
          expect(object).to.include({ reason: 'Expired' });
          this.#version = undefined;
          return;
        case 'DELETED':
          this.objects.delete(name);
          break;
        case 'ADDED':
        case 'MODIFIED':
          if (known !== undefined) expect(Number(resourceVersion)).to.be.at.least(Number(known));
          this.objects.set(name, resourceVersion);
      }
      const isListing = this.#version === undefined;
      const isEnd = object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true';
      if (!isListing || isEnd) this.#version = resourceVersion;
    }
  }
}

const act = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      name: fc.constantFrom(...NAMES),
      tier: fc.constantFrom('web', 'db'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('remove' as const), name: fc.constantFrom(...NAMES) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('hear' as const),
      replica: fc.nat(1),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('relist' as const), replica: fc.nat(1) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('connect' as const), replica: fc.nat(1), client: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'wait' as const }) },
);

describe('clients that list and follow', () => {
  it('49. hold what the API server holds in the end, whatever breaks and whichever replica they ask', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
        const clock = new FakeClock();
        const upstream = new Upstream();
        for (const name of ['a', 'b', 'c']) upstream.put(name, 'web');
        const replicas = [new Replica(upstream, clock), new Replica(upstream, clock)] as const;
        const selectors = ['', 'labelSelector=tier%3Dweb', 'fieldSelector=metadata.name%3Da'];
        const clients = selectors.flatMap((selector) => [
          new Informer(selector, true),
          new Informer(selector, false),
        ]);
        for (const client of clients) await client.connect(replicas[0]);
        for (const step of acts) {
          switch (step.do) {
            case 'put':
              upstream.put(step.name, step.tier);
              break;
            case 'remove':
              upstream.remove(step.name);
              break;
            case 'hear':
              for (let i = 0; i < step.times; i++) replicas[step.replica]?.hear();
              break;
            case 'relist':
              replicas[step.replica]?.relist();
              break;
            case 'connect':
              await clients[step.client]?.connect(replicas[step.replica] ?? replicas[0]);
              break;
            case 'wait':
              await clock.advance(61_000);
          }
          for (const client of clients) client.take();
        }
        for (const replica of replicas) replica.finish();
        await settle();
        for (const [i, client] of clients.entries()) {
          client.take();
          if (client.isGone) await client.connect(replicas[i % 2] ?? replicas[0]);
          client.take();
        }
        const held = (selects: (widget: Widget) => boolean): [string, string][] =>
          [...upstream.objects.values()]
            .filter(selects)
            .map(({ metadata: { name, resourceVersion = '' } }): [string, string] => [name, resourceVersion])
            .sort();
        const expected = [
          held(() => true),
          held(({ metadata }) => metadata.labels?.['tier'] === 'web'),
          held(({ metadata }) => metadata.name === 'a'),
        ];
        for (const [i, client] of clients.entries()) {
          expect([...client.objects].sort(), `client ${i}`).to.deep.equal(expected[i >> 1]);
          client.leave();
        }
        for (const { world } of replicas) world.handler.close();
        expect(clock.pending).to.equal(0);
      }),
      { numRuns: 60 },
    );
  });
});
