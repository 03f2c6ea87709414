export interface SweepsOptions {
  /** Wakes whatever in a namespace is not as it should be. False when it is too early for that. */
  readonly sweep: (namespace: string) => Promise<boolean>;
  readonly onError: (namespace: string, error: unknown) => void;
}

interface Swept {
  /** One is under way, and perhaps another is wanted after it. */
  state: 'none' | 'running' | 'again';
  hasSwept: boolean;
  /** Things that were woken and had no pass since. */
  readonly due: Set<string>;
}

/** Sweeps of namespaces, one at a time for each, and whether all that they woke had its turn. */
export class Sweeps {
  readonly #options: SweepsOptions;
  readonly #swept = new Map<string, Swept>();

  constructor(options: SweepsOptions) {
    this.#options = options;
  }

  /** Asked for while one is under way, there is another one after it. */
  sweep(namespace: string): void {
    const swept = this.#of(namespace);
    if (swept.state !== 'none') {
      swept.state = 'again';
      return;
    }
    swept.state = 'running';
    void this.#run(namespace, swept);
  }

  due(namespace: string, id: string): void {
    this.#of(namespace).due.add(id);
  }

  done(namespace: string, id: string): void {
    this.#swept.get(namespace)?.due.delete(id);
  }

  /** Whether everything was swept once, and all that was woken had its turn. */
  isSettled(namespace: string): boolean {
    const swept = this.#swept.get(namespace);
    return swept !== undefined && swept.hasSwept && swept.state === 'none' && swept.due.size === 0;
  }

  forget(namespace: string): void {
    this.#swept.delete(namespace);
  }

  async #run(namespace: string, swept: Swept): Promise<void> {
    try {
      if (await this.#options.sweep(namespace)) swept.hasSwept = true;
    } catch (error) {
      this.#options.onError(namespace, error);
    }
    const isWantedAgain = swept.state === 'again';
    swept.state = 'none';
    if (isWantedAgain) this.sweep(namespace);
  }

  #of(namespace: string): Swept {
    const known = this.#swept.get(namespace);
    if (known !== undefined) return known;
    const swept: Swept = { state: 'none', hasSwept: false, due: new Set() };
    this.#swept.set(namespace, swept);
    return swept;
  }
}
