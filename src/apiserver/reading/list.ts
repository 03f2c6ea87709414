import type { Clock } from '../../base/clock.ts';
import type { Pacer } from '../http/pacer.ts';
import { StatusError } from '../http/status.ts';
import type { Body } from '../http/types.ts';
import { gzipOf, type GzipPart } from '../store/gzip.ts';
import type { Beginning, Entry, Segment, Snapshot, ViewStore } from '../store/types.ts';
import { bodyOf, type Run } from './blocks.ts';
import type { ListOptions } from './options.ts';
import type { Pages } from './pages.ts';
import { expired, tooLargeVersion } from './refusals.ts';
import { countAfter, selected, selectionHash, type Position } from './selection.ts';
import { LIST_TAIL, type ListMeta, type Shape, type Shaper } from './shapes.ts';
import { readToken, writeToken, wrongToken, type ContinueToken } from './token.ts';

export interface ListReaderOptions {
  readonly store: ViewStore;
  readonly shaper: Shaper;
  readonly pages: Pages;
  readonly pacer: Pacer;
  readonly clock: Pick<Clock, 'now'>;
}

/** How long a request waits for a version that has not come here yet, as kube-apiserver does. */
export const FRESH_MS = 3_000;

/** Where a list is read from, and from where on. */
interface Source {
  readonly listing: Snapshot;
  /** Of the history that the list is part of. */
  readonly began: Beginning;
  /** When its first page was asked for, in milliseconds since the epoch. */
  readonly since: number;
  readonly after?: Position;
}

interface Page {
  readonly entries: readonly Entry[];
  readonly meta: ListMeta;
}

/** Answers lists out of the bytes in the store. */
export class ListReader {
  readonly #store: ViewStore;
  readonly #shaper: Shaper;
  readonly #pages: Pages;
  readonly #pacer: Pacer;
  readonly #clock: Pick<Clock, 'now'>;
  /** Of the history whose lists the pages are. */
  #began: Beginning;

  constructor({ store, shaper, pages, pacer, clock }: ListReaderOptions) {
    this.#store = store;
    this.#shaper = shaper;
    this.#pages = pages;
    this.#pacer = pacer;
    this.#clock = clock;
    this.#began = store.began;
  }

  /**
   * @throws StatusError BadRequest for a wrong continue token, Expired for a version that cannot be had any more, Timeout
   *   for one that does not come
   */
  async read(options: ListOptions, shape: Shape, signal: AbortSignal): Promise<Body> {
    const source = await this.#source(options, signal);
    return this.#whole(source, options, shape) ?? this.#pacer.run(() => this.#body(source, options, shape));
  }

  #body(source: Source, options: ListOptions, shape: Shape): Body {
    const { entries, meta } = this.#page(source, options);
    const head = this.#shaper.listHead(shape, meta);
    const bytes = this.#shaper.listBytes(head, entries, shape);
    return bodyOf(bytes, () => this.#shaper.list(head, entries, shape));
  }

  async #source(options: ListOptions, signal: AbortSignal): Promise<Source> {
    const { resourceVersion = 0n, match, limit } = options;
    if (options.continue !== '') return this.#continued(options, signal);
    // With a limit a version has always meant exactly this one.
    if (match === 'Exact' || (match === '' && limit > 0 && resourceVersion > 0n)) {
      const source = await this.#at(resourceVersion, signal);
      if (source !== undefined) return source;
      const current = this.#store.resourceVersion.toString();
      throw expired(`too old resource version: ${resourceVersion.toString()} (${current})`);
    }
    await untilReached(this.#store, resourceVersion, signal);
    return this.#newest();
  }

  #newest(): Source {
    return { ...this.#begun(), listing: this.#store.snapshot() };
  }

