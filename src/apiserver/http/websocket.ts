import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { isBearerProtocol } from '../auth/bearer.ts';
import type { Frames } from './frames.ts';
import { headText } from './rawanswer.ts';
import { hasBody } from './requestbody.ts';
import type { Headers } from './respond.ts';
import { StatusError } from './status.ts';
import { StreamSink, type SinkShared } from './watchsink.ts';
import { CLOSE_CODE, closeFrame, FrameReader, frameOf, OPCODE, ProtocolError } from './wsframes.ts';

/** What a client and this server agree on before the first frame. */
export interface Handshake {
  readonly accept: string;
  /** The one protocol that is chosen; undefined when the client offered none. */
  readonly protocol: string | undefined;
}

const VERSION = '13';
/** Of RFC 6455, section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Checks the request for a WebSocket.
 *
 * Of the protocols a client offers the first is chosen, since events look the same in all of them; never the one by
 * which a browser brings its token.
 *
 * @throws StatusError BadRequest
 */
export function handshakeOf(request: IncomingMessage): Handshake {
  const { headers } = request;
  const key = headers['sec-websocket-key'] ?? '';
  if (request.method !== 'GET' || request.httpVersion !== '1.1') {
    throw refusal('it has to be a GET of HTTP/1.1');
  }
  if (hasBody(request)) throw refusal('it has a body');
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw refusal('no other protocol is known here');
  if (headers['sec-websocket-version'] !== VERSION) throw refusal(`only version ${VERSION} is known here`);
  if (Buffer.from(key, 'base64').byteLength !== 16) throw refusal('its key is not 16 bytes in base64');
  const accept = createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64');
  return { accept, protocol: chosenProtocol(headers['sec-websocket-protocol']) };
}

function refusal(why: string): StatusError {
  const headers = { 'sec-websocket-version': VERSION };
  return new StatusError('BadRequest', `the connection cannot become a WebSocket: ${why}`, { headers });
}

function chosenProtocol(offered: string | undefined): string | undefined {
  const protocols = (offered ?? '').split(',').map((protocol) => protocol.trim());
  return protocols.find((protocol) => TOKEN.test(protocol) && !isBearerProtocol(protocol));
}

export interface WebSocketSinkOptions extends SinkShared {
  readonly socket: Socket;
  /** What came with the request already. */
  readonly head: Uint8Array;
  readonly handshake: Handshake;
  readonly frames: Frames;
  readonly headers: Headers;
}

/** Frames of text messages; one event each. */
export function textFrame(event: Uint8Array): Uint8Array {
  return frameOf(OPCODE.text, event);
}

/** Answers the handshake and begins a watch whose events are text messages. What the client says is thrown away. */
export function openWebSocketSink(options: WebSocketSinkOptions): StreamSink {
  const { socket, head, handshake, headers, ...shared } = options;
  const { accept, protocol } = handshake;
  socket.write(
    headText(101, {
      ...headers,
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-accept': accept,
      ...(protocol === undefined ? {} : { 'sec-websocket-protocol': protocol }),
    }),
  );
  const close = (code: number): void => {
    if (socket.writable) socket.end(closeFrame(code));
  };
  const sink = new StreamSink({ ...shared, socket, finish: () => close(CLOSE_CODE.normal) });
  const reader = new FrameReader((opcode, payload) => {
    if (opcode === OPCODE.close) sink.end();
    else if (opcode === OPCODE.ping) sink.sendFrame(frameOf(OPCODE.pong, payload));
  });
  const read = (chunk: Uint8Array): void => {
    try {
      reader.push(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      socket.off('data', read).resume();
      sink.end(() => close(CLOSE_CODE.protocolError));
    }
  };
  socket.on('data', read);
  socket.once('end', () => sink.end());
  socket.once('close', () => sink.closed());
  read(head);
  return sink;
}
