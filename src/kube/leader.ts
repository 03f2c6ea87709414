import type { Clock } from '../base/clock.ts';
import { errorText, OperatorError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient } from './client.ts';
import { abortReason, isAborted } from './deadline.ts';
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts';
import { leases, microTime, type Lease, type LeaseSpec } from './lease.ts';

export interface LeadershipState {
  readonly leading: boolean;
  /** Identity of the holder as last seen; empty when there is none. */
  readonly holder: string;
}

export interface LeaderElectorOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Must be new for every process, such as the pod's name and a UUID. */
  readonly identity: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long others wait for a sign of life, in milliseconds; whole seconds; default 15,000. */
  readonly leaseDurationMs?: number;
  /** How long renewals may fail before leadership is given up, in milliseconds; default 10,000. */
  readonly renewDeadlineMs?: number;
  /** Between two attempts to acquire or renew, in milliseconds; default 2,000. */
  readonly retryPeriodMs?: number;
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number;
  /** Called when this process begins or ceases to lead and when the holder changes. */
  readonly onTransition?: (state: LeadershipState) => void;
}

/** Leadership was lost, or could not be renewed in time. The process should end: another one leads, or will. */
export class LeadershipLostError extends OperatorError {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super('LEADERSHIP_LOST', message, options);
  }
}

/** Raised before a change that only the leader may make. */
export class NotLeadingError extends OperatorError {
  constructor() {
    super('NOT_LEADING', 'this process cannot be sure to be the leader, so it changes nothing');
  }
}

/** A sign of life must be younger than the lease by so much, for the change that follows it to be over in time. */
const FENCE_MARGIN_MS = 1_000;
/** After a loss the leader's work gets so long to stop before the caller is told. */
const LOSS_GRACE_MS = 5_000;
/** After so long no new attempt to release is made. */
const RELEASE_DEADLINE_MS = 3_000;
const RELEASE_ATTEMPT_MS = 1_500;
const RELEASE_RETRY_MS = 200;

