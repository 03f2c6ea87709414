import type { CoderClient } from '../../coder/client.ts';
import { filesHash } from '../../coder/contenthash.ts';
import { unlessHidden } from '../../coder/hidden.ts';
import type { Preset, RichParameter, TemplateVersionVariable } from '../../coder/types.ts';
import { unpack } from '../../coder/unpack.ts';
import { OperatorError } from '../../base/errors.ts';

export interface VersionCacheOptions {
  readonly client: Pick<
    CoderClient,
    'richParameters' | 'presets' | 'templateVersion' | 'templateVersionVariables' | 'file'
  >;
  /** Template versions that are remembered. Default 200. */
  readonly capacity?: number;
}

const CAPACITY = 200;

/** What a version was made of. */
export interface VersionContents {
  /** Undefined where Coder does not give the files, or they are none that a template of ours could hold. */
  readonly filesHash: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Sensitive ones without their values. */
  readonly variables: readonly TemplateVersionVariable[];
}

/** What the template versions of one Coder ask for. Once a version is imported that never changes. */
export class VersionCache {
  readonly #richParameters: Remembered<readonly RichParameter[]>;
  readonly #presets: Remembered<readonly Preset[]>;
  readonly #contents: Remembered<VersionContents>;

  constructor({ client, capacity = CAPACITY }: VersionCacheOptions) {
    this.#richParameters = new Remembered(capacity, (id) => client.richParameters(id));
    this.#presets = new Remembered(capacity, async (id) => {
      // Coder refuses to tell the parameters before the import is over, but answers with no presets until then.
      await this.richParameters(id);
      return client.presets(id);
    });
    this.#contents = new Remembered(capacity, (id) => contentsOf(client, id));
  }

  /** @throws CoderError NotReady while the version is imported. */
  async richParameters(versionID: string): Promise<readonly RichParameter[]> {
    return this.#richParameters.get(versionID);
  }

  /** @throws CoderError NotReady while the version is imported. */
  async presets(versionID: string): Promise<readonly Preset[]> {
    return this.#presets.get(versionID);
  }

  /** @throws CoderError */
  async contents(versionID: string): Promise<VersionContents> {
    return this.#contents.get(versionID);
  }
}

async function contentsOf(
  client: VersionCacheOptions['client'],
  versionID: string,
): Promise<VersionContents> {
  const { job } = await client.templateVersion(versionID);
  const fileID = job.file_id;
  return {
    filesHash: fileID === undefined ? undefined : await hashOf(client, fileID),
    tags: job.tags ?? {},
    variables: (await unlessHidden(() => client.templateVersionVariables(versionID))) ?? [],
  };
}

async function hashOf(client: VersionCacheOptions['client'], fileID: string): Promise<string | undefined> {
  const tar = await unlessHidden(() => client.file(fileID));
  if (tar === undefined) return undefined;
  try {
    return filesHash((await unpack(tar)).files);
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'INVALID_ARCHIVE') return undefined;
    throw error;
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
