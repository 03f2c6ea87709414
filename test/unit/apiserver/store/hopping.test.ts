import { expect } from 'chai';
import fc from 'fast-check';
import type { ObjectStore } from '../../../../src/apiserver/store/store.ts';
import type { Change, Entry } from '../../../../src/apiserver/store/types.ts';
import type { WatchChange } from '../../../../src/kube/store.ts';
import type { Widget } from '../../../support/kube-objects.ts';
import { widgetIn, widgetStore } from '../../../support/view-store.ts';

/** Enough followers that the differences of a list are told in several turns. */
const CROWD = 500;

/** What the API server holds, and everything that ever happened to it. */
class Upstream {
  readonly objects = new Map<string, Widget>();
  readonly log: WatchChange<Widget>[] = [];
  version = 10;
  #uids = 0;

  put(name: string, colour: string): void {
    const known = this.objects.get(name);
    const uid = known?.metadata.uid ?? `uid-${++this.#uids}`;
    const object = widgetIn(name, { uid, rv: ++this.version, labels: { colour } });
    this.log.push({ type: known === undefined ? 'ADDED' : 'MODIFIED', object });
    this.objects.set(name, object);
  }

  remove(name: string): void {
    const known = this.objects.get(name);
    if (known === undefined) return;
    const metadata = { ...known.metadata, resourceVersion: String(++this.version) };
    this.log.push({ type: 'DELETED', object: { ...known, metadata } });
    this.objects.delete(name);
  }
}

/** A store whose reflector the test plays: it lags, breaks and lists anew at any time. */
class Replica {
  readonly store: ObjectStore<Widget>;
  readonly #upstream: Upstream;
  #position = 0;
  #listing: Generator<void, void> | undefined;

  constructor(upstream: Upstream, historyEvents: number) {
    this.#upstream = upstream;
    this.store = widgetStore({ historyEvents });
  }

  /** The watch was lost for too long. The crowd comes with the first list. */
  list(): void {
    this.finish();
    const { objects, version, log } = this.#upstream;
    const items = [...objects.values()].map((object) => this.store.prepare(object));
    this.#position = log.length;
    this.#listing = this.store.replaceInSteps(items, String(version), 0);
    if (this.store.synced) return;
    this.finish();
    for (let i = 0; i < CROWD; i++)
      this.store.follow(this.store.resourceVersion, {
        takesDifferences: true,
        changed: () => undefined,
        lost: () => undefined,
      });
  }

