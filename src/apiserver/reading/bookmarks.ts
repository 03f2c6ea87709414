import { bookmarkLine } from './events.ts';
import type { Shape, Shaper } from './shapes.ts';

const RHYTHM_MS = 60_000;
const BEFORE_DEADLINE_MS = 2_000;

/**
 * When the next bookmark is due: about once a minute, and shortly before the end, so that a client resumes close to it.
 * After that one none is.
 */
export function nextBookmark(now: number, deadline: number): number {
  const due = Math.min(now + RHYTHM_MS, deadline - BEFORE_DEADLINE_MS);
  return due > now ? due : Infinity;
}

/** Makes the bookmark of a version once for each shape. */
export class BookmarkLines {
  readonly #shaper: Shaper;
  #version = 0n;
  readonly #lines = new Map<string, Buffer>();

  constructor(shaper: Shaper) {
    this.#shaper = shaper;
  }

  line(version: bigint, shape: Shape, withColumns: boolean): Buffer {
    if (version !== this.#version) this.#lines.clear();
    this.#version = version;
    const key = `${String(withColumns)} ${shape.key}`;
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    const line = bookmarkLine(this.#shaper, version, shape, { isInitialEnd: false, withColumns });
    this.#lines.set(key, line);
    return line;
  }
}
