import type { ServerResponse } from 'node:http';
import {
  page,
  passedOn,
  refusal,
  reset,
  type Fault,
  type FaultProxy,
  type Passage,
  type ProxiedRequest,
} from '../fault-proxy.ts';

export type Side = 'kube' | 'coder';

/** What becomes of one request that would change something. */
export type Fate =
  | 'passed'
  /** The operator dies, and nothing was sent. */
  | 'crash'
  /** The server acts, and the operator dies before it has seen the answer. */
  | 'applied-crash'
  /** The server says that it failed, and has done nothing. */
  | 'error'
  /** The server acts, and says that it failed, or the connection breaks. */
  | 'applied-error';

/** A request of the operator that would change something. */
export interface Call {
  readonly side: Side;
  /** Its verb and what it is about, such as `POST-builds/web/start`. */
  readonly key: string;
  /** Of the requests with this key it is the so many-th, counted from 1. */
  readonly occurrence: number;
  readonly request: ProxiedRequest;
  /** In virtual time. */
  readonly at: number;
  fate: Fate;
  /** What the server answered, when it was asked: the status, and the body if it is JSON. */
  code?: number;
  answer?: unknown;
}

/** A page that a gateway shows. It must never be quoted. */
export const GATEWAY_CANARY = 'canary-of-the-gateway-7f3a';

export interface WireOptions {
  readonly side: Side;
  readonly proxy: FaultProxy;
  /** Path and query as they are sent on. */
  readonly pathOf: (request: ProxiedRequest) => string;
  readonly keyOf: (request: ProxiedRequest) => string;
  /** Virtual time. */
  readonly now: () => number;
  /** Whether what a watch shows is held back now. */
  readonly isHeld: () => boolean;
  /** Called before a request goes on that would change something; what it answers becomes of it. */
  readonly onCall: (call: Call) => Promise<Fate> | Fate;
  /** The server has acted; nobody has seen the answer. */
  readonly onAnswered: (call: Call) => void;
  /** An answer that is given in place of the server's. */
  readonly insteadOf: (request: ProxiedRequest) => Promise<Buffer | undefined> | undefined;
  /** The operator dies now. */
  readonly onCrash: () => void;
  /** Something has moved. */
  readonly onStir: () => void;
}

/** All that the operator and one of the two APIs say to each other. */
export class Wire {
  readonly #options: WireOptions;
  readonly #occurrences = new Map<string, number>();
  readonly #watches = new Set<PassedWatch>();
  /** Requests that have come and are not answered. */
  #open = 0;
  /** Requests that the server has and has not answered. */
  #asked = 0;
  /** Every request that would change something, oldest first. */
  readonly calls: Call[] = [];
  /** How many requests have only read. */
  reads = 0;

  constructor(options: WireOptions) {
    this.#options = options;
    options.proxy.break(
      () => true,
      (passage) => this.#pass(passage),
    );
  }

