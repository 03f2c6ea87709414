import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { OperatorError } from '../base/errors.ts';
import { AddressRefusedError } from './errors.ts';

/** Where a URL of a user may point. Private networks are always allowed: Coder in the cluster is common. */
export interface HostPolicy {
  /** Hosts (no port) that may be spoken to without TLS, besides the cluster's own Services. */
  readonly httpHosts: readonly string[];
  /** Whether loopback addresses may be connected to; for local development only. */
  readonly allowLoopback: boolean;
  /** The cluster's DNS domain. Default `cluster.local`. */
  readonly clusterDomain?: string;
}

const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';

/**
 * Metadata services that lie outside the link-local range. Whoever reaches one of them from inside a cloud machine
 * may be given the machine's identity.
 */
const METADATA_ADDRESSES = [
  'fd00:ec2::254', // AWS
  'fd20:ce::254', // Google Cloud
  '100.100.100.200', // Alibaba Cloud
  '192.0.0.192', // Oracle Cloud
  '168.63.129.16', // Azure's host
].map((text) => ipaddr.parse(text).toNormalizedString());

/** Address ranges that are never connected to, and how people call them. */
const REFUSED_RANGES: Readonly<Partial<Record<string, string>>> = {
  unspecified: 'an unspecified address',
  broadcast: 'the broadcast address',
  multicast: 'a multicast address',
  linkLocal: 'a link-local address',
};

/** What differs between the URLs that are checked: the words, and whether a query belongs there. */
interface UrlKind {
  readonly code: string;
  /** Begins the message. */
  readonly name: string;
  readonly userInfoFault: string;
  readonly extraFault: string;
  /** What may not be in it, besides user-info. */
  readonly extra: RegExp;
  readonly example: string;
  readonly serviceExample: string;
}

const CODER_URL: UrlKind = {
  code: 'INVALID_CODER_URL',
  name: 'The URL of Coder',
  userInfoFault: 'it holds a user name or password; the token belongs into the key "token"',
  extraFault: 'it holds a query or fragment; write the address of Coder only',
  extra: /[?#]/,
  example: 'https://coder.example.com',
  serviceExample: 'http://coder.NAMESPACE.svc',
};

const DOWNLOAD_URL: UrlKind = {
  code: 'INVALID_DOWNLOAD_URL',
  name: 'The URL of the archive',
  userInfoFault: 'it holds a user name or password, and the operator sends none; leave it out',
  extraFault: 'it holds a fragment, which no server ever sees; leave out everything from the "#" on',
  extra: /#/,
  example: 'https://example.com/template.tar.gz',
  serviceExample: 'http://files.NAMESPACE.svc/template.tar.gz',
};

/**
 * Checks a control plane's URL without connecting: https, or http to a Service of the cluster or a host that the
 * policy names; no user-info, query or fragment; no refused address written as a literal, since Node never looks
 * literals up. A path is kept, for a Coder behind a prefix.
 *
 * @throws {OperatorError} `INVALID_CODER_URL`, saying what is wrong and what is right.
 * @throws {AddressRefusedError} for a literal of a refused range.
 */
export function checkBaseUrl(text: string, policy: HostPolicy): URL {
  return checkUrl(text, policy, CODER_URL);
}

/**
 * Checks the URL of a file by the same rules, except that a query may be there: pre-signed URLs have one. It may hold
 * a secret, so no message quotes it.
 *
 * @throws {OperatorError} `INVALID_DOWNLOAD_URL`, saying what is wrong and what is right.
 * @throws {AddressRefusedError} for a literal of a refused range.
 */
export function checkDownloadUrl(text: string, policy: HostPolicy): URL {
  return checkUrl(text, policy, DOWNLOAD_URL);
}

function checkUrl(text: string, policy: HostPolicy, kind: UrlKind): URL {
  const url = parseUrl(text, kind);
  if (url.username !== '' || url.password !== '') throw invalidUrl(kind, kind.userInfoFault);
  if (kind.extra.test(text)) throw invalidUrl(kind, kind.extraFault);
  const host = hostOf(url);
  if (url.protocol === 'http:' && !mayUseHttp(host, policy)) {
    throw invalidUrl(
      kind,
      `http is allowed only to Services inside the cluster (such as ${kind.serviceExample}) and to hosts that the operator's configuration names, and "${host}" is neither; use https`,
    );
  }
  const literal = parseAddress(host);
  if (literal !== undefined) {
    const fault = refusal(literal, policy);
    if (fault !== undefined) throw new AddressRefusedError(`The URL names ${fault} (${host})`);
  }
  return url;
}

function parseUrl(text: string, kind: UrlKind): URL {
  // URL.parse drops line breaks and blanks at the ends; what is left out silently may be meant.
  if (/[\s\p{Cc}]/u.test(text)) throw invalidUrl(kind, 'it holds white space or a line break');
  if (!URL.canParse(text)) throw invalidUrl(kind, `it is not an absolute URL such as ${kind.example}`);
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw invalidUrl(kind, `"${url.protocol}" is not supported; use https`);
  }
  return url;
}

