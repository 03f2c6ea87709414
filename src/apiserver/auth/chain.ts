import type { KeyObject } from 'node:crypto';
import { errorText } from '../../base/errors.ts';
import { parseCertificate, type Certificate } from './certificate.ts';

/** What came of the certificates that a client presented. */
export type ChainVerdict = TrustedChain | UntrustedChain;

export interface TrustedChain {
  readonly trusted: true;
  /** The client's own. */
  readonly leaf: Certificate;
  /** From when to when the whole chain is valid, in milliseconds since the epoch, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface UntrustedChain {
  readonly trusted: false;
  /**
   * The CA, or an intermediate of it, did sign the certificate, but it must not be trusted, for example because it has
   * expired. False: it has nothing to do with this CA.
   */
  readonly isOfCA: boolean;
  /** For the log; holds nothing that the client chose. */
  readonly reason: string;
}

/** Real chains have two or three; more would only be work for us. */
const MAX_PRESENTED = 10;
const MAX_SIGNATURE_CHECKS = 100;

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ANY_USAGE = '2.5.29.37.0';

/**
 * Verifies the certificates of a TLS client, its own first, against the CA certificates `roots`, by the rules of Go's
 * crypto/x509 with the usage "client authentication". Stricter than Go: certificates of version 1 are no CA, name and
 * policy constraints are never fulfilled, and RSA-PSS signatures are not accepted.
 *
 * The search begins at the CA, so that no key is used that a trusted one did not vouch for: a client could present keys
 * that are slow to calculate with.
 *
 * @param now milliseconds since the epoch.
 */
export function verifyChain(
  presented: readonly Buffer[],
  roots: readonly Certificate[],
  now: number,
): ChainVerdict {
  if (presented.length === 0) return unrelated('no certificate');
  if (presented.length > MAX_PRESENTED) return unrelated(`more than ${MAX_PRESENTED} certificates`);
  try {
    const [leaf, ...others] = presented.map(parseCertificate);
    return leaf === undefined ? unrelated('no certificate') : new Search(leaf, others, now).from(roots);
  } catch (error) {
    return unrelated(`a certificate that cannot be read: ${errorText(error)}`);
  }
}

class Search {
  readonly #leaf: Certificate;
  readonly #candidates: readonly Certificate[];
  readonly #now: number;
  #checks = 0;
  #refusal: string | undefined;

  constructor(leaf: Certificate, others: readonly Certificate[], now: number) {
    this.#leaf = leaf;
    const distinct = others.filter(
      ({ der }, i) => !der.equals(leaf.der) && others.findIndex((other) => other.der.equals(der)) === i,
    );
    this.#candidates = [leaf, ...distinct.filter(({ isCA }) => isCA)];
    this.#now = now;
  }

  from(roots: readonly Certificate[]): ChainVerdict {
    const leaf = this.#leaf;
    // The bundle may name the client's own certificate.
    if (roots.some(({ der }) => der.equals(leaf.der))) {
      const verdict = this.#judge([leaf]);
      if (verdict !== undefined) return verdict;
    }
    for (const root of roots) {
      const verdict = this.#below([root]);
      if (verdict !== undefined) return verdict;
    }
    if (this.#refusal !== undefined) return { trusted: false, isOfCA: true, reason: this.#refusal };
    return unrelated(
      this.#checks > MAX_SIGNATURE_CHECKS ? 'too many signatures to check' : 'another CA signed it',
    );
  }

  /** Goes on from the last of a path that begins at the CA, and judges every path that reaches the client. */
  #below(path: readonly Certificate[]): TrustedChain | undefined {
    const issuer = path.at(-1);
    const key = issuer?.publicKey();
    if (issuer === undefined || key === undefined) return undefined;
    for (const candidate of this.#candidates) {
      if (!candidate.issuer.equals(issuer.subject) || path.some((other) => isSameEntity(other, candidate)))
        continue;
      if (!this.#isSignedBy(candidate, key)) continue;
      const longer = [...path, candidate];
      const verdict = candidate === this.#leaf ? this.#judge(longer) : this.#below(longer);
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  #isSignedBy(certificate: Certificate, key: KeyObject): boolean {
    return ++this.#checks <= MAX_SIGNATURE_CHECKS && certificate.isSignedBy(key);
  }

  #judge(path: readonly Certificate[]): TrustedChain | undefined {
    const problem = problemOf(path, this.#now);
    if (problem === undefined) {
      return {
        trusted: true,
        leaf: this.#leaf,
        notBefore: Math.max(...path.map(({ notBefore }) => notBefore)),
        notAfter: Math.min(...path.map(({ notAfter }) => notAfter)),
      };
    }
    this.#refusal ??= problem;
    return undefined;
  }
}

/** Every rule for a path whose names and signatures fit: from a trusted certificate down to the client's. */
function problemOf(path: readonly Certificate[], now: number): string | undefined {
  for (const [i, certificate] of path.entries()) {
    const isLeaf = i === path.length - 1;
    const who = isLeaf ? 'the certificate' : i === 0 ? 'the CA' : 'an intermediate CA';
    const intermediatesBelow = path.length - 2 - i;
    const { notBefore, notAfter, isCA, maxPathLength, unsupported } = certificate;
    if (now < notBefore) return `${who} is not yet valid`;
    if (now > notAfter) return `${who} has expired`;
    if (unsupported !== undefined) return `${who} has the extension ${unsupported}, which is not supported`;
    if (!certificate.hasStrongSignature && i > 0) return `${who} has a weak or unknown signature`;
    if (!isAllowed(certificate)) return `${who} is not for client authentication`;
    if (isLeaf) continue;
    if (!isCA) return `${who} may not sign certificates`;
    if (maxPathLength !== undefined && intermediatesBelow > maxPathLength)
      return `${who} does not allow so many intermediates`;
  }
  return undefined;
}

/** Of a CA that restricts usages, those below it cannot have more. */
function isAllowed({ usages }: Certificate): boolean {
  return usages === undefined || usages.has(CLIENT_AUTH) || usages.has(ANY_USAGE);
}

/** The same name with the same key: a second certificate of it makes no other path, and could make an endless one. */
function isSameEntity(a: Certificate, b: Certificate): boolean {
  return a.subject.equals(b.subject) && a.publicKeyInfo.equals(b.publicKeyInfo);
}

function unrelated(reason: string): UntrustedChain {
  return { trusted: false, isOfCA: false, reason };
}
