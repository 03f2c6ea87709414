import type { Clock } from '../base/clock.ts';

/** A signal that aborts when time is up or the parent aborts, whichever comes first. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** True when it was the time and not the parent. */
  readonly expired: boolean;
  /** Must be called when the work is over: long-lived parents would otherwise collect listeners. */
  dispose(): void;
}

/**
 * Written by hand because AbortSignal.any keeps its members alive on Node 20 and AbortSignal.timeout cannot be driven
 * by an injected clock.
 */
export function startDeadline(clock: Clock, ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  let expired = false;
  const onParentAbort = (): void => {
    controller.abort(parent?.reason);
  };
  const cancelTimer = clock.after(ms, () => {
    expired = !controller.signal.aborted;
    controller.abort(new Error(`deadline of ${ms} ms passed`));
  });
  if (parent?.aborted) onParentAbort();
  else parent?.addEventListener('abort', onParentAbort, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    dispose() {
      cancelTimer();
      parent?.removeEventListener('abort', onParentAbort);
    },
  };
}

/** Settles as the promise does, or rejects with the signal's reason as soon as it aborts. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(abortReason(signal));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}

/** Resolves when the signal aborts, or has aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Asked again after an `await`, where the compiler would take the earlier answer for granted. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Why a signal aborted, always as an Error. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('The operation was aborted', { cause: reason });
}
