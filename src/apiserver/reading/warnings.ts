const LONGEST = 4 * 1024;
const SHORTENED = 256;

/**
 * Texts as values of the header Warning, in the way of kube-apiserver (apimachinery NewWarningHeader, apiserver
 * pkg/endpoints/filters/warning.go): each once; beyond 4,096 characters in all each is cut to 256, and the rest left
 * out. In the bytes of UTF-8, one character for each, as Node writes headers.
 */
export function warningHeaders(texts: readonly string[]): string[] {
  const clean = [...new Set(texts.map((text) => text.replace(/\p{Cc}+/gu, ' ').trim()))].filter(
    (text) => text !== '',
  );
  const all = clean.reduce((sum, text) => sum + text.length, 0);
  const headers: string[] = [];
  let written = 0;
  for (const text of clean) {
    if (written >= LONGEST) break;
    const kept = all > LONGEST ? Array.from(text).slice(0, SHORTENED).join('') : text;
    written += kept.length;
    const quoted = kept.replace(/["\\]/g, '\\$&');
    headers.push(Buffer.from(`299 - "${quoted}"`).toString('latin1'));
  }
  return headers;
}
