import type { CoderClient } from '../../coder/client.ts';
import type { Preset, RichParameter } from '../../coder/types.ts';

export interface VersionCacheOptions {
  readonly client: Pick<CoderClient, 'richParameters' | 'presets'>;
  /** Template versions that are remembered. Default 200. */
  readonly capacity?: number;
}

const CAPACITY = 200;

/** What the template versions of one Coder ask for. Once a version is imported that never changes. */
export class VersionCache {
  readonly #richParameters: Remembered<readonly RichParameter[]>;
  readonly #presets: Remembered<readonly Preset[]>;

  constructor({ client, capacity = CAPACITY }: VersionCacheOptions) {
    this.#richParameters = new Remembered(capacity, (id) => client.richParameters(id));
    this.#presets = new Remembered(capacity, async (id) => {
      // Coder refuses to tell the parameters before the import is over, but answers with no presets until then.
      await this.richParameters(id);
      return client.presets(id);
    });
  }

  /** @throws CoderError NotReady while the version is imported. */
  async richParameters(versionID: string): Promise<readonly RichParameter[]> {
    return this.#richParameters.get(versionID);
  }

  /** @throws CoderError NotReady while the version is imported. */
  async presets(versionID: string): Promise<readonly Preset[]> {
    return this.#presets.get(versionID);
  }
}

/** Answers by key, the last used ones; whoever asks while an answer is awaited gets the same one. */
class Remembered<T> {
  readonly #capacity: number;
  readonly #read: (key: string) => Promise<T>;
  /** In the order of use, the last used at the end. */
  readonly #answers = new Map<string, Promise<T>>();

  constructor(capacity: number, read: (key: string) => Promise<T>) {
    this.#capacity = capacity;
    this.#read = read;
  }

  async get(key: string): Promise<T> {
    const known = this.#answers.get(key);
    const answer = known ?? this.#read(key);
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > this.#capacity && oldest !== undefined) this.#answers.delete(oldest);
    try {
      return await answer;
    } catch (error) {
      if (this.#answers.get(key) === answer) this.#answers.delete(key);
      throw error;
    }
  }
}
