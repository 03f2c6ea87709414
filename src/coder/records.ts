import { BACKSLASH, CLOSE_ARRAY, CLOSE_OBJECT, OPEN_ARRAY, OPEN_OBJECT, QUOTE } from './jsonbytes.ts';

const COMMA = 0x2c;

/** The records of a list stand at this depth: inside the array that is a field of the outermost object. */
const RECORD_DEPTH = 2;

export interface RecordSplitterOptions {
  /** The field of the outermost object that holds the records, such as `workspaces`. */
  readonly field: string;
  /** Called with the JSON text of each record, in order. */
  readonly onRecord: (json: string) => void;
  /** Largest record in bytes; larger ones are left out and counted. */
  readonly maxRecordBytes: number;
}

/**
 * Cuts the records out of a long JSON list while it arrives, so that neither its whole text nor its whole tree is
 * ever in memory and no single step takes long. What is left when the records are out, the skeleton, is small and is
 * parsed as JSON at the end: by that a list that was cut short shows.
 */
export class RecordSplitter {
  readonly #options: RecordSplitterOptions;
  /** In Latin-1, a character for each byte: parts of chunks would keep the whole chunks in memory. */
  #skeleton = '';
  #record: Buffer[] = [];
  #recordBytes = 0;
  #depth = 0;
  #inText = false;
  #escaped = false;
  /** Whether the innermost open list is the one with the records. */
  #inList = false;
  #inRecord = false;
  /** The text that was read last at depth 1, which before a list is the name of its field. */
  #field = '';
  #fieldParts: Buffer[] = [];
  #skipped = 0;
  #deepest = 0;

  constructor(options: RecordSplitterOptions) {
    this.#options = options;
  }

  /** How many records were too large. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Bytes of what stands beside the records until now. All of it is kept to the end. */
  get restBytes(): number {
    return this.#skeleton.length;
  }

  /** How deep lists and objects lay in each other until now. */
  get deepest(): number {
    return this.#deepest;
  }

  /** Takes the next part of the body, cut anywhere. */
  write(chunk: Buffer): void {
    let start = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#inText) {
        at = this.#readText(chunk, at);
        continue;
      }
      const byte = chunk[at] ?? 0;
      if (byte === OPEN_OBJECT && this.#inList && !this.#inRecord && this.#depth === RECORD_DEPTH) {
        this.#keep(chunk.subarray(start, at));
        start = at;
        this.#inRecord = true;
      }
      at++;
      this.#readByte(byte);
      if (byte === CLOSE_OBJECT && this.#inRecord && this.#depth === RECORD_DEPTH) {
        this.#keep(chunk.subarray(start, at));
        start = at;
        this.#endRecord();
      } else if (byte === COMMA && this.#inList && this.#depth === RECORD_DEPTH) {
        // The commas between records would be left behind in the skeleton.
        this.#keep(chunk.subarray(start, at - 1));
        start = at;
      }
    }
    this.#keep(chunk.subarray(start));
  }

  /**
   * The list without its records.
   *
   * @throws {SyntaxError} when the body was not JSON or not complete.
   */
  end(): unknown {
    return JSON.parse(Buffer.from(this.#skeleton, 'latin1').toString());
  }

  /** Goes on to the end of the text or of the chunk; answers where it stopped. */
  #readText(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length) {
      if (this.#escaped) {
        this.#escaped = false;
        at++;
        continue;
      }
      const byte = chunk[at++];
      if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        this.#inText = false;
        break;
      }
    }
    if (this.#depth === 1) {
      this.#fieldParts.push(chunk.subarray(from, this.#inText ? at : at - 1));
      if (!this.#inText) this.#field = Buffer.concat(this.#fieldParts).toString();
    }
    return at;
  }

  #readByte(byte: number): void {
    switch (byte) {
      case QUOTE:
        this.#inText = true;
        this.#fieldParts = [];
        break;
      case OPEN_ARRAY:
        if (this.#depth === 1) this.#inList = this.#field === this.#options.field;
        this.#deepen();
        break;
      case OPEN_OBJECT:
        this.#deepen();
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        this.#depth--;
        if (this.#depth < RECORD_DEPTH) this.#inList = false;
        break;
    }
  }

  #deepen(): void {
    this.#depth++;
    if (this.#depth > this.#deepest) this.#deepest = this.#depth;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    if (!this.#inRecord) {
      this.#skeleton += part.toString('latin1');
      return;
    }
    this.#recordBytes += part.length;
    if (this.#recordBytes > this.#options.maxRecordBytes) this.#record = [];
    else this.#record.push(part);
  }

  #endRecord(): void {
    const tooLarge = this.#recordBytes > this.#options.maxRecordBytes;
    const parts = this.#record;
    this.#record = [];
    this.#recordBytes = 0;
    this.#inRecord = false;
    if (tooLarge) this.#skipped++;
    else this.#options.onRecord(parts.length === 1 ? String(parts[0]) : Buffer.concat(parts).toString());
  }
}
