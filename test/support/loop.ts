import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  CoderControlPlaneSpec,
  CoderWorkspaceSpec,
  CoderWorkspaceStatus,
} from '../../src/api/generated.ts';
import {
  annotations,
  controlPlanes,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { runOperator } from '../../src/controller/run.ts';
import { secrets } from '../../src/controller/secrets.ts';
import type { Settings } from '../../src/controller/settings.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import type { KubeConnection } from '../../src/kube/connection.ts';
import { Reflector } from '../../src/kube/reflector.ts';
import { Store } from '../../src/kube/store.ts';
import type { KubeRequestRecord } from '../../src/kube/transport.ts';
import type { WorkResult } from '../../src/kube/workers.ts';
import { apiserver, type ApiServer } from './apiserver.ts';
import type { VersionContent } from './coder/definitions.ts';
import type { SeenRequest } from './coder-http.ts';
import { CoderServer, SCRIPTED_TOKEN } from './coder/server.ts';
import { assertConditions } from './conditions.ts';
import { OPERATOR, ORGANIZATION, OWNER, SimulatedCoder } from './controller-coder.ts';
import { clientOf } from './kube-server.ts';
import { lineLogger } from './line-logger.ts';
import { takeAway } from './take-away.ts';
import { has, isReady } from './tenant.ts';

/** Between two looks of the observer at everything. Otherwise it waits for five seconds at least, after one that failed. */
const LOOK_MS = 100;
const LEAST_POLL_MS = 5_000;
/** A build takes at most so long, unless the builds are paused. */
const BUILD_MS = 25;
/** Nothing that a test waits for takes this long. */
const LONGEST_MS = 20_000;
const LOG_LINES = 60;

/**
 * Short waits. Times in a status are whole seconds, so a cooldown of more than one is the shortest that always shows.
 */
const SETTINGS: Settings = {
  retryBaseMs: 50,
  requestTimeoutMs: 2_000,
  stalenessMs: 600_000,
  driftCooldownMs: 1_100,
  driftBudget: 3,
  deletionBudget: 1_000,
};

/**
 * The machine's clock, on which the observer sleeps less than it means to. Only the keeper of the endpoint's certificates
 * sleeps as long.
 */
const IMPATIENT: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms < LEAST_POLL_MS ? ms : LOOK_MS, signal),
};

const WITHOUT_MIRRORS = { workspaces: 'Disabled', templates: 'Disabled' } as const;

interface KubeEvent extends KubeObject {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

const events: ResourceType = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

export interface LoopOptions {
  readonly controlPlane?: Partial<CoderControlPlaneSpec>;
  /** Of the first version of the template `docker`. */
  readonly content?: VersionContent;
  /** Coder is looked at as seldom as the control plane says. Default false: about ten times a second. */
  readonly isPatient?: boolean;
  /** What is done in Coder before anybody looks at it. */
  readonly prepare?: (coder: SimulatedCoder) => void;
  /** Whether what is in Coder is mirrored. Default false: only what a test applies is there. */
  readonly mirrors?: boolean;
  /** How the operator reaches the API server. Default: as the test does. */
  readonly connection?: KubeConnection;
  /** Where the operator finds Coder, which listens at `url`. Default: there. */
  readonly coderAt?: (url: string) => Promise<string>;
  /** Runs an operator for the namespace until the signal aborts. Default: the whole operator, in this process. */
  readonly operate?: (namespace: string, signal: AbortSignal) => Promise<void>;
}

type Conditioned = CoderControlPlane | CoderTemplate | CoderWorkspace;

/**
 * The whole operator on a real API server, with a namespace and a scripted Coder behind HTTP of its own. Whatever
 * status it writes is held to the rules of conditions.
 */
export class Loop {
  readonly server: CoderServer;
  readonly namespace = `loop-${randomBytes(4).toString('hex')}`;
  /** What the operator asked the API server, oldest first. */
  readonly kubeRequests: KubeRequestRecord[] = [];
  readonly #api: ApiServer;
  readonly #clock: Clock;
  #stop = new AbortController();
  readonly #stopWatching = new AbortController();
  readonly #controlPlanes = new Store<CoderControlPlane>();
  readonly #templates = new Store<CoderTemplate>();
  readonly #workspaces = new Store<CoderWorkspace>();
  readonly #log: string[] = [];
  /** Every state of every object that the watch has shown, oldest first, by key. */
  readonly #history = new Map<string, Conditioned[]>();
  readonly #faults: unknown[] = [];
  readonly #options: LoopOptions;
  /** How each pass of the operator ended, oldest first. */
  readonly results: WorkResult[] = [];
  #running: Promise<void> = Promise.resolve();
  #playing: NodeJS.Timeout | undefined;