interface LimitedCall {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

interface Term {
  /** As last written by us, for the next update. */
  lease: Lease;
  readonly epoch: string;
}

/**
 * Leader election on a Lease, compatible with client-go's.
 *
 * Whether another holder is alive is measured with our own monotonic clock from the moment its record was last seen
 * to change, never by comparing its times with our clock. Whether we still lead is measured from the start of the last
 * renewal that worked, so a process that was frozen finds itself fenced when it wakes up.
 */
export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  readonly #random: () => number;
  #leading = false;
  #lastRenewal = Number.NEGATIVE_INFINITY;
  #observed: { readonly record: string; readonly at: number } | undefined;
  #holder = '';

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2_000;
    this.#random = options.random ?? Math.random;
    if (this.#leaseDurationMs <= this.#renewDeadlineMs || this.#renewDeadlineMs <= this.#retryPeriodMs) {
      throw new RangeError('leader election needs lease duration > renew deadline > retry period');
    }
  }

  /** Whether this process leads for certain, now and for another moment. */
  isLeading(): boolean {
    const age = this.#options.clock.monotonic() - this.#lastRenewal;
    return this.#leading && age < this.#leaseDurationMs - FENCE_MARGIN_MS;
  }

  /** @throws NotLeadingError unless this process leads for certain. Call it right before every change outside. */
  assertLeading(): void {
    if (!this.isLeading()) throw new NotLeadingError();
  }

  /**
   * Waits for leadership, then runs `lead` once.
   *
   * Resolves when the signal aborts or `lead` returns; in both cases the Lease is released after `lead` has settled,
   * so that a successor need not wait, and it is renewed until then. Rejects with what `lead` threw, likewise after
   * the release.
   *
   * @param lead gets a signal that aborts when leadership ends, and the epoch `<transitions>-<identity>`, which no
   *   other term of office ever had.
   * @throws LeadershipLostError when leadership was lost; the Lease is then left alone.
   */
  async run(
    signal: AbortSignal,
    lead: (leaderSignal: AbortSignal, epoch: string) => Promise<void>,
  ): Promise<void> {
    const term = await this.#acquire(signal);
    if (term === undefined) return;
    if (signal.aborted) {
      await this.#release(term);
      return;
    }
    const office = new AbortController();
    const onAbort = (): void => office.abort(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    const finished = new AbortController();
    const work = (async () => {
      await lead(office.signal, term.epoch);
    })().finally(() => finished.abort());
    // Whatever it throws is looked at below; meanwhile it must not count as unhandled.
    work.catch(() => undefined);
    try {
      await this.#renewUntil(finished.signal, term);
    } catch (error) {
      office.abort(error);
      this.#setLeading(false);
      await this.#options.clock.sleep(LOSS_GRACE_MS, finished.signal).catch(() => undefined);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    await this.#release(term);
    await work;
  }

  async #acquire(signal: AbortSignal): Promise<Term | undefined> {
    const { clock, logger, identity } = this.#options;
    let failure = '';
    while (!signal.aborted) {
      const started = clock.monotonic();
      try {
        const lease = await this.#tryAcquire(signal);
        failure = '';
        if (lease !== undefined) {
          this.#lastRenewal = started;
          this.#setLeading(true);
          const epoch = `${lease.spec?.leaseTransitions ?? 0}-${identity}`;
          logger.info('this process leads', { epoch });
          return { lease, epoch };
        }
      } catch (error) {
        if (isConflict(error) || isAlreadyExists(error)) logger.debug('another process was faster');
        else if (!isAborted(signal) && errorText(error) !== failure) {
          failure = errorText(error);
          logger.warn('the lease cannot be read or written; trying again', { error: failure });
        }
      }
      await clock.sleep(this.#retryPeriodMs * (1 + this.#random() / 5), signal).catch(() => undefined);
    }
    return undefined;
  }

  /** The lease as written by us, or undefined while somebody else holds it. */
  async #tryAcquire(signal: AbortSignal): Promise<Lease | undefined> {
    const { client, namespace, name, identity } = this.#options;
    const call = { signal, deadlineMs: this.#renewDeadlineMs / 2 };
    const found = await this.#read(call);
    if (found === undefined) {
      const first = { metadata: { name, namespace }, spec: this.#record({ leaseTransitions: 0 }) };
      return client.create<Lease>(leases, first, call);
    }
    if (this.#isHeldByAnother(found)) return undefined;
    const before = found.spec ?? {};
    const mine = before.holderIdentity === identity;
    const leaseTransitions = (before.leaseTransitions ?? 0) + (mine ? 0 : 1);
    return client.replace<Lease>(
      leases,
      { ...found, spec: this.#record({ ...before, leaseTransitions }) },
      call,
    );
  }

  async #read(call: LimitedCall): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options;
    const lease = await client.get<Lease>(leases, namespace, name, call).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    this.#observe(lease?.spec ?? {});
    return lease;
  }

  #observe(spec: LeaseSpec): void {
    const record = JSON.stringify(spec);
    if (this.#observed?.record !== record) {
      this.#observed = { record, at: this.#options.clock.monotonic() };
    }
    const holder = spec.holderIdentity ?? '';
    if (holder === this.#holder) return;
    this.#holder = holder;
    this.#options.onTransition?.({ leading: this.#leading, holder });
  }

  #isHeldByAnother({ spec = {} }: Lease): boolean {
    const { holderIdentity = '', leaseDurationSeconds = 0 } = spec;
    if (holderIdentity === '' || holderIdentity === this.#options.identity) return false;
    const silentFor = this.#options.clock.monotonic() - (this.#observed?.at ?? 0);
    return silentFor < leaseDurationSeconds * 1000;
  }

  /** What we write while we hold the lease; `acquireTime` is kept from `before` when we held it already. */
  #record(before: LeaseSpec): LeaseSpec {
    const { identity, clock } = this.#options;
    const now = microTime(clock.now());
    const mine = before.holderIdentity === identity;
    return {
      ...before,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
      acquireTime: mine ? (before.acquireTime ?? now) : now,
      renewTime: now,
    };
  }

  /** Renews until `finished`; throws LeadershipLostError when that fails for too long. */
  async #renewUntil(finished: AbortSignal, term: Term): Promise<void> {
    const { clock, logger } = this.#options;
    let cause: unknown;
    while (!finished.aborted) {
      await clock.sleep(this.#retryPeriodMs, finished).catch(() => undefined);
      if (isAborted(finished)) return;
      const started = clock.monotonic();
      const left = this.#renewDeadlineMs - (started - this.#lastRenewal);
      if (left <= 0) {
        throw new LeadershipLostError(`the lease was not renewed for ${this.#renewDeadlineMs} ms`, { cause });
      }
      try {
        const deadlineMs = Math.min(left, this.#renewDeadlineMs / 2);
        await this.#renew(term, { deadlineMs, signal: finished });
        this.#lastRenewal = started;
        cause = undefined;
      } catch (error) {
        if (error instanceof LeadershipLostError) throw error;
        if (isAborted(finished)) return;
        cause = error;
        logger.warn('the lease was not renewed; trying again', { error: errorText(error) });
      }
    }
  }

  async #renew(term: Term, call: LimitedCall): Promise<void> {
    const { client, identity } = this.#options;
    const write = async (lease: Lease): Promise<void> => {
      const renewed = { ...lease, spec: this.#record(lease.spec ?? {}) };
      term.lease = await client.replace<Lease>(leases, renewed, call);
      this.#observe(term.lease.spec ?? {});
    };
    try {
      await write(term.lease);
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
      // Perhaps our own earlier write, whose answer was lost; perhaps another leader.
      const found = await this.#read(call);
      if (found?.spec?.holderIdentity !== identity) {
        const holder = found?.spec?.holderIdentity ?? '';
        const who = holder === '' ? 'nobody' : holder;
        throw new LeadershipLostError(`the lease was taken away and is held by ${who}`, { cause: error });
      }
      await write(found);
    }
  }

  /** Lets a successor take over at once. Failing only costs it the lease's duration, so this has its limits. */
  async #release(term: Term): Promise<void> {
    const { clock, logger } = this.#options;
    // From here on somebody else may lead.
    this.#setLeading(false);
    const end = clock.monotonic() + RELEASE_DEADLINE_MS;
    for (;;) {
      try {
        await this.#tryRelease(term);
        logger.info('the lease is released');
        return;
      } catch (error) {
        if (clock.monotonic() + RELEASE_RETRY_MS >= end) {
          logger.warn('the lease could not be released; a successor waits for it to expire', {
            error: errorText(error),
          });
          return;
        }
        await clock.sleep(RELEASE_RETRY_MS);
      }
    }
  }

  async #tryRelease(term: Term): Promise<void> {
    const { client, clock, identity } = this.#options;
    const call = { deadlineMs: RELEASE_ATTEMPT_MS };
    const now = microTime(clock.now());
    const spec = { holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
    try {
      await client.replace<Lease>(leases, { ...term.lease, spec: { ...term.lease.spec, ...spec } }, call);
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
      // A renewal or a release of ours whose answer was lost, or a successor already.
      const found = await this.#read(call);
      if (found?.spec?.holderIdentity !== identity) return;
      term.lease = found;
      throw error;
    }
  }

  #setLeading(leading: boolean): void {
    this.#leading = leading;
    if (leading) this.#holder = this.#options.identity;
    this.#options.onTransition?.({ leading, holder: this.#holder });
  }
}
