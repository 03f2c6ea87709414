import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import { RememberingWriter } from '../../src/controller/writer.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { assertConditions, type ConditionedStatus } from './conditions.ts';

export type Held<Spec, Status extends ConditionedStatus> = KubeObject & {
  readonly spec: Spec;
  readonly status?: Status;
};

/** The default of the CRDs for an object that nobody has looked at. */
const UNSEEN: ConditionedStatus = { observedGeneration: -1 };

/** A stale resourceVersion, as the API server says it. */
export function conflict(): KubeError {
  return new KubeError('KUBE_REFUSED', 'the object has been modified', { status: 409, reason: 'Conflict' });
}

/**
 * The API server's part of one object: versions, generations, finalizers that hold a deletion, JSON on the wire. Every
 * status that is written to it must keep the condition rules.
 */
export class HeldObject<Spec, Status extends ConditionedStatus> {
  #object: Held<Spec, Status> | undefined;
  #version = 1;
  readonly writer: RememberingWriter;
  /** Every status that was written, oldest first. */
  readonly statuses: Status[] = [];
  /** Writes of any kind by the operator. */
  writes = 0;
  /** The next write meets an object that somebody has just touched. */
  touchNext = false;
  /** Whether the kind itself is being removed. */
  crdTerminating = false;

  constructor(name: string, spec: Spec, metadata: Partial<KubeObject['metadata']> = {}) {
    this.#object = {
      metadata: {
        name,
        namespace: 'team',
        uid: `uid-${name}`,
        generation: 1,
        resourceVersion: '1',
        creationTimestamp: '2026-01-01T00:00:00Z',
        ...metadata,
      },
      spec,
      status: UNSEEN as Status,
    };
    this.writer = new RememberingWriter({
      kube: this.client,
      fieldManager: 'coder-operator',
      assume: () => undefined,
    });
  }

  /** Undefined when it is gone. */
  get object(): Held<Spec, Status> | undefined {
    return this.#object;
  }

  get client(): KubeClient {
    const client: Pick<KubeClient, 'putStatus' | 'mergePatch' | 'get'> = {
      get: <T extends KubeObject>() =>
        Promise.resolve({
          metadata: {
            name: 'crd',
            ...(this.crdTerminating ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
          },
        } as T),
      putStatus: <T extends KubeObject>(_: ResourceType, object: T, status: unknown) =>
        this.#write<T>(object.metadata, (held) => {
          const next = wired(status) as Status;
          assertConditions(next, held.metadata.generation ?? 0);
          this.statuses.push(next);
          return { ...held, status: next };
        }),
      mergePatch: <T extends KubeObject>(_r: ResourceType, _ns: unknown, _name: string, body: unknown) => {
        const { metadata } = body as Pick<KubeObject, 'metadata'>;
        return this.#write<T>(metadata, (held) => ({
          ...held,
          metadata: { ...held.metadata, finalizers: metadata.finalizers ?? [] },
        }));
      },
    };
    // Only these calls are made on behalf of one object.
    return client as KubeClient;
  }

  /** A person applies a changed manifest; the same one again changes nothing. */
  apply(change: (spec: Spec) => Spec): void {
    this.#change((held) => {
      const spec = change(held.spec);
      if (isDeepStrictEqual(spec, held.spec)) return held;
      return {
        ...held,
        spec,
        metadata: { ...held.metadata, generation: (held.metadata.generation ?? 0) + 1 },
      };
    });
  }

  annotate(key: string, value: string): void {
    this.#change((held) => ({
      ...held,
      metadata: { ...held.metadata, annotations: { ...held.metadata.annotations, [key]: value } },
    }));
  }

  /** `kubectl delete`: finalizers hold the object. */
  delete(): void {
    this.#change((held) => {
      const deletionTimestamp = held.metadata.deletionTimestamp ?? '2026-01-01T01:00:00Z';
      return { ...held, metadata: { ...held.metadata, deletionTimestamp } };
    });
  }

  /** A restore from a backup that holds no status. */
  loseStatus(): void {
    this.#change(({ metadata, spec }) => ({ metadata, spec, status: UNSEEN as Status }));
  }

  #change(change: (held: Held<Spec, Status>) => Held<Spec, Status>): void {
    if (this.#object === undefined) return;
    const next = change(this.#object);
    this.#version++;
    const metadata = { ...next.metadata, resourceVersion: String(this.#version) };
    const isGone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    this.#object = isGone ? undefined : { ...next, metadata };
  }

  #write<T>(
    precondition: KubeObject['metadata'],
    change: (held: Held<Spec, Status>) => Held<Spec, Status>,
  ): Promise<T> {
    return new Promise((resolve) => {
      if (this.touchNext) {
        this.touchNext = false;
        this.#change((held) => held);
      }
      const before = this.#object;
      if (before === undefined) {
        throw new KubeError('KUBE_REFUSED', 'it is gone', { status: 404, reason: 'NotFound' });
      }
      if (precondition.resourceVersion !== before.metadata.resourceVersion) throw conflict();
      this.writes++;
      this.#change(change);
      resolve((this.#object ?? change(before)) as T);
    });
  }
}

/** A value as it comes back from the API server: absent keys, whole characters. */
export function wired(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, v: unknown) => (typeof v === 'string' ? Buffer.from(v).toString() : v)),
  );
}
