import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { jsonBody } from './body.ts';
import { writeRawAnswer } from './rawanswer.ts';

/** What Node says when it gives a connection up, and what the client is told. */
const FAULTS: ReadonlyMap<string, { readonly code: number; readonly message: string }> = new Map([
  ['HPE_HEADER_OVERFLOW', { code: 431, message: 'the header of the request is too large' }],
  ['ERR_HTTP_REQUEST_TIMEOUT', { code: 408, message: 'the request did not come in time' }],
]);
const MALFORMED = { code: 400, message: 'the request is not HTTP/1.1 as it has to be' };

/**
 * Answers what could not even be read as a request.
 *
 * @param isBusy another answer is under way on the connection: then there is no place for this one.
 */
export function answerClientError(error: Error, socket: Duplex, isBusy: boolean): void {
  const errorCode = 'code' in error ? String(error.code) : '';
  const fault = FAULTS.get(errorCode) ?? (errorCode.startsWith('HPE_') ? MALFORMED : undefined);
  if (!(socket instanceof Socket) || isBusy || fault === undefined) {
    socket.destroy();
    return;
  }
  const { code, message } = fault;
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
  const body = jsonBody({ ...status, message, reason: 'BadRequest', code });
  writeRawAnswer(socket, { code, body }, {});
}
