import { MAX_UNSENT_BYTES } from './watchsink.ts';

/** What protects the endpoint from too much of anything. Times are in milliseconds. */
export interface ServerLimits {
  /** Requests that are answered at the same time; watches and system:masters are not counted out. */
  readonly inFlight: number;
  /** How long a request other than a watch may take; kube-apiserver waits no longer either. */
  readonly requestMs: number;
  /** Of the body of a request. */
  readonly bodyBytes: number;
  /** What may wait unsent for one watch. */
  readonly maxUnsentBytes: number;
  /** Answers that are compressed at the same time. */
  readonly compressions: number;
  /** Open connections. Each watch through kube-apiserver has its own. */
  readonly connections: number;
  /** Pairs of a request's header: a user in hundreds of groups has one for each. */
  readonly headerPairs: number;
  /** All of a request's header: kube-apiserver's own limit. */
  readonly headerBytes: number;
  /** How long a client may take for the TLS handshake, and to send a header. */
  readonly handshakeMs: number;
  readonly headerMs: number;
  /**
   * How long a connection may lie idle. More than the 90 s of Go's client, or this server would close connections on
   * which kube-apiserver is about to send a request.
   */
  readonly keepAliveMs: number;
}

export const defaultLimits: ServerLimits = {
  inFlight: 400,
  requestMs: 60_000,
  bodyBytes: 3 * 1024 * 1024,
  maxUnsentBytes: MAX_UNSENT_BYTES,
  compressions: 8,
  connections: 4000,
  headerPairs: 10_000,
  headerBytes: 1024 * 1024,
  handshakeMs: 10_000,
  headerMs: 20_000,
  keepAliveMs: 120_000,
};
