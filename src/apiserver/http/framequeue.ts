/** Forgets the taken beginning of the queue when it has become so long, and the larger part. */
const LONG_HEAD = 1_000;

/** Frames that wait for one stream. They are those of all streams that send the same: nothing is copied. */
export class FrameQueue {
  /** Undefined before `#head`: taken. */
  #frames: (Uint8Array | undefined)[] = [];
  #head = 0;
  /** How much of the first frame was taken. */
  #taken = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#frames.length - this.#head;
  }

  push(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#bytes += frame.byteLength;
  }

  /** Takes the next bytes, at most so many; a frame that is longer comes in parts. */
  take(mostBytes: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let left = mostBytes; left > 0;) {
      const frame = this.#frames[this.#head];
      if (frame === undefined) break;
      const rest = this.#taken === 0 ? frame : frame.subarray(this.#taken);
      const piece = rest.byteLength <= left ? rest : rest.subarray(0, left);
      pieces.push(piece);
      left -= piece.byteLength;
      this.#bytes -= piece.byteLength;
      if (piece.byteLength === rest.byteLength) this.#shift();
      else this.#taken += piece.byteLength;
    }
    return pieces;
  }

  clear(): void {
    this.#frames = [];
    this.#head = 0;
    this.#taken = 0;
    this.#bytes = 0;
  }

  #shift(): void {
    this.#frames[this.#head++] = undefined;
    this.#taken = 0;
    if (this.#head === this.#frames.length) {
      this.clear();
    } else if (this.#head > LONG_HEAD && this.#head * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
  }
}
