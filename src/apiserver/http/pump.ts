import type { Writable } from 'node:stream';
import { abortReason } from '../../kube/deadline.ts';
import type { Pacer } from './pacer.ts';
import { evenPieces } from './pieces.ts';

export interface PumpOptions {
  readonly pacer: Pacer;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/**
 * Writes the pieces as fast as they are taken, made one by one while others get their turns. Does not end the target.
 *
 * @returns how many bytes there were.
 * @throws what the pieces throw, or the reason of the signal; or an error when the target is closed.
 */
export async function pump(
  pieces: Iterable<Uint8Array>,
  target: Writable,
  { pacer, signal }: PumpOptions,
): Promise<number> {
  const iterator = evenPieces(pieces);
  let bytes = 0;
  for (;;) {
    signal.throwIfAborted();
    const isWritable = await pacer.run(() => {
      const { done, value } = iterator.next();
      if (done === true) return undefined;
      bytes += value.byteLength;
      return target.write(value);
    });
    if (isWritable === undefined) return bytes;
    if (!isWritable) await writable(target, signal);
  }
}

/** Resolves when the target takes more; rejects when it never will. */
function writable(target: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      target.off('drain', onDrain);
      target.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const onDrain = (): void => settle(resolve);
    const onClose = (): void => settle(() => reject(new Error('the connection was closed')));
    const onAbort = (): void => settle(() => reject(abortReason(signal)));
    target.once('drain', onDrain);
    target.once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else if (target.destroyed) onClose();
  });
}
