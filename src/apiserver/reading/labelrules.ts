const NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LONGEST_NAME = 63;
const LONGEST_PREFIX = 253;

const CHARACTERS = "letters, digits, '-', '_' and '.', with a letter or digit at both ends";

/** Why something cannot be the key of a label (apimachinery/pkg/api/validate/content, IsLabelKey); undefined: it can. */
export function labelKeyFault(key: string): string | undefined {
  const parts = key.split('/');
  const name = parts.pop() ?? '';
  if (parts.length > 1) return `a label key holds at most one '/'`;
  const [prefix] = parts;
  if (prefix !== undefined && (prefix.length > LONGEST_PREFIX || !SUBDOMAIN.test(prefix))) {
    return `the prefix of a label key is a DNS subdomain in lower case of at most ${LONGEST_PREFIX} characters`;
  }
  if (name.length > LONGEST_NAME || !NAME.test(name)) {
    return `the name part of a label key consists of 1 to ${LONGEST_NAME} ${CHARACTERS}`;
  }
  return undefined;
}

/** Why something cannot be the value of a label (IsLabelValue of the same package); undefined: it can. */
export function labelValueFault(value: string): string | undefined {
  if (value === '' || (value.length <= LONGEST_NAME && NAME.test(value))) return undefined;
  return `a label value is empty or consists of at most ${LONGEST_NAME} ${CHARACTERS}`;
}
