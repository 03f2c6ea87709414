import type { Body } from '../http/types.ts';
import { serialise } from '../store/serialise.ts';
import type { Entry, ViewStore } from '../store/types.ts';
import { bytesBody } from '../http/body.ts';
import { joined } from './blocks.ts';
import type { LiveReads } from './live.ts';
import { untilReached } from './list.ts';
import { notFound } from './refusals.ts';
import type { Shape, Shaper } from './shapes.ts';

export interface ObjectReaderOptions {
  readonly store: ViewStore;
  readonly shaper: Shaper;
  readonly live: LiveReads;
}

/** Answers reads of one object. */
export class ObjectReader {
  readonly #store: ViewStore;
  readonly #shaper: Shaper;
  readonly #live: LiveReads;

  constructor({ store, shaper, live }: ObjectReaderOptions) {
    this.#store = store;
    this.#shaper = shaper;
    this.#live = live;
  }

  /**
   * @param resourceVersion at least as new as this; 0: any
   * @throws StatusError NotFound after a look at the API server itself, Timeout for a version that does not come
   */
  async read(
    where: { readonly namespace: string; readonly name: string },
    resourceVersion: bigint,
    shape: Shape,
    signal: AbortSignal,
  ): Promise<Body> {
    await untilReached(this.#store, resourceVersion, signal);
    const { namespace, name } = where;
    const entry =
      this.#store.snapshot().get(namespace, name) ?? (await this.#readLive(namespace, name, signal));
    return bytesBody(joined([...this.#shaper.object(entry, shape), '\n']));
  }

  async #readLive(namespace: string, name: string, signal: AbortSignal): Promise<Entry> {
    const { kind } = this.#store;
    const object = await this.#live.get(kind, namespace, name, signal);
    if (object === undefined) throw notFound(kind.resource, name);
    return serialise(kind, object);
  }
}
