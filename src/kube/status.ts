import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { KubeClient, WriteOptions } from './client.ts';
import { canonicalEqual } from './equality.ts';
import { isNotFound } from './errors.ts';

export interface StatusWriterOptions {
  readonly client: Pick<KubeClient, 'putStatus' | 'mergePatch'>;
  /** Gets the answer of every write, for the store to read it back at once. */
  readonly assume: (resource: ResourceType, object: KubeObject) => void;
  readonly fieldManager: string;
}

/** The status subresource, as far as it is compared. */
interface WithStatus extends KubeObject {
  readonly status?: unknown;
}

/**
 * The two things that are written on objects which belong to users: status and finalizers.
 *
 * Every write names the uid and resourceVersion that it was decided on, so a stale copy ends in a KubeError for which
 * `isConflict` holds (or, for a finalizer on a namesake, `isOtherUid`), never in a lost update.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /**
   * Writes the status if it differs from the object's: a write that changes nothing costs the server nearly as much
   * as one that does. Answers the new object, or undefined when nothing was to be done.
   */
  async write<T extends WithStatus>(
    resource: ResourceType,
    object: T,
    status: NonNullable<T['status']>,
    options: Omit<WriteOptions, 'fieldManager'> = {},
  ): Promise<T | undefined> {
    if (canonicalEqual(object.status, status)) return undefined;
    const { client, fieldManager } = this.#options;
    return this.#assumed(
      resource,
      await client.putStatus<T>(resource, object, status, { ...options, fieldManager }),
    );
  }

  /** Answers the object with the finalizer; without a request when it has it. */
  async addFinalizer<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    finalizer: string,
    options: Omit<WriteOptions, 'fieldManager'> = {},
  ): Promise<T> {
    const finalizers = object.metadata.finalizers ?? [];
    if (finalizers.includes(finalizer)) return object;
    return this.#setFinalizers(resource, object, [...finalizers, finalizer], options);
  }

  /** Answers the object without the finalizer, or undefined when the object is gone, which is as good. */
  async removeFinalizer<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    finalizer: string,
    options: Omit<WriteOptions, 'fieldManager'> = {},
  ): Promise<T | undefined> {
    const finalizers = object.metadata.finalizers ?? [];
    if (!finalizers.includes(finalizer)) return object;
    const others = finalizers.filter((other) => other !== finalizer);
    try {
      return await this.#setFinalizers(resource, object, others, options);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** A merge patch replaces the whole list: only the resourceVersion keeps another's finalizer from being lost. */
  async #setFinalizers<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    finalizers: readonly string[],
    options: Omit<WriteOptions, 'fieldManager'>,
  ): Promise<T> {
    const { client, fieldManager } = this.#options;
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const patch = { metadata: { uid, resourceVersion, finalizers } };
    const call = { ...options, fieldManager };
    return this.#assumed(resource, await client.mergePatch<T>(resource, namespace, name, patch, call));
  }

  #assumed<T extends KubeObject>(resource: ResourceType, answer: T): T {
    this.#options.assume(resource, answer);
    return answer;
  }
}
