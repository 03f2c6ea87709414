import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden, isNotFound, isUnknownKind } from '../kube/errors.ts';
import { isPathSegment } from '../kube/objects.ts';
import { Reflector } from '../kube/reflector.ts';
import { Store } from '../kube/store.ts';

export interface ReferredObjectsOptions<T extends KubeObject> {
  readonly kube: Pick<KubeClient, 'get' | 'list' | 'watch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends every watch. */
  readonly signal: AbortSignal;
  readonly resource: ResourceType;
  /** What is kept of every object of a namespace that is watched, name, uid and version at least. */
  readonly keep: (object: T) => T;
  /**
   * `kept`: readers get what is kept. `whole`: they get the whole object, which is read one by one and remembered for
   * those that are referred to.
   */
  readonly answers: 'kept' | 'whole';
  /** Whether two states, as they are kept, differ in what readers care for; left out: always. */
  readonly differs?: (before: T, after: T) => boolean;
  /**
   * Told when an object that somebody refers to came, went or changed; and for each that was asked for, when it can be
   * read at last, or not any more.
   */
  readonly onChange: (namespace: string, name: string) => void;
}

/**
 * What came of reading one; undefined when there is none of that name. `unknownKind`: the API server does not know the
 * kind in this version, as without its CRD.
 */
export type ReferredAnswer<T extends KubeObject> = T | undefined | 'forbidden' | 'unknownKind';

/** Whether the objects of a namespace can be read, as far as list and watch have told. */
type Access = 'unclear' | 'readable' | 'forbidden' | 'unknownKind';

/** The objects of one namespace. */
interface Watched<T extends KubeObject> {
  /** Which names each referrer refers to. */
  readonly referrers: Map<string, readonly string[]>;
  /** By how many referrers each name is referred to. */
  readonly counts: Map<string, number>;
  readonly store: Store<T>;
  /** Those that were read, by name, with the version in the store that they are not older than. */
  readonly read: Map<
    string,
    { readonly version: string | undefined; readonly answer: Promise<ReferredAnswer<T>> }
  >;
  /** Names that were asked for since the access last changed: whoever asked is told when it changes again. */
  readonly asked: Set<string>;
  /** Resolves when something is known, and after a while all the same. */
  readonly ready: Promise<void>;
  readonly markReady: () => void;
  readonly stop: AbortController;
  access: Access;
}

/** A reader does not wait longer for the first list. */
const FIRST_LIST_MS = 5_000;
/** Objects may be large: a ConfigMap up to 1 MiB. */
const PAGE_SIZE = 50;
/** A right that is given, or a CRD that is installed, is noticed within this time. */
const MAX_BACKOFF_MS = 15_000;

/**
 * Reads objects of one kind, and watches those of a namespace as long as somebody refers to one there.
 *
 * What else a namespace holds must not fill the memory: of each object only what `keep` leaves of it is kept.
 */
export class ReferredObjects<T extends KubeObject> {
  readonly #options: ReferredObjectsOptions<T>;
  readonly #namespaces = new Map<string, Watched<T>>();

