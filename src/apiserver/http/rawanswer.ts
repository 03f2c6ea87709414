import { STATUS_CODES, validateHeaderValue } from 'node:http';
import type { Socket } from 'node:net';
import { joinedPieces } from './pieces.ts';
import type { Headers } from './respond.ts';
import type { WholeAnswer } from './types.ts';

/**
 * The head of an answer as it goes over the wire, for sockets that Node's HTTP server has given away.
 *
 * @throws TypeError for a value that cannot be one of a header.
 */
export function headText(code: number, headers: Headers): string {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map((one: string) => {
      validateHeaderValue(name, one);
      return `${name}: ${one}`;
    }),
  );
  return [`HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ''}`, ...lines, '', ''].join('\r\n');
}

/** Writes a small answer and closes the connection after it. */
export function writeRawAnswer(socket: Socket, answer: WholeAnswer, headers: Headers): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = joinedPieces(answer.body.pieces);
  const head = headText(answer.code, {
    'content-type': answer.contentType ?? 'application/json',
    'cache-control': 'no-cache, private',
    'x-content-type-options': 'nosniff',
    ...headers,
    ...answer.headers,
    'content-length': String(body.byteLength),
    connection: 'close',
  });
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
  socket.destroySoon();
}
