/**
 * What a decision asks for. A decision is a pure function; the pass (pass.ts) carries the step out and, where it gained
 * something, asks again.
 */
export type Step<Fact, Operation, Status> =
  /** A fact is missing: read it, then decide again. Reads change nothing, so a pass may make several. */
  | { readonly do: 'read'; readonly fact: Fact }
  /** Take or leave our finalizer, then decide again. */
  | { readonly do: 'finalizer'; readonly present: boolean; readonly event?: StepEvent }
  /** Announce the operation by writing `status`, carry it out, then decide again. One a pass. */
  | {
      readonly do: 'write';
      readonly operation: Operation;
      readonly status: Status;
      readonly event?: StepEvent;
      /** Told before the event: what a person must know of the object beside of what is done now. */
      readonly notice?: StepEvent | undefined;
    }
  /** Write the status if it differs, and rest until something wakes the object or the time has come. */
  | { readonly do: 'report'; readonly status: Status; readonly rest: Rest; readonly event?: StepEvent }
  /** Nothing at all: the object is none of our business any more. */
  | { readonly do: 'nothing' };

/** When to look again, if nothing happens before. */
export type Rest =
  /** Only when something wakes the object. */
  | { readonly until: 'woken' }
  | { readonly until: 'time'; readonly afterMs: number }
  /** After a time that grows with each pass that ends in the same way. */
  | { readonly until: 'backoff' }
  /** The observer follows the build and wakes the object when it moves on. */
  | {
      readonly until: 'build';
      readonly workspaceID: string;
      /** Look again after this time even if the build does not move. */
      readonly afterMs?: number | undefined;
    };

/** Something worth a Kubernetes event. */
export interface StepEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export const untilWoken: Rest = { until: 'woken' };
export const withBackoff: Rest = { until: 'backoff' };
export const after = (afterMs: number): Rest => ({ until: 'time', afterMs: Math.max(1, Math.ceil(afterMs)) });
