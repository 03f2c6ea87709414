import { isDeepStrictEqual } from 'node:util';
import { DEFAULT_REQUESTS_PER_MINUTE } from '../../api/effective.ts';
import { annotations, type CoderControlPlane } from '../../api/kinds.ts';
import type { Clock } from '../../base/clock.ts';
import { OperatorError } from '../../base/errors.ts';
import type { CoderClient } from '../../coder/client.ts';
import { CoderError } from '../../coder/errors.ts';
import type { TokenExpiry } from '../../coder/types.ts';
import type { Credentials } from './credentials.ts';
import type { ConnectedHandshake, HandshakeFact, RefusedHandshake } from './input.ts';
import { acceptedDeployment } from './permissions.ts';

/** What a client is made of: another one is made when any of it changes. */
export interface ClientWish extends Credentials {
  readonly requestsPerMinute: number;
}

export interface HandshakesOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** @throws {OperatorError} when the URL, the token or the CA certificate cannot be used. */
  readonly makeClient: (wish: ClientWish) => CoderClient;
  /** Calls that are under way through a client that was replaced end within this time. */
  readonly graceMs: number;
}

interface Made {
  readonly wish: ClientWish;
  readonly client: CoderClient;
  /** When its token ends, as was last heard. */
  token: TokenExpiry | undefined;
}

interface Entry {
  /** The last one that worked: the objects of the namespace use it. */
  inUse?: Made | undefined;
  /** The control plane that it was made for: another one that takes its place has no claim to it. */
  ownerUID?: string | undefined;
  /** One for changed credentials, which has not worked yet. */
  tried?: Made | undefined;
  /** The last handshake, if it gave a connection. */
  recent?: { readonly wish: ClientWish; readonly fact: HandshakeFact; readonly at: number } | undefined;
  /** The last handshake, if Coder did not answer it or refused the token. */
  failing?: Failing | undefined;
}

interface Failing {
  readonly wish: ClientWish;
  readonly fact: Extract<RefusedHandshake, { state: 'failed' }>;
  /** When it was made. */
  readonly at: number;
  /** When the first of those was made that failed with these credentials. */
  readonly since: number;
}

/**
 * For so long a handshake counts, by the monotonic clock: many things may ask for a look at the control plane within a
 * second, and Coder limits how often it says who we are.
 */
const COUNTS_MS = 3_000;
/**
 * The Secret is read every few seconds while nothing works, but Coder is asked with the same credentials only so often:
 * when it has refused them, and when it has been away for long enough not to be back at any moment.
 */
const SELDOM_MS = 30_000;
const SELDOM_AFTER_MS = 60_000;

/**
 * Makes the operator known to Coder, and keeps the clients, one in use for each namespace.
 *
 * When the credentials change, the new ones are tried while the old ones stay in use, so that a mistake in a Secret
 * stops nothing, and replace them as soon as they work.
 */
export class Handshakes {
  readonly #options: HandshakesOptions;
  readonly #entries = new Map<string, Entry>();
  /** Clients that were replaced, each with what takes back that it will be closed. */
  readonly #replaced = new Map<CoderClient, () => void>();

  constructor(options: HandshakesOptions) {
    this.#options = options;
  }

  /** The client of the last handshake that worked. */
  client(namespace: string): CoderClient | undefined {
    return this.#entries.get(namespace)?.inUse?.client;
  }

  /** @throws {CoderError} `Aborted` when it is this process that ends: then nothing was learnt of Coder. */
  async shake(object: CoderControlPlane, credentials: Credentials): Promise<HandshakeFact> {
    const namespace = object.metadata.namespace ?? '';
    const entry = this.#entries.get(namespace) ?? {};
    this.#entries.set(namespace, entry);
    const requestsPerMinute = object.spec.requestsPerMinute ?? DEFAULT_REQUESTS_PER_MINUTE;
    const wish: ClientWish = { ...credentials, requestsPerMinute };
    const at = this.#options.clock.monotonic();
    const { recent } = entry;
    const counts =
      recent !== undefined &&
      at - recent.at < COUNTS_MS &&
      isDeepStrictEqual(recent.wish, wish) &&
      deploymentOf(recent.fact) === object.status?.deploymentID;
    if (counts) return recent.fact;
    entry.recent = undefined;
    const { failing } = entry;
    const isSame = failing !== undefined && isDeepStrictEqual(failing.wish, wish);
    if (isSame && at - failing.at < pauseMs(failing, at) && !isAskedFor(object)) return failing.fact;
    const fact = await this.#tryOne(object, entry, wish);
    entry.failing =
      fact.state === 'failed' ? { wish, fact, at, since: isSame ? failing.since : at } : undefined;
    if (deploymentOf(fact) !== undefined) entry.recent = { wish, fact, at };
    return fact;
  }

