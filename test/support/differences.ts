/** Where two values differ, in words: `counts › builds start: 2 instead of 1`. */
export function differences(actual: unknown, expected: unknown, path = ''): readonly string[] {
  if (Array.isArray(actual) && Array.isArray(expected)) {
    const longest = Math.max(actual.length, expected.length);
    return Array.from({ length: longest }, (_, i) =>
      differences(actual[i], expected[i], `${path} › ${i}`),
    ).flat();
  }
  if (isRecord(actual) && isRecord(expected)) {
    const keys = [...new Set([...Object.keys(actual), ...Object.keys(expected)])].sort();
    return keys.flatMap((key) =>
      differences(actual[key], expected[key], path === '' ? key : `${path} › ${key}`),
    );
  }
  // Of what is not there, JSON has no text.
  const [is, was] = [actual, expected].map((value) =>
    value === undefined ? 'nothing' : JSON.stringify(value),
  );
  return is === was ? [] : [`${path}: ${is} instead of ${was}`];
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
