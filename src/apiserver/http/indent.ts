const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * JSON for people: two spaces a level, as `JSON.stringify(value, null, 2)` writes it. Works on the bytes as they come,
 * cut anywhere, and keeps nothing of them: a list of any length can be shown without parsing it.
 *
 * @param pieces valid JSON in UTF-8.
 */
export function* indented(pieces: Iterable<Uint8Array>): Generator<Uint8Array, void> {
  const indenter = new Indenter();
  for (const piece of pieces) {
    const bytes = indenter.push(piece);
    if (bytes.byteLength > 0) yield bytes;
  }
}

class Indenter {
  #depth = 0;
  #isInString = false;
  /** The byte before was a backslash that counts. */
  #isEscaped = false;
  /** A brace or bracket was opened, and nothing came after it yet: it may stay empty. */
  #isFresh = false;
  #target = Buffer.alloc(0);
  #length = 0;

  push(piece: Uint8Array): Uint8Array {
    this.#target = Buffer.allocUnsafe(piece.byteLength * 2 + 256);
    this.#length = 0;
    let at = 0;
    while (at < piece.byteLength) {
      if (this.#isInString) at = this.#string(piece, at);
      else this.#structure(piece[at++] ?? SPACE);
    }
    return this.#target.subarray(0, this.#length);
  }

  /** Copies up to the end of the string, or of the piece; answers where that is. */
  #string(piece: Uint8Array, start: number): number {
    let at = start;
    while (at < piece.byteLength && this.#isInString) {
      const byte = piece[at++];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) this.#isInString = false;
    }
    this.#reserve(at - start);
    this.#target.set(piece.subarray(start, at), this.#length);
    this.#length += at - start;
    return at;
  }

  #structure(byte: number): void {
    switch (byte) {
      case SPACE:
      case NEWLINE:
      case 0x09:
      case 0x0d:
        return;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        this.#depth--;
        if (!this.#isFresh) this.#newLine();
        this.#isFresh = false;
        this.#write(byte);
        return;
      case COMMA:
        this.#write(byte);
        this.#newLine();
        return;
      case COLON:
        this.#write(byte);
        this.#write(SPACE);
        return;
      default:
        if (this.#isFresh) this.#newLine();
        this.#isFresh = byte === OPEN_BRACE || byte === OPEN_BRACKET;
        if (this.#isFresh) this.#depth++;
        this.#isInString = byte === QUOTE;
        this.#write(byte);
    }
  }

  #newLine(): void {
    this.#reserve(1 + 2 * this.#depth);
    this.#target[this.#length++] = NEWLINE;
    this.#target.fill(SPACE, this.#length, this.#length + 2 * this.#depth);
    this.#length += 2 * this.#depth;
  }

  #write(byte: number): void {
    this.#reserve(1);
    this.#target[this.#length++] = byte;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#target.byteLength) return;
    const larger = Buffer.allocUnsafe((this.#length + bytes) * 2);
    this.#target.copy(larger, 0, 0, this.#length);
    this.#target = larger;
  }
}
