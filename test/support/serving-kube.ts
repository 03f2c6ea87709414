import { randomUUID } from 'node:crypto';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { Clock } from '../../src/base/clock.ts';
import { apiServices, managedBy, names, type ApiService } from '../../src/controller/serving/objects.ts';
import { secrets, type Secret } from '../../src/controller/secrets.ts';
import type { KubeClient, NewObject } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { wired } from './controller-kube.ts';

export const NAMESPACE = 'coder-operator';
export const SERVER_NAME = 'coder-operator-apiserver.coder-operator.svc';

type Call = 'get' | 'create' | 'update' | 'patch';

/** The API server's part for the endpoint's certificates: two Secrets and an APIService, with versions and rights. */
export class ServingKube {
  /** Calls that were answered, such as `update secrets`. */
  readonly calls: string[] = [];
  /** Of those, what changed something, with the name. */
  readonly writes: string[] = [];
  /** Calls that are refused, such as `patch apiservices` or `get secrets`. */
  readonly forbidden = new Set<string>();
  /** Told before a call is carried out; may throw in its place. */
  onCall: (call: string) => void = () => undefined;
  /** Told after a write was carried out; may throw, as when the answer is lost. */
  onWritten: (write: string) => void = () => undefined;
  /** Its wall clock, in milliseconds since the epoch. */
  now: () => number;
  readonly #objects = new Map<string, KubeObject>();
  #version = 1;

  constructor(clock: Clock) {
    this.now = () => clock.now();
    for (const name of [names.authoritySecret, names.servingSecret]) this.putSecret(name, emptied);
  }

  get client(): Pick<KubeClient, 'get' | 'create' | 'replace' | 'mergePatch'> {
    return {
      get: <T extends KubeObject>(resource: ResourceType, _namespace: string | undefined, name: string) =>
        this.#call('get', resource, () => this.#found(resource, name) as T),
      create: <T extends KubeObject>(resource: ResourceType, object: NewObject) =>
        this.#call('create', resource, () => this.#create(resource, object) as T),
      replace: <T extends KubeObject>(resource: ResourceType, object: T) =>
        this.#call('update', resource, () => this.#write('update', resource, object, () => object) as T),
      mergePatch: <T extends KubeObject>(
        resource: ResourceType,
        _namespace: string | undefined,
        name: string,
        body: unknown,
      ) => {
        const { metadata, spec } = body as ApiService;
        const target = { metadata: { ...metadata, name } };
        return this.#call(
          'patch',
          resource,
          () =>
            this.#write('patch', resource, target, (before) => ({
              ...before,
              spec: { ...(before as ApiService).spec, ...spec },
            })) as unknown as T,
        );
      },
    };
  }

  /** The APIService of `config/apiserver`, or another one in its place. */
  putApiService(change: (object: ApiService) => ApiService = (object) => object): void {
    const fresh: ApiService = {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: {
        name: names.apiService,
        uid: randomUUID(),
        labels: { 'app.kubernetes.io/part-of': 'coder-operator' },
      },
      spec: { service: { namespace: NAMESPACE, name: 'coder-operator-apiserver' } },
    };
    this.#put(apiServices, change(this.apiService ?? fresh));
  }

  /** A Secret of `config/apiserver`, or another one in its place. */
  putSecret(name: string, change: (object: Secret) => Secret): void {
    const labels = { [managedBy.key]: managedBy.value };
    const fresh: Secret = { metadata: { name, namespace: NAMESPACE, labels }, type: 'Opaque' };
    this.#put(secrets, change(this.secret(name) ?? fresh));
  }

  remove(resource: ResourceType, name: string): void {
    this.#objects.delete(`${resource.plural}/${name}`);
  }

  get apiService(): ApiService | undefined {
    return this.#objects.get(`apiservices/${names.apiService}`) as ApiService | undefined;
  }

  secret(name: string): Secret | undefined {
    return this.#objects.get(`secrets/${name}`);
  }

  /** PEM, as the API server would take it to check with. */
  get bundle(): string {
    return Buffer.from(this.apiService?.spec.caBundle ?? '', 'base64').toString();
  }

  /** PEM, as the endpoint would find it. */
  get serving(): { readonly cert: string; readonly key: string } {
    const data = this.secret(names.servingSecret)?.data ?? {};
    const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
    return { cert: text('tls.crt'), key: text('tls.key') };
  }

  #call<T>(verb: Call, resource: ResourceType, answer: () => T): Promise<T> {
    // Through a turn of the event loop, as a call to a server.
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          const call = `${verb} ${resource.plural}`;
          this.onCall(call);
          this.calls.push(call);
          if (this.forbidden.has(call)) throw refusal(403, 'Forbidden');
          resolve(wired(answer()) as T);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  #create(resource: ResourceType, object: NewObject): KubeObject {
    const creationTimestamp = `${new Date(this.now()).toISOString().slice(0, 19)}Z`;
    const name = object.metadata?.name;
    if (name === undefined) return { metadata: { name: '', creationTimestamp } };
    if (this.#objects.has(`${resource.plural}/${name}`)) throw refusal(409, 'AlreadyExists');
    const created = {
      ...object,
      metadata: { ...object.metadata, name, uid: randomUUID(), creationTimestamp },
    };
    return this.#done('create', resource, created);
  }

  #write(
    verb: Call,
    resource: ResourceType,
    { metadata }: KubeObject,
    change: (before: KubeObject) => KubeObject,
  ): KubeObject {
    const before = this.#found(resource, metadata.name);
    if (metadata.resourceVersion !== before.metadata.resourceVersion) throw refusal(409, 'Conflict');
    return this.#done(verb, resource, change(before));
  }

  #done(verb: Call, resource: ResourceType, object: KubeObject): KubeObject {
    const put = this.#put(resource, object);
    const write = `${verb} ${resource.plural}/${object.metadata.name}`;
    this.writes.push(write);
    this.onWritten(write);
    return put;
  }

  #put(resource: ResourceType, object: KubeObject): KubeObject {
    this.#version++;
    const put = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.#objects.set(`${resource.plural}/${object.metadata.name}`, put);
    return put;
  }

  #found({ plural }: ResourceType, name: string): KubeObject {
    const object = this.#objects.get(`${plural}/${name}`);
    if (object === undefined) throw refusal(404, 'NotFound');
    return object;
  }
}

/** The Secret as its manifest brings it. */
export function emptied({ metadata, type = 'Opaque' }: Secret): Secret {
  return { metadata, type };
}

export function refusal(status: number, reason: string): KubeError {
  const message = `refused: ${reason}`;
  return new KubeError('KUBE_REFUSED', message, { status, reason, retryable: status >= 500 });
}
