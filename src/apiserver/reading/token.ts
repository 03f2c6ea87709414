import { StatusError } from '../http/status.ts';
import type { Position } from './selection.ts';

/** What a continue token says. Every replica can read it; clients are not to. */
export interface ContinueToken {
  /** Of the list that is gone on with; undefined: the newest, when that list cannot be had any more. */
  readonly resourceVersion: bigint | undefined;
  /** When the first page of that list was asked for, in milliseconds since the epoch. */
  readonly since: number;
  /** The last object of the page before. */
  readonly after: Position;
  /** Of the resource and all selectors. */
  readonly hash: string;
}

const FORMAT = 1;

export function writeToken({ resourceVersion, since, after, hash }: ContinueToken): string {
  const version = resourceVersion?.toString() ?? '';
  const parts: Parts = [FORMAT, version, since, hash, after.namespace, after.name];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** @throws StatusError BadRequest */
export function readToken(text: string): ContinueToken {
  const parts = parsed(text);
  if (!isToken(parts)) throw wrongToken('it is not one of this server');
  const [, version, since, hash, namespace, name] = parts;
  return {
    resourceVersion: version === '' ? undefined : BigInt(version),
    since,
    after: { namespace, name },
    hash,
  };
}

/** A token that cannot be taken, with the reason. */
export function wrongToken(reason: string): StatusError {
  return new StatusError('BadRequest', `invalid continue token: continue key is not valid: ${reason}`);
}

type Parts = readonly [
  format: number,
  version: string,
  since: number,
  hash: string,
  namespace: string,
  name: string,
];

function isToken(value: unknown): value is Parts {
  if (!Array.isArray(value) || value.length !== 6) return false;
  const [format, version, since, ...texts] = value as unknown[];
  return (
    format === FORMAT &&
    typeof version === 'string' &&
    /^([1-9][0-9]{0,19})?$/.test(version) &&
    Number.isSafeInteger(since) &&
    texts.every((text) => typeof text === 'string')
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
}
