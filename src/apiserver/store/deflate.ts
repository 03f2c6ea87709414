import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';

/** A piece of a body, compressed apart from its neighbours. */
export interface Deflated {
  /** Whole blocks of deflate that end on a byte, refer to nothing before them and are not the last of a stream. */
  readonly blocks: Uint8Array;
  /** Of the plain bytes. */
  readonly crc: number;
}

/** For objects like ours it takes as long as 1 and makes less of them; the dearer levels gain next to nothing. */
const LEVEL = 2;

const deflateRawAsync = promisify(deflateRaw);

/** Compresses in the thread pool. */
export async function deflated(plain: Uint8Array): Promise<Deflated> {
  // Ended by a sync flush, after which the blocks of any other piece may follow.
  const blocks = await deflateRawAsync(plain, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH });
  // A copy, since what comes is the beginning of a larger buffer.
  const own = Buffer.allocUnsafeSlow(blocks.length);
  own.set(blocks);
  return { blocks: own, crc: crc32(plain) };
}
