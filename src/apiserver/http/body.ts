import type { Body } from './types.ts';

/** A body that is there in one piece. */
export function bytesBody(piece: Uint8Array): Body {
  return { bytes: piece.byteLength, pieces: [piece] };
}

export function jsonBody(value: unknown): Body {
  return bytesBody(Buffer.from(JSON.stringify(value)));
}

export function textBody(text: string): Body {
  return bytesBody(Buffer.from(text));
}

/** Answers by their code alone have none. */
export const noBody: Body = { bytes: 0, pieces: [] };
