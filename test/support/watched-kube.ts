import { expect } from 'chai';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { KubeClient, ListOptions, WatchOptions } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { KubeList } from '../../src/kube/objects.ts';

/** The API server's answer without the right. */
export const forbidden = (): KubeError =>
  new KubeError('KUBE_REFUSED', 'no right', { status: 403, reason: 'Forbidden' });
/** Its answer to a path that it does not know: without a Status, hence without a reason. */
export const unknownKind = (): KubeError => new KubeError('KUBE_REFUSED', 'no such page', { status: 404 });
export const down = (): KubeError => new KubeError('KUBE_UNREACHABLE', 'no answer', { retryable: true });

type Verb = 'get' | 'list' | 'watch';

interface OpenWatch {
  readonly send: (event: object) => void;
  readonly end: () => void;
}

/** The API server's part in reading and watching: any objects of any kinds, and one open watch of each namespace. */
export class WatchedKube {
  readonly #objects = new Map<string, KubeObject>();
  readonly #watches = new Map<string, OpenWatch>();
  #version = 10;
  /** What was asked, such as `get widgets team/a` or `list widgets team`. */
  readonly calls: string[] = [];
  /** What a call of that verb fails with. */
  readonly failing = new Map<Verb, () => KubeError>();
  /** Lists are not answered. */
  isSilent = false;

  get client(): Pick<KubeClient, Verb> {
    return {
      get: <T extends KubeObject>({ plural }: ResourceType, namespace = '', name: string): Promise<T> => {
        const key = `${plural} ${namespace}/${name}`;
        return this.#answer('get', key, () => {
          const found = this.#objects.get(key);
          if (found === undefined)
            throw new KubeError('KUBE_REFUSED', 'none', { status: 404, reason: 'NotFound' });
          return found as T;
        });
      },
      list: <T extends KubeObject>({ plural }: ResourceType, namespace = '', options?: ListOptions) =>
        this.#answer('list', `${plural} ${namespace}`, (): KubeList<T> | Promise<KubeList<T>> => {
          expect(options?.limit).to.be.at.most(100);
          if (this.isSilent) return new Promise(() => undefined);
          const keys = [...this.#objects.keys()].filter((key) => key.startsWith(`${plural} ${namespace}/`));
          return {
            metadata: { resourceVersion: String(this.#version) },
            items: keys.map((key) => this.#objects.get(key) as T),
          };
        }),
      watch: ({ plural }: ResourceType, namespace = '', options: WatchOptions) =>
        this.#answer('watch', `${plural} ${namespace}`, () =>
          this.#stream(`${plural} ${namespace}`, options.signal),
        ),
    };
  }

  /** What is watched now, such as `widgets team`. */
  get watched(): string[] {
    return [...this.#watches.keys()];
  }

  count(verb: Verb): number {
    return this.calls.filter((call) => call.startsWith(`${verb} `)).length;
  }

  /** Creates or changes one; open watches tell it. */
  put({ plural }: ResourceType, namespace: string, name: string, fields: object = {}): void {
    const key = `${plural} ${namespace}/${name}`;
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED';
    const resourceVersion = String(++this.#version);
    const metadata = { name, namespace, uid: `uid-${name}`, resourceVersion, annotations: { a: 'b' } };
    const object = { ...fields, metadata };
    this.#objects.set(key, object);
    this.#watches.get(`${plural} ${namespace}`)?.send({ type, object });
  }

  remove({ plural }: ResourceType, namespace: string, name: string): void {
    const key = `${plural} ${namespace}/${name}`;
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#objects.delete(key);
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.#watches.get(`${plural} ${namespace}`)?.send({ type: 'DELETED', object: { ...object, metadata } });
  }

  /** Every call fails so from now on; left out: none does. */
  refuse(failure?: () => KubeError): void {
    for (const verb of ['get', 'list', 'watch'] as const) {
      if (failure === undefined) this.failing.delete(verb);
      else this.failing.set(verb, failure);
    }
  }

  /** As the API server does after some minutes, and when a CRD goes. */
  endWatches(): void {
    for (const watch of this.#watches.values()) watch.end();
  }

  #answer<T>(verb: Verb, what: string, answer: () => T | Promise<T>): Promise<T> {
    this.calls.push(`${verb} ${what}`);
    return new Promise((resolve) => {
      const failure = this.failing.get(verb);
      if (failure !== undefined) throw failure();
      resolve(answer());
    });
  }

  async *#stream(key: string, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const lines: string[] = [];
    const ended = new AbortController();
    let wake: () => void = () => undefined;
    const end = (): void => {
      ended.abort();
      wake();
    };
    const send = (event: object): void => {
      lines.push(`${JSON.stringify(event)}\n`);
      wake();
    };
    this.#watches.set(key, { send, end });
    signal?.addEventListener('abort', end);
    try {
      while (signal?.aborted !== true) {
        const line = lines.shift();
        if (line !== undefined) yield Buffer.from(line);
        else if (ended.signal.aborted) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#watches.delete(key);
    }
  }
}
