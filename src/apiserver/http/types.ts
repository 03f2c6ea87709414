/** Who asks, as authentication found out. */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** What a request is about, by the rules of kube-apiserver (apiserver/pkg/endpoints/request/requestinfo.go). */
export interface RequestInfo {
  /** As in the URL, without the query, not decoded. */
  readonly path: string;
  /** Of a resource: get, list, watch, create, …; else the HTTP method in lower case. */
  readonly verb: string;
  /** False for discovery, OpenAPI, health and all unknown paths: the members below are empty then. */
  readonly isResourceRequest: boolean;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly resource: string;
  readonly subresource: string;
  /** Empty: all namespaces. */
  readonly namespace: string;
  /** Also from a field selector `metadata.name=…` of a list or watch. Empty: none. */
  readonly name: string;
}

/** A request that was authenticated, authorized and admitted. */
export interface ApiRequest {
  readonly method: string;
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  /** The Accept header; several are joined by commas, as HTTP says. */
  readonly accept: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly userAgent: string | undefined;
  /** Aborts when the caller has gone, its time is over, or the process ends. */
  readonly signal: AbortSignal;
}

/** Answers requests for some paths. Throws a StatusError for everything that is not a success. */
export interface Handler {
  handle(request: ApiRequest): Promise<Answer>;
}

export type Answer = WholeAnswer | WatchAnswer;

/** An answer that is there as a whole. Content-Length, caching of the default sort and compression are added by the server. */
export interface WholeAnswer {
  readonly code: number;
  /** Default application/json. */
  readonly contentType?: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Body;
}

export interface Body {
  /** All bytes of `pieces`; undefined where only making them tells. */
  readonly bytes: number | undefined;
  /** UTF-8, in pieces of any size, best some 64 KiB; made while they are being written. */
  readonly pieces: Iterable<Uint8Array>;
  /** The whole as one member of gzip, where most of that is cached. Left out: the server compresses `pieces`. */
  readonly gzip?: () => Promise<readonly Uint8Array[]>;
}

/** A stream of events. `start` is called once after the headers went out, and never for HEAD: hold nothing ready for it. */
export interface WatchAnswer {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  start(sink: WatchSink): void;
}

/** Where a watch writes to: the chunks of HTTP, or messages of a WebSocket. */
export interface WatchSink {
  /**
   * One whole event as a line of JSON with its newline. Bytes are shared with other watches: nobody may change them.
   * When more than its share waits unsent, the sink ends the stream by itself and `signal` aborts.
   */
  send(event: Uint8Array): void;
  /** Bytes that were sent and still wait for the client to take them. */
  readonly unsent: number;
  /**
   * Resolves when little waits unsent, or the stream has ended: then `signal` has aborted. For initial lists, which are
   * longer than the share. Never rejects.
   */
  drained(): Promise<void>;
  /** Ends the stream cleanly after what was sent. */
  end(): void;
  /** Aborts when the stream has ended, whoever ended it. */
  readonly signal: AbortSignal;
}
