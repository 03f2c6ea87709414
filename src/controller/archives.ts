import PQueue from 'p-queue';
import type { Clock } from '../base/clock.ts';
import { errorText, OperatorError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { DownloadError } from '../coder/download.ts';
import { filesHash } from '../coder/contenthash.ts';
import type { ArchiveFiles } from '../coder/layout.ts';
import { unpack, type Unpacked } from '../coder/unpack.ts';

/** An archive with a template in it. */
export interface ArchiveRequest {
  readonly url: string;
  /** 64 digits. It says which archive is meant, wherever that is. */
  readonly sha256: string;
  readonly path?: string | undefined;
  /** Another value than before, by the same asker, has a failed download tried again at once. */
  readonly request?: string | undefined;
  /** The archive is replaced now and then, as those of Flux are: a wrong hash heals by itself. */
  readonly isReplaced: boolean;
}

export type ArchiveAnswer =
  | {
      readonly state: 'ready';
      readonly files: ArchiveFiles;
      readonly filesHash: string;
      readonly leftOut: readonly string[];
    }
  /** It is on its way: whoever asked is told when there is more to say. */
  | { readonly state: 'fetching' }
  | {
      readonly state: 'failed';
      readonly message: string;
      /** When it is tried again, in milliseconds from now; undefined when a person has to mend something. */
      readonly retryAfterMs: number | undefined;
    };

export interface ArchivesOptions {
  /** @throws {DownloadError} */
  readonly download: (url: string, sha256: string, signal: AbortSignal) => Promise<Buffer>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends every download. */
  readonly signal: AbortSignal;
  /** Told for everybody who asked for an archive that was not there yet. */
  readonly onAnswer: (objectKey: string) => void;
}

interface Entry {
  answer: ArchiveAnswer;
  readonly waiting: Set<string>;
  failures: number;
  /** When a failed download may be tried again, by the monotonic clock. */
  retryAt: number;
  /** What each asker requested last. */
  readonly requests: Map<string, string | undefined>;
  isFetching: boolean;
}

/** An archive as it came, or that is on its way. */
interface Kept {
  readonly bytes: Promise<Buffer>;
  /** 0 as long as it is on its way. */
  size: number;
  stop: () => void;
}

/** Downloads at the same time, of each of the two sorts. A download may hold 32 MiB. */
const CONCURRENCY = 2;
/**
 * Content that is kept for whoever asks next; what is older goes first. The same holds for the archives themselves, of
 * which one may be as large.
 */
const MOST_KEPT_BYTES = 32 * 1024 * 1024;
const MOST_ENTRIES = 1_000;
/** So long an archive is kept as it came, after it was last used: one of Flux often holds many templates. */
const ARCHIVE_KEPT_MS = 30_000;
const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 300_000;

/**
 * Fetches archives and gives what is in them. A download takes a while, so nobody waits for one: whoever asks is told
 * to come again. Each is fetched once for all who ask.
 */
export class Archives {
  readonly #options: ArchivesOptions;
  readonly #entries = new Map<string, Entry>();
  /** Flux's artifacts need not wait for hosts that people name: one that is slow holds up its own kind only. */
  readonly #queues = {
    flux: new PQueue({ concurrency: CONCURRENCY }),
    others: new PQueue({ concurrency: CONCURRENCY }),
  };
  /** By address and digest; the one that was used last at the end. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: ArchivesOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#close(), { once: true });
  }

  /** @param objectKey who asks, and is told. */
  get(objectKey: string, request: ArchiveRequest): ArchiveAnswer {
    if (this.#options.signal.aborted) return { state: 'fetching' };
    const { sha256, path = '', url, isReplaced } = request;
    const key = JSON.stringify([sha256, path, url, isReplaced]);
    const entry = this.#entries.get(key) ?? newEntry();
    // The one that was used last comes last.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    // Whoever comes anew, or asks for it, need not live with a failure of before.
    const isNew = !entry.requests.has(objectKey);
    const isRequested = !isNew && entry.requests.get(objectKey) !== request.request;
    entry.requests.set(objectKey, request.request);
    if (this.#isDue(entry, isNew, isRequested)) this.#fetch(entry, request);
    if (entry.isFetching) entry.waiting.add(objectKey);
    this.#forgetOldest();
    const { answer } = entry;
    if (answer.state !== 'failed' || answer.retryAfterMs === undefined) return answer;
    // Whoever asks while it is tried again is told when that has ended.
    const leftMs = entry.isFetching ? LONGEST_RETRY_MS : entry.retryAt - this.#options.clock.monotonic();
    return { ...answer, retryAfterMs: Math.max(1, leftMs) };
  }

  #isDue(entry: Entry, isNew: boolean, isRequested: boolean): boolean {
    if (entry.isFetching) return false;
    const { answer } = entry;
    if (answer.state === 'fetching') return true;
    if (answer.state === 'ready') return false;
    if (answer.retryAfterMs === undefined) return isNew || isRequested;
    return isRequested || this.#options.clock.monotonic() >= entry.retryAt;
  }

  #fetch(entry: Entry, request: ArchiveRequest): void {
    const { signal, logger, clock } = this.#options;
    entry.isFetching = true;
    const queue = request.isReplaced ? this.#queues.flux : this.#queues.others;
    queue
      .add(async () => {
        entry.answer = readyOf(await this.#unpacked(request));
        entry.failures = 0;
      })
      .catch((error: unknown) => {
        const retryAfterMs = retryOf(error, entry.failures, request);
        entry.failures++;
        entry.retryAt = clock.monotonic() + (retryAfterMs ?? 0);
        entry.answer = { state: 'failed', message: errorText(error), retryAfterMs };
        if (!signal.aborted) logger.warn('an archive could not be read', { error: errorText(error) });
      })
      .finally(() => {
        entry.isFetching = false;
        const waiting = [...entry.waiting];
        entry.waiting.clear();
        if (!signal.aborted) for (const objectKey of waiting) this.#options.onAnswer(objectKey);
      });
  }

  async #unpacked({ url, sha256, path }: ArchiveRequest): Promise<Unpacked> {
    const { signal } = this.#options;
    return unpack(await this.#bytes(url, sha256), { path, signal });
  }

  /** By its address too: whoever knows a digest alone must not get at what others may fetch. */
  async #bytes(url: string, sha256: string): Promise<Buffer> {
    const { download, signal } = this.#options;
    const key = JSON.stringify([url, sha256]);
    const kept = this.#kept.get(key) ?? {
      bytes: download(url, sha256, signal),
      size: 0,
      stop: () => undefined,
    };
    this.#kept.set(key, kept);
    try {
      const bytes = await kept.bytes;
      kept.size = bytes.length;
      this.#keep(key, kept);
      return bytes;
    } catch (error) {
      if (this.#kept.get(key) === kept) this.#kept.delete(key);
      throw error;
    }
  }

  #keep(key: string, kept: Kept): void {
    if (this.#kept.get(key) !== kept) return;
    kept.stop();
    kept.stop = this.#options.clock.after(ARCHIVE_KEPT_MS, () => this.#kept.delete(key));
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    let bytes = 0;
    for (const [other, { size, stop }] of [...this.#kept].reverse()) {
      bytes += size;
      if (bytes <= MOST_KEPT_BYTES || size === 0) continue;
      stop();
      this.#kept.delete(other);
    }
  }

  #forgetOldest(): void {
    let bytes = 0;
    const entries = [...this.#entries].reverse();
    for (const [index, [key, entry]] of entries.entries()) {
      bytes += entry.answer.state === 'ready' ? sizeOf(entry.answer.files) : 0;
      const isTooMuch = index >= MOST_ENTRIES || (bytes > MOST_KEPT_BYTES && entry.answer.state === 'ready');
      if (isTooMuch && !entry.isFetching) this.#entries.delete(key);
    }
  }

  #close(): void {
    for (const { stop } of this.#kept.values()) stop();
    this.#kept.clear();
    this.#queues.flux.clear();
    this.#queues.others.clear();
    this.#entries.clear();
  }
}

function newEntry(): Entry {
  return {
    answer: { state: 'fetching' },
    waiting: new Set(),
    failures: 0,
    retryAt: 0,
    requests: new Map(),
    isFetching: false,
  };
}

function readyOf({ files, leftOut }: Unpacked): ArchiveAnswer {
  return { state: 'ready', files, filesHash: filesHash(files), leftOut };
}

function retryOf(error: unknown, failures: number, { isReplaced }: ArchiveRequest): number | undefined {
  const isReplacing = isReplaced && error instanceof DownloadError && error.fault === 'WrongDigest';
  if (error instanceof OperatorError && !error.retryable && !isReplacing) return undefined;
  const asked = error instanceof DownloadError ? error.retryAfterMs : undefined;
  const ladderMs = FIRST_RETRY_MS * 2 ** failures;
  return Math.min(LONGEST_RETRY_MS, Math.max(ladderMs, asked ?? 0));
}

function sizeOf(files: ArchiveFiles): number {
  return Object.values(files).reduce((sum, content) => sum + content.length, 0);
}
