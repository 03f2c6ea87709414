import type { KubeObject } from '../../api/meta.ts';
import type { Clock } from '../../base/clock.ts';
import { OperatorError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { ReflectorSink } from '../../kube/reflector.ts';
import type { WatchChange } from '../../kube/store.ts';
import type { ViewKind } from '../view/types.ts';
import { differenceInSteps, stepOf, undoneInSteps, type Difference } from './difference.ts';
import { SortedEntries } from './entries.ts';
import { Followers } from './followers.ts';
import { History, type Step } from './history.ts';
import { serialise } from './serialise.ts';
import { Strings } from './strings.ts';
import type { Beginning, ChangeListener, Entry, Snapshot, ViewStore } from './types.ts';
import { versionOf } from './versions.ts';
import { Waiters } from './waiters.ts';

export interface ObjectStoreOptions<T extends KubeObject> {
  readonly kind: ViewKind<T>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How far back a watch can resume, in milliseconds, if the two limits below allow; default 10 minutes. */
  readonly historyMs?: number;
  /** Changes that are kept at most; default 10,000. */
  readonly historyEvents?: number;
  /** Bytes of outdated objects that are kept at most; default 24 MiB. */
  readonly historyBytes?: number;
}

export interface ObjectStoreStats {
  readonly objects: number;
  readonly followers: number;
  readonly historyEvents: number;
  readonly historyBytes: number;
  /** The oldest version from which a watch can resume; undefined until synced. */
  readonly floor: bigint | undefined;
}

const HISTORY_MS = 600_000;
const HISTORY_EVENTS = 10_000;
const HISTORY_BYTES = 24 * 1024 * 1024;

/** All that is known at one version. */
interface State {
  readonly version: bigint;
  readonly entries: SortedEntries;
}

/**
 * The objects of one resource as they are shown, in bytes, with what changed of late. A reflector feeds it.
 *
 * Versions are those of the API server, so that every replica means the same by them: a client may list here and watch
 * there. A state is immutable, and gives way to the next at once, also where that takes long to make.
 */
export class ObjectStore<T extends KubeObject = KubeObject> implements ViewStore, ReflectorSink<T, Entry> {
  readonly kind: ViewKind<T>;
  readonly #options: ObjectStoreOptions<T>;
  readonly #strings = new Strings();
  readonly #followers: Followers;
  readonly #waiters: Waiters;
  #state: State | undefined;
  #snapshot: Snapshot | undefined;
  /** Followers know everything up to here. Behind the state only while the differences of a list are being told. */
  #told = 0n;
  #history: History;
  #began: Beginning = { version: 0n, at: 0 };

  constructor(options: ObjectStoreOptions<T>) {
    this.kind = options.kind;
    this.#options = options;
    this.#followers = new Followers(options.logger);
    this.#waiters = new Waiters(options.clock);
    this.#history = this.#emptyHistory(0n);
  }

  get synced(): boolean {
    return this.#state !== undefined;
  }

  /**
   * A bookmark at this version is true for everybody who follows. While the differences of a new list are being told,
   * some may have been told more already, and a snapshot is newer.
   */
  get resourceVersion(): bigint {
    return this.#told;
  }

  get began(): Beginning {
    return this.#began;
  }

  stats(): ObjectStoreStats {
    return {
      objects: this.#state?.entries.size ?? 0,
      followers: this.#followers.size,
      historyEvents: this.#history.events,
      historyBytes: this.#history.bytes,
      floor: this.synced ? this.#history.floor : undefined,
    };
  }

  /** @throws OperatorError NOT_SYNCED before the first complete list is in. */
  snapshot(): Snapshot {
    return (this.#snapshot ??= snapshotOf(this.#synced()));
  }

  *at(resourceVersion: bigint): Generator<void, Snapshot | undefined> {
    if (this.#state === undefined) return undefined;
    const { version, entries } = this.#state;
    if (resourceVersion === version) return this.snapshot();
    if (resourceVersion > version) return undefined;
    this.#history.forget();
    const since = this.#history.since(resourceVersion, true);
    if (since === undefined) return undefined;
    return snapshotOf({ version: resourceVersion, entries: yield* undoneInSteps(entries, since) });
  }

  follow(resourceVersion: bigint, listener: ChangeListener): (() => void) | undefined {
    if (!this.synced) return undefined;
    this.#history.forget();
    const past = this.#history.since(resourceVersion, listener.takesDifferences === true);
    if (past === undefined) return undefined;
    return this.#followers.add(listener, resourceVersion, past);
  }

  reached(resourceVersion: bigint, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.synced && this.#told >= resourceVersion) return Promise.resolve(true);
    return this.#waiters.wait(resourceVersion, timeoutMs, signal);
  }

  /**
   * The entry that is there already when the object is known; so a new list costs neither time nor memory for what did
   * not change.
   *
   * @throws OperatorError BROKEN_VERSION when the object has no resourceVersion that is an integer.
   */
  prepare(object: T): Entry {
    const { namespace = '', name, uid, resourceVersion } = object.metadata;
    const known = this.#state?.entries.get(namespace, name);
    const isSame = known?.uid === uid && String(known?.resourceVersion) === resourceVersion;
    return isSame && known !== undefined ? known : serialise(this.kind, object, this.#strings);
  }

  /**
   * Takes a complete list as the truth. The first one is where the history begins; the differences of a later one go
   * to those who follow, as far as they can be told what is right, and into the history.
   *
   * @throws OperatorError BROKEN_VERSION, BROKEN_LIST; the state stays as it was.
   */
  *replaceInSteps(items: readonly Entry[], resourceVersion: string, askedAt: number): Generator<void, void> {
    const version = versionOf(resourceVersion);
    if (items.some((entry) => entry.resourceVersion > version)) {
      throw new OperatorError(
        'BROKEN_LIST',
        'What the API server sent is a list that is older than an object in it',
        {
          retryable: true,
        },
      );
    }
    const known = this.#state;
    const difference = yield* differenceInSteps(known?.entries ?? SortedEntries.none(), items);
    const isNews = known === undefined || isAnotherHistory(difference, known.version, version);
    const step = isNews ? undefined : yield* stepOf(difference, known.version, version);

    this.#enter({ version, entries: difference.entries });
    if (step === undefined) this.#beginHistory(version, askedAt, known?.version);
    else yield* this.#tellDifference(step);
    this.#advanced(version);
  }

  /** @throws OperatorError BROKEN_VERSION, NOT_SYNCED. */
  apply({ type, object }: WatchChange<T>): void {
    const entry = serialise(this.kind, object, this.#strings);
    const { version, entries } = this.#synced();
    const { namespace, name, resourceVersion } = entry;
    // A watch repeats nothing; but if it does, nobody must hear it twice.
    if (resourceVersion <= version) return;
    const previous = entries.get(namespace, name);
    const isGone = type === 'DELETED';
    this.#enter({
      version: resourceVersion,
      entries: isGone ? entries.without(namespace, name) : entries.with(entry),
    });
    if (!isGone && previous !== undefined && previous.uid !== entry.uid) {
      // The deletion in between was not told; a watch never leaves one out, but a client must not be misled by it.
      finish(
        this.#tellDifference(
          finish(stepOf({ gone: [], changed: [{ previous, entry }] }, version, resourceVersion)),
        ),
      );
    } else if (!isGone || previous !== undefined) {
      const change = isGone ? 'deleted' : previous === undefined ? 'added' : 'modified';
      const changes = [{ type: change, resourceVersion, entry, previous } as const];
      this.#tell({ from: resourceVersion - 1n, to: resourceVersion, changes, isDifference: false });
    }
    this.#advanced(resourceVersion);
  }

  /** @throws OperatorError BROKEN_VERSION, NOT_SYNCED. */
  advance(resourceVersion: string): void {
    const version = versionOf(resourceVersion);
    const { entries, version: known } = this.#synced();
    this.#history.forget();
    if (version <= known) return;
    this.#enter({ version, entries });
    this.#advanced(version);
  }

  #synced(): State {
    if (this.#state === undefined)
      throw new OperatorError('NOT_SYNCED', 'The first list is not complete yet', { retryable: true });
    return this.#state;
  }

  #enter(state: State): void {
    this.#state = state;
    this.#snapshot = undefined;
  }

  #advanced(version: bigint): void {
    this.#told = version;
    this.#waiters.reached(version);
  }

  #tell(step: Step): void {
    this.#history.append(step);
    this.#followers.tell(step);
  }

  /** Those who cannot be told what is right are lost: who knows of a part of it already, and who chooses by labels. */
  *#tellDifference(step: Step): Generator<void, void> {
    const { from, to, changes } = step;
    if (from === to) return;
    this.#history.append(step);
    this.#followers.lose(({ after, listener: { takesDifferences = false } }) => {
      const knowsAPart = after > from && after < to;
      return knowsAPart || (after <= from && changes.length > 0 && !takesDifferences);
    });
    yield* this.#followers.tellInSteps(step);
  }

  #beginHistory(version: bigint, askedAt: number, before: bigint | undefined): void {
    const { clock } = this.#options;
    if (before !== undefined) {
      const fields = { resource: this.kind.resource.plural, before: String(before), now: String(version) };
      this.#options.logger.warn('the data of the API server went back in time; all watches end', fields);
    }
    this.#history = this.#emptyHistory(version);
    this.#began = { version, at: clock.now() - (clock.monotonic() - askedAt) };
    this.#followers.lose();
  }

  #emptyHistory(floor: bigint): History {
    const { clock, historyMs, historyEvents, historyBytes } = this.#options;
    return new History(floor, {
      clock,
      maxAgeMs: historyMs ?? HISTORY_MS,
      maxEvents: historyEvents ?? HISTORY_EVENTS,
      maxBytes: historyBytes ?? HISTORY_BYTES,
    });
  }
}

function snapshotOf({ version, entries }: State): Snapshot {
  return {
    resourceVersion: version,
    segments: (namespace) => entries.segments(namespace),
    get: (namespace, name) => entries.get(namespace, name),
  };
}

/** Whether a list cannot follow from what was known, as after the restore of a backup: its versions mean other things. */
function isAnotherHistory({ gone, changed }: Difference, known: bigint, listed: bigint): boolean {
  if (listed <= known) return listed < known || gone.length > 0 || changed.length > 0;
  return changed.some(({ entry }) => entry.resourceVersion <= known);
}

/** All steps at once. */
function finish<R>(steps: Generator<void, R>): R {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