  private constructor(api: ApiServer, server: CoderServer, options: LoopOptions) {
    this.#api = api;
    this.#options = options;
    this.#clock = options.isPatient === true ? systemClock : IMPATIENT;
    this.server = server;
  }

  /** Starts everything; the control plane is applied and connected. */
  static async open(options: LoopOptions = {}): Promise<Loop> {
    const { controlPlane = {}, content = {}, mirrors = false } = options;
    const api = await apiserver();
    await api.kubectl(['apply', '--server-side', '--force-conflicts', '-k', 'config/crds']);
    const server = await CoderServer.start(new SimulatedCoder(systemClock));
    const loop = new Loop(api, server, options);
    server.coder.addTemplate('docker', ORGANIZATION, content);
    options.prepare?.(server.coder);
    loop.resumeBuilds();
    await loop.#begin({ ...(mirrors ? {} : { mirror: WITHOUT_MIRRORS }), ...controlPlane });
    return loop;
  }

  get kube(): KubeClient {
    return this.#api.client;
  }

  /** The one that answers now. */
  get coder(): SimulatedCoder {
    return this.server.coder;
  }

  get controlPlane(): CoderControlPlane | undefined {
    return this.#controlPlanes.get(`${this.namespace}/coder`);
  }

  /** Every workspace of the namespace, as the watch last showed it. */
  get workspaces(): readonly CoderWorkspace[] {
    return this.#workspaces.list().filter((o) => o.metadata.namespace === this.namespace);
  }

  get templates(): readonly CoderTemplate[] {
    return this.#templates.list().filter((o) => o.metadata.namespace === this.namespace);
  }

  /** Runs kubectl in the namespace; answers what it printed. */
  kubectl(args: readonly string[], manifest?: object): Promise<string> {
    const input = manifest === undefined ? undefined : JSON.stringify(manifest);
    return this.#api.kubectl(['-n', this.namespace, ...args], input);
  }

  /** Waits until the whole list was asked for so many times more, and was answered but for the last. */
  async looks(count: number): Promise<void> {
    const before = this.#lists;
    await this.until(
      () => this.#lists,
      (lists) => lists > before + count,
    );
  }

  get #lists(): number {
    const isList = ({ path, query }: SeenRequest): boolean =>
      path.endsWith('/api/v2/workspaces') && (query.get('q') ?? '') === '';
    return this.server.requests.filter(isList).length;
  }

