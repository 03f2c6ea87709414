/** The polynomial of CRC-32, the lowest bit being the highest power (RFC 1952, section 8). */
const POLYNOMIAL = 0xedb88320;
/** The polynomial 1 in the same order of bits. */
const ONE = 0x80000000;

/** x^(2^k) modulo the polynomial, at k. The powers repeat after 32. */
const SQUARES: Uint32Array = squares();

/**
 * The CRC-32 of two pieces one after the other, from that of each: appending n zero bits multiplies the first by x^n,
 * and what two pieces have in common with zeros elsewhere adds up.
 *
 * @param secondBytes length of the second piece.
 */
export function crc32Combine(first: number, second: number, secondBytes: number): number {
  return (product(powerOfX(secondBytes * 8), first) ^ second) >>> 0;
}

/** x^bits modulo the polynomial. */
function powerOfX(bits: number): number {
  let power = ONE;
  for (let k = 0, rest = bits; rest > 0; k++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = product(SQUARES[k % 32] ?? ONE, power);
  }
  return power;
}

/** The product of two polynomials over the field of two elements, modulo the polynomial. */
function product(a: number, b: number): number {
  let sum = 0;
  let shifted = b;
  for (let rest = a; rest !== 0; rest <<= 1) {
    if ((rest & ONE) !== 0) sum ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ POLYNOMIAL;
  }
  return sum >>> 0;
}

function squares(): Uint32Array {
  const table = new Uint32Array(32);
  // x itself.
  table[0] = ONE >>> 1;
  for (let k = 1; k < table.length; k++) {
    const last = table[k - 1] ?? ONE;
    table[k] = product(last, last);
  }
  return table;
}
