import type { CertificateFact } from './certificate.ts';
import {
  names,
  type ApiServiceFact,
  type AuthorityFact,
  type Bundle,
  type ServingFact,
  type UnusableFact,
} from './objects.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How the endpoint's certificates are kept. All times in milliseconds. */
export interface ServingSettings {
  readonly authorityLifetimeMs: number;
  /** Of a serving certificate; it never outlives its authority. */
  readonly servingLifetimeMs: number;
  /** A new authority is in the bundle for so long before it signs: every API server has to have it by then. */
  readonly overlapMs: number;
  /**
   * The former authority stays in the bundle for so long after the new one has signed: every replica of the endpoint
   * has to have the new certificate by then.
   */
  readonly keptMs: number;
  /** Between two looks at the APIService. */
  readonly lookEveryMs: number;
  /** Between two looks at the Secrets, when the APIService has not changed. */
  readonly secretsEveryMs: number;
}

/**
 * A serving certificate is renewed after two thirds of its life, so a controller may be away for a month. Neither it nor
 * the authority lives long, so that renewing them is something that happens and works: an authority of ten years is
 * rotated for the first time when nobody remembers how.
 */
export const servingSettings: ServingSettings = {
  authorityLifetimeMs: 365 * DAY_MS,
  servingLifetimeMs: 90 * DAY_MS,
  overlapMs: 10 * MINUTE_MS,
  keptMs: DAY_MS,
  lookEveryMs: MINUTE_MS / 6,
  secretsEveryMs: 10 * MINUTE_MS,
};

export interface ServingInput {
  /** That of the controller, where its Secrets are. */
  readonly namespace: string;
  readonly apiService: ApiServiceFact;
  /** Undefined while they were not read. */
  readonly secrets: { readonly authority: AuthorityFact; readonly serving: ServingFact } | undefined;
  /**
   * For how long this process has seen the authority in the bundle without a break, by its monotonic clock; 0 when it
   * is not in there. A new leader begins at 0, which only delays.
   */
  readonly trustedForMs: number;
  /** The API server's wall clock: it is the one that checks. */
  readonly now: number;
  readonly settings: ServingSettings;
}

export type ServingStep =
  /** Nothing is kept: it is somebody else's, or cannot be. */
  | { readonly do: 'leave'; readonly why: string; readonly say: 'info' | 'warn' }
  /** The Secrets have to be read; then decide again. */
  | { readonly do: 'read' }
  /** Make a new authority and put it into its Secret. */
  | { readonly do: 'makeAuthority'; readonly why: string }
  /** Write the bundle of the APIService. */
  | { readonly do: 'trust'; readonly bundle: string; readonly why: string }
  /** Make a serving certificate and put it into its Secret. */
  | { readonly do: 'issue'; readonly names: readonly string[]; readonly why: string }
  /** Look again after this time. */
  | { readonly do: 'rest'; readonly ms: number };

/** Most authorities in a bundle, should they ever change quickly. */
const MOST_IN_BUNDLE = 4;
const LEAST_REST_MS = 1_000;

/**
 * What is to be done next for the endpoint's certificates, read from top to bottom: the first row that applies decides.
 * Pure. Each step is one write, and what it leaves behind is a state of this table again, so a crash between two of
 * them needs no rule.
 *
 * An authority is rotated by replacing it in its Secret at once. Its successor gets into the bundle, waits, and then
 * signs; until then the certificate of the former one serves, whose key nobody has any more.
 */
export function decideServing(input: ServingInput): ServingStep {
  const { apiService, secrets, now, settings } = input;
  const foreign = whoseApiService(apiService, input.namespace);
  if (foreign !== undefined) return foreign;
  const { service, bundle } = apiService;
  if (service === undefined) return leave('the APIService names no Service', 'warn');

  if (secrets === undefined) return { do: 'read' };
  const { authority, serving } = secrets;
  for (const secret of [authority, serving]) {
    if (secret.state === 'foreign') return leave(secret.why, 'warn');
  }

  if (authority.state !== 'held') return { do: 'makeAuthority', why: whyUnusable(authority) };
  const signer = authority.certificate;
  if (!isValid(signer, now)) return { do: 'makeAuthority', why: 'the authority is not valid now' };
  if (now >= dueAt(signer))
    return { do: 'makeAuthority', why: 'the authority has lived two thirds of its time' };

  const wantedNames = namesOf(service);
  const usable = usableServing(serving, wantedNames, now);
  const wanted = wantedBundle(signer, usable, bundle, now, settings);
  if (wanted !== bundle.text) return { do: 'trust', bundle: wanted, why: whyTrust(signer, wanted, bundle) };

  const issue = (why: string): ServingStep => ({ do: 'issue', names: wantedNames, why });
  if ('why' in usable) return issue(usable.why);
  const { certificate, issuer } = usable;
  if (issuer.fingerprint !== signer.fingerprint) {
    const left = settings.overlapMs - input.trustedForMs;
    if (left <= 0) return issue('the new authority has been in the bundle for long enough');
    return rest(Math.min(left, certificate.notAfter - now, issuer.notAfter - now));
  }
  if (now >= dueAt(certificate)) return issue('it has lived two thirds of its time');

  const nextDue = Math.min(dueAt(signer), dueAt(certificate)) - now;
  const isSettled = bundle.certificates.length <= 1;
  return rest(isSettled ? nextDue : Math.min(nextDue, certificate.notBefore + settings.keptMs - now));
}

