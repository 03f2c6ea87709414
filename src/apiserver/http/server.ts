import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { ReadinessCheck } from '../../telemetry/health.ts';
import type { Authenticator } from '../auth/authenticate.ts';
import type { Authorizer } from '../auth/authorize.ts';
import type { ServingCertificate } from '../certificates.ts';
import { serveCertificates, TLS_OPTIONS } from './certificate.ts';
import { answerClientError } from './clienterror.ts';
import { drain, type DrainOptions, type Phase } from './drain.ts';
import { Health } from './health.ts';
import { defaultLimits, type ServerLimits } from './limits.ts';
import type { HttpMetrics } from './metrics.ts';
import { Pipeline } from './pipeline.ts';
import { Recorder } from './recorder.ts';
import { Traffic } from './traffic.ts';
import type { Handler } from './types.ts';

export interface ApiServerOptions {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  /** Answers for the resources of the group, also for those that do not exist. */
  readonly resources: Handler;
  /** Answers for every other path. */
  readonly discovery: Handler;
  /** What must hold for this process to be ready. */
  readonly checks: readonly ReadinessCheck[];
  readonly certificates: Pick<ServingCertificate, 'current' | 'onChange'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: HttpMetrics;
  readonly limits?: Partial<ServerLimits>;
}

/** Between two looks for connections on which too little comes, in milliseconds. */
const CONNECTIONS_CHECK_MS = 5_000;
/** TCP asks an idle peer whether it is still there after so long, in milliseconds. */
const TCP_KEEP_ALIVE_MS = 30_000;

/**
 * The endpoint's server: HTTP/1.1 over TLS. One connection holds one request or watch at a time, so that a slow reader
 * slows nobody else, and a Service spreads them over the replicas.
 *
 * Client certificates are asked for and handed on, but not judged by TLS: there are several CAs with different meanings,
 * and TLS could only tell that one of them has signed.
 */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #limits: ServerLimits;
  readonly #server: Server;
  readonly #traffic = new Traffic();
  readonly #sockets = new Set<Socket>();
  readonly #pipeline: Pipeline;
  #phase: Phase = 'serving';
  #stopCertificates: (() => void) | undefined;

  constructor(options: ApiServerOptions) {
    const { metrics } = options;
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#pipeline = new Pipeline({
      ...options,
      limits: this.#limits,
      health: new Health({ checks: options.checks, isLeaving: () => this.#phase !== 'serving' }),
      series: () => this.#series(),
      phase: () => this.#phase,
      traffic: this.#traffic,
      recorder: new Recorder({ ...options, metrics }),
    });
    this.#server = this.#createServer();
  }

  /**
   * Listens, at once: before there is a certificate every handshake fails.
   *
   * @param port 0 takes a free one.
   * @returns the port.
   */
  async listen(host: string, port: number): Promise<number> {
    const { certificates, logger, metrics } = this.#options;
    const onExpires = (seconds: number): void => metrics.certificateExpires.set(seconds);
    this.#stopCertificates = serveCertificates(this.#server, { certificates, logger, onExpires });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#server.on('error', (error) => logger.error('the server cannot take a connection', { error }));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends the server without a failed request. Never rejects. */
  drain(options: DrainOptions = {}): Promise<void> {
    const { clock, logger } = this.#options;
    return drain(
      {
        traffic: this.#traffic,
        clock,
        logger,
        enter: (phase) => {
          this.#phase = phase;
        },
        closeIdle: () => this.#server.closeIdleConnections(),
        close: () => this.close(),
      },
      options,
    );
  }

  /** Stops listening and breaks every connection. */
  async close(): Promise<void> {
    this.#stopCertificates?.();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const exchange of this.#traffic.exchanges) exchange.abort(new Error('the process ends'));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #createServer(): Server {
    const { headerBytes, handshakeMs, headerMs, requestMs, keepAliveMs, connections } = this.#limits;
    const { metrics } = this.#options;
    const server = createServer({
      ...TLS_OPTIONS,
      ALPNProtocols: ['http/1.1'],
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: handshakeMs,
      maxHeaderSize: headerBytes,
      headersTimeout: Math.min(headerMs, requestMs),
      requestTimeout: requestMs,
      connectionsCheckingInterval: Math.min(CONNECTIONS_CHECK_MS, headerMs),
      keepAliveTimeout: keepAliveMs,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      noDelay: true,
    });
    server.maxConnections = connections;
    // Node would drop the fields beyond its limit without a word: groups of a user among them. The bytes are limited.
    server.maxHeadersCount = 0;
    server.on('request', (request, response) => this.#pipeline.handle(request, response));
    server.on('upgrade', (request, socket, head) => this.#pipeline.upgrade(request, socket, head));
    server.on('clientError', (error: Error, socket: Duplex) =>
      answerClientError(error, socket, this.#traffic.isOn(socket)),
    );
    server.on('tlsClientError', () => metrics.tlsHandshakeErrors.inc());
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('drop', () => {
      metrics.connectionsRefused.inc();
      // The ones that nobody uses make room for those who come next.
      server.closeIdleConnections();
    });
    return server;
  }

  async #series(): Promise<{ readonly text: string; readonly contentType: string }> {
    const { registry, inFlight } = this.#options.metrics;
    inFlight.set({ request_kind: 'readOnly' }, this.#pipeline.inFlight);
    return { text: await registry.metrics(), contentType: registry.contentType };
  }
}
