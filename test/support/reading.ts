import { gunzipSync } from 'node:zlib';
import { Registry } from 'prom-client';
import { parseTarget } from '../../src/apiserver/http/requestinfo.ts';
import { StatusError, type Status } from '../../src/apiserver/http/status.ts';
import type { Answer, ApiRequest } from '../../src/apiserver/http/types.ts';
import { ReadingHandler } from '../../src/apiserver/reading/handler.ts';
import type { LiveRead } from '../../src/apiserver/reading/live.ts';
import { createReadingMetrics } from '../../src/apiserver/reading/metrics.ts';
import type { ObjectStoreOptions } from '../../src/apiserver/store/store.ts';
import { FakeClock, settle } from './clock.ts';
import type { Widget } from './kube-objects.ts';
import { MemorySink } from './watch-sink.ts';
import { WidgetStore } from './widget-view.ts';

export const WIDGETS_PATH = '/apis/aggregation.test.coder.com/v1alpha1';
export const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
export const PARTIAL = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
export const PARTIAL_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';

export interface ReadingWorldOptions {
  readonly live?: LiveRead;
  readonly warnings?: (namespace: string | undefined) => readonly string[];
  readonly store?: Partial<ObjectStoreOptions<Widget>>;
}

/** An answer, read to its end. */
export interface Read<T> {
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly text: string;
  readonly json: T;
  /** The lengths of the pieces in which it came. */
  readonly pieces: readonly number[];
  /** The compressed form, where most of it is cached, unpacked. */
  readonly unpacked: (() => Promise<string>) | undefined;
}

/** Something with a name, or a row of a table. */
export interface ReadItem {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata?: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
  readonly cells?: readonly unknown[];
  readonly object?: ReadItem | null;
  readonly spec?: unknown;
}

export interface ReadList {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly ReadItem[];
  readonly rows: readonly ReadItem[];
  readonly columnDefinitions: readonly { readonly name: string }[];
}

/** A clock on which every piece of work fills a turn of the loop. */
export class RestingClock extends FakeClock {
  #isFresh = true;

  override breathe(): Promise<void> | undefined {
    this.#isFresh = !this.#isFresh;
    return this.#isFresh ? undefined : new Promise((resolve) => setImmediate(resolve));
  }
}

/** The handler over a store of widgets, with a clock that a test moves. One replica, where there are several. */
export class ReadingWorld {
  readonly clock: FakeClock;
  readonly widgets: WidgetStore;
  readonly handler: ReadingHandler;
  readonly metrics = createReadingMetrics(new Registry());

  constructor(options: ReadingWorldOptions = {}, clock = new FakeClock()) {
    this.clock = clock;
    this.widgets = new WidgetStore(clock, options.store);
    this.handler = new ReadingHandler({
      stores: new Map([['widgets', this.widgets.store]]),
      live: options.live ?? (() => Promise.resolve(undefined)),
      warnings: options.warnings ?? (() => []),
      clock,
      random: () => 0.5,
      metrics: this.metrics,
    });
  }

  answer(target: string, { method = 'GET', accept, signal }: Asked = {}): Promise<Answer> {
    const path = target.startsWith('/apis/') ? target : `${WIDGETS_PATH}${target}`;
    const { info, query } = parseTarget(method, path);
    const request: ApiRequest = {
      method,
      info,
      query,
      accept,
      ifNoneMatch: undefined,
      userAgent: undefined,
      signal: signal ?? new AbortController().signal,
    };
    return this.handler.handle(request);
  }

  async read<T = ReadList>(target: string, asked: Asked = {}): Promise<Read<T>> {
    const answer = await this.answer(target, asked);
    if (!('body' in answer)) throw new Error('this is a watch');
    const { gzip, bytes } = answer.body;
    const pieces = [...answer.body.pieces];
    const text = Buffer.concat(pieces).toString();
    if (bytes !== undefined && Buffer.byteLength(text) !== bytes)
      throw new Error(`${bytes} bytes promised, ${text.length} sent`);
    return {
      headers: answer.headers ?? {},
      text,
      json: JSON.parse(text) as T,
      pieces: pieces.map((piece) => piece.byteLength),
      unpacked:
        gzip === undefined ? undefined : async () => gunzipSync(Buffer.concat(await gzip())).toString(),
    };
  }

  /** The names of a list, of objects or rows. */
  async names(target: string, asked: Asked = {}): Promise<string[]> {
    const { json } = await this.read(target, asked);
    return namesOf(json);
  }

  /** What it is refused with. */
  async refusal(target: string, asked: Asked = {}): Promise<Status> {
    try {
      await this.answer(target, asked);
    } catch (error) {
      if (error instanceof StatusError) return error.toStatus();
      throw error;
    }
    throw new Error('it was answered');
  }

  /** A watch that has begun, with everything that it sends at once. */
  async watch(target: string, asked: Asked & { readonly sink?: MemorySink } = {}): Promise<MemorySink> {
    const sink = asked.sink ?? new MemorySink();
    const answer = await this.answer(target, asked);
    if (!('start' in answer)) throw new Error('this is no watch');
    answer.start(sink);
    await settle();
    return sink;
  }
}

export interface Asked {
  readonly method?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

export function namesOf({ items, rows }: Partial<Pick<ReadList, 'items' | 'rows'>>): string[] {
  return (items ?? rows ?? []).map(
    ({ metadata, cells }) => metadata?.name ?? (typeof cells?.[0] === 'string' ? cells[0] : ''),
  );
}
