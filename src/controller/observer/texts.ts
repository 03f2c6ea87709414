/**
 * Keeps one copy of each text. The same owners, templates and versions are named in thousands of records, and every row
 * that was parsed brings copies of its own.
 */
export class Texts {
  #recent = new Map<string, string>();
  #older = new Map<string, string>();

  /** The copy that is kept of this text. */
  one(text: string): string {
    const recent = this.#recent.get(text);
    if (recent !== undefined) return recent;
    const kept = this.#older.get(text) ?? text;
    this.#recent.set(kept, kept);
    return kept;
  }

  /** A look at everything begins: what neither it nor anything since the one before brings is let go at the next. */
  turn(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
