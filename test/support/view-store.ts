import type { KubeObject } from '../../src/api/meta.ts';
import { serialise } from '../../src/apiserver/store/serialise.ts';
import { ObjectStore, type ObjectStoreOptions } from '../../src/apiserver/store/store.ts';
import type { Change, ChangeListener, Entry, ViewStore } from '../../src/apiserver/store/types.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { FakeClock } from './clock.ts';
import { widget, type Widget, type WidgetParts } from './kube-objects.ts';
import { widgetView } from './widget-view.ts';

export interface WidgetIn extends WidgetParts {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export function widgetIn(name: string, { namespace = 'default', labels, ...parts }: WidgetIn = {}): Widget {
  const object = widget(name, parts);
  return {
    ...object,
    metadata: { ...object.metadata, namespace, ...(labels === undefined ? {} : { labels }) },
  };
}

export function widgetEntry(name: string, parts: WidgetIn = {}): Entry {
  return serialise(widgetView, widgetIn(name, parts));
}

export function widgetStore(options: Partial<ObjectStoreOptions<Widget>> = {}): ObjectStore<Widget> {
  return new ObjectStore({ kind: widgetView, clock: new FakeClock(), logger: silentLogger, ...options });
}

/** A complete list, taken in at once. */
export function listInto<T extends KubeObject>(
  store: ObjectStore<T>,
  objects: readonly T[],
  version: number,
  askedAt = 0,
): void {
  const items = objects.map((object) => store.prepare(object));
  for (const steps = store.replaceInSteps(items, String(version), askedAt); steps.next().done !== true;);
}

export interface Recorded extends ChangeListener {
  readonly told: string[];
  readonly changes: Change[];
  stop: (() => void) | undefined;
}

/** Writes down what a follower is told, in the manner of `modified a@12`. */
export function followed(
  store: ViewStore,
  version: number | bigint,
  options: { readonly takesDifferences?: boolean } = {},
): Recorded {
  const told: string[] = [];
  const changes: Change[] = [];
  const listener: Recorded = {
    told,
    changes,
    stop: undefined,
    ...options,
    changed(change) {
      changes.push(change);
      told.push(`${change.type} ${change.entry.name}@${change.resourceVersion}`);
    },
    lost: () => told.push('lost'),
  };
  listener.stop = store.follow(BigInt(version), listener);
  return listener;
}

/** What a snapshot holds, as `namespace/name@version` in its order. */
export function held(store: ViewStore, namespace?: string): string[] {
  return store
    .snapshot()
    .segments(namespace)
    .flatMap(({ entries }) => entries.map((e) => `${e.namespace}/${e.name}@${e.resourceVersion}`));
}
