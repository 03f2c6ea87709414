import { crc32 } from 'node:zlib';
import { crc32Combine } from './crc32.ts';
import { deflated, type Deflated } from './deflate.ts';

/** Plain bytes, or something that is kept compressed, such as a segment. */
export type GzipPart = Uint8Array | { readonly bytes: number; deflated(): Promise<Deflated> };

/** Plain parts up to so many bytes go uncompressed: they are the commas and brackets between segments. */
const MAX_STORED = 256;
/** Parts that are compressed ahead, in as many threads as the pool has; each needs some 300 KB meanwhile. */
const AHEAD = 4;

/** Deflate, no name and no time, by the fastest way, by an unknown system (RFC 1952, section 2.3). */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255);
/** The last block: compressed by the fixed code, and empty. */
const LAST_BLOCK = Uint8Array.of(3, 0);

/**
 * One member of gzip out of parts of which most are compressed already. One, since browsers ignore what follows the
 * first. The pieces that come are shared with other answers: nobody may change them.
 */
export async function gzipOf(parts: readonly GzipPart[]): Promise<readonly Uint8Array[]> {
  const coming: Promise<Deflated>[] = [];
  const pieces: Uint8Array[] = [HEADER];
  let crc = 0;
  let bytes = 0;
  for (const [i, part] of parts.entries()) {
    while (coming.length < parts.length && coming.length <= i + AHEAD)
      coming.push(begun(parts[coming.length]));
    const compressed = await coming[i];
    if (compressed === undefined) continue;
    const length = part instanceof Uint8Array ? part.length : part.bytes;
    pieces.push(compressed.blocks);
    crc = crc32Combine(crc, compressed.crc, length);
    bytes += length;
  }
  pieces.push(LAST_BLOCK, trailer(crc, bytes));
  return pieces;
}

function begun(part: GzipPart = new Uint8Array()): Promise<Deflated> {
  const compressed = compress(part);
  // Whoever waits for it is told. Until then, when an earlier part has failed, nobody may.
  compressed.catch(() => undefined);
  return compressed;
}

function compress(part: GzipPart): Promise<Deflated> {
  if (!(part instanceof Uint8Array)) return part.deflated();
  return part.length <= MAX_STORED
    ? Promise.resolve({ blocks: stored(part), crc: crc32(part) })
    : deflated(part);
}

/** A block that holds the bytes as they are (RFC 1951, section 3.2.4). It begins on a byte, as all blocks here do. */
function stored(plain: Uint8Array): Uint8Array {
  if (plain.length === 0) return plain;
  const block = Buffer.allocUnsafe(5 + plain.length);
  block[0] = 0;
  block.writeUInt16LE(plain.length, 1);
  block.writeUInt16LE(~plain.length & 0xffff, 3);
  block.set(plain, 5);
  return block;
}

function trailer(crc: number, bytes: number): Uint8Array {
  const end = Buffer.allocUnsafe(8);
  end.writeUInt32LE(crc, 0);
  end.writeUInt32LE(bytes % 2 ** 32, 4);
  return end;
}
