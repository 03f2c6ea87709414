/** The few shapes of DER (ITU-T X.690) that a certificate is made of. Writing only; certificates are read by Node. */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

export function sequence(...members: readonly Buffer[]): Buffer {
  return element(TAG.sequence, ...members);
}

/** Of one member: those of several would have to be sorted. */
export function setOf(member: Buffer): Buffer {
  return element(TAG.set, member);
}

/** `[tag]` around whole elements, as EXPLICIT says. */
export function explicit(tag: number, ...members: readonly Buffer[]): Buffer {
  return element(0xa0 | tag, ...members);
}

/** `[tag]` in the place of a primitive type's own tag, as IMPLICIT says. */
export function implicit(tag: number, content: Buffer): Buffer {
  return element(0x80 | tag, content);
}

export function yes(): Buffer {
  return element(TAG.boolean, Buffer.of(0xff));
}

/** A number that is not negative, its most significant byte first. */
export function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Buffer.of(0) : bytes.subarray(first);
  // A set first bit would make it negative.
  const isHigh = (digits[0] ?? 0) > 0x7f;
  return isHigh ? element(TAG.integer, Buffer.of(0), digits) : element(TAG.integer, digits);
}

/** @param unused how many of the last byte's bits do not count. */
export function bitString(bytes: Buffer, unused = 0): Buffer {
  return element(TAG.bitString, Buffer.of(unused), bytes);
}

export function octetString(bytes: Buffer): Buffer {
  return element(TAG.octetString, bytes);
}

export function utf8String(text: string): Buffer {
  return element(TAG.utf8String, Buffer.from(text, 'utf8'));
}

/** @param dotted such as `2.5.4.3`. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(TAG.objectIdentifier, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** In whole seconds, in the form that RFC 5280 4.1.2.5 asks for: two digits for the year until 2049. */
export function time(ms: number): Buffer {
  const digits = `${new Date(ms).toISOString().slice(0, 19).replace(/\D/g, '')}Z`;
  return Number(digits.slice(0, 4)) < 2050
    ? element(TAG.utcTime, Buffer.from(digits.slice(2)))
    : element(TAG.generalizedTime, Buffer.from(digits));
}

function element(tag: number, ...contents: readonly Buffer[]): Buffer {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(length)]), ...contents]);
}

function lengthOf(length: number): readonly number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return [0x80 | bytes.length, ...bytes];
}

/** Seven bits a byte, the first bit set in all but the last. */
function base128(value: number): readonly number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift(0x80 | (rest & 0x7f));
  return bytes;
}
