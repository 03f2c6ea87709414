import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { KubeClient, NewObject } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import { objectKey } from '../kube/objects.ts';
import { StatusWriter } from '../kube/status.ts';
import type { PassWriter } from './pass.ts';

/** An object to be created, under a name of our choice. */
export interface NamedObject extends NewObject {
  readonly metadata: { readonly name: string; readonly namespace: string };
}

/** Where passes write to: what belongs to users, and the objects of our own. */
export interface ObjectWriter extends PassWriter {
  /** @throws KubeError, `isAlreadyExists` when the name is taken. */
  create<T extends KubeObject>(resource: ResourceType, object: NamedObject, manager: string): Promise<T>;
  /** Sets labels, and with null takes them off. @throws KubeError on a stale copy. */
  setLabels<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    labels: Readonly<Record<string, string | null>>,
    manager: string,
  ): Promise<T>;
  /** Deletes just this state of an object; that it is gone already is as good. @throws KubeError on a stale copy. */
  remove(resource: ResourceType, object: KubeObject): Promise<void>;
}

export interface RememberingWriterOptions {
  readonly kube: Pick<KubeClient, 'putStatus' | 'mergePatch' | 'create' | 'delete'>;
  readonly fieldManager: string;
  /** Gets the answer of every write, for the store to read it back at once. */
  readonly assume: (resource: ResourceType, object: KubeObject) => void;
}

/**
 * Writes status and finalizers, and remembers the version that each write made, so that the echo of our own write
 * wakes nobody.
 */
export class RememberingWriter implements ObjectWriter {
  readonly #options: RememberingWriterOptions;
  readonly #writer: StatusWriter;
  readonly #written = new Map<string, string | undefined>();
  /** Writes whose answer is awaited: how many of an object, and what is to be done when all have come. */
  readonly #underWay = new Map<string, { count: number; readonly waiting: (() => void)[] }>();

  constructor(options: RememberingWriterOptions) {
    this.#options = options;
    this.#writer = new StatusWriter({
      client: options.kube,
      fieldManager: options.fieldManager,
      assume: (resource, object) => this.#assume(resource, object),
    });
  }

  async writeStatus<T extends KubeObject>(resource: ResourceType, object: T, status: object): Promise<T> {
    const written = await this.#during(resource, object, () =>
      this.#writer.write<KubeObject & { readonly status?: unknown }>(resource, object, status),
    );
    // The API server answers with the same kind of object that it was sent.
    return written === undefined ? object : (written as T);
  }

  async setFinalizer<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    finalizer: string,
    present: boolean,
  ): Promise<T | undefined> {
    return this.#during(resource, object, () =>
      present
        ? this.#writer.addFinalizer(resource, object, finalizer)
        : this.#writer.removeFinalizer(resource, object, finalizer),
    );
  }

  async create<T extends KubeObject>(
    resource: ResourceType,
    object: NamedObject,
    fieldManager: string,
  ): Promise<T> {
    return this.#during(resource, object, async () => {
      const created = await this.#options.kube.create<T>(resource, object, { fieldManager });
      this.#assume(resource, created);
      return created;
    });
  }

  async setLabels<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    labels: Readonly<Record<string, string | null>>,
    fieldManager: string,
  ): Promise<T> {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const patch = { metadata: { uid, resourceVersion, labels } };
    return this.#during(resource, object, async () => {
      const answer = await this.#options.kube.mergePatch<T>(resource, namespace, name, patch, {
        fieldManager,
      });
      this.#assume(resource, answer);
      return answer;
    });
  }

  async remove(resource: ResourceType, object: KubeObject): Promise<void> {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    try {
      await this.#options.kube.delete(resource, namespace, name, { preconditions });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Whether this state of the object is the one that our last write made. */
  isOwnWrite(resource: ResourceType, object: KubeObject): boolean {
    const version = object.metadata.resourceVersion;
    return version !== undefined && this.#written.get(keyOf(resource, object)) === version;
  }

  /**
   * Calls back once no write on the object is under way, at once when none is. The watch often tells of a write before
   * its answer is there: whose it was is known only then.
   */
  afterWrite(resource: ResourceType, object: KubeObject, then: () => void): void {
    const underWay = this.#underWay.get(keyOf(resource, object));
    if (underWay === undefined) then();
    else underWay.waiting.push(then);
  }

  forget(resource: ResourceType, object: KubeObject): void {
    this.#written.delete(keyOf(resource, object));
  }

  #assume(resource: ResourceType, object: KubeObject): void {
    this.#written.set(keyOf(resource, object), object.metadata.resourceVersion);
    this.#options.assume(resource, object);
  }

  async #during<T>(resource: ResourceType, object: KubeObject, write: () => Promise<T>): Promise<T> {
    const key = keyOf(resource, object);
    const underWay = this.#underWay.get(key) ?? { count: 0, waiting: [] };
    this.#underWay.set(key, underWay);
    underWay.count++;
    try {
      return await write();
    } finally {
      underWay.count--;
      if (underWay.count === 0) {
        this.#underWay.delete(key);
        for (const then of underWay.waiting) then();
      }
    }
  }
}

function keyOf(resource: ResourceType, object: KubeObject): string {
  return `${resource.plural}/${objectKey(object)}`;
}
