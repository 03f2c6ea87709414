/** JSON that holds no end of a line, of Unicode's neither: some readers of a watch would cut there. */
export function jsonText(value: unknown): string {
  return oneLine(JSON.stringify(value));
}

/** The same JSON with these ends of a line escaped. */
export function oneLine(json: string): string {
  if (!json.includes('\u2028') && !json.includes('\u2029')) return json;
  return json.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}