  step(): void {
    if (this.#listing?.next().done === true) this.#listing = undefined;
  }

  finish(): void {
    while (this.#listing !== undefined) this.step();
  }

  /** Some events of the watch, then perhaps a bookmark. */
  hear(events: number, isBookmarked: boolean): void {
    if (this.#listing !== undefined) return;
    const { log, version } = this.#upstream;
    for (const change of log.slice(this.#position, this.#position + events)) this.store.apply(change);
    this.#position = Math.min(log.length, this.#position + events);
    const next = log[this.#position];
    if (isBookmarked)
      this.store.advance(
        String(next === undefined ? version : Number(next.object.metadata.resourceVersion) - 1),
      );
  }

  catchUp(): void {
    this.finish();
    this.hear(this.#upstream.log.length, true);
  }
}

/** An informer: it lists, watches, and resumes anywhere by the version that it was told last. */
class Client {
  readonly #colour: string | undefined;
  readonly held = new Map<string, string>();
  #version: bigint | undefined;
  /** Of the watch; anything that comes for another one came too late. */
  #watch: { readonly replica: Replica; left: number } | undefined;
  #stop: (() => void) | undefined;

  /** @param colour selects by label; undefined takes all. */
  constructor(colour: string | undefined) {
    this.#colour = colour;
  }

  get isWatching(): boolean {
    return this.#watch !== undefined;
  }

  /** @param events after which the connection breaks. */
  connect(replica: Replica, events: number): void {
    this.disconnect();
    if (this.#version !== undefined && this.#follow(replica, this.#version, events)) return;
    const snapshot = replica.store.snapshot();
    this.held.clear();
    for (const { entries } of snapshot.segments())
      for (const entry of entries) if (this.#selects(entry)) this.#keep(entry);
    this.#version = snapshot.resourceVersion;
    expect(
      this.#follow(replica, snapshot.resourceVersion, events),
      'what was just listed can be followed',
    ).to.equal(true);
  }

  disconnect(): void {
    this.#watch = undefined;
    this.#stop?.();
    this.#stop = undefined;
  }

  bookmark(): void {
    const version = this.#watch?.replica.store.resourceVersion;
    if (version !== undefined && version > (this.#version ?? 0n)) this.#version = version;
  }

  #follow(replica: Replica, version: bigint, events: number): boolean {
    const watch = { replica, left: events };
    this.#watch = watch;
    const stop = replica.store.follow(version, {
      takesDifferences: this.#colour === undefined,
      changed: (change) => {
        if (this.#watch === watch) this.#take(change, watch);
      },
      lost: () => {
        if (this.#watch !== watch) return;
        this.#version = undefined;
        this.disconnect();
      },
    });
    if (this.#watch === watch) this.#stop = stop;
    else stop?.();
    return stop !== undefined;
  }

  /** What a watch makes of a change, and an informer of that (aggregated-api.md, 6.6). */
  #take({ type, entry, previous, resourceVersion }: Change, watch: { left: number }): void {
    const matches = type !== 'deleted' && this.#selects(entry);
    const matched = previous !== undefined && this.#selects(previous);
    if (!matches && !matched) return;
    expect(resourceVersion >= (this.#version ?? 0n), 'versions never go backwards').to.equal(true);
    this.#version = resourceVersion;
    if (matches) this.#keep(entry);
    else this.held.delete(entry.name);
    if (--watch.left <= 0) this.disconnect();
  }

  #keep({ name, uid, resourceVersion }: Entry): void {
    this.held.set(name, `${uid}@${resourceVersion}`);
  }

  #selects({ labels }: Pick<Entry, 'labels'>): boolean {
    return this.#colour === undefined || labels['colour'] === this.#colour;
  }

  expected({ objects }: Upstream): Map<string, string> {
    const all = [...objects.values()].filter(({ metadata }) =>
      this.#selects({ labels: metadata.labels ?? {} }),
    );
    return new Map(
      all.map(({ metadata: { name, uid, resourceVersion } }) => [name, `${uid}@${resourceVersion}`]),
    );
  }
}

const name = fc.constantFrom('a', 'b', 'c', 'd');
const colour = fc.constantFrom('red', 'blue');
const replica = fc.nat(1);
const client = fc.nat(3);

const act = fc.oneof(
  { weight: 10, arbitrary: fc.record({ act: fc.constant('put'), name, colour }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('remove'), name }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('elsewhere') }) },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant('hear'),
      replica,
      events: fc.nat(4),
      isBookmarked: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('list'), replica }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('step'), replica, steps: fc.nat(3) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      act: fc.constant('connect'),
      client,
      replica,
      events: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('disconnect'), client }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('bookmark'), client }) },
);
const histories = fc.record({
  acts: fc.array(act, { maxLength: 80, size: 'max' }),
  historyEvents: fc.constantFrom(3, 1_000),
  ends: fc.array(replica, { minLength: 4, maxLength: 4 }),
});

describe('Two replicas', () => {
  it('49. leave every client with what is true, or tell it to list again, however it hops between them', () => {
    fc.assert(
      fc.property(histories, ({ acts, historyEvents, ends }) => {
        const upstream = new Upstream();
        const replicas = [0, 1].map(() => new Replica(upstream, historyEvents));
        const clients = [undefined, 'red', undefined, 'red'].map((selected) => new Client(selected));
        replicas[0]!.list();
        for (const one of acts) {
          if (one.act === 'put') upstream.put(one.name, one.colour);
          else if (one.act === 'remove') upstream.remove(one.name);
          else if (one.act === 'elsewhere') upstream.version++;
          else if (one.act === 'disconnect') clients[one.client]!.disconnect();
          else if (one.act === 'bookmark') clients[one.client]!.bookmark();
          else if (one.act === 'list') replicas[one.replica]!.list();
          else if (!replicas[one.replica]!.store.synced) continue;
          else if (one.act === 'hear') replicas[one.replica]!.hear(one.events, one.isBookmarked);
          else if (one.act === 'step') for (let i = 0; i <= one.steps; i++) replicas[one.replica]!.step();
          else clients[one.client]!.connect(replicas[one.replica]!, one.events);
        }
        for (const one of replicas) {
          if (!one.store.synced) one.list();
          one.catchUp();
        }
        for (const [i, one] of clients.entries()) {
          if (!one.isWatching) one.connect(replicas[ends[i]!]!, Infinity);
          expect(one.held).to.deep.equal(one.expected(upstream));
        }
      }),
      { numRuns: 400 },
    );
  });
});