  /** Requests are under way, or the watches have not shown yet what `isMissing` knows of. */
  isBusy(isMissing: (watch: PassedWatch) => boolean): boolean {
    if (this.#open > 0 || this.#asked > 0) return true;
    return [...this.#watches].some((watch) => !watch.isHeld && isMissing(watch));
  }

  /** The open ones. */
  get watches(): readonly PassedWatch[] {
    return [...this.#watches];
  }

  get isServerBusy(): boolean {
    return this.#asked > 0;
  }

  /** Waits while a request that is under way does not keep time from passing. */
  async park(wait: Promise<void>, isAsked: boolean): Promise<void> {
    const move = (by: number): void => {
      this.#open += by;
      if (isAsked) this.#asked += by;
      this.#options.onStir();
    };
    move(-1);
    await wait;
    move(1);
  }

  /** Watches that were held back show all that has come meanwhile. */
  release(): void {
    for (const watch of this.#watches) watch.release();
  }

  hold(): void {
    for (const watch of this.#watches) watch.hold();
  }

  /** The watches break. */
  cutWatches(): void {
    for (const watch of this.#watches) watch.cut();
  }

  async #pass(passage: Passage): Promise<void> {
    const { request, response } = passage;
    // Of one that died while its request was on the way, nothing arrives any more.
    if (isCut(response)) return;
    this.#open++;
    this.#options.onStir();
    let isCounted = true;
    const over = (): void => {
      if (isCounted) this.#open--;
      isCounted = false;
      this.#options.onStir();
    };
    response.once('close', over);
    if (request.isWatch) await this.#watch(passage, over);
    else if (request.method === 'GET') await this.#read(passage);
    else await this.#change(passage);
  }

  async #read({ request, response, ask, hand }: Passage): Promise<void> {
    this.reads++;
    const instead = await this.#options.insteadOf(request);
    if (instead !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(instead);
      return;
    }
    await hand(await ask(this.#options.pathOf(request)));
  }

  async #change(passage: Passage): Promise<void> {
    const { request, response, ask } = passage;
    const { side, keyOf, now, pathOf, onCall, onAnswered, onCrash, onStir } = this.#options;
    const key = keyOf(request);
    const occurrence = (this.#occurrences.get(key) ?? 0) + 1;
    this.#occurrences.set(key, occurrence);
    const call: Call = { side, key, occurrence, request, at: now(), fate: 'passed' };
    this.calls.push(call);
    this.#asked++;
    try {
      call.fate = await onCall(call);
      if (call.fate === 'crash') {
        onCrash();
        return;
      }
      if (call.fate === 'error') {
        await failure(side)(passage);
        return;
      }
      if (isCut(response)) return;
      const answer = await ask(pathOf(request));
      const body = Buffer.from(await answer.body.arrayBuffer());
      call.code = answer.statusCode;
      call.answer = parsed(body);
      onAnswered(call);
      if (call.fate === 'applied-crash') onCrash();
      else if (call.fate === 'applied-error') await lateFailure(side)(passage);
      else send(response, answer.statusCode, passedOn(answer.headers), body);
    } finally {
      this.#asked--;
      onStir();
    }
  }

  async #watch({ request, response, ask, hand }: Passage, begun: () => void): Promise<void> {
    const answer = await ask(this.#options.pathOf(request));
    if (answer.statusCode !== 200) {
      await hand(answer);
      return;
    }
    response.writeHead(200, passedOn(answer.headers));
    response.flushHeaders();
    const watch = new PassedWatch(request, response);
    if (this.#options.isHeld()) watch.hold();
    this.#watches.add(watch);
    response.once('close', () => this.#watches.delete(watch));
    begun();
    for await (const bytes of answer.body as AsyncIterable<Buffer>) {
      watch.take(bytes.toString());
      this.#options.onStir();
    }
    watch.end();
  }
}

interface WatchLine {
  readonly type: string;
  readonly object: { readonly metadata?: { readonly uid?: string; readonly resourceVersion?: string } };
}

/** An open watch of the operator. */
export class PassedWatch {
  /** Plural of the resource. */
  readonly resource: string;
  readonly #response: ServerResponse;
  #partial = '';
  #held: string[] | undefined;
  /** How far the operator has been shown what happened. */
  seen: number;
  /** Uids of what it was told is gone. */
  readonly gone = new Set<string>();

  constructor({ path, query }: ProxiedRequest, response: ServerResponse) {
    this.#response = response;
    this.resource = new URL(path, 'http://proxy').pathname.split('/').at(-1) ?? '';
    this.seen = Number(query.get('resourceVersion') ?? 0);
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const line of held) this.#show(line);
  }

  take(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#held === undefined) this.#show(line);
      else this.#held.push(line);
    }
  }

  end(): void {
    if (!this.isHeld) this.#response.end();
  }

  cut(): void {
    this.#response.socket?.resetAndDestroy();
  }

  #show(line: string): void {
    const { type, object } = JSON.parse(line) as WatchLine;
    const { uid = '', resourceVersion = '0' } = object.metadata ?? {};
    this.seen = Math.max(this.seen, Number(resourceVersion));
    if (type === 'DELETED') this.gone.add(uid);
    if (this.#response.socket?.destroyed === false) this.#response.write(`${line}\n`);
  }
}

function isCut({ socket }: ServerResponse): boolean {
  return socket?.destroyed !== false;
}

function send(response: ServerResponse, code: number, headers: Record<string, string>, body: Buffer): void {
  const hasBody = code !== 204 && code !== 304;
  response.writeHead(code, hasBody ? { ...headers, 'content-length': String(body.length) } : headers);
  response.end(hasBody ? body : undefined);
}

/** Nothing was done. */
function failure(side: Side): Fault {
  return side === 'coder' ? page(503, GATEWAY_CANARY) : refusal(500, 'InternalError');
}

/** It was done. Of the two ways not to learn of that, each side shows one. */
function lateFailure(side: Side): Fault {
  return side === 'coder' ? page(502, GATEWAY_CANARY) : reset;
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return undefined;
  }
}
