import { OperatorError } from '../../base/errors.ts';

/** Credentials that were presented and do not hold. The message is for the log, never for the client. */
export class CredentialsError extends OperatorError {
  constructor(message: string, cause?: unknown) {
    super('BAD_CREDENTIALS', message, { cause });
  }
}

/** Names in lower case and values as Node has them, one character for each byte, in the order of their coming. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/**
 * @param rawHeaders of an IncomingMessage: names and values by turns. Its `headers` must not be used to tell who asks:
 *   they join equal names with commas, and so make two groups of one that holds a comma.
 */
export function headerPairs(rawHeaders: readonly string[]): HeaderPairs {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    pairs.push([rawHeaders[i]?.toLowerCase() ?? '', rawHeaders[i + 1] ?? '']);
  }
  return pairs;
}

/** The values of one header, empty ones too. @param name in lower case. */
export function headerValues(headers: HeaderPairs, name: string): string[] {
  return headers.flatMap(([other, value]) => (other === name ? [value] : []));
}

/**
 * The one value of a header that can have only one; empty when it is not there. Where it came twice, whoever sent the
 * request and whoever passed it on may have meant different ones.
 *
 * @throws CredentialsError when it came with different values.
 */
export function soleValue(headers: HeaderPairs, name: string): string {
  const values = headerValues(headers, name);
  const [first = ''] = values;
  if (values.some((value) => value !== first))
    throw new CredentialsError(`the header ${name} came with different values`);
  return first;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of a header's value: Go sends UTF-8, Node reads bytes.
 *
 * @throws CredentialsError for anything else: replacing what cannot be read could make two names one.
 */
export function headerText(value: string): string {
  if (!/[^\x20-\x7e]/.test(value)) return value;
  const bytes = Buffer.from(value, 'latin1');
  try {
    if (bytes.toString('latin1') === value) return decoder.decode(bytes);
  } catch {
    // Told below.
  }
  throw new CredentialsError('a header that says who asks is not UTF-8');
}