  constructor(options: ReferredObjectsOptions<T>) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.close(), { once: true });
  }

  /** The names that a referrer refers to now; none when it is gone. Its key must tell it from those of other kinds. */
  refer(namespace: string, referrer: string, names: readonly string[]): void {
    const known = this.#namespaces.get(namespace);
    if ((known === undefined && names.length === 0) || this.#options.signal.aborted) return;
    const watched = known ?? this.#watch(namespace);
    const before = watched.referrers.get(referrer) ?? [];
    for (const name of names) watched.counts.set(name, (watched.counts.get(name) ?? 0) + 1);
    for (const name of before) {
      const count = (watched.counts.get(name) ?? 0) - 1;
      if (count > 0) watched.counts.set(name, count);
      else forget(watched, name);
    }
    if (names.length > 0) watched.referrers.set(referrer, names);
    else watched.referrers.delete(referrer);
    if (watched.referrers.size > 0) return;
    this.#namespaces.delete(namespace);
    end(watched);
  }

  /** From memory where its version is the one that the watch told. @throws KubeError */
  async read(namespace: string, name: string): Promise<ReferredAnswer<T>> {
    const watched = this.#namespaces.get(namespace);
    if (watched === undefined) return this.#get(namespace, name);
    await watched.ready;
    if (watched.counts.has(name)) watched.asked.add(name);
    if (watched.access === 'unclear') return this.#get(namespace, name);
    if (watched.access !== 'readable') return watched.access;
    const known = watched.store.get(`${namespace}/${name}`);
    if (known === undefined || this.#options.answers === 'kept') return known;
    return this.#current(watched, namespace, known);
  }

  /** Ends every watch. */
  close(): void {
    for (const watched of this.#namespaces.values()) end(watched);
    this.#namespaces.clear();
  }

  /** Many may ask for the same one at once: it is read once for each of its versions. */
  async #current(watched: Watched<T>, namespace: string, known: T): Promise<ReferredAnswer<T>> {
    const { name, resourceVersion: version } = known.metadata;
    const earlier = watched.read.get(name);
    if (earlier !== undefined && earlier.version === version) return earlier.answer;
    const answer = this.#get(namespace, name);
    if (!watched.counts.has(name)) return answer;
    const entry = { version, answer };
    watched.read.set(name, entry);
    try {
      const read = await answer;
      if (typeof read !== 'object') drop(watched, name, entry);
      return read;
    } catch (error) {
      drop(watched, name, entry);
      throw error;
    }
  }

  async #get(namespace: string, name: string): Promise<ReferredAnswer<T>> {
    const { kube, resource, signal, answers, keep } = this.#options;
    // There is none of a name that none can have.
    if (!isPathSegment(name)) return undefined;
    try {
      const object = await kube.get<T>(resource, namespace, name, { signal });
      return answers === 'kept' ? keep(object) : object;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (isForbidden(error)) return 'forbidden';
      if (isUnknownKind(error)) return 'unknownKind';
      throw error;
    }
  }

  #watch(namespace: string): Watched<T> {
    const { kube, clock, logger, signal, resource, keep } = this.#options;
    let resolve: () => void = () => undefined;
    const ready = new Promise<void>((done) => (resolve = done));
    const cancel = clock.after(FIRST_LIST_MS, () => resolve());
    const watched: Watched<T> = {
      referrers: new Map(),
      counts: new Map(),
      store: new Store({ logger, transform: keep }),
      read: new Map(),
      asked: new Set(),
      ready,
      markReady: () => {
        cancel();
        resolve();
      },
      stop: new AbortController(),
      access: 'unclear',
    };
    this.#namespaces.set(namespace, watched);
    this.#follow(watched, namespace);
    const readable = (): void => this.#turn(watched, namespace, 'readable');
    const reflector = new Reflector<T>({
      client: kube,
      resource,
      namespace,
      store: watched.store,
      clock,
      logger,
      pageSize: PAGE_SIZE,
      maxBackoffMs: MAX_BACKOFF_MS,
      isExpected: (error) => refusal(error) !== undefined,
      metrics: {
        listed: readable,
        watchStarted: readable,
        failed: (error) => {
          const access = refusal(error);
          if (access !== undefined) this.#turn(watched, namespace, access);
        },
      },
    });
    reflector.run(AbortSignal.any([signal, watched.stop.signal])).catch((error: unknown) => {
      logger.error('a watch of objects that are referred to ended', {
        resource: resource.plural,
        namespace,
        error,
      });
    });
    return watched;
  }

  /** Tells changes, as long as the objects can be read: those who were refused are told when that changes. */
  #follow(watched: Watched<T>, namespace: string): void {
    const { differs, onChange } = this.#options;
    watched.store.subscribe(({ type, object, previous }) => {
      const { name } = object.metadata;
      if (type === 'deleted') watched.read.delete(name);
      if (watched.access !== 'readable' || !watched.counts.has(name)) return;
      if (previous === undefined || differs === undefined || differs(previous, object))
        onChange(namespace, name);
    });
  }

  #turn(watched: Watched<T>, namespace: string, access: Access): void {
    if (watched.access === access || watched.stop.signal.aborted) return;
    const { logger, resource, onChange } = this.#options;
    if (access !== 'readable' || watched.access !== 'unclear')
      logger.info('access to objects that are referred to changed', {
        resource: resource.plural,
        namespace,
        access,
      });
    watched.access = access;
    watched.read.clear();
    watched.markReady();
    const names = [...watched.asked];
    watched.asked.clear();
    for (const name of names) onChange(namespace, name);
  }
}

/** What a failed list or watch tells of the access; undefined: nothing. */
function refusal(error: unknown): 'forbidden' | 'unknownKind' | undefined {
  if (isForbidden(error)) return 'forbidden';
  return isUnknownKind(error) ? 'unknownKind' : undefined;
}

function end<T extends KubeObject>(watched: Watched<T>): void {
  watched.markReady();
  watched.stop.abort(new Error('nobody refers to an object of the namespace any more'));
}

function forget<T extends KubeObject>(watched: Watched<T>, name: string): void {
  watched.counts.delete(name);
  watched.read.delete(name);
  watched.asked.delete(name);
}

/** An answer that says nothing lasting is asked for again. */
function drop<T extends KubeObject>(watched: Watched<T>, name: string, entry: object): void {
  if (watched.read.get(name) === entry) watched.read.delete(name);
}
