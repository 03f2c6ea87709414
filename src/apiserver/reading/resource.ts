import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { Pacer } from '../http/pacer.ts';
import type { Body, WatchSink } from '../http/types.ts';
import type { ViewStore } from '../store/types.ts';
import { EventLines } from './events.ts';
import { ObjectReader } from './get.ts';
import { ListReader } from './list.ts';
import type { LiveReads } from './live.ts';
import type { ReadingMetrics } from './metrics.ts';
import type { ListOptions } from './options.ts';
import { Pages } from './pages.ts';
import { Shaper, type Shape } from './shapes.ts';
import { Ticker } from './ticker.ts';
import { Watch } from './watch.ts';
import { Watchers } from './watchers.ts';

export interface ResourceReaderOptions {
  readonly store: ViewStore;
  readonly live: LiveReads;
  readonly pacer: Pacer;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: ReadingMetrics;
  readonly logger: Logger;
}

/** A watch that names no end lives for half an hour to an hour, so that not all end at once. */
const SHORTEST_WATCH_MS = 1_800_000;

/** Reads one resource in all ways. */
export class ResourceReader {
  readonly #options: ResourceReaderOptions;
  readonly #shaper: Shaper;
  readonly #pages: Pages;
  readonly #ticker: Ticker;
  readonly #lines: EventLines;
  readonly #objects: ObjectReader;
  readonly #lists: ListReader;
  readonly #watchers: Watchers;
  readonly #watchersByLabels: Watchers;
  readonly #labels: { readonly group: string; readonly version: string; readonly resource: string };

  constructor(options: ResourceReaderOptions) {
    this.#options = options;
    const { store, live, pacer, clock } = options;
    const shaper = new Shaper(store.kind, clock);
    this.#shaper = shaper;
    this.#pages = new Pages({ clock });
    this.#ticker = new Ticker(clock);
    this.#lines = new EventLines(shaper);
    this.#objects = new ObjectReader({ store, shaper, live });
    this.#lists = new ListReader({ store, shaper, pages: this.#pages, pacer, clock });
    const shared = { store, shaper, lines: this.#lines, onSent: (lines: number) => this.#count(lines) };
    this.#watchers = new Watchers({ ...shared, isByLabels: false });
    this.#watchersByLabels = new Watchers({ ...shared, isByLabels: true });
    const { group, version, plural: resource } = store.kind.resource;
    this.#labels = { group, version, resource };
  }

  get(
    where: { readonly namespace: string; readonly name: string },
    resourceVersion: bigint,
    shape: Shape,
    signal: AbortSignal,
  ): Promise<Body> {
    return this.#objects.read(where, resourceVersion, shape, signal);
  }

  list(options: ListOptions, shape: Shape, signal: AbortSignal): Promise<Body> {
    return this.#lists.read(options, shape, signal);
  }

  watch(options: ListOptions, shape: Shape, sink: WatchSink): void {
    const { store, pacer, clock, random, logger, metrics } = this.#options;
    const { timeoutSeconds = 0 } = options;
    const timeoutMs = timeoutSeconds === 0 ? SHORTEST_WATCH_MS * (1 + random()) : timeoutSeconds * 1000;
    const watchers = options.selection.isByLabels ? this.#watchersByLabels : this.#watchers;
    const deps = {
      store,
      shaper: this.#shaper,
      lines: this.#lines,
      watchers,
      ticker: this.#ticker,
      pacer,
      clock,
      logger,
      onSent: (lines: number) => this.#count(lines),
      onInitialEnd: (ms: number) => metrics.watchListDuration.observe(this.#labels, ms / 1000),
    };
    new Watch(deps, { options, shape, timeoutMs }, sink).start();
  }

  close(): void {
    this.#ticker.close();
    this.#pages.clear();
  }

  #count(lines: number): void {
    this.#options.metrics.watchEvents.inc(this.#labels, lines);
  }
}
