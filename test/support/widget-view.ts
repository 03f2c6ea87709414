import type { Clock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { ObjectStore, type ObjectStoreOptions } from '../../src/apiserver/store/store.ts';
import type { ViewKind } from '../../src/apiserver/view/types.ts';
import { widgets, type Widget } from './kube-objects.ts';

/** Widgets as the endpoint would show them: a name, a colour and an age. */
export const widgetView: ViewKind<Widget> = {
  resource: {
    group: 'aggregation.test.coder.com',
    version: 'v1alpha1',
    plural: 'widgets',
    kind: 'Widget',
    namespaced: true,
  },
  source: widgets,
  singular: 'widget',
  columns: [
    { name: 'Name', type: 'string', format: 'name', description: 'its name', priority: 0 },
    { name: 'Colour', type: 'string', format: '', description: 'its colour', priority: 0 },
    { name: 'Age', type: 'date', format: '', description: 'its age', priority: 0 },
  ],
  view: ({ metadata, spec = {}, status = {} }) => ({
    kind: 'Widget',
    apiVersion: 'aggregation.test.coder.com/v1alpha1',
    metadata: { ...metadata, namespace: '', uid: '', resourceVersion: '', ...metadata },
    spec,
    status,
  }),
  cells: ({ metadata: { name, creationTimestamp }, spec }) => [
    name,
    spec?.colour ?? null,
    creationTimestamp === undefined ? '<unknown>' : { since: Date.parse(creationTimestamp) },
  ],
};

export interface WidgetParts {
  readonly namespace?: string;
  readonly colour?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly created?: string;
}

/** A real store of widgets, fed by hand in the place of a reflector. Every change has the next version. */
export class WidgetStore {
  readonly store: ObjectStore<Widget>;
  readonly #clock: Clock;
  /** Of the newest change. */
  version = 0;
  readonly #objects = new Map<string, Widget>();

  constructor(clock: Clock, options: Partial<ObjectStoreOptions<Widget>> = {}) {
    this.#clock = clock;
    this.store = new ObjectStore<Widget>({ kind: widgetView, clock, logger: silentLogger, ...options });
  }

  /** The first list, or a new one after a break, of what `put` and `forget` left; at once. */
  list(version: number, before: () => void = () => undefined): this {
    before();
    const steps = this.listInSteps(version);
    while (steps.next().done !== true);
    return this;
  }

  listInSteps(version: number): Generator<void, void> {
    this.version = version;
    const entries = [...this.#objects.values()].map((object) => this.store.prepare(object));
    return this.store.replaceInSteps(entries, String(version), this.#clock.monotonic());
  }

  /** Creates or changes one, as a watch tells it; before the first list it waits for that. */
  put(name: string, parts: WidgetParts = {}): this {
    const isKnown = this.#objects.has(keyOf(name, parts));
    const object = this.set(name, parts);
    if (this.store.synced) this.store.apply({ type: isKnown ? 'MODIFIED' : 'ADDED', object });
    return this;
  }

  remove(name: string, parts: WidgetParts = {}): this {
    const object = this.set(name, parts);
    this.unset(name, parts);
    this.store.apply({ type: 'DELETED', object });
    return this;
  }

  /** The next change that nobody tells: only a new list shows it. */
  set(name: string, parts: WidgetParts = {}): Widget {
    const key = keyOf(name, parts);
    const known = this.#objects.get(key);
    const { namespace = 'default', colour, uid = `uid-${name}`, labels, created } = parts;
    const creationTimestamp = created ?? known?.metadata.creationTimestamp;
    const object: Widget = {
      metadata: {
        name,
        namespace,
        uid,
        resourceVersion: String(++this.version),
        ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
        ...(labels === undefined ? {} : { labels }),
      },
      spec: colour === undefined ? {} : { colour },
    };
    this.#objects.set(key, object);
    return object;
  }

  unset(name: string, parts: WidgetParts = {}): void {
    this.#objects.delete(keyOf(name, parts));
  }

  /** The version moves without a change. */
  bookmark(version: number): this {
    this.version = version;
    this.store.advance(String(version));
    return this;
  }
}

function keyOf(name: string, { namespace = 'default' }: WidgetParts): string {
  return `${namespace}/${name}`;
}
