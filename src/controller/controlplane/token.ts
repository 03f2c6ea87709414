import { timestamp } from '../../api/conditions.ts';
import type { TokenExpiry } from '../../coder/types.ts';

const DAY_MS = 86_400_000;
/** From so long before its end on, a token is to be replaced. */
const WARNING_MS = 7 * DAY_MS;
/** Coder moves the end of a token on once an hour at most, and only when it is used. */
const RENEWAL_MS = 2 * 3_600_000;

/** The end of the token for the status: it moves with every use, and is written when it has moved by more than a day. */
export function writtenExpiry(
  before: string | undefined,
  token: TokenExpiry | undefined,
): string | undefined {
  const at = Date.parse(token?.at ?? '');
  if (Number.isNaN(at)) return undefined;
  const hasMoved = before === undefined || Math.abs(at - Date.parse(before)) > DAY_MS;
  return hasMoved ? timestamp(new Date(at)) : before;
}

/**
 * Whether a token is about to end for good. One whose end is as far away as its lifetime is being moved on by our use
 * of it and never ends, however short its lifetime is.
 */
export function isEnding(token: TokenExpiry | undefined, now: Date): boolean {
  if (token === undefined) return false;
  const leftMs = Date.parse(token.at) - now.getTime();
  const isRenewed = token.lifetimeMs !== undefined && leftMs > token.lifetimeMs - RENEWAL_MS;
  return leftMs < WARNING_MS && !isRenewed;
}
