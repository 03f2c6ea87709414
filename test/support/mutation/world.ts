import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import {
  controlPlanes,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../../src/api/kinds.ts';
import type { ResourceType } from '../../../src/api/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { errorText } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { configMaps } from '../../../src/controller/configmaps.ts';
import { runOperator } from '../../../src/controller/run.ts';
import { secrets } from '../../../src/controller/secrets.ts';
import type { Settings } from '../../../src/controller/settings.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { isConflict, KubeError, type KubeStatus } from '../../../src/kube/errors.ts';
import { apiVersionOf, resourcePath } from '../../../src/kube/objects.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { Store } from '../../../src/kube/store.ts';
import type { WorkResult } from '../../../src/kube/workers.ts';
import { apiserver, type ApiServer } from '../apiserver.ts';
import { tarGzOf } from '../archives.ts';
import { ArtifactServer, htmlPage, redirectTo } from '../artifacts.ts';
import { assertConditions } from '../conditions.ts';
import { installFluxCrds, removeFluxCrds, type PublishedArtifact } from '../flux.ts';
import { clientOf } from '../kube-server.ts';
import { lineLogger } from '../line-logger.ts';
import { namespaces } from '../namespaces.ts';
import { takeAway } from '../take-away.ts';
import { hastenedClock } from './clock.ts';
import type { Spec } from './mutations.ts';
import { TERRAFORM, VALUES } from './seeds.ts';

export type Managed = CoderControlPlane | CoderTemplate | CoderWorkspace;

export type ArchiveName = 'dev' | 'next';

/** What the API server makes of an applied manifest. */
export type Applied =
  | { readonly then: 'taken'; readonly object: Managed }
  | { readonly then: 'refused'; readonly code: number; readonly status: KubeStatus };

/** A minute takes three seconds. */
const TIMES = 20;
const LONGEST_SLEEP_MS = 5_000;
const LOOK_MS = 10;
/** Nothing that is waited for takes so long, in milliseconds of the machine's own clock. */
const LONGEST_MS = 30_000;
const LOG_LINES = 5_000;

const SETTINGS: Settings = {
  retryBaseMs: 1_000,
  requestTimeoutMs: 10_000,
  stalenessMs: 600_000,
  driftCooldownMs: 5_000,
  driftBudget: 3,
  deletionBudget: 1_000,
};

/**
 * The whole operator on a real API server, in a time that runs fast, with as many namespaces as are asked for. Whatever
 * it writes is held to the rules of conditions, and whatever goes wrong inside is remembered with its object.
 */
export class MutationWorld {
  readonly clock = hastenedClock({ times: TIMES, longestSleepMs: LONGEST_SLEEP_MS });
  readonly archives: ArtifactServer;
  readonly #api: ApiServer;
  readonly #prefix = `mutation-${randomBytes(3).toString('hex')}`;
  readonly #stop = new AbortController();
  readonly #stopWatching = new AbortController();
  readonly #stores = new Map<string, Store<Managed>>();
  readonly #faults = new Map<string, string[]>();
  readonly #log: string[] = [];
  #served: Readonly<Record<ArchiveName, PublishedArtifact>> | undefined;
  #running: Promise<void> = Promise.resolve();
  #namespaces = 0;

  private constructor(api: ApiServer, archives: ArtifactServer) {
    this.#api = api;
    this.archives = archives;
  }

  static async open(): Promise<MutationWorld> {
    const api = await apiserver();
    await api.kubectl(['apply', '--server-side', '--force-conflicts', '-k', 'config/crds']);
    await installFluxCrds(api.client);
    const world = new MutationWorld(api, await ArtifactServer.start());
    await world.#begin();
    return world;
  }

  get kube(): KubeClient {
    return this.#api.client;
  }

  /** Where things are that no object may reach. */
  get otherNamespace(): string {
    return `${this.#prefix}-other`;
  }

  /** An archive that is served, with its address. */
  archive(name: ArchiveName): PublishedArtifact {
    if (this.#served === undefined) throw new TypeError('The world is not open');
    return this.#served[name];
  }

  /** Makes one more namespace. */
  async namespace(name = String(++this.#namespaces)): Promise<string> {
    const namespace = `${this.#prefix}-${name}`;
    await this.kube.create(namespaces, { metadata: { name: namespace } });
    return namespace;
  }

  /** Makes an object of the core group. */
  async create(
    kind: 'Secret' | 'ConfigMap',
    namespace: string,
    name: string,
    content: object,
  ): Promise<void> {
    await this.kube.create(kind === 'Secret' ? secrets : configMaps, {
      metadata: { namespace, name },
      ...content,
    });
  }

  /** A person applies a manifest, as `kubectl apply --server-side` does. */
  async apply(
    resource: ResourceType,
    namespace: string,
    name: string,
    spec: Spec | undefined,
  ): Promise<Applied> {
    const { connection } = this.#api;
    const headers = await connection.headers();
    const query = 'fieldManager=kubectl&force=true&fieldValidation=Strict';
    const url = `${connection.baseUrl}${resourcePath(resource, { namespace, name })}?${query}`;
    const manifest = {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      metadata: { name, namespace },
      ...(spec === undefined ? {} : { spec }),
    };
    const answer = await request(url, {
      method: 'PATCH',
      dispatcher: connection.dispatcher,
      headers: { ...headers, 'content-type': 'application/apply-patch+yaml' },
      body: JSON.stringify(manifest),
    });
    const body = await answer.body.json();
    return answer.statusCode < 300
      ? { then: 'taken', object: body as Managed }
      : { then: 'refused', code: answer.statusCode, status: body as KubeStatus };
  }

  /** A person puts a whole manifest in the place of the one that is there, as `kubectl replace` does. */
  async replace(
    resource: ResourceType,
    namespace: string,
    name: string,
    spec: Spec | undefined,
  ): Promise<Applied> {
    for (;;) {
      const there = await this.kube.get<Managed>(resource, namespace, name);
      try {
        const object = { ...there, spec } as unknown as Managed;
        return { then: 'taken', object: await this.kube.replace(resource, object) };
      } catch (error) {
        // The operator has written its status meanwhile.
        if (isConflict(error)) continue;
        if (!(error instanceof KubeError)) throw error;
        const { status: code, message, reason } = error;
        return { then: 'refused', code, status: { message, reason } };
      }
    }
  }

  /** The object as the watch last showed it. */
  find(resource: ResourceType, namespace: string, name: string): Managed | undefined {
    return this.#stores.get(resource.kind)?.get(`${namespace}/${name}`);
  }

  /** Every object of a kind in a namespace. */
  all(resource: ResourceType, namespace: string): readonly Managed[] {
    const objects = this.#stores.get(resource.kind)?.list() ?? [];
    return objects.filter((o) => o.metadata.namespace === namespace);
  }

  /** What went wrong inside the operator with the objects of a namespace: exceptions, statuses against the rules. */
  faultsIn(namespace: string, name = ''): readonly string[] {
    const own = [...this.#faults].filter(([key]) => key.includes(`:${namespace}/`) && key.endsWith(name));
    return own.flatMap(([key, faults]) => faults.map((fault) => `${key}: ${fault}`));
  }

  /** What went wrong and belongs to no object. */
  get faults(): readonly string[] {
    return this.#faults.get('') ?? [];
  }

  /** What the operator said with a text in it, oldest first. */
  logOf(text: string): readonly string[] {
    return this.#log.filter((line) => line.includes(text));
  }

  /** Waits until there is something to see. @throws Error that tells what there is instead. */
  async until<T>(
    what: string,
    look: () => T | undefined | Promise<T | undefined>,
    tell: () => string | Promise<string>,
    withinMs = LONGEST_MS,
  ): Promise<T> {
    const giveUpAt = performance.now() + withinMs;
    for (;;) {
      const seen = await look();
      if (seen !== undefined) return seen;
      if (performance.now() > giveUpAt) {
        throw new Error(`Not within ${withinMs} ms: ${what}\n${await tell()}`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** Ends the operator and takes away what it worked on. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the test has ended'));
    await this.#running;
    await this.empty(this.#prefix);
    this.#stopWatching.abort(new Error('the test has ended'));
    await this.archives.close();
    await removeFluxCrds(this.kube);
  }

  /** Takes away all objects of a namespace, or of all that begin so. */
  async empty(namespace: string): Promise<void> {
    // Without it, nothing is done with the others.
    for (const resource of [controlPlanes, workspaces, templates]) {
      const objects = this.#stores.get(resource.kind)?.list() ?? [];
      const own = objects.filter((o) => o.metadata.namespace?.startsWith(namespace) === true);
      await Promise.all(own.map((o) => takeAway(this.kube, resource, o)));
    }
  }

  async #begin(): Promise<void> {
    await this.#serveArchives();
    const other = await this.namespace('other');
    const stringData = VALUES;
    await this.create('Secret', other, 'elsewhere', { type: 'coder.com/values', stringData });
    await this.create('ConfigMap', other, 'elsewhere', { data: VALUES });
    await Promise.all([this.#watch(controlPlanes), this.#watch(templates), this.#watch(workspaces)]);
    this.#running = this.#operate(other);
  }

  async #serveArchives(): Promise<void> {
    const dev = await tarGzOf({ 'dev/main.tf': TERRAFORM, 'main.tf': '# The root\n' });
    const next = await tarGzOf({ 'dev/main.tf': `${TERRAFORM}# Next\n`, 'main.tf': '# The root\n' });
    this.#served = {
      dev: { url: this.archives.serve('/dev.tar.gz', dev), bytes: dev },
      next: { url: this.archives.serve('/next.tar.gz', next), bytes: next },
    };
    this.archives.serve('/page', htmlPage());
    this.archives.serve('/redirect', redirectTo(this.#served.dev.url));
  }

  async #operate(namespace: string): Promise<void> {
    await runOperator(
      {
        kube: clientOf(this.#api.connection),
        namespace,
        identity: randomUUID(),
        leaseDurationMs: 300_000,
        workers: 16,
        settings: SETTINGS,
        hosts: { httpHosts: ['127.0.0.1'], allowLoopback: true },
        clock: this.clock,
        logger: lineLogger({ onLine: (line) => this.#logged(line) }),
        onResult: (result) => this.#judge(result),
      },
      this.#stop.signal,
    ).catch((error: unknown) => this.#fault('', `The operator has ended: ${errorText(error)}`));
  }

  #logged(line: string): void {
    this.#log.push(line);
    if (this.#log.length > 2 * LOG_LINES) this.#log.splice(0, LOG_LINES);
  }

  /** A pass that ended with an exception is a bug, whatever it was: all that may happen has a condition. */
  #judge({ key, outcome, error }: WorkResult): void {
    if (outcome !== 'error' || !key.includes(this.#prefix)) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#fault(key, `A pass ended with an exception: ${text}`);
  }

  #fault(key: string, text: string): void {
    this.#faults.set(key, [...(this.#faults.get(key) ?? []), text]);
  }

  async #watch(resource: ResourceType): Promise<void> {
    const store = new Store<Managed>();
    this.#stores.set(resource.kind, store);
    store.subscribe(({ type, key, object }) => {
      const { status, metadata } = object;
      if (type === 'deleted' || !key.startsWith(this.#prefix)) return;
      if (status === undefined || (status.observedGeneration ?? -1) === -1) return;
      try {
        assertConditions(status, metadata.generation ?? 0);
      } catch (error) {
        this.#fault(`${resource.kind}:${key}`, `A status against the rules: ${errorText(error)}`);
      }
    });
    const options = { client: this.kube, resource, store, clock: systemClock, logger: silentLogger };
    void new Reflector<Managed>(options).run(this.#stopWatching.signal);
    await store.hasSynced;
  }
}
