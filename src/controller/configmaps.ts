import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden, isNotFound } from '../kube/errors.ts';
import { Reflector } from '../kube/reflector.ts';
import { Store } from '../kube/store.ts';

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

export const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export interface ConfigMapsOptions {
  readonly kube: Pick<KubeClient, 'get' | 'list' | 'watch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends every watch. */
  readonly signal: AbortSignal;
  /** Told when a ConfigMap that somebody refers to came, went or changed, or can be read at last. */
  readonly onChange: (namespace: string, name: string) => void;
}

/** What came of reading one; undefined when there is none of that name. */
export type ConfigMapAnswer = ConfigMap | undefined | 'forbidden';

/** The ConfigMaps of one namespace. */
interface Watched {
  /** Which names each object refers to. */
  readonly referrers: Map<string, readonly string[]>;
  /** By how many objects each name is referred to. */
  readonly counts: Map<string, number>;
  /** Names and versions of all, without their data. */
  readonly store: Store<KubeObject>;
  /** Those that were read, by name, with the version in the store that they are not older than. */
  readonly kept: Map<
    string,
    { readonly version: string | undefined; readonly answer: Promise<ConfigMapAnswer> }
  >;
  /** Names that were answered without the store: whoever asked is told when it is there. */
  readonly early: Set<string>;
  /** Resolves when something is known, and after a while all the same. */
  readonly ready: Promise<void>;
  readonly markReady: () => void;
  readonly stop: AbortController;
  isForbidden: boolean;
}

/** A reader does not wait longer for the first list. */
const FIRST_LIST_MS = 5_000;
/** ConfigMaps may be large: up to 1 MiB each. */
const PAGE_SIZE = 50;

/**
 * Reads ConfigMaps, and watches those of a namespace as long as an object there refers to one.
 *
 * The watch tells only which of them changed. The data is read one by one, and kept for those that are referred to:
 * what else a namespace holds must not fill the memory.
 */
export class ConfigMaps {
  readonly #options: ConfigMapsOptions;
  readonly #namespaces = new Map<string, Watched>();

  constructor(options: ConfigMapsOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.close(), { once: true });
  }

  /** The names that an object refers to now; none when it is gone. */
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
  async read(namespace: string, name: string): Promise<ConfigMapAnswer> {
    const watched = this.#namespaces.get(namespace);
    if (watched === undefined) return this.#get(namespace, name);
    await watched.ready;
    if (watched.isForbidden || !watched.store.synced) {
      watched.early.add(name);
      return watched.isForbidden ? 'forbidden' : this.#get(namespace, name);
    }
    const known = watched.store.get(`${namespace}/${name}`);
    return known === undefined ? undefined : this.#current(watched, namespace, known);
  }

  /** Ends every watch. */
  close(): void {
    for (const watched of this.#namespaces.values()) end(watched);
    this.#namespaces.clear();
  }

  /** Many objects may ask for the same one at once: it is read once for each of its versions. */
  async #current(watched: Watched, namespace: string, known: KubeObject): Promise<ConfigMapAnswer> {
    const { name, resourceVersion: version } = known.metadata;
    const kept = watched.kept.get(name);
    if (kept !== undefined && kept.version === version) return kept.answer;
    const answer = this.#get(namespace, name);
    if (!watched.counts.has(name)) return answer;
    const entry = { version, answer };
    watched.kept.set(name, entry);
    try {
      const read = await answer;
      if (typeof read !== 'object') drop(watched, name, entry);
      return read;
    } catch (error) {
      drop(watched, name, entry);
      throw error;
    }
  }

  async #get(namespace: string, name: string): Promise<ConfigMapAnswer> {
    const { kube, signal } = this.#options;
    try {
      return await kube.get<ConfigMap>(configMaps, namespace, name, { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (isForbidden(error)) return 'forbidden';
      throw error;
    }
  }

  #watch(namespace: string): Watched {
    const { kube, clock, logger, signal, onChange } = this.#options;
    let resolve: () => void = () => undefined;
    const ready = new Promise<void>((done) => (resolve = done));
    const cancel = clock.after(FIRST_LIST_MS, () => resolve());
    const watched: Watched = {
      referrers: new Map(),
      counts: new Map(),
      store: new Store({ logger, transform: withoutData }),
      kept: new Map(),
      early: new Set(),
      ready,
      markReady: () => {
        cancel();
        resolve();
      },
      stop: new AbortController(),
      isForbidden: false,
    };
    this.#namespaces.set(namespace, watched);
    watched.store.subscribe(({ object }) => {
      const { name } = object.metadata;
      // Nobody has been told anything before the first list is in.
      if (watched.store.synced && watched.counts.has(name)) onChange(namespace, name);
    });
    const readable = (): void => {
      watched.isForbidden = false;
      watched.markReady();
      const names = [...watched.early];
      watched.early.clear();
      for (const name of names) onChange(namespace, name);
    };
    const reflector = new Reflector({
      client: kube,
      resource: configMaps,
      namespace,
      store: watched.store,
      clock,
      logger,
      pageSize: PAGE_SIZE,
      metrics: {
        listed: readable,
        watchStarted: readable,
        failed: (error) => {
          if (!isForbidden(error)) return;
          watched.isForbidden = true;
          watched.markReady();
        },
      },
    });
    reflector.run(AbortSignal.any([signal, watched.stop.signal])).catch((error: unknown) => {
      logger.error('a watch of ConfigMaps ended', { namespace, error });
    });
    return watched;
  }
}

function end(watched: Watched): void {
  watched.markReady();
  watched.stop.abort(new Error('no object refers to a ConfigMap any more'));
}

function forget(watched: Watched, name: string): void {
  watched.counts.delete(name);
  watched.kept.delete(name);
  watched.early.delete(name);
}

/** An answer that says nothing lasting is asked for again. */
function drop(watched: Watched, name: string, entry: object): void {
  if (watched.kept.get(name) === entry) watched.kept.delete(name);
}

/** What the watch is for: names and versions. */
function withoutData({ metadata }: KubeObject): KubeObject {
  return { metadata: { ...metadata, labels: {}, annotations: {} } };
}