  /** What is true of a list that is looked up now. */
  #begun(): Pick<Source, 'began' | 'since'> {
    const { began } = this.#store;
    // Also when somebody has set the wall clock back.
    return { began, since: Math.max(this.#clock.now(), began.at) };
  }

  async #continued(
    { continue: text, resourceVersion, selection }: ListOptions,
    signal: AbortSignal,
  ): Promise<Source> {
    const token = readToken(text);
    if (token.hash !== selectionHash(selection, this.#store.kind.resource.plural)) {
      throw wrongToken('it belongs to a list with other selectors');
    }
    if (resourceVersion !== undefined && resourceVersion !== 0n) {
      throw new StatusError('BadRequest', 'specifying resource version is not allowed when using continue');
    }
    const { after, since } = token;
    if (token.resourceVersion === undefined) return { ...this.#newest(), after };
    if (!isOfAnotherHistory(token, this.#store.began)) {
      const source = await this.#at(token.resourceVersion, signal);
      if (source !== undefined && !isOfAnotherHistory(token, source.began))
        return { ...source, after, since };
    }
    throw expired(
      'the list that this continue token belongs to cannot be had any more: begin a new list without it, or go on ' +
        'with the token of this answer, whose objects are of a later time than those of the pages before',
      writeToken({ ...token, resourceVersion: undefined }),
    );
  }

  /** The list of exactly this version; undefined when it is gone. */
  async #at(resourceVersion: bigint, signal: AbortSignal): Promise<Source | undefined> {
    const kept = this.#keptPages().get(resourceVersion);
    if (kept !== undefined) return { ...this.#begun(), listing: kept };
    await untilReached(this.#store, resourceVersion, signal);
    return this.#pacer.through(this.#sourceAt(resourceVersion), signal);
  }

  *#sourceAt(resourceVersion: bigint): Generator<void, Source | undefined> {
    const begun = this.#begun();
    const listing = yield* this.#store.at(resourceVersion);
    return listing === undefined ? undefined : { ...begun, listing };
  }

  /** The lists of another history are dropped: in this one their versions mean other lists. */
  #keptPages(): Pages {
    if (this.#began !== this.#store.began) this.#pages.clear();
    this.#began = this.#store.began;
    return this.#pages;
  }

  /** The everyday list: all that a namespace, or the cluster, holds, where the bytes are there also compressed. */
  #whole({ listing, after }: Source, options: ListOptions, shape: Shape): Body | undefined {
    const { selection } = options;
    const limit = limitOf(options);
    const snapshot = this.#store.snapshot();
    if (listing !== snapshot || after !== undefined || !selection.isWhole || shape.as !== 'object')
      return undefined;
    const segments = snapshot.segments(selection.namespace);
    if (limit > 0 && segments.reduce((sum, { entries }) => sum + entries.length, 0) > limit) return undefined;
    const head = this.#shaper.listHead(shape, { resourceVersion: snapshot.resourceVersion.toString() });
    const commas = Math.max(0, segments.length - 1);
    const json = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    return {
      ...bodyOf(Buffer.byteLength(head) + json + commas + LIST_TAIL.length, () =>
        segmentRuns(head, segments),
      ),
      gzip: () => gzipOf(gzipParts(head, segments)),
    };
  }

  #page({ listing, began, since, after }: Source, options: ListOptions): Page {
    const { selection } = options;
    const limit = limitOf(options);
    const resourceVersion = listing.resourceVersion.toString();
    const pages = began === this.#store.began ? this.#keptPages() : undefined;
    // One more than fits tells whether there are more.
    const found = selected(listing, selection, { after, limit: limit === 0 ? 0 : limit + 1 });
    const isMore = limit > 0 && found.length > limit;
    const entries = isMore ? found.slice(0, limit) : found;
    const last = entries.at(-1);
    if (!isMore || last === undefined) {
      if (after !== undefined) pages?.finish(listing.resourceVersion);
      return { entries, meta: { resourceVersion } };
    }
    pages?.keep(listing, after === undefined);
    const hash = selectionHash(selection, this.#store.kind.resource.plural);
    const token = writeToken({ resourceVersion: listing.resourceVersion, since, after: last, hash });
    // With a selector nobody counts what would match.
    const remainingItemCount = selection.isWhole ? countAfter(listing, selection.namespace, last) : undefined;
    return { entries, meta: { resourceVersion, continue: token, remainingItemCount } };
  }
}

/**
 * Whether the list of a token is none of this history, whichever replica answered its first page: it was there before
 * the history began, and yet is of a later version than that begins with.
 */
function isOfAnotherHistory({ resourceVersion = 0n, since }: ContinueToken, began: Beginning): boolean {
  return since < began.at && resourceVersion > began.version;
}

/** Whoever takes any version gets all of it at once, from the bytes that are there: so do the caches of kube-apiserver. */
function limitOf({ limit, resourceVersion, continue: token }: ListOptions): number {
  return resourceVersion === 0n && token === '' ? 0 : limit;
}

/** @throws StatusError Timeout when the store does not get there in three seconds */
export async function untilReached(
  store: ViewStore,
  resourceVersion: bigint,
  signal: AbortSignal,
): Promise<void> {
  if (store.resourceVersion >= resourceVersion) return;
  if (await store.reached(resourceVersion, FRESH_MS, signal)) return;
  throw tooLargeVersion(resourceVersion, store.resourceVersion);
}

function* segmentRuns(head: string, segments: readonly Segment[]): Generator<Run> {
  yield head;
  let isFirst = true;
  for (const { entries } of segments) {
    for (const { json } of entries) {
      if (!isFirst) yield ',';
      isFirst = false;
      yield json;
    }
  }
  yield LIST_TAIL;
}

const COMMA = Buffer.from(',');

function gzipParts(head: string, segments: readonly Segment[]): GzipPart[] {
  const parts: GzipPart[] = [Buffer.from(head)];
  for (const [i, segment] of segments.entries()) {
    if (i > 0) parts.push(COMMA);
    parts.push(segment);
  }
  parts.push(Buffer.from(LIST_TAIL));
  return parts;
}