  /** From now on builds go on until a test ends them. */
  pauseBuilds(): void {
    clearInterval(this.#playing);
  }

  resumeBuilds(): void {
    this.#playing = setInterval(() => this.coder.playOut(), BUILD_MS);
  }

  /** Builds of the operator that are under way in Coder. */
  get activeBuilds(): readonly string[] {
    return this.coder.history
      .filter(({ build }) => build.initiator_id === OPERATOR.id && build.job.completed_at === undefined)
      .map(({ build }) => build.workspace_id);
  }

  /** Applies the workspace `acme.ann.<name>` of the template `docker`. */
  async apply(name: string, spec: CoderWorkspaceSpec = {}): Promise<LoopWorkspace> {
    const metadata = { name: `${ORGANIZATION.name}.${OWNER.username}.${name}`, namespace: this.namespace };
    await this.kube.create(workspaces, { metadata, ...{ spec: { templateName: 'docker', ...spec } } });
    await this.until(
      () => this.workspace(metadata.name),
      () => true,
    );
    return new LoopWorkspace(this, metadata.name, name);
  }

  /** Waits until a workspace is as it is wished and nothing drifted. */
  async applied(name: string, spec: CoderWorkspaceSpec): Promise<LoopWorkspace> {
    const workspace = await this.apply(name, spec);
    await workspace.untilWell();
    return workspace;
  }

  async patchControlPlane(spec: Partial<CoderControlPlaneSpec>): Promise<void> {
    await this.kube.mergePatch(controlPlanes, this.namespace, 'coder', { spec });
  }

  untilControlPlane(isSo: (object: CoderControlPlane) => boolean): Promise<CoderControlPlane> {
    return this.until(() => this.controlPlane, isSo);
  }

  /** The object as the watch last showed it. */
  workspace(name: string): CoderWorkspace | undefined {
    return this.#workspaces.get(`${this.namespace}/${name}`);
  }

  /** The same for a template. */
  template(name: string): CoderTemplate | undefined {
    return this.#templates.get(`${this.namespace}/${name}`);
  }

  /** How often the operator has looked at an object. */
  passes({ kind }: ResourceType, name: string): number {
    return this.results.filter(({ key }) => key === `${kind}:${this.namespace}/${name}`).length;
  }

  statusesOf(name: string): readonly CoderWorkspaceStatus[] {
    return (this.#history.get(`${this.namespace}/${name}`) ?? []).map(
      (o) => o.status as CoderWorkspaceStatus,
    );
  }

  async eventsOf(uid: string): Promise<readonly KubeEvent[]> {
    const fieldSelector = `involvedObject.uid=${uid}`;
    return (await this.kube.list<KubeEvent>(events, this.namespace, { fieldSelector })).items;
  }

  /** Waits until what is looked at is as `isSo` says; the error tells what it was like instead, and what was done. */
  async until<T>(
    look: () => T | undefined | Promise<T | undefined>,
    isSo: (value: T) => boolean,
  ): Promise<T> {
    const giveUpAt = performance.now() + LONGEST_MS;
    for (;;) {
      this.#assertWell();
      const value = await look();
      if (value !== undefined && isSo(value)) return value;
      if (performance.now() > giveUpAt) {
        const asked = this.server.changes.map((r) => `${r.method} ${r.path} ${r.body.slice(0, 500)}`);
        throw new Error(
          `Not within ${LONGEST_MS} ms: ${isSo.toString()}\nIt is: ${JSON.stringify(value, undefined, 2)}\n` +
            `Coder was asked:\n${asked.join('\n')}\nThe operator said:\n${this.#log.join('\n')}`,
        );
      }
      await sleep(10);
    }
  }

  /** The operator ends, and another process of it takes over. */
  async restart(): Promise<void> {
    await this.end();
    this.#stop = new AbortController();
    this.#running = this.#operate();
  }

  /** The operator is asked to end, and has ended. */
  async end(): Promise<void> {
    this.#stop.abort(new Error('another one takes over'));
    await this.#running;
  }

  /** Ends the operator and takes away what it worked on. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the test has ended'));
    await this.#running;
    this.pauseBuilds();
    try {
      this.#assertWell();
    } finally {
      for (const [resource, store] of [
        [workspaces, this.#workspaces],
        [templates, this.#templates],
        [controlPlanes, this.#controlPlanes],
      ] as const) {
        const own = store.list().filter((o) => o.metadata.namespace === this.namespace);
        for (const object of own) await takeAway(this.kube, resource, object);
      }
      this.#stopWatching.abort(new Error('the test has ended'));
      await this.server.close();
    }
  }

  async #begin(controlPlane: Partial<CoderControlPlaneSpec>): Promise<void> {
    const { coderAt = (at: string): Promise<string> => Promise.resolve(at) } = this.#options;
    const url = await coderAt(this.server.url);
    await this.#api.kubectl(['create', 'namespace', this.namespace]);
    await this.kube.create(secrets, {
      metadata: { name: 'coder', namespace: this.namespace },
      ...{ type: 'coder.com/credentials', stringData: { url, token: SCRIPTED_TOKEN } },
    });
    await Promise.all([
      this.#watch(controlPlanes, this.#controlPlanes),
      this.#watch(templates, this.#templates),
      this.#watch(workspaces, this.#workspaces),
    ]);
    this.#running = this.#operate();
    const spec = { credentialsSecretRef: { name: 'coder' }, requestsPerMinute: 10_000, ...controlPlane };
    await this.kube.create(controlPlanes, {
      metadata: { name: 'coder', namespace: this.namespace },
      ...{ spec },
    });
    await this.untilControlPlane((c) => has(c, 'Ready', 'True', 'Connected'));
  }

  /** Runs the operator until it is stopped. */
  async #operate(): Promise<void> {
    const { operate, connection = this.#api.connection } = this.#options;
    if (operate !== undefined) {
      await operate(this.namespace, this.#stop.signal).catch((error: unknown) => this.#faults.push(error));
      return;
    }
    await runOperator(
      {
        kube: clientOf(connection, { onRequest: (record) => this.kubeRequests.push(record) }),
        namespace: this.namespace,
        identity: `loop-${randomUUID()}`,
        leaseDurationMs: 15_000,
        workers: 10,
        settings: SETTINGS,
        hosts: { httpHosts: ['127.0.0.1'], allowLoopback: true },
        clock: this.#clock,
        logger: lineLogger({ onLine: (line) => this.#logged(line) }),
        onResult: (result) => this.results.push(result),
      },
      this.#stop.signal,
    ).catch((error: unknown) => this.#faults.push(error));
  }

  async #watch<T extends Conditioned>(resource: ResourceType, store: Store<T>): Promise<void> {
    store.subscribe(({ type, key, object }) => {
      if (object.metadata.namespace !== this.namespace || type === 'deleted') return;
      this.#history.set(key, [...(this.#history.get(key) ?? []), object]);
      const { status, metadata } = object;
      if (status === undefined || (status.observedGeneration ?? -1) === -1) return;
      try {
        assertConditions(status, metadata.generation ?? 0);
      } catch (error) {
        this.#faults.push(error);
      }
    });
    const options = { client: this.kube, resource, store, clock: systemClock, logger: silentLogger };
    void new Reflector<T>(options).run(this.#stopWatching.signal);
    await store.hasSynced;
  }

  #logged(line: string): void {
    this.#log.push(line);
    this.#log.splice(0, this.#log.length - LOG_LINES);
  }

  #assertWell(): void {
    const [fault] = this.#faults;
    if (fault !== undefined) throw fault instanceof Error ? fault : new Error('a fault', { cause: fault });
    const [violation] = this.coder.violations;
    if (violation !== undefined)
      throw new Error(`The operator asked Coder for what must not be: ${violation}`);
  }
}

/** One workspace of a loop, as its users see it. */
export class LoopWorkspace {
  readonly #loop: Loop;
  /** Of the object. */
  readonly objectName: string;
  /** In Coder, when it was applied. */
  readonly name: string;

  constructor(loop: Loop, objectName: string, name: string) {
    this.#loop = loop;
    this.objectName = objectName;
    this.name = name;
  }

  get object(): CoderWorkspace {
    const object = this.#loop.workspace(this.objectName);
    if (object === undefined) throw new Error(`There is no CoderWorkspace ${this.objectName}`);
    return object;
  }

  /** The UUID of the workspace that it is bound to now. */
  get id(): string {
    const id = this.object.status?.id;
    if (id === undefined) throw new Error(`The CoderWorkspace ${this.objectName} is not bound`);
    return id;
  }

  /** Every status that it ever had. */
  get statuses(): readonly CoderWorkspaceStatus[] {
    return this.#loop.statusesOf(this.objectName);
  }

  /** What the operator asked Coder to change of it, in short: `create`, `start cpu=2`, `ttl 3600000`. */
  get calls(): readonly string[] {
    const ids = new Set(this.statuses.map((s) => s.id));
    return this.#loop.server.changes
      .filter(({ path, body }) =>
        path.endsWith('/workspaces')
          ? (JSON.parse(body) as { readonly name: string }).name === this.name
          : ids.has(path.split('/')[4] ?? ''),
      )
      .map(callOf);
  }

  until(isSo: (object: CoderWorkspace) => boolean): Promise<CoderWorkspace> {
    return this.#loop.until(() => this.#loop.workspace(this.objectName), isSo);
  }

  /** Waits until it is as it is wished and nothing differs. */
  untilWell(): Promise<CoderWorkspace> {
    return this.until((o) => isReady(o) && !has(o, 'Drifted', 'True'));
  }

  /** Waits until people have been told of this. */
  async untilTold(type: string, reason: string, text: string | RegExp = ''): Promise<void> {
    const { uid = '' } = this.object.metadata;
    const matches = (message: string): boolean =>
      typeof text === 'string' ? message.includes(text) : text.test(message);
    await this.#loop.until(
      () => this.#loop.eventsOf(uid),
      (all) => all.some((e) => e.type === type && e.reason === reason && matches(e.message)),
    );
  }

  /** A person changes the manifest; null takes a field out. */
  async patch(spec: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#loop.kube.mergePatch(workspaces, this.#loop.namespace, this.objectName, { spec });
  }

  /** A person asks to have the wish carried out again. */
  async ask(value: string): Promise<void> {
    const metadata = { annotations: { [annotations.reconcileRequestedAt]: value } };
    await this.#loop.kube.mergePatch(workspaces, this.#loop.namespace, this.objectName, { metadata });
  }
}

function callOf({ path, body }: SeenRequest): string {
  const what = path.split('/').at(-1);
  const asked = JSON.parse(body) as Readonly<Record<string, unknown>>;
  const values = (
    (asked['rich_parameter_values'] ?? []) as { readonly name: string; readonly value: string }[]
  )
    .map(({ name, value }) => ` ${name}=${value}`)
    .join('');
  switch (what) {
    case 'workspaces':
      return `create${values}`;
    case 'builds':
      return `${String(asked['transition'])}${values}`;
    case 'ttl':
      return `ttl ${String(asked['ttl_ms'])}`;
    case 'autostart':
      return `autostart ${String(asked['schedule'])}`;
    default:
      return `${what ?? ''} ${JSON.stringify(asked)}`;
  }
}
