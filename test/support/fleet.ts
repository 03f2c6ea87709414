import type { CoderControlPlaneSpec } from '../../src/api/generated.ts';
import {
  controlPlanes,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../src/api/kinds.ts';
import { isMirror } from '../../src/api/mirrors.ts';
import type { ResourceType } from '../../src/api/meta.ts';
import { errorText } from '../../src/base/errors.ts';
import { silentLogger, type Logger } from '../../src/base/logger.ts';
import type { CoderClient } from '../../src/coder/client.ts';
import { CoderError } from '../../src/coder/errors.ts';
import { runController } from '../../src/controller/controller.ts';
import { secrets } from '../../src/controller/secrets.ts';
import { createStores } from '../../src/controller/stores.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { WorkQueue } from '../../src/kube/workqueue.ts';
import { FakeClock } from './clock.ts';
import { SimulatedCoder } from './controller-coder.ts';
import { SETTINGS } from './controller-world.ts';
import { MemoryKube, type AnyObject, type Write } from './memory-kube.ts';

const NAMESPACE = 'team';
const EVENTS: ResourceType = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };
/** The least that a control plane may ask for. */
export const POLL_MS = 10_000;
/** Builds end at such times. */
const BUILD_MS = 1_000;
const WORKERS = 4;
const LONGEST_MS = 60_000;

/**
 * The whole operator with one control plane, in memory and in virtual time: all of it but the network, and the watches
 * and the lease, which have tests of their own. Its process may end and come back without any memory.
 */
export class Fleet {
  readonly clock = new FakeClock();
  readonly kube = new MemoryKube(this.clock);
  /** Every write on our kinds that changed something, oldest first. */
  readonly writes: Write[] = [];
  /** What went wrong that must not. */
  readonly faults: string[] = [];
  /** Calls that were made to Coder, by name. */
  readonly calls: string[] = [];
  /** Whether builds end by themselves. */
  isBuilding = true;
  #coder = new SimulatedCoder(this.clock);
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #epoch = 0;

  /** Starts with a control plane that has not been looked at yet. */
  constructor(controlPlane: Partial<CoderControlPlaneSpec> = {}) {
    this.kube.create(secrets, {
      metadata: { name: 'coder', namespace: NAMESPACE },
      ...{
        type: 'coder.com/credentials',
        data: { url: base64('https://coder.example.com'), token: base64('t') },
      },
    });
    const spec = { credentialsSecretRef: { name: 'coder' }, pollInterval: '10s', ...controlPlane };
    this.kube.create(controlPlanes, { metadata: { name: 'coder', namespace: NAMESPACE }, ...{ spec } });
    this.kube.onWrite = (write) => {
      if (write.resource.group === workspaces.group) this.writes.push(write);
    };
    this.#playBuilds();
    this.#start();
  }

  get coder(): SimulatedCoder {
    return this.#coder;
  }

  /** From now on another Coder answers at the same address. */
  replaceCoder(coder: SimulatedCoder): void {
    this.#coder = coder;
  }

  get controlPlane(): CoderControlPlane {
    const [object] = this.kube.all(controlPlanes);
    if (object === undefined) throw new Error('There is no control plane');
    return object as unknown as CoderControlPlane;
  }

  get workspaces(): readonly CoderWorkspace[] {
    return this.kube.all(workspaces) as unknown as readonly CoderWorkspace[];
  }

  get templates(): readonly CoderTemplate[] {
    return this.kube.all(templates) as unknown as readonly CoderTemplate[];
  }

  get mirrors(): readonly CoderWorkspace[] {
    return this.workspaces.filter(isMirror);
  }

  /** Messages of all events that were sent. */
  get events(): readonly string[] {
    return this.kube.all(EVENTS).map((event) => {
      const { reason, message } = event as AnyObject & { readonly reason: string; readonly message: string };
      return `${reason}: ${message}`;
    });
  }

  /** Somebody changes the control plane. */
  configure(spec: object): void {
    this.kube.patch(controlPlanes, 'coder', { spec });
  }

  annotate(annotations: Readonly<Record<string, string>>): void {
    this.kube.patch(controlPlanes, 'coder', { metadata: { annotations } });
  }

