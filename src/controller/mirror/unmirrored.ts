interface Entry {
  readonly name: string;
  readonly why: string;
}

interface Kept {
  readonly entries: Map<string, Entry>;
  /** The ids that an event has named. */
  told: ReadonlySet<string>;
}

/** Named in an event; the others are only counted. */
const MOST_NAMED = 3;

/** What in Coder can be shown by no object, by namespace. */
export class Unmirrored {
  readonly #kept = new Map<string, Kept>();

  of(namespace: string): readonly Entry[] {
    return [...(this.#kept.get(namespace)?.entries.values() ?? [])];
  }

  put(namespace: string, id: string, name: string, why: string): void {
    const kept = this.#kept.get(namespace) ?? { entries: new Map<string, Entry>(), told: new Set<string>() };
    this.#kept.set(namespace, kept);
    kept.entries.set(id, { name, why });
  }

  forget(namespace: string, id: string): void {
    this.#kept.get(namespace)?.entries.delete(id);
  }

  forgetAll(namespace: string): void {
    this.#kept.delete(namespace);
  }

  /**
   * What is to be told of those that are still there, if any was not told yet. Each is told once.
   *
   * @param isThere whether Coder still has it.
   */
  news(
    namespace: string,
    isThere: (id: string) => boolean,
  ): { readonly count: number; readonly text: string } | undefined {
    const kept = this.#kept.get(namespace);
    if (kept === undefined) return undefined;
    for (const id of kept.entries.keys()) if (!isThere(id)) kept.entries.delete(id);
    const news = [...kept.entries].filter(([id]) => !kept.told.has(id));
    kept.told = new Set(kept.entries.keys());
    if (news.length === 0) return undefined;
    const named = news.slice(0, MOST_NAMED).map(([, { name, why }]) => `${name} (${why})`);
    const text = `${named.join('; ')}${news.length > MOST_NAMED ? '; …' : ''}`;
    return { count: kept.entries.size, text };
  }
}
