import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { Lease } from '../../src/kube/lease.ts';

/** One Lease in memory with the API server's rules for stale copies, and faults on demand. */
export class LeaseServer {
  lease: Lease | undefined;
  /** While set, every call fails with it. */
  fault: Error | undefined;
  /** The next write is carried out, but its answer is lost. */
  loseNextAnswer = false;
  writes = 0;
  #version = 0;

  get<T extends KubeObject>(): Promise<T> {
    return this.#answer(() => {
      if (this.lease === undefined) throw refused(404, 'NotFound');
      return this.lease as unknown as T;
    });
  }

  create<T extends KubeObject>(_resource: ResourceType, object: object): Promise<T> {
    return this.#answer(() => {
      if (this.lease !== undefined) throw refused(409, 'AlreadyExists');
      return this.#store(object as Lease) as unknown as T;
    });
  }

  replace<T extends KubeObject>(_resource: ResourceType, object: T): Promise<T> {
    return this.#answer(() => {
      if (this.lease === undefined) throw refused(404, 'NotFound');
      if (this.lease.metadata.resourceVersion !== object.metadata.resourceVersion)
        throw refused(409, 'Conflict');
      return this.#store(object) as unknown as T;
    });
  }

  /** Another process writes the lease. */
  hold(holderIdentity: string, leaseTransitions: number): void {
    const spec = {
      holderIdentity,
      leaseTransitions,
      leaseDurationSeconds: 15,
      renewTime: `${this.#version}`,
    };
    this.#store({ metadata: { name: 'lease' }, spec });
  }

  #store(object: Lease): Lease {
    this.#version++;
    this.writes++;
    this.lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    if (this.loseNextAnswer) {
      this.loseNextAnswer = false;
      throw new KubeError('KUBE_UNREACHABLE', 'the answer is lost', { retryable: true, unclear: true });
    }
    return this.lease;
  }

  #answer<T>(act: () => T): Promise<T> {
    return new Promise((resolve) => {
      if (this.fault !== undefined) throw this.fault;
      resolve(act());
    });
  }
}

function refused(status: number, reason: string): KubeError {
  return new KubeError('KUBE_REFUSED', `scripted ${reason}`, { status, reason });
}
