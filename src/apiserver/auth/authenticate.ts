import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import { StatusError } from '../http/status.ts';
import type { UserInfo } from '../http/types.ts';
import { bearerToken, protocolToken } from './bearer.ts';
import type { FrontProxy } from './frontproxy.ts';
import { CredentialsError, headerPairs, type HeaderPairs } from './headers.ts';
import type { AuthMetrics } from './metrics.ts';
import type { Tokens } from './token.ts';

/** What the connection itself proves. */
export interface PeerConnection {
  /** The certificates of the TLS client in DER, its own first; empty without one. */
  readonly peerChain: readonly Buffer[];
}

/** Finds out who asks. */
export interface Authenticator {
  /**
   * @param rawHeaders of the IncomingMessage.
   * @throws StatusError Unauthorized for credentials that do not hold, Forbidden for a wish to be somebody else,
   *   TooManyRequests; or the reason of the signal.
   */
  authenticate(
    connection: PeerConnection,
    rawHeaders: readonly string[],
    signal: AbortSignal,
  ): Promise<UserInfo>;
}

export interface DelegatedAuthenticatorOptions {
  readonly frontProxy: Pick<FrontProxy, 'authenticate'>;
  readonly tokens: Pick<Tokens, 'authenticate'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthMetrics;
}

const ANONYMOUS = 'system:anonymous';
const UNAUTHENTICATED = 'system:unauthenticated';
const AUTHENTICATED = 'system:authenticated';

/**
 * In this order: what kube-apiserver says in headers, then a bearer token. The first that names somebody counts. Who
 * brings no credentials at all is anonymous; who brings some that do not hold is refused. A client certificate that has
 * nothing to do with the front proxy's CA is none: people's certificates are no identity here.
 */
export class DelegatedAuthenticator implements Authenticator {
  readonly #options: DelegatedAuthenticatorOptions;

  constructor(options: DelegatedAuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate(
    connection: PeerConnection,
    rawHeaders: readonly string[],
    signal: AbortSignal,
  ): Promise<UserInfo> {
    const { clock, metrics } = this.#options;
    const started = clock.monotonic();
    const report = (result: 'success' | 'failure' | 'error'): void =>
      metrics.authenticated(result, (clock.monotonic() - started) / 1000);
    try {
      const user = await this.#identify(connection, headerPairs(rawHeaders), signal);
      report('success');
      return user;
    } catch (error) {
      const isRefusal = error instanceof StatusError && error.reason === 'Unauthorized';
      report(isRefusal ? 'failure' : 'error');
      throw error;
    }
  }

  async #identify(
    { peerChain }: PeerConnection,
    headers: HeaderPairs,
    signal: AbortSignal,
  ): Promise<UserInfo> {
    refuseImpersonation(headers);
    const { frontProxy } = this.#options;
    const ways: readonly (() => UserInfo | undefined | Promise<UserInfo | undefined>)[] = [
      () => frontProxy.authenticate(peerChain, headers),
      () => this.#byToken(bearerToken(headers), signal),
      () => this.#byToken(protocolToken(headers), signal),
    ];
    const refusals: string[] = [];
    for (const identify of ways) {
      try {
        const user = await identify();
        if (user !== undefined) return withAuthenticated(user);
      } catch (error) {
        if (!(error instanceof CredentialsError)) throw error;
        refusals.push(error.message);
      }
    }
    if (refusals.length === 0) return { name: ANONYMOUS, groups: [UNAUTHENTICATED], extra: {} };
    this.#options.logger.debug('credentials do not hold', { why: refusals.join('; ') });
    throw new StatusError('Unauthorized', 'Unauthorized');
  }

  async #byToken(token: string | undefined, signal: AbortSignal): Promise<UserInfo | undefined> {
    return token === undefined ? undefined : this.#options.tokens.authenticate(token, signal);
  }
}

/**
 * Everybody who was authenticated is in this group, also those for whom nobody said so: kube-apiserver asks for the
 * OpenAPI documents as a user without any group, and only by this one may it read them.
 */
function withAuthenticated(user: UserInfo): UserInfo {
  const { name, groups } = user;
  if (name === ANONYMOUS || groups.includes(AUTHENTICATED) || groups.includes(UNAUTHENTICATED)) return user;
  return { ...user, groups: [...groups, AUTHENTICATED] };
}

/**
 * kube-apiserver carries impersonation out itself and passes none of these headers on. Taken no notice of, they would
 * give a direct caller who wants to see what another one may see all that he himself may.
 */
function refuseImpersonation(headers: HeaderPairs): void {
  if (headers.some(([name]) => name.startsWith('impersonate-')))
    throw new StatusError('Forbidden', 'impersonation works only through the Kubernetes API server');
}
