/** Longer ones are hardly ever equal. */
const MAX_LENGTH = 64;
/** Then all are forgotten: some are held twice, and none for ever. */
const MAX_STRINGS = 4_096;

/** Makes one string of many equal ones, so that a namespace, label or owner is not held once per object. */
export class Strings {
  readonly #known = new Map<string, string>();

  share(text: string): string {
    if (text.length > MAX_LENGTH) return text;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_STRINGS) this.#known.clear();
    this.#known.set(text, text);
    return text;
  }
}
