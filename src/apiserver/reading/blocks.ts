import type { Body } from '../http/types.ts';

/** A part of an answer: text, or bytes that are shared and must not be changed. */
export type Run = string | Uint8Array;

const SMALLEST_BLOCK = 8 * 1024;
const LARGEST_BLOCK = 128 * 1024;
/** Of UTF-8, for a unit of UTF-16. */
const MOST_BYTES_OF_UNIT = 3;

/**
 * Copies runs into blocks that grow up to 128 KiB, one at a time and only when asked for: neither thousands of small
 * writes nor one buffer of 20 MB. A run that is longer goes out as it is.
 */
export function* blocks(runs: Iterable<Run>): Generator<Uint8Array> {
  let size = SMALLEST_BLOCK;
  let block = Buffer.allocUnsafeSlow(size);
  let used = 0;
  for (const run of runs) {
    const most = typeof run === 'string' ? run.length * MOST_BYTES_OF_UNIT : run.byteLength;
    if (most > size - used) {
      if (used > 0) yield block.subarray(0, used);
      size = Math.min(size * 2, LARGEST_BLOCK);
      block = Buffer.allocUnsafeSlow(size);
      used = 0;
      if (most > size) {
        yield typeof run === 'string' ? Buffer.from(run) : run;
        continue;
      }
    }
    if (typeof run === 'string') used += block.write(run, used);
    else {
      block.set(run, used);
      used += run.byteLength;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}

/** Runs in one buffer, for what is small. */
export function joined(runs: readonly Run[]): Buffer {
  return Buffer.concat(runs.map((run) => (typeof run === 'string' ? Buffer.from(run) : run)));
}

/** A body whose bytes are made while they are written, as often as that is. */
export function bodyOf(bytes: number | undefined, runs: () => Iterable<Run>): Body {
  return { bytes, pieces: { [Symbol.iterator]: () => blocks(runs()) } };
}