  /** The control plane is gone. */
  forget(namespace: string): void {
    const entry = this.#entries.get(namespace);
    this.#entries.delete(namespace);
    entry?.inUse?.client.close();
    entry?.tried?.client.close();
  }

  /** Closes every client: an open socket would keep the process alive. */
  close(): void {
    for (const namespace of this.#entries.keys()) this.forget(namespace);
    for (const [client, stay] of this.#replaced) {
      stay();
      client.close();
    }
    this.#replaced.clear();
  }

  async #tryOne(object: CoderControlPlane, entry: Entry, wish: ClientWish): Promise<HandshakeFact> {
    const fact = await this.#greet(object, () => this.#made(entry, wish));
    if (fact.state === 'connected') {
      this.#use(entry);
      entry.ownerUID = object.metadata.uid;
      return fact;
    }
    const { inUse, ownerUID } = entry;
    const isOwn = ownerUID === object.metadata.uid;
    if (inUse === undefined || !isOwn || isDeepStrictEqual(inUse.wish, wish)) return fact;
    const former = await this.#greet(object, () => inUse);
    switch (former.state) {
      case 'connected':
        return { state: 'former', former, refused: fact };
      case 'otherDeployment':
        // Worse than any fault of the new ones: the token in use must not be sent there any more.
        return former;
      default:
        return fact;
    }
  }

  /** The part that needs no token first: the token goes to the deployment that it was meant for and to no other. */
  async #greet(object: CoderControlPlane, make: () => Made): Promise<ConnectedHandshake | RefusedHandshake> {
    const { signal } = this.#options;
    const options = { signal, counted: false };
    const expected = object.status?.deploymentID;
    try {
      const made = make();
      const { client } = made;
      const url = made.wish.url.replace(/\/+$/, '');
      const { version, deployment_id: deploymentID } = await client.buildInfo(options);
      if (
        expected !== undefined &&
        expected !== deploymentID &&
        acceptedDeployment(object) !== deploymentID
      ) {
        return { state: 'otherDeployment', url, version, deploymentID };
      }
      const me = await client.me(options);
      made.token = await expiryOf(made, options);
      const user = { id: me.id, name: me.username };
      return { state: 'connected', url, version, deploymentID, user, token: made.token };
    } catch (error) {
      if (error instanceof CoderError && error.kind === 'Aborted') throw error;
      if (error instanceof CoderError) return { state: 'failed', error };
      // An address, token or certificate that cannot be used at all.
      if (error instanceof OperatorError) return { state: 'unusable', message: error.message };
      throw error;
    }
  }

  /** The client for a wish: the one in use if it is for the same, or else one that is tried beside it. */
  #made(entry: Entry, wish: ClientWish): Made {
    for (const made of [entry.inUse, entry.tried]) {
      if (made !== undefined && isDeepStrictEqual(made.wish, wish)) {
        if (made === entry.inUse) this.#dropTried(entry);
        return made;
      }
    }
    this.#dropTried(entry);
    const made: Made = { wish, client: this.#options.makeClient(wish), token: undefined };
    entry.tried = made;
    return made;
  }

  /** What was tried works: it is in use from now on, and what was before is closed when its last calls have ended. */
  #use(entry: Entry): void {
    if (entry.tried === undefined) return;
    const old = entry.inUse?.client;
    entry.inUse = entry.tried;
    entry.tried = undefined;
    if (old === undefined) return;
    const close = (): void => {
      this.#replaced.delete(old);
      old.close();
    };
    this.#replaced.set(old, this.#options.clock.after(this.#options.graceMs, close));
  }

  #dropTried(entry: Entry): void {
    entry.tried?.client.close();
    entry.tried = undefined;
  }
}

/** When the token ends. That it cannot be read is no fault of the connection: then what was last heard stays. */
async function expiryOf(
  { client, token }: Made,
  options: { readonly signal: AbortSignal; readonly counted: boolean },
): Promise<TokenExpiry | undefined> {
  try {
    return await client.tokenExpiry(options);
  } catch (error) {
    if (!(error instanceof CoderError) || error.kind === 'Aborted') throw error;
    return token;
  }
}

/** How long what failed is not tried again. */
function pauseMs({ fact, since }: Failing, now: number): number {
  return fact.error.kind === 'Unauthorized' || now - since >= SELDOM_AFTER_MS ? SELDOM_MS : 0;
}

/** Whether a person wants it to be tried now. */
function isAskedFor({ metadata, status }: CoderControlPlane): boolean {
  const asked = metadata.annotations?.[annotations.reconcileRequestedAt];
  return asked !== undefined && asked !== status?.lastHandledReconcileAt;
}

/** The Coder that a handshake gives a connection to; undefined when it gives none. */
function deploymentOf(fact: HandshakeFact): string | undefined {
  switch (fact.state) {
    case 'connected':
      return fact.deploymentID;
    case 'former':
      return fact.former.deploymentID;
    default:
      return undefined;
  }
}
