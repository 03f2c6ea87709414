/**
 * How much of an answer is made and handed to TLS in one go, in bytes. Small enough that many answers share the loop
 * and that a slow reader holds little; large enough that the cost of a turn does not show.
 */
export const PIECE_BYTES = 128 * 1024;

/** The same bytes in pieces of about PIECE_BYTES: small ones are joined, large ones cut. */
export function* evenPieces(pieces: Iterable<Uint8Array>): Generator<Uint8Array, void> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    if (bytes > 0 && bytes + piece.byteLength > PIECE_BYTES) {
      yield joined(gathered, bytes);
      gathered = [];
      bytes = 0;
    }
    if (piece.byteLength > PIECE_BYTES) {
      yield* slices(piece);
    } else if (piece.byteLength > 0) {
      gathered.push(piece);
      bytes += piece.byteLength;
    }
  }
  if (bytes > 0) yield joined(gathered, bytes);
}

/** All of it in one piece; for what is known to be small. */
export function joinedPieces(pieces: Iterable<Uint8Array>): Uint8Array {
  const all = [...pieces];
  return joined(
    all,
    all.reduce((bytes, piece) => bytes + piece.byteLength, 0),
  );
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const [first] = pieces;
  return first !== undefined && pieces.length === 1 ? first : Buffer.concat(pieces, bytes);
}

function* slices(piece: Uint8Array): Generator<Uint8Array, void> {
  for (let start = 0; start < piece.byteLength; start += PIECE_BYTES) {
    yield piece.subarray(start, start + PIECE_BYTES);
  }
}
