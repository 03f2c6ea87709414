import { OperatorError } from '../../base/errors.ts';

/** Tags as they stand in the encoding, with their class and the mark of constructed elements. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element of DER. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly raw: Buffer;
}

/**
 * Reads elements of DER one after the other. Only what DER allows passes: definite lengths in their shortest form, and
 * tags of one byte, which is all that certificates need. So there is one way to read given bytes, and OpenSSL reads
 * them in the same way.
 */
export class DerReader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#position === this.#bytes.length;
  }

  /** @throws OperatorError DER_MALFORMED, also when the next element has another tag. */
  next(tag?: number): Element {
    const start = this.#position;
    const found = this.#byte();
    if ((found & 0x1f) === 0x1f) throw malformed('a tag of several bytes');
    if (tag !== undefined && found !== tag) throw malformed('another element than it should');
    const length = this.#length();
    const contentStart = this.#position;
    if (length > this.#bytes.length - contentStart) throw malformed('an element longer than what holds it');
    this.#position = contentStart + length;
    return {
      tag: found,
      content: this.#bytes.subarray(contentStart, this.#position),
      raw: this.#bytes.subarray(start, this.#position),
    };
  }

  /** The next element if it has this tag. */
  optional(tag: number): Element | undefined {
    return this.#bytes[this.#position] === tag ? this.next() : undefined;
  }

  /** A reader of what is in the next element. */
  within(tag: number): DerReader {
    return new DerReader(this.next(tag).content);
  }

  /** @throws OperatorError DER_MALFORMED when something is left. */
  end(): void {
    if (!this.done) throw malformed('something after the end');
  }

  #byte(): number {
    const byte = this.#bytes[this.#position];
    if (byte === undefined) throw malformed('the end within an element');
    this.#position++;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const size = first & 0x7f;
    if (size === 0 || size > 4) throw malformed('a length that is indefinite or too large');
    let length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 256 ** (size - 1)) throw malformed('a length not in its shortest form');
    return length;
  }
}

/** An OBJECT IDENTIFIER in dotted form. */
export function oidOf({ content }: Element): string {
  const arcs: number[] = [];
  let arc = 0;
  let open = false;
  for (const byte of content) {
    if (!open && byte === 0x80) throw malformed('an identifier not in its shortest form');
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw malformed('an identifier with too large a number');
    open = byte >= 0x80;
    if (open) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [first] = arcs;
  if (open || first === undefined) throw malformed('an identifier that is cut off');
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...arcs.slice(1)].join('.');
}

export function booleanOf({ content }: Element): boolean {
  const [value] = content;
  if (content.length !== 1 || (value !== 0 && value !== 0xff)) throw malformed('a truth value that is none');
  return value === 0xff;
}

/** The bytes of a BIT STRING. Bits that are not used are zero in DER, or readers would disagree on whether they count. */
export function bitsOf({ content }: Element): Buffer {
  const [unused = 8] = content;
  const bits = content.subarray(1);
  const last = bits.at(-1) ?? 0;
  if (unused > 7 || (bits.length === 0 && unused > 0) || (last & ((1 << unused) - 1)) !== 0)
    throw malformed('a row of bits that is none');
  return bits;
}

/** An INTEGER that is small and not negative. */
export function countOf({ content }: Element): number {
  const [first = 0x80, second = 0x80] = content;
  const shortest = content.length === 1 || first !== 0 || second >= 0x80;
  if (content.length === 0 || content.length > 4 || first >= 0x80 || !shortest)
    throw malformed('a count that is none');
  return content.readUIntBE(0, content.length);
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** A time in the two forms of RFC 5280, in milliseconds since the epoch. */
export function timeOf({ tag, content }: Element): number {
  const text = content.toString('latin1');
  const form = tag === TAG.utcTime ? UTC_TIME : tag === TAG.generalizedTime ? GENERALIZED_TIME : undefined;
  const parts = form?.exec(text)?.slice(1).map(Number);
  if (parts === undefined) throw malformed('a time that is none');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const fullYear = tag === TAG.utcTime ? year + (year >= 50 ? 1900 : 2000) : year;
  const time = new Date(0);
  time.setUTCFullYear(fullYear, month - 1, day);
  time.setUTCHours(hour, minute, second);
  // A day such as 31 February would silently be another one.
  const exact = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && time.getUTCHours() === hour;
  if (!exact || minute > 59 || second > 59) throw malformed('a time that does not exist');
  return time.getTime();
}

export function malformed(what: string): OperatorError {
  return new OperatorError('DER_MALFORMED', `The encoding holds ${what}`);
}
