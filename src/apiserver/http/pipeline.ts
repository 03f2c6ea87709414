import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import { abortable } from '../../kube/deadline.ts';
import type { Authenticator } from '../auth/authenticate.ts';
import { isMaster, type Authorizer } from '../auth/authorize.ts';
import { noBody, textBody } from './body.ts';
import { Connections } from './connection.ts';
import type { Phase } from './drain.ts';
import { parseDuration } from './duration.ts';
import { errorAnswer, internalError, tooManyRequests } from './errors.ts';
import { Exchange } from './exchange.ts';
import type { Health } from './health.ts';
import { InFlight } from './inflight.ts';
import { isOurs } from './labels.ts';
import type { ServerLimits } from './limits.ts';
import { wantsPretty } from './negotiate.ts';
import { Pacer } from './pacer.ts';
import { writeRawAnswer } from './rawanswer.ts';
import type { Outcome, Recorder } from './recorder.ts';
import { discardBody, hasBody, refuseDeclaredTooLarge } from './requestbody.ts';
import { AnswerWriter, type Headers } from './respond.ts';
import { StatusError } from './status.ts';
import type { Traffic } from './traffic.ts';
import type { Answer, Handler, UserInfo, WatchAnswer, WholeAnswer } from './types.ts';
import { Watches } from './watches.ts';
import { handshakeOf } from './websocket.ts';

export interface PipelineOptions {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  /** Asked about the resources of this endpoint, also those that do not exist. */
  readonly resources: Handler;
  /** Asked about everything else. */
  readonly discovery: Handler;
  readonly health: Health;
  /** Answers /metrics: the text and its type. */
  readonly series: () => Promise<{ readonly text: string; readonly contentType: string }>;
  readonly phase: () => Phase;
  readonly traffic: Traffic;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: ServerLimits;
}

const METRICS_PATH = '/metrics';

/** Seconds after which a client should try again: when there is too much to do, and when another replica takes over. */
const RETRY_BUSY_S = 1;
const RETRY_LEAVING_S = 5;

/**
 * What every request goes through: its target is read; health is answered; its time begins to run; who asks is found
 * out; there must be a place for it; whether he may is found out; then it is answered. Whatever fails becomes a Status.
 * No failure of one request reaches another one, or ends the process.
 */