function invalidUrl(kind: UrlKind, fault: string): OperatorError {
  return new OperatorError(kind.code, `${kind.name} cannot be used: ${fault}`);
}

/** The host in lower case, without the brackets of IPv6 and without the dot that ends a full name. */
function hostOf(url: URL): string {
  return bareHost(url.hostname);
}

function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}

function mayUseHttp(host: string, policy: HostPolicy): boolean {
  if (policy.httpHosts.some((allowed) => bareHost(allowed) === host)) return true;
  const domain = bareHost(policy.clusterDomain ?? DEFAULT_CLUSTER_DOMAIN);
  // At least a Service and a namespace before it: a bare "x.svc" could be a name of the outer world.
  return ['svc', `svc.${domain}`].some(
    (suffix) => host.endsWith(`.${suffix}`) && /^[^.]+(?:\.[^.]+)+$/.test(host.slice(0, -suffix.length - 1)),
  );
}

/**
 * A `dns.lookup` for sockets that hands out only addresses that were checked, so that what is checked is what is
 * connected to, however the name resolves a moment later. One refused address among several refuses the name.
 */
export function checkedLookup(
  policy: HostPolicy,
  resolve: typeof systemLookup = systemLookup,
): LookupFunction {
  return (hostname, options, callback) => {
    const all: LookupOptions & { all: true } = { ...options, all: true };
    resolve(hostname, all, (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => {
      if (error !== null) {
        callback(error, [], 0);
        return;
      }
      const fault = addresses
        .map(({ address }) => addressFault(address, policy))
        .find((found) => found !== undefined);
      const first = addresses[0];
      if (fault !== undefined || first === undefined) {
        callback(new AddressRefusedError(`"${hostname}" resolves to ${fault ?? 'no address'}`), [], 0);
      } else if (options.all === true) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

function addressFault(text: string, policy: HostPolicy): string | undefined {
  const address = parseAddress(text);
  const fault = address === undefined ? 'something that is no address' : refusal(address, policy);
  return fault === undefined ? undefined : `${fault} (${text})`;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The address that a text writes out in full, or undefined when it is a name. */
function parseAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}

/** Why this address is not connected to, or undefined when it is allowed. */
function refusal(address: Address, policy: HostPolicy): string | undefined {
  if (METADATA_ADDRESSES.includes(address.toNormalizedString())) return 'the address of a metadata service';
  const range = address.range();
  if (range === 'loopback') {
    return policy.allowLoopback
      ? undefined
      : "a loopback address, which the operator's configuration does not allow";
  }
  const fault = REFUSED_RANGES[range];
  if (fault !== undefined) return fault;
  const inner = address instanceof ipaddr.IPv6 ? embeddedIPv4(address) : undefined;
  return inner === undefined ? undefined : refusal(inner, policy);
}

/** The IPv4 address that an IPv6 address of one of the transition schemes leads to. */
function embeddedIPv4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  switch (address.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
    case 'rfc6052':
      return new ipaddr.IPv4(bytes.slice(12));
    case '6to4':
      return new ipaddr.IPv4(bytes.slice(2, 6));
    default:
      // The old "IPv4-compatible" form, ::a.b.c.d.
      return bytes.slice(0, 12).every((byte) => byte === 0) ? new ipaddr.IPv4(bytes.slice(12)) : undefined;
  }
}
