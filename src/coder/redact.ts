import { stripVTControlCharacters } from 'node:util';

/** Longest text from Coder that may reach a status, an event or a log line, in bytes of UTF-8. */
export const MAX_QUOTED_BYTES = 1024;

const ELLIPSIS = '…';

/** Takes the place of a secret value. */
export const REDACTED = '[redacted]';

/**
 * Replaces every occurrence of the secret values, also in the form they take inside a URL or a JSON text. Empty
 * secrets are passed over. Redact before cleaning: a cut or folded secret would no longer be found.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret === '') continue;
    forms.add(secret);
    forms.add(encodeURIComponent(wellFormed(secret)));
    forms.add(JSON.stringify(secret).slice(1, -1));
  }
  if (forms.size === 0) return text;
  // One pass, longest first: a short secret must neither split a longer one nor eat into the replacement.
  const longestFirst = [...forms].sort((a, b) => b.length - a.length).map(escapeForRegExp);
  return text.replace(new RegExp(longestFirst.join('|'), 'g'), REDACTED);
}

/**
 * Makes foreign text fit to be shown: terminal sequences and control characters (also the invisible ones that turn
 * the direction of writing) are taken out, white space is folded, and what is longer than `maxBytes` is cut between
 * two characters and ends in an ellipsis.
 */
export function cleanText(text: string, maxBytes: number = MAX_QUOTED_BYTES): string {
  // Cut generously first: the work must depend on what is kept, not on what a provisioner has printed.
  const head = text.slice(0, maxBytes * 16);
  const tidy = stripVTControlCharacters(head)
    .replace(/\p{Cf}/gu, '')
    .replace(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  return truncate(tidy, maxBytes, head.length < text.length);
}

function truncate(text: string, maxBytes: number, alreadyCut: boolean): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes && !alreadyCut) return bytes.toString();
  let end = Math.min(bytes.length, maxBytes - Buffer.byteLength(ELLIPSIS));
  // 0b10xxxxxx continues a character: step back to where it begins.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end).trimEnd() + ELLIPSIS;
}

/** Half a surrogate pair becomes the replacement character, as it would on its way through UTF-8. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}