  /** Somebody applies a workspace's manifest as `kubectl apply --server-side` does. */
  apply(name: string, spec: object): void {
    if (this.kube.get(workspaces, name) !== undefined) this.kube.patch(workspaces, name, { spec });
    else this.kube.create(workspaces, { metadata: { name, namespace: NAMESPACE }, ...{ spec } });
  }

  /** Somebody deletes an object, if it is there. */
  delete(name: string, resource = workspaces): void {
    if (this.kube.get(resource, name) !== undefined) this.kube.delete(resource, name);
  }

  /** The process ends; another one takes over and knows nothing but what is written down. */
  async restart(): Promise<void> {
    await this.#end();
    this.#start();
  }

  async close(): Promise<void> {
    await this.#end();
    if (this.faults.length > 0) throw new Error(this.faults.join('\n'));
    const [violation] = this.coder.violations;
    if (violation !== undefined) throw new Error(`Coder was asked for what must not be: ${violation}`);
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** Time enough for so many looks at everything, and for what comes of them. */
  async looks(count: number): Promise<void> {
    await this.clock.advance(count * (POLL_MS + 1_000));
  }

  /** Time passes until it is done. */
  async until(done: Promise<unknown>): Promise<void> {
    const end = new AbortController();
    void done.finally(() => end.abort());
    const giveUpAt = this.clock.now() + LONGEST_MS;
    while (!end.signal.aborted) {
      if (this.clock.now() > giveUpAt) throw new Error('It is never done');
      await this.clock.advance(100);
    }
  }

  async #end(): Promise<void> {
    this.#stop.abort(new Error('the process ends'));
    await this.until(this.#running);
  }

  #playBuilds(): void {
    this.clock.after(BUILD_MS, () => {
      if (this.isBuilding) this.coder.playOut();
      this.#playBuilds();
    });
  }

  #start(): void {
    this.#stop = new AbortController();
    this.#epoch++;
    const { clock, kube } = this;
    const logger = this.#logger();
    const stores = createStores(logger);
    const ends = [
      kube.feed(controlPlanes, stores.controlPlanes),
      kube.feed(templates, stores.templates),
      kube.feed(workspaces, stores.workspaces),
    ];
    this.#running = runController(
      {
        kube: kube.client,
        stores,
        queue: new WorkQueue({ clock, random: () => 0 }),
        events: new EventRecorder({
          client: kube.client,
          component: 'coder-operator',
          instance: 'one',
          clock,
          logger,
        }),
        coder: {
          policy: { httpHosts: [], allowLoopback: false },
          timeoutMs: SETTINGS.requestTimeoutMs,
          userAgent: 'test',
        },
        makeClient: () => this.#connect(),
        settings: SETTINGS,
        workers: WORKERS,
        clock,
        logger,
        assertLeading: () => undefined,
        epoch: String(this.#epoch),
      },
      this.#stop.signal,
    )
      .catch((error: unknown) => void this.faults.push(`the operator ended: ${errorText(error)}`))
      .finally(() => {
        for (const end of ends) end();
      });
  }

  /** A client of its own for each connection; closing it closes nobody else's. */
  #connect(): CoderClient {
    let isClosed = false;
    const client = new Proxy({} as CoderClient, {
      get: (_, name: keyof CoderClient) => {
        if (name === 'close') return () => (isClosed = true);
        return (...args: readonly unknown[]) => {
          if (isClosed) return Promise.reject(new CoderError('Aborted', 'closed'));
          this.calls.push(name);
          const call: unknown = Reflect.get(this.coder, name);
          if (typeof call !== 'function') throw new TypeError(`The scripted Coder has no ${name}`);
          const answer: unknown = Reflect.apply(call, this.coder, args);
          return answer;
        };
      },
    });
    return client;
  }

  /** Whatever is an error to the operator is a fault of the test, but for an object that was deleted under its hands. */
  #logger(): Logger {
    return {
      ...silentLogger,
      error: (message, { error, ...fields } = {}) => {
        if (typeof error === 'string' && error.endsWith('not found')) return;
        this.faults.push(`${message}: ${String(error)} ${JSON.stringify(fields)}`);
      },
      child: () => this.#logger(),
    };
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