/** Names by which the endpoint is reached: by the API server under the first, by people under the others. */
export function namesOf({
  name,
  namespace,
}: {
  readonly name: string;
  readonly namespace: string;
}): string[] {
  return [
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.cluster.local`,
    `${name}.${namespace}`,
    name,
    'localhost',
    '127.0.0.1',
  ];
}

/** Whether somebody else looks after the APIService, or it may not be looked after. */
function whoseApiService(apiService: ApiServiceFact, namespace: string): ServingStep | undefined {
  if (apiService.isDeleting) return leave('the APIService is being deleted', 'info');
  if (!apiService.isOurs) {
    const why = `the APIService ${names.apiService} is another project's (it lacks the label of config/apiserver)`;
    return leave(why, 'warn');
  }
  if (apiService.injector !== undefined) {
    return leave(`cert-manager was asked to do so by the annotation ${apiService.injector}`, 'info');
  }
  // A controller of another namespace looks after it, with Secrets of its own.
  if (apiService.service?.namespace !== undefined && apiService.service.namespace !== namespace) {
    const why = `the APIService names a Service of the namespace ${apiService.service.namespace}, and this controller's is ${namespace}`;
    return leave(why, 'warn');
  }
  if (apiService.isInsecure) {
    return leave(
      'the APIService says insecureSkipTLSVerify, beside which no bundle is possible: remove it',
      'warn',
    );
  }
  return undefined;
}

interface Usable {
  readonly certificate: CertificateFact;
  readonly issuer: CertificateFact;
}

/** The serving certificate if whoever trusts its authority can use it now, or why not. */
function usableServing(
  serving: ServingFact,
  wanted: readonly string[],
  now: number,
): Usable | { readonly why: string } {
  if (serving.state !== 'held') return { why: whyUnusable(serving) };
  const { certificate, issuer } = serving;
  if (issuer === undefined) return { why: 'nobody knows the authority that has signed it' };
  if (!isValid(certificate, now) || !isValid(issuer, now)) return { why: 'it is not valid now' };
  if (!isSameSet(certificate.names, wanted))
    return { why: 'it is for other names than those of the Service' };
  return { certificate, issuer };
}

/**
 * The authority, the one that the serving certificate in use comes from, and, until that is known to be everywhere,
 * whatever was trusted before. Always in the same order: what differs is written.
 */
function wantedBundle(
  signer: CertificateFact,
  usable: Usable | { readonly why: string },
  present: Bundle,
  now: number,
  { keptMs }: ServingSettings,
): string {
  const issuer = 'why' in usable ? [] : [usable.issuer];
  const isSettled =
    !('why' in usable) &&
    usable.issuer.fingerprint === signer.fingerprint &&
    now - usable.certificate.notBefore >= keptMs;
  const former = isSettled ? [] : present.certificates.filter((c) => c.isAuthority && now < c.notAfter);
  const all = new Map([signer, ...issuer, ...former.toSorted(newestFirst)].map((c) => [c.fingerprint, c]));
  return [...all.values()]
    .slice(0, MOST_IN_BUNDLE)
    .sort(newestFirst)
    .map(({ pem }) => pem)
    .join('');
}

function whyTrust(signer: CertificateFact, wanted: string, { text, certificates }: Bundle): string {
  if (text === '') return 'it is empty';
  if (!certificates.some((c) => c.fingerprint === signer.fingerprint)) return 'the authority is not in there';
  return wanted.length < text.length ? 'it holds what is not needed any more' : 'somebody has changed it';
}

function whyUnusable(secret: UnusableFact): string {
  return secret.state === 'empty' ? 'there is none' : secret.why;
}

/** Two thirds of its life are over then. */
function dueAt({ notBefore, notAfter }: CertificateFact): number {
  return notBefore + ((notAfter - notBefore) * 2) / 3;
}

function isValid({ notBefore, notAfter }: CertificateFact, now: number): boolean {
  return notBefore <= now && now < notAfter;
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === new Set(a).size;
}

function newestFirst(a: CertificateFact, b: CertificateFact): number {
  return b.notBefore - a.notBefore || (a.fingerprint < b.fingerprint ? -1 : 1);
}

function leave(why: string, say: 'info' | 'warn'): ServingStep {
  return { do: 'leave', why, say };
}

function rest(ms: number): ServingStep {
  return { do: 'rest', ms: Math.max(LEAST_REST_MS, ms) };
}
