import { randomUUID } from 'node:crypto';
import { runOperator } from '../../../src/controller/run.ts';
import type { Settings } from '../../../src/controller/settings.ts';
import { LeadershipLostError } from '../../../src/kube/leader.ts';
import { turn } from '../clock.ts';
import type { FaultProxy } from '../fault-proxy.ts';
import { clientOf } from '../kube-server.ts';
import { lineLogger } from '../line-logger.ts';
import type { JumpingClock } from './clock.ts';

/** As in production, but for a time-out that stops a plan that hangs: it is the only one that real time passes for. */
const SETTINGS: Settings = {
  retryBaseMs: 60_000,
  requestTimeoutMs: 20_000,
  stalenessMs: 600_000,
  driftCooldownMs: 300_000,
  driftBudget: 3,
  deletionBudget: 20,
};

/** Longer than in production, so that the time of a plan is not spent on renewals. */
const LEASE_MS = 60_000;
const WORKERS = 4;
/** Of real time: an operator that is dead has ended by then, or never does. */
const LONGEST_DYING_MS = 10_000;

export interface InstanceOptions {
  readonly kube: FaultProxy;
  /** Of the Lease. */
  readonly namespace: string;
  readonly clock: JumpingClock;
  /** Told every line of the log. */
  readonly onLine: (line: string) => void;
  /** Told what was asked of both APIs, as it is counted in metrics. */
  readonly onMetric: (labels: object) => void;
  /** Told when it has ended by itself, with why. */
  readonly onEnd: (error: unknown) => void;
}

/** One process of the operator, in the process of the test. */
export class Instance {
  readonly clock: JumpingClock;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #hasBegun = false;
  #hasEnded = false;
  #isLeading = false;

  constructor(options: InstanceOptions) {
    this.clock = options.clock;
    this.#running = this.#run(options).then(
      () => this.#ended(options, undefined),
      (error: unknown) => this.#ended(options, error),
    );
  }

  /** It has found its API server. Until then it reads files, which nobody else sees. */
  get hasBegun(): boolean {
    return this.#hasBegun || this.#hasEnded;
  }

  /** It works, and does not wait for another one's lease to run out. */
  get isLeading(): boolean {
    return this.#isLeading && !this.#hasEnded;
  }

  /** Nothing runs any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** As by SIGTERM. */
  stop(): void {
    this.#stop.abort(new Error('the process was asked to stop'));
  }

  /**
   * Waits until all that is left of it has settled. For one that was cut off from everything: its time passes by
   * itself.
   */
  async buried(): Promise<void> {
    this.stop();
    const giveUpAt = performance.now() + LONGEST_DYING_MS;
    while (!this.#hasEnded) {
      if (performance.now() > giveUpAt) throw new Error('an operator that was cut off does not end');
      for (let i = 0; i < 3; i++) await turn();
      const { next } = this.clock;
      if (next < Number.POSITIVE_INFINITY) this.clock.jumpTo(next);
    }
    await this.#running;
  }

  async #run({ kube, namespace, clock, onLine, onMetric }: InstanceOptions): Promise<void> {
    // Files that are read while nobody looks would not be waited for.
    const connection = await kube.connect({ clock, maxCredentialAgeMs: Number.POSITIVE_INFINITY });
    this.#hasBegun = true;
    try {
      await runOperator(
        {
          kube: clientOf(connection, { clock, onRequest: onMetric }),
          namespace,
          identity: `crash-${randomUUID()}`,
          leaseDurationMs: LEASE_MS,
          workers: WORKERS,
          settings: SETTINGS,
          hosts: { httpHosts: ['127.0.0.1'], allowLoopback: true },
          clock,
          logger: lineLogger({ onLine, isDebugging: true }),
          onCoderRequest: onMetric,
          onLeading: (leading) => (this.#isLeading = leading),
        },
        this.#stop.signal,
      );
    } finally {
      await connection.close();
    }
  }

  #ended({ onEnd }: InstanceOptions, error: unknown): void {
    this.#hasEnded = true;
    if (!this.#stop.signal.aborted) onEnd(error);
  }
}

/** Whether a process may end so: another one leads, or it could not make sure that none does. */
export function isOrdinaryEnd(error: unknown): boolean {
  return error instanceof LeadershipLostError;
}