export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #connections = new Connections();
  readonly #inFlight: InFlight;
  readonly #writer: AnswerWriter;
  readonly #watches: Watches;

  constructor(options: PipelineOptions) {
    const { clock, limits, recorder, traffic } = options;
    this.#options = options;
    this.#inFlight = new InFlight(limits.inFlight);
    this.#writer = new AnswerWriter({ pacer: new Pacer(clock), compressions: limits.compressions });
    this.#watches = new Watches({ clock, maxUnsentBytes: limits.maxUnsentBytes, recorder, traffic });
  }

  /** Requests that are being answered, watches left out. */
  get inFlight(): number {
    return this.#inFlight.count;
  }

  /** Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const exchange = this.#begin(request);
    // Writing to a client that has gone is no fault of ours; 'close' tells of it.
    response.on('error', () => undefined);
    response.once('close', () => {
      const { headersSent, statusCode, writableFinished } = response;
      const length = response.getHeader('content-length');
      this.#end(exchange, {
        code: headersSent ? statusCode : undefined,
        isWhole: writableFinished,
        bytes: length === undefined ? undefined : Number(length),
      });
    });
    this.#serve(exchange, response).catch((error: unknown) => {
      this.#options.logger.error('an answer could not be written', { auditId: exchange.auditId, error });
      response.destroy();
    });
  }

  /** The same for a request that wants to go on in another protocol, of which WebSockets are known. Never throws. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    socket.on('error', () => socket.destroy());
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return;
    }
    const exchange = this.#begin(request);
    let code: number | undefined;
    socket.once('close', () => this.#end(exchange, { code, isWhole: false, bytes: undefined }));
    this.#serveUpgrade(exchange, socket, head).then(
      (answered) => (code = answered),
      (error: unknown) => {
        this.#options.logger.error('an answer could not be written', { auditId: exchange.auditId, error });
        socket.destroy();
      },
    );
  }

  #begin(request: IncomingMessage): Exchange {
    const exchange = new Exchange(request, this.#options.clock);
    this.#options.traffic.begin(exchange);
    return exchange;
  }

  #end(exchange: Exchange, outcome: Outcome): void {
    const { recorder, traffic } = this.#options;
    exchange.finish(outcome.isWhole);
    traffic.end(exchange);
    recorder.done(exchange, outcome);
  }

  async #serve(exchange: Exchange, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#answer(exchange, () => {
        // Too late for a Status: what has gone out cannot be taken back.
        if (response.headersSent) response.destroy();
      });
      if (!isWatch(answer)) await this.#write(exchange, response, answer);
      else if (exchange.request.method === 'HEAD') await this.#write(exchange, response, headOf(answer));
      else this.#watches.open(exchange, { response, answer, headers: this.#headers(exchange) });
    } catch (error) {
      if (response.destroyed) return;
      const status = this.#statusOf(exchange, error);
      if (response.headersSent || status === undefined) response.destroy();
      else await this.#write(exchange, response, errorAnswer(status));
    }
  }

  /** @returns the code of the answer. */
  async #serveUpgrade(exchange: Exchange, socket: Socket, head: Uint8Array): Promise<number | undefined> {
    try {
      if (!exchange.isLongRunning && exchange.fault === undefined) {
        throw new StatusError('BadRequest', 'only a watch can be read through a WebSocket');
      }
      const handshake = handshakeOf(exchange.request);
      const answer = await this.#answer(exchange, () => undefined);
      if (!isWatch(answer)) throw new StatusError('BadRequest', 'this is no watch');
      const headers = this.#headers(exchange);
      this.#watches.openWebSocket(exchange, { socket, head, handshake, answer, headers });
      return 101;
    } catch (error) {
      const status = this.#statusOf(exchange, error);
      if (status === undefined) {
        socket.destroy();
        return undefined;
      }
      writeRawAnswer(socket, errorAnswer(status), this.#headers(exchange));
      return status.httpCode;
    }
  }

  /**
   * Answers as soon as the exchange is aborted, even when somebody does not listen to its signal.
   *
   * @param onExpired called when the time is over.
   */
  async #answer(exchange: Exchange, onExpired: () => void): Promise<Answer> {
    const { info, query, fault, request } = exchange;
    if (fault !== undefined) throw fault;
    const health = this.#options.health.answer(info.path, query);
    if (health !== undefined) {
      exchange.isProbe = true;
      refuseOtherThanRead(request);
      return health;
    }
    if (this.#options.phase() === 'rejecting' && info.path !== METRICS_PATH) {
      throw tooManyRequests('the endpoint is shutting down, please try again later', RETRY_LEAVING_S);
    }
    if (!exchange.isLongRunning) this.#startDeadline(exchange, onExpired);
    refuseDeclaredTooLarge(request, this.#options.limits.bodyBytes);
    return abortable(this.#admitted(exchange), exchange.signal);
  }

  async #admitted(exchange: Exchange): Promise<Answer> {
    const { authenticator, authorizer, limits } = this.#options;
    const { request, info, query, signal } = exchange;
    if (request.rawHeaders.length > 2 * limits.headerPairs) {
      throw new StatusError('BadRequest', `the request has more than ${limits.headerPairs} header fields`);
    }
    const connection = this.#connections.of(request.socket);
    const user = await authenticator.authenticate(connection, request.rawHeaders, signal);
    exchange.user = user;
    this.#takePlace(exchange, user);
    await authorizer.authorize(user, info, query, signal);
    if (hasBody(request)) await discardBody(request, limits.bodyBytes);
    return info.path === METRICS_PATH ? this.#metrics(request) : this.#handled(exchange);
  }

  #takePlace(exchange: Exchange, user: UserInfo): void {
    exchange.signal.throwIfAborted();
    if (exchange.isLongRunning) return;
    exchange.release = this.#inFlight.enter(isMaster(user));
    if (exchange.release === undefined) {
      throw tooManyRequests('Too many requests, please try again later.', RETRY_BUSY_S);
    }
  }

  #handled({ request, info, query, signal }: Exchange): Promise<Answer> {
    const { resources, discovery } = this.#options;
    const { headers } = request;
    return (isOurs(info) ? resources : discovery).handle({
      method: request.method ?? '',
      info,
      query,
      accept: headers.accept,
      ifNoneMatch: headers['if-none-match'],
      userAgent: headers['user-agent'],
      signal,
    });
  }

  async #metrics(request: IncomingMessage): Promise<WholeAnswer> {
    refuseOtherThanRead(request);
    const { text, contentType } = await this.#options.series();
    return { code: 200, contentType, body: textBody(text) };
  }

  /** @throws StatusError BadRequest for a `timeout` that is no duration. */
  #startDeadline(exchange: Exchange, onExpired: () => void): void {
    const { requestMs } = this.#options.limits;
    const text = exchange.query.get('timeout') ?? '';
    const wanted = text === '' ? 0 : parseDuration(text);
    if (wanted === undefined) {
      const message = `invalid timeout specified in the request URL: ${JSON.stringify(text.slice(0, 64))}`;
      throw new StatusError('BadRequest', message);
    }
    exchange.startDeadline(wanted > 0 ? Math.min(wanted, requestMs) : requestMs, onExpired);
  }

  #write(exchange: Exchange, response: ServerResponse, answer: WholeAnswer): Promise<void> {
    const { request, query, signal } = exchange;
    const { accept, 'user-agent': userAgent, 'accept-encoding': acceptEncoding } = request.headers;
    return this.#writer.write(response, answer, {
      method: request.method ?? '',
      acceptEncoding,
      pretty: wantsPretty(accept, { userAgent, pretty: query.get('pretty') }),
      headers: this.#headers(exchange),
      signal,
    });
  }

  /** Of every answer. */
  #headers({ auditId, request }: Exchange): Headers {
    // What is left of a body that nobody reads would be taken for the next request.
    const isUnread = hasBody(request) && !request.complete;
    const isLast = isUnread || this.#options.phase() !== 'serving';
    return { 'audit-id': auditId, ...(isLast ? { connection: 'close' } : {}) };
  }

  /** What the client is told of a failure; undefined when it has gone. */
  #statusOf(exchange: Exchange, error: unknown): StatusError | undefined {
    if (error instanceof StatusError) return error;
    const { auditId, signal, info } = exchange;
    if (signal.aborted) return signal.reason instanceof StatusError ? signal.reason : undefined;
    this.#options.logger.error('a request failed', { auditId, verb: info.verb, path: info.path, error });
    return internalError(auditId, error);
  }
}

function isWatch(answer: Answer): answer is WatchAnswer {
  return 'start' in answer;
}

/** What of a watch there is without its events. */
function headOf({ headers = {} }: WatchAnswer): WholeAnswer {
  return { code: 200, headers, body: noBody };
}

/** @throws StatusError MethodNotAllowed */
function refuseOtherThanRead({ method }: IncomingMessage): void {
  if (method === 'GET' || method === 'HEAD') return;
  throw new StatusError('MethodNotAllowed', 'only GET is served here', { headers: { allow: 'GET, HEAD' } });
}
