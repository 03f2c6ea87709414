/**
 * Whether two JSON-like values would be the same object to the API server: the order of keys does not matter, and a
 * key whose value is undefined is an absent key. Null, an empty list and absence stay three different things.
 */
export function canonicalEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, i) => canonicalEqual(item, b[i]))
    );
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) {
    if (!canonicalEqual(own(a, key), own(b, key))) return false;
  }
  return true;
}

/** An object's own value: a label named `constructor` must not meet the one of Object. */
function own(object: object, key: string): unknown {
  return Object.hasOwn(object, key) ? (object as Readonly<Record<string, unknown>>)[key] : undefined;
}
