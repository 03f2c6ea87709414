import type { IncomingMessage } from 'node:http';
import { StatusError } from './status.ts';

/** Whether the request brings one. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || declaredBytes(headers['content-length']) > 0;
}

/** @throws StatusError RequestEntityTooLarge when the header promises more than `limit` bytes. */
export function refuseDeclaredTooLarge({ headers }: IncomingMessage, limit: number): void {
  if (declaredBytes(headers['content-length']) > limit) throw tooLarge(limit);
}

/**
 * Reads the body and throws it away: no verb that takes one is served here. It is read all the same, for as long as it
 * is within the limit, since many clients look for the answer only when they have sent everything.
 *
 * @throws StatusError RequestEntityTooLarge when there is more than `limit` bytes of it, BadRequest when it breaks off.
 */
export function discardBody(request: IncomingMessage, limit: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes <= limit) return;
      request.pause();
      reject(tooLarge(limit));
    });
    request.once('end', resolve);
    request.once('error', () => reject(new StatusError('BadRequest', 'the body of the request broke off')));
  });
}

function declaredBytes(contentLength: string | undefined): number {
  return contentLength === undefined ? 0 : Number(contentLength);
}

function tooLarge(limit: number): StatusError {
  return new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
}
