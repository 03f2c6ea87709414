import type { ServerResponse } from 'node:http';
import { finished } from 'node:stream';
import { createGzip } from 'node:zlib';
import { indented } from './indent.ts';
import type { Pacer } from './pacer.ts';
import { joinedPieces } from './pieces.ts';
import { pump } from './pump.ts';
import type { Body, WholeAnswer } from './types.ts';

export type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface AnswerWriterOptions {
  readonly pacer: Pacer;
  /** How many answers are compressed at the same time; beyond that they go out as they are. */
  readonly compressions: number;
}

/** What of the request decides how its answer is written. */
export interface WriteOptions {
  readonly method: string;
  readonly acceptEncoding: string | undefined;
  /** Indented, where it is JSON. */
  readonly pretty: boolean;
  /** Beside those of the answer. */
  readonly headers: Headers;
  readonly signal: AbortSignal;
}

/** Below this, compression costs more than it saves; kube-apiserver's limit. */
const GZIP_ABOVE_BYTES = 128 * 1024;
/** Of Node's zlib. 1 takes a fraction of the time of 6 for nearly the same size. */
const GZIP_LEVEL = 1;

const GZIP_HEADERS: Headers = { 'content-encoding': 'gzip' };

/** Writes answers that are there as a whole. */
export class AnswerWriter {
  readonly #pacer: Pacer;
  readonly #compressions: number;
  #compressing = 0;

  constructor({ pacer, compressions }: AnswerWriterOptions) {
    this.#pacer = pacer;
    this.#compressions = compressions;
  }

  /**
   * Resolves when all of it was handed to the connection.
   *
   * @throws what the body throws, or the reason of the signal. When something had gone out by then, the only way left
   *   to tell the client is to break the connection, which is the caller's part.
   */
  async write(response: ServerResponse, answer: WholeAnswer, options: WriteOptions): Promise<void> {
    const body = await this.#measured(answer.body, options.signal);
    const headers = { ...headersOf(answer), ...options.headers };
    const isPretty = options.pretty && isJson(headers['content-type']);
    if (answer.code === 204 || answer.code === 304) {
      setHead(response, answer.code, headers, {});
      response.end();
    } else if (body.bytes !== undefined && body.bytes <= GZIP_ABOVE_BYTES) {
      const bytes = joinedPieces(isPretty ? indented(body.pieces) : body.pieces);
      setHead(response, answer.code, headers, { 'content-length': String(bytes.byteLength) });
      response.end(bytes);
    } else {
      const vary = { vary: joinedVary(headers['vary']) };
      const { code } = answer;
      await this.#writeLarge(response, { code, body, headers: { ...headers, ...vary }, isPretty }, options);
    }
  }

  /** With its length if that is small: such a body is made here, a larger one only begun. */
  async #measured(body: Body, signal: AbortSignal): Promise<Body> {
    if (body.bytes !== undefined) return body;
    const coming: Iterator<Uint8Array, unknown> = body.pieces[Symbol.iterator]();
    const made: Uint8Array[] = [];
    for (let bytes = 0; bytes <= GZIP_ABOVE_BYTES;) {
      signal.throwIfAborted();
      const next = await this.#pacer.run(() => coming.next());
      if (next.done === true) return { bytes, pieces: made };
      made.push(next.value);
      bytes += next.value.byteLength;
    }
    return { bytes: undefined, pieces: continued(made, coming) };
  }

  async #writeLarge(
    response: ServerResponse,
    { code, body, headers, isPretty }: LargeAnswer,
    { method, acceptEncoding, signal }: WriteOptions,
  ): Promise<void> {
    const bytes = isPretty ? undefined : body.bytes;
    const length = bytes === undefined ? {} : { 'content-length': String(bytes) };
    const pieces = isPretty ? indented(body.pieces) : body.pieces;
    if (method === 'HEAD') {
      setHead(response, code, headers, length);
      response.end();
      return;
    }
    const isGzip = acceptsGzip(acceptEncoding);
    if (isGzip && !isPretty && body.gzip !== undefined) {
      const parts = await body.gzip();
      const packed = parts.reduce((sum, part) => sum + part.byteLength, 0);
      setHead(response, code, headers, { ...GZIP_HEADERS, 'content-length': String(packed) });
      await this.#writeSized(response, { bytes: packed, pieces: parts }, signal);
    } else if (isGzip && this.#compressing < this.#compressions) {
      setHead(response, code, headers, GZIP_HEADERS);
      await this.#compress(response, pieces, signal);
    } else {
      setHead(response, code, headers, length);
      await this.#writeSized(response, { bytes, pieces }, signal);
    }
  }

  async #writeSized(
    response: ServerResponse,
    { bytes, pieces }: Pick<Body, 'bytes' | 'pieces'>,
    signal: AbortSignal,
  ): Promise<void> {
    const written = await pump(pieces, response, { pacer: this.#pacer, signal });
    if (bytes !== undefined && written !== bytes) {
      throw new Error(`a body of ${bytes} bytes turned out to have ${written}`);
    }
    response.end();
  }

  async #compress(response: ServerResponse, pieces: Body['pieces'], signal: AbortSignal): Promise<void> {
    const gzip = createGzip({ level: GZIP_LEVEL, chunkSize: 64 * 1024 });
    this.#compressing++;
    finished(gzip, () => this.#compressing--);
    try {
      gzip.pipe(response);
      // A client that goes leaves nobody who would take the rest, also when it goes while the last piece is made.
      response.once('close', () => gzip.destroy());
      await pump(pieces, gzip, { pacer: this.#pacer, signal });
      gzip.end();
    } catch (error) {
      gzip.unpipe(response).destroy();
      throw error;
    }
  }
}

interface LargeAnswer {
  readonly code: number;
  readonly body: Body;
  readonly headers: Headers;
  readonly isPretty: boolean;
}

/** What was made already, of which nothing is held once it was taken, and then what comes. */
function* continued(made: Uint8Array[], coming: Iterator<Uint8Array, unknown>): Generator<Uint8Array, void> {
  for (let piece = made.shift(); piece !== undefined; piece = made.shift()) yield piece;
  for (let next = coming.next(); next.done !== true; next = coming.next()) yield next.value;
}

/** Of every answer of this server: nothing of it may be kept by anybody on the way, unless it says otherwise. */
function headersOf({ code, contentType = 'application/json', headers }: WholeAnswer): Headers {
  return {
    'content-type': contentType,
    'cache-control': 'no-cache, private',
    ...(code >= 400 ? { 'x-content-type-options': 'nosniff' } : {}),
    ...headers,
  };
}

/** Sets them anew, so that an error can still take the place of an answer whose first byte could not be made. */
function setHead(response: ServerResponse, code: number, headers: Headers, more: Headers): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.statusCode = code;
  for (const [name, value] of Object.entries({ ...headers, ...more })) {
    if (name === 'content-type' && (code === 204 || code === 304)) continue;
    response.setHeader(name, typeof value === 'string' ? value : [...value]);
  }
}

function isJson(contentType: Headers[string] | undefined): boolean {
  return typeof contentType === 'string' && /^application\/json\s*(;|$)/.test(contentType);
}

function joinedVary(vary: Headers[string] | undefined): string {
  return [vary ?? [], 'Accept-Encoding'].flat().join(', ');
}

/** Whether the header names gzip without refusing it by `q=0`. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  return (acceptEncoding ?? '').split(',').some((token) => {
    const [coding = '', ...params] = token.split(';').map((part) => part.trim().toLowerCase());
    return coding === 'gzip' && !params.some((param) => /^q\s*=\s*0(\.0*)?$/.test(param));
  });
}
