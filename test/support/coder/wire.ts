import type { Clock } from '../../../src/base/clock.ts';
import { CoderError } from '../../../src/coder/errors.ts';
import { GENERAL_LIMIT } from './limit.ts';
import { failure, rateLimited } from './refusals.ts';

/** What becomes of the next request that changes something. */
export type Fate =
  | 'works'
  /** Lost on its way there. */
  | 'lost'
  /** Carried out; the answer is lost on its way back. */
  | 'answer lost'
  /** Hangs somewhere for a while, and is carried out when nobody waits for the answer any more. */
  | 'late'
  /** 400. */
  | 'refused'
  /** 429, and a minute to wait. */
  | 'limited'
  /** Carried out; 500 is answered all the same. */
  | 'failed'
  /** Carried out; the connection breaks before there is an answer. */
  | 'cut';

/** A request that changed something, as it arrived. */
export interface Landed {
  readonly what:
    | 'createWorkspace'
    | 'createBuild'
    | 'setTTL'
    | 'setAutostart'
    | 'setAutomaticUpdates'
    | 'createVersion'
    | 'createTemplate'
    | 'updateTemplate'
    | 'promote'
    | 'deleteTemplate';
  readonly detail: string;
  /** What the caller said about itself with `sender`, when the request was made. */
  readonly announcement: string | undefined;
}

/** A request or an answer that waits. */
export interface Held {
  /** Resolves when it has come. */
  readonly arrived: Promise<void>;
  /** Lets it go on. */
  release(): void;
}

/** A door that is closed until it is opened from outside. */
export function door(): Held & { readonly pass: () => Promise<void> } {
  let arrive = (): void => undefined;
  let release = (): void => undefined;
  const arrived = new Promise<void>((resolve) => (arrive = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  const pass = (): Promise<void> => {
    arrive();
    return released;
  };
  return { arrived, release: () => release(), pass };
}

/** So long after our own time-out a request may still land. */
const LATE_MS = 31_000;

/** The way from us to Coder and back, on which requests and answers get lost. */
export class Wire {
  protected readonly clock: Clock;
  fate: Fate = 'works';
  /** Names the announcement under which a request is made. */
  sender: () => string | undefined = () => undefined;
  /** Looked at right before a request leaves. */
  onRequest: (what: Landed['what'], detail: string) => void = () => undefined;
  readonly landed: Landed[] = [];
  /** When set, every call fails so. */
  outage: CoderError | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  close(): void {
    this.outage = new CoderError('Unreachable', 'closed');
  }

  /** Every call comes by here, one that only reads has no other fate. */
  protected arrive(): Promise<void> {
    return this.outage === undefined ? Promise.resolve() : Promise.reject(this.outage);
  }

  /** Carries a request that changes something out, or whatever its fate is. */
  protected async change<T>(what: Landed['what'], detail: string, apply: () => T): Promise<T> {
    await this.arrive();
    this.onRequest(what, detail);
    const announcement = this.sender();
    const { fate } = this;
    this.fate = 'works';
    const land = (): T => {
      const answer = apply();
      this.landed.push({ what, detail, announcement });
      return answer;
    };
    const unclear = new CoderError('Timeout', `${what}: no answer within 30 s`, { mayHaveChanged: true });
    switch (fate) {
      case 'refused':
        throw new CoderError('Invalid', `${what}: Coder does not accept the request`, { status: 400 });
      case 'lost':
        throw unclear;
      case 'answer lost':
        land();
        throw unclear;
      case 'limited':
        throw rateLimited(GENERAL_LIMIT);
      case 'failed':
        land();
        throw failure('An internal server error occurred.');
      case 'cut':
        land();
        throw new CoderError('Unreachable', `${what}: the connection was closed`, { mayHaveChanged: true });
      case 'late':
        this.clock.after(LATE_MS, () => {
          try {
            land();
          } catch (error) {
            if (!(error instanceof CoderError)) throw error;
          }
        });
        throw unclear;
      case 'works':
        return land();
    }
  }
}
