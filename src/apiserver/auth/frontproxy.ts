import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import { StatusError } from '../http/status.ts';
import type { UserInfo } from '../http/types.ts';
import { verifyChain, type ChainVerdict, type UntrustedChain } from './chain.ts';
import { ExpiringMap } from './expiring.ts';
import { CredentialsError, headerText, headerValues, soleValue, type HeaderPairs } from './headers.ts';
import type { AuthMetrics } from './metrics.ts';
import type { FrontProxyTrust } from './trust.ts';
import type { TrustSource } from './trustwatch.ts';

export interface FrontProxyOptions {
  readonly trust: TrustSource;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthMetrics;
}

/** Chains whose verdict is remembered; every kube-apiserver has one. */
const MAX_CHAINS = 256;
const KEEP_MS = 10_000;
/** A kube-apiserver that is not trusted is told of so often: it asks many times a second, and anybody could seem to be one. */
const TELL_EVERY_MS = 60_000;

/**
 * Identities that kube-apiserver passes on in headers (apiserver/pkg/authentication/request/headerrequest). They count
 * only on connections whose client certificate is of the front proxy's CA and has an allowed name. That is asked anew
 * for every request, since certificates expire and trust changes while connections stay open.
 */
export class FrontProxy {
  readonly #options: FrontProxyOptions;
  #trust: FrontProxyTrust | undefined;
  #verdicts: ExpiringMap<ChainVerdict>;
  /** Of what was told lately. */
  readonly #told: ExpiringMap<true>;

  constructor(options: FrontProxyOptions) {
    this.#options = options;
    this.#told = new ExpiringMap({ clock: options.clock, maxEntries: 2 });
    this.#verdicts = this.#newVerdicts();
  }

  /**
   * Undefined when the client is no proxy, or a proxy that names nobody.
   *
   * @param peerChain the certificates of the TLS client in DER, its own first; empty without one.
   * @throws StatusError ServiceUnavailable before it is known whom to trust: a user whom the proxy names would pass for
   *   nobody.
   * @throws CredentialsError for a certificate of the proxy's CA that must not be trusted, and for headers that name
   *   nobody clearly.
   */
  authenticate(peerChain: readonly Buffer[], headers: HeaderPairs): UserInfo | undefined {
    if (peerChain.length === 0) return undefined;
    const { current, isRead } = this.#options.trust;
    if (!isRead) {
      const message = 'it is not known yet whom to trust; try again';
      throw new StatusError('ServiceUnavailable', message, { details: { retryAfterSeconds: 1 } });
    }
    const { frontProxy } = current;
    if (frontProxy === undefined) return undefined;
    const verdict = this.#verify(peerChain, frontProxy);
    if (!verdict.trusted) {
      this.#tell(headers, frontProxy, verdict);
      if (!verdict.isOfCA) return undefined;
      throw new CredentialsError(`the front proxy's certificate is refused: ${verdict.reason}`);
    }
    const { commonName } = verdict.leaf;
    const { allowedNames } = frontProxy;
    if (allowedNames.length > 0 && (commonName === undefined || !allowedNames.includes(commonName))) {
      this.#tell(headers, frontProxy, { isOfCA: true, reason: 'its name is not allowed' });
      throw new CredentialsError("the front proxy's certificate has a name that is not allowed");
    }
    this.#options.metrics.clientCertificateExpires(
      (verdict.leaf.notAfter - this.#options.clock.now()) / 1000,
    );
    return identityOf(headers, frontProxy);
  }

  /**
   * Says why a client is not taken for the proxy that it would be by its headers, of which nothing is said. The proxy's
   * own CA is a matter of its own: what strangers try must not hide what is wrong there.
   */
  #tell(headers: HeaderPairs, trust: FrontProxyTrust, why: Pick<UntrustedChain, 'isOfCA' | 'reason'>): void {
    const seemsProxy = trust.usernameHeaders.some((name) => headerValues(headers, name).length > 0);
    const kind = why.isOfCA ? 'of the CA' : 'of others';
    if (!seemsProxy || this.#told.get(kind) !== undefined) return;
    this.#told.set(kind, true, TELL_EVERY_MS);
    this.#options.logger.warn('a client that says who asks is not trusted as the front proxy', {
      reason: why.reason,
    });
  }

  #verify(chain: readonly Buffer[], trust: FrontProxyTrust): ChainVerdict {
    if (trust !== this.#trust) {
      this.#trust = trust;
      this.#verdicts = this.#newVerdicts();
    }
    const now = this.#options.clock.now();
    const key = fingerprint(chain);
    const known = this.#verdicts.get(key);
    // The wall clock may jump, so a verdict that was kept must still fit it.
    if (known !== undefined && (!known.trusted || (known.notBefore <= now && now <= known.notAfter)))
      return known;
    const verdict = verifyChain(chain, trust.certificates, now);
    this.#verdicts.set(key, verdict, KEEP_MS);
    return verdict;
  }

  #newVerdicts(): ExpiringMap<ChainVerdict> {
    return new ExpiringMap({ clock: this.#options.clock, maxEntries: MAX_CHAINS });
  }
}

function fingerprint(chain: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const der of chain) hash.update(`${der.length}:`).update(der);
  return hash.digest('base64');
}

/**
 * Who asks, by the headers of a proxy that is trusted. Nothing is split at commas: a name may hold one.
 *
 * @throws CredentialsError
 */
export function identityOf(headers: HeaderPairs, trust: FrontProxyTrust): UserInfo | undefined {
  const name = firstFilled(headers, trust.usernameHeaders);
  if (name === '') return undefined;
  const uid = firstFilled(headers, trust.uidHeaders);
  const groups = trust.groupHeaders
    .flatMap((header) => headerValues(headers, header))
    .filter((group) => group !== '')
    .map(headerText);
  return { name, ...(uid === '' ? {} : { uid }), groups, extra: extraOf(headers, trust.extraPrefixes) };
}

function firstFilled(headers: HeaderPairs, names: readonly string[]): string {
  for (const name of names) {
    const value = soleValue(headers, name);
    if (value !== '') return headerText(value);
  }
  return '';
}

/** Without a prototype: the client's own identity provider chooses the keys, `__proto__` as well. */
function extraOf(headers: HeaderPairs, prefixes: readonly string[]): Record<string, string[]> {
  const extra = Object.create(null) as Record<string, string[]>;
  for (const prefix of prefixes) {
    for (const [name, value] of headers) {
      if (!name.startsWith(prefix)) continue;
      const key = extraKey(name.slice(prefix.length));
      extra[key] = [...(extra[key] ?? []), headerText(value)];
    }
  }
  return extra;
}

/** Keys are percent-encoded; one that is not so stays as it came. */
function extraKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
