import { randomBytes } from 'node:crypto';
import type { CoderControlPlaneSpec } from '../../../src/api/generated.ts';
import {
  annotations,
  controlPlanes,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { errorText } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { secrets } from '../../../src/controller/secrets.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { isNotFound } from '../../../src/kube/errors.ts';
import { apiVersionOf } from '../../../src/kube/objects.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { Store } from '../../../src/kube/store.ts';
import { apiserver, type ApiServer } from '../apiserver.ts';
import { turn } from '../clock.ts';
import { CoderServer, SCRIPTED_TOKEN } from '../coder/server.ts';
import { SimulatedCoder } from '../controller-coder.ts';
import { FaultProxy, type ProxiedRequest } from '../fault-proxy.ts';
import { namespaces } from '../namespaces.ts';
import { takeAway } from '../take-away.ts';
import { has } from '../tenant.ts';
import { JumpingClock } from './clock.ts';
import { Instance, isOrdinaryEnd } from './instance.ts';
import { coderKey, kubeKey, withinNamespace } from './keys.ts';
import { Wire, type Call, type Fate, type PassedWatch } from './wire.ts';

/** A build or an import takes so long in Coder. */
const BUILD_MS = 5_000;
/** The control plane's `pollInterval`. */
export const POLL_MS = 10_000;
/** A process that has ended is started again after this, as a kubelet does it. */
const RESTART_MS = 5_000;
/** So many turns of the event loop without anything moving: all that was sent has arrived, and led to what it leads to. */
const CALM_TURNS = 12;
const LOOK_MS = 3;
/** Of real time. A world that is not at rest by then has lost something. */
const LONGEST_UNREST_MS = 60_000;
/** Of virtual time: one failure is tried again long before. */
const LONGEST_WAIT_MS = 15 * 60_000;
/** Nothing is written for so long: the end is reached. Whatever is to come later, a status says by then. */
export const REST_MS = 3 * POLL_MS;
const LONGEST_UNTIL_REST_MS = 15 * 60_000;

type Conditioned = CoderControlPlane | CoderTemplate | CoderWorkspace;

export interface WorldOptions {
  readonly controlPlane?: Partial<CoderControlPlaneSpec>;
  /** Whether what is in Coder is mirrored. Default false. */
  readonly mirrors?: boolean;
  /** What is in Coder before anybody looks. */
  readonly prepare?: (coder: SimulatedCoder) => void;
}

/** What a plan does to a world. */
export interface Meddler {
  onCall?(call: Call, world: World): Promise<Fate> | Fate;
  onAnswered?(call: Call, world: World): void;
  pathOf?(request: ProxiedRequest, world: World): string | undefined;
  insteadOf?(request: ProxiedRequest, world: World): Promise<Buffer | undefined> | undefined;
  /** A workload has reached a state at which nothing is under way. */
  onCheckpoint?(index: number, world: World): Promise<void>;
}

type View = Pick<PassedWatch, 'resource' | 'seen' | 'gone'>;

/** What the watches have to show before the world can be at rest. */
class Expected {
  readonly #versions = new Map<string, number>();
  /** Uids of what is gone, with those that were watching when it went. */
  readonly #gone = new Map<string, ReadonlySet<View>>();

  version(resource: string, version: number): void {
    this.#versions.set(resource, Math.max(this.#versions.get(resource) ?? 0, version));
  }

  gone(uid: string, watching: ReadonlySet<View>): void {
    this.#gone.set(uid, watching);
  }

  isMissing(view: View): boolean {
    if ((this.#versions.get(view.resource) ?? 0) > view.seen) return true;
    return [...this.#gone].some(([uid, watching]) => watching.has(view) && !view.gone.has(uid));
  }
}

/**
 * A namespace of a real API server, a scripted Coder behind HTTP, an operator between them that can be killed at each of
 * its requests, and time that jumps to the next moment at which something is due as soon as nothing is under way.
 */
export class World {
  readonly namespace = `crash-${randomBytes(5).toString('hex')}`;
  readonly clock = new JumpingClock(Date.now());
  readonly coder: SimulatedCoder;
  readonly kubeWire: Wire;
  readonly coderWire: Wire;
  /** What went wrong beside what the workload waits for. */
  readonly faults: string[] = [];
  /** Lines of the operator's log, oldest first. */
  readonly log: string[] = [];
  /** What the operator counted in metrics. */
  readonly metrics: string[] = [];
  /** How often the operator was started. */
  starts = 0;
  readonly #api: ApiServer;
  readonly #server: CoderServer;
  readonly #proxies: { readonly kube: FaultProxy; readonly coder: FaultProxy };
  readonly #meddler: Meddler;
  readonly #stopWatching = new AbortController();
  readonly #controlPlanes = new Store<CoderControlPlane>();
  readonly #templates = new Store<CoderTemplate>();
  readonly #workspaces = new Store<CoderWorkspace>();
  /** How far our own view has come. */
  readonly #views = new Map<string, { resource: string; seen: number; gone: Set<string> }>();
  readonly #expected = new Expected();
  #instance: Instance | undefined;
  #changing: Promise<void> | undefined;
  #stirred = 0;
  #wake: () => void = () => undefined;
  #holds = 0;
  #checkpoints = 0;

  private constructor(
    api: ApiServer,
    server: CoderServer,
    proxies: { readonly kube: FaultProxy; readonly coder: FaultProxy },
    coderOf: (clock: JumpingClock) => SimulatedCoder,
    meddler: Meddler,
  ) {
    this.#api = api;
    this.#server = server;
    this.#proxies = proxies;
    this.#meddler = meddler;
    this.coder = coderOf(this.clock);
    server.replaceBy(this.coder);
    const common = {
      now: () => this.clock.monotonic(),
      isHeld: () => this.#holds > 0,
      onCall: (call: Call) => meddler.onCall?.(call, this) ?? 'passed',
      insteadOf: (request: ProxiedRequest) => meddler.insteadOf?.(request, this),
      onCrash: () => this.crash(),
      onStir: () => this.#stir(),
    };
    this.kubeWire = new Wire({
      ...{ ...common, side: 'kube', proxy: proxies.kube, keyOf: kubeKey },
      pathOf: (request) => {
        const path = withinNamespace(request, this.namespace);
        return meddler.pathOf?.({ ...request, path }, this) ?? path;
      },
      onAnswered: (call) => this.#kubeAnswered(call),
    });
    this.coderWire = new Wire({
      ...{ ...common, side: 'coder', proxy: proxies.coder },
      keyOf: (request) => coderKey(request, this.coder),
      pathOf: ({ path }) => path,
      onAnswered: (call) => {
        this.#playOutLater();
        meddler.onAnswered?.(call, this);
      },
    });
  }

  /** The operator runs, and its control plane is connected. */
  static async open(options: WorldOptions, meddler: Meddler = {}): Promise<World> {
    const api = await apiserver();
    const server = await CoderServer.start(new SimulatedCoder(systemClock));
    const [kube, coder] = await Promise.all([FaultProxy.over(api.connection), FaultProxy.before(server.url)]);
    const prepared = (clock: JumpingClock): SimulatedCoder => {
      const simulated = new SimulatedCoder(clock);
      simulated.addTemplate('docker');
      options.prepare?.(simulated);
      simulated.playOut();
      return simulated;
    };
    const world = new World(api, server, { kube, coder }, prepared, meddler);
    try {
      await world.#begin(options);
      return world;
    } catch (error) {
      await world.close().catch(() => undefined);
      throw error;
    }
  }

  get kube(): KubeClient {
    return this.#api.client;
  }

  /** Every request of the operator that would change something, oldest first. */
  get calls(): readonly Call[] {
    return [...this.kubeWire.calls, ...this.coderWire.calls].sort((a, b) => a.at - b.at);
  }

  get controlPlane(): CoderControlPlane | undefined {
    return this.#controlPlanes.get(`${this.namespace}/coder`);
  }

  workspace(name: string): CoderWorkspace | undefined {
    return this.#workspaces.get(`${this.namespace}/${name}`);
  }

  template(name: string): CoderTemplate | undefined {
    return this.#templates.get(`${this.namespace}/${name}`);
  }

  get objects(): readonly Conditioned[] {
    return [...this.#controlPlanes.list(), ...this.#templates.list(), ...this.#workspaces.list()];
  }

  // What people do.

  async create(resource: ResourceType, name: string, body: object): Promise<void> {
    const metadata = { name, namespace: this.namespace };
    const made = await this.kube.create(resource, { ...body, metadata });
    this.#expect(resource.plural, made);
  }

  /** The workspace `acme.ann.<name>`. */
  async applyWorkspace(name: string, spec: object): Promise<void> {
    await this.create(workspaces, `acme.ann.${name}`, { spec });
  }

  async patch(resource: ResourceType, name: string, body: object): Promise<void> {
    this.#expect(resource.plural, await this.kube.mergePatch(resource, this.namespace, name, body));
  }

  /** A person changes the manifest; null takes a field out. */
  async wish(resource: ResourceType, name: string, spec: object): Promise<void> {
    await this.patch(resource, name, { spec });
  }

  /** As `kubectl apply --server-side` does it. */
  async applyServerSide(resource: ResourceType, name: string, spec: object): Promise<void> {
    const { kind, plural } = resource;
    const manifest = { apiVersion: apiVersionOf(resource), kind, metadata: { name }, spec };
    const printed = await this.#api.kubectl(
      ['-n', this.namespace, 'apply', '--server-side', '--force-conflicts', '-o', 'json', '-f', '-'],
      JSON.stringify(manifest),
    );
    this.#expect(plural, JSON.parse(printed) as KubeObject);
  }

  async ask(resource: ResourceType, name: string, value: string): Promise<void> {
    await this.patch(resource, name, {
      metadata: { annotations: { [annotations.reconcileRequestedAt]: value } },
    });
  }

  async remove(resource: ResourceType, name: string): Promise<void> {
    const before = this.objects.find((o) => o.kind === resource.kind && o.metadata.name === name);
    await this.kube.delete(resource, this.namespace, name);
    const left = await this.kube.get(resource, this.namespace, name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (left !== undefined) this.#expect(resource.plural, left);
    else if (before?.metadata.uid !== undefined) this.#expectGone(resource.plural, before.metadata.uid);
  }

  async createSecret(name: string, data: Readonly<Record<string, string>>, type: string): Promise<void> {
    await this.create(secrets, name, { type, stringData: data });
  }

  async patchSecret(name: string, data: Readonly<Record<string, string>>): Promise<void> {
    await this.patch(secrets, name, { stringData: data });
  }

  async removeSecret(name: string): Promise<void> {
    await this.kube.delete(secrets, this.namespace, name);
  }

  /** From now on nothing new can be made in the namespace. Nobody empties it: the workload does. */
  async endNamespace(): Promise<void> {
    await this.kube.delete(namespaces, undefined, this.namespace);
  }

  /** Somebody acts in Coder. What that begins takes its time. */
  inCoder<T>(act: (coder: SimulatedCoder) => T): T {
    const done = act(this.coder);
    this.#playOutLater();
    this.#stir();
    return done;
  }

  // Waiting.

  /** Lets time pass until what is looked at is there. */
  async until<T>(what: string, look: () => T | undefined | false): Promise<T> {
    const giveUpAt = this.clock.monotonic() + LONGEST_WAIT_MS;
    for (;;) {
      await this.idle();
      const found = look();
      if (found !== undefined && found !== false) return found;
      if (this.clock.monotonic() > giveUpAt) throw new Error(`it never came to this: ${what}`);
      this.#jump(what);
    }
  }

  untilWorkspace(name: string, isSo: (o: CoderWorkspace) => boolean): Promise<CoderWorkspace> {
    return this.#untilObject(name, () => this.workspace(name), isSo);
  }

  untilTemplate(name: string, isSo: (o: CoderTemplate) => boolean): Promise<CoderTemplate> {
    return this.#untilObject(name, () => this.template(name), isSo);
  }

  untilControlPlane(isSo: (o: CoderControlPlane) => boolean): Promise<CoderControlPlane> {
    return this.#untilObject('coder', () => this.controlPlane, isSo);
  }

  async untilGone(look: () => KubeObject | undefined): Promise<void> {
    await this.until(`gone: ${look.toString()}`, () => look() === undefined);
  }

  /** Nothing is under way. A plan may do something here that nobody shall see. */
  async checkpoint(): Promise<void> {
    await this.idle();
    await this.#meddler.onCheckpoint?.(this.#checkpoints++, this);
  }

  get checkpoints(): number {
    return this.#checkpoints;
  }

  /** Lets time pass until nothing is written for so long; answers how many requests a minute Coder has seen meanwhile. */
  async untilRest(restMs: number): Promise<number> {
    const giveUpAt = this.clock.monotonic() + LONGEST_UNTIL_REST_MS;
    for (;;) {
      await this.until(
        'somebody leads who sees everything',
        () => this.#instance?.isLeading === true && this.#holds === 0,
      );
      const [writes, reads, starts] = [this.#writes, this.coderWire.reads, this.starts];
      const startedAt = this.clock.monotonic();
      this.clock.after(restMs, () => undefined);
      await this.until('rest', () => this.#writes > writes || this.clock.monotonic() >= startedAt + restMs);
      // A process that died meanwhile has left its peace to nobody: what the next one does is still to come.
      const isSame = this.starts === starts && this.#instance?.isLeading === true;
      if (this.#writes === writes && isSame) {
        return ((this.coderWire.reads - reads) * 60_000) / (this.clock.monotonic() - startedAt);
      }
      if (this.clock.monotonic() > giveUpAt) throw new Error('the operator writes again and again');
    }
  }

  /** All that was sent has arrived, and led to all that it leads to without waiting for a time. */
  async idle(): Promise<void> {
    const giveUpAt = performance.now() + LONGEST_UNREST_MS;
    for (let calm = 0; calm < CALM_TURNS;) {
      const stirred = this.#stirred;
      await this.#changing;
      await turn();
      if (this.#isBusy()) {
        await this.#stirring();
        calm = 0;
      } else if (stirred !== this.#stirred) calm = 0;
      // What the kernel still has on its way between two sockets is not seen in turns alone.
      else if (++calm === CALM_TURNS) {
        await systemClock.sleep(1);
        if (stirred !== this.#stirred || this.#isBusy()) calm = 0;
      }
      if (performance.now() > giveUpAt)
        throw new Error('the world does not come to rest: a request or an event is lost');
    }
  }

  // The life of the operator.

  /** It dies now: whatever it still does reaches nobody, and another one is started in its place. */
  crash(): void {
    const dead = this.#instance;
    if (dead === undefined) return;
    this.#instance = undefined;
    const closed = Promise.all([this.#proxies.kube.refuse(), this.#proxies.coder.refuse()]);
    this.#change(async () => {
      await closed;
      await dead.buried();
      // What the servers have got they carry out, whoever asked for it.
      while (this.kubeWire.isServerBusy || this.coderWire.isServerBusy) await this.#stirring();
      await Promise.all([this.#proxies.kube.accept(), this.#proxies.coder.accept()]);
      this.#start();
    });
  }

  /** It is asked to end, and does. */
  async stop(): Promise<void> {
    await this.#changing;
    const ending = this.#instance;
    if (ending === undefined) return;
    ending.stop();
    for (;;) {
      await this.idle();
      if (ending.hasEnded) break;
      this.#jump('the operator ends');
    }
    this.#instance = undefined;
  }

  start(): void {
    if (this.#instance === undefined) this.#start();
  }

  /** From now on the watches show nothing, until the answer is called. */
  holdWatches(): () => void {
    this.#holds++;
    this.kubeWire.hold();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds--;
      if (this.#holds === 0) this.kubeWire.release();
      this.#stir();
    };
  }

  /** Of everything in the namespace, on the API server: where its history is now. */
  async revision(): Promise<string> {
    const { metadata } = await this.kube.list(workspaces, this.namespace, { limit: 1 });
    return metadata.resourceVersion;
  }

  async close(): Promise<void> {
    try {
      await this.stop();
    } finally {
      // A namespace never goes away here, and other tests would meet what is in it.
      for (const [resource, store] of [
        [controlPlanes, this.#controlPlanes],
        [templates, this.#templates],
        [workspaces, this.#workspaces],
      ] as const) {
        for (const object of store.list()) await takeAway(this.kube, resource, object);
      }
      this.#stopWatching.abort(new Error('the plan has ended'));
      await Promise.all([this.#proxies.kube.close(), this.#proxies.coder.close(), this.#server.close()]);
    }
  }

  async #begin({ controlPlane = {}, mirrors = false }: WorldOptions): Promise<void> {
    await this.kube.create(namespaces, { metadata: { name: this.namespace } });
    await this.createSecret(
      'coder',
      { url: this.#proxies.coder.url, token: SCRIPTED_TOKEN },
      'coder.com/credentials',
    );
    await Promise.all([
      this.#view(controlPlanes, this.#controlPlanes),
      this.#view(templates, this.#templates),
      this.#view(workspaces, this.#workspaces),
    ]);
    const mode = mirrors ? 'Observe' : 'Disabled';
    await this.create(controlPlanes, 'coder', {
      spec: {
        ...{ credentialsSecretRef: { name: 'coder' }, requestsPerMinute: 10_000, pollInterval: '10s' },
        ...{ mirror: { workspaces: mode, templates: mode }, ...controlPlane },
      },
    });
    this.#start();
    await this.untilControlPlane((c) => has(c, 'Ready', 'True', 'Connected'));
  }

  #untilObject<T>(name: string, look: () => T | undefined, isSo: (object: T) => boolean): Promise<T> {
    return this.until(`${name} ${isSo.toString()}`, () => {
      const object = look();
      return object !== undefined && isSo(object) ? object : undefined;
    });
  }

  #start(): void {
    this.starts++;
    const clock = new JumpingClock(this.clock.now() - this.clock.monotonic(), this.clock.monotonic());
    const instance: Instance = new Instance({
      ...{ kube: this.#proxies.kube, namespace: this.namespace, clock },
      onLine: (line) => this.log.push(`${(this.clock.monotonic() / 1000).toFixed(1)} ${this.starts} ${line}`),
      onMetric: (labels) => this.metrics.push(JSON.stringify(labels)),
      onEnd: (error) => {
        if (this.#instance !== instance) return;
        this.#instance = undefined;
        this.log.push(`the process has ended: ${errorText(error)}`);
        if (!isOrdinaryEnd(error)) this.faults.push(`the process has ended: ${errorText(error)}`);
        this.clock.after(RESTART_MS, () => this.start());
        this.#stir();
      },
    });
    this.#instance = instance;
    this.#stir();
  }

  #change(work: () => Promise<void>): void {
    const changing = work().finally(() => {
      if (this.#changing === changing) this.#changing = undefined;
      this.#stir();
    });
    this.#changing = changing;
  }

  /** Moves time on to the next moment at which anybody has something to do. */
  #jump(what: string): void {
    const clocks = [this.clock, ...(this.#instance === undefined ? [] : [this.#instance.clock])];
    const next = Math.min(...clocks.map((clock) => clock.next));
    if (next === Number.POSITIVE_INFINITY) throw new Error(`nothing will ever happen again: ${what}`);
    for (const clock of clocks) clock.jumpTo(next);
  }

  get #writes(): number {
    const isLease = ({ key }: Call): boolean => key.includes('-leases/');
    return this.kubeWire.calls.filter((call) => !isLease(call)).length + this.coderWire.calls.length;
  }

  #playOutLater(): void {
    this.clock.after(BUILD_MS, () => this.coder.playOut());
  }

  #isBusy(): boolean {
    if (this.#changing !== undefined || this.#instance?.hasBegun === false) return true;
    const isMissing = (view: View): boolean => this.#expected.isMissing(view);
    if (this.kubeWire.isBusy(isMissing) || this.coderWire.isBusy(() => false)) return true;
    return [...this.#views.values()].some(isMissing);
  }

  #stir(): void {
    this.#stirred++;
    this.#wake();
  }

  /** Resolves when something moves, or soon. */
  #stirring(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        resolve();
      };
    });
  }

  #kubeAnswered(call: Call): void {
    const { method, path } = call.request;
    const parts = new URL(path, 'http://proxy').pathname.split('/');
    const plural = parts[parts.indexOf('namespaces') + 2] ?? '';
    const answer = call.answer as
      (Partial<KubeObject> & { readonly details?: { readonly uid?: string } }) | undefined;
    if (call.code !== undefined && call.code < 300 && this.#views.has(plural)) {
      const { metadata } = answer ?? {};
      const isLetGo = metadata?.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
      const uid = method === 'DELETE' ? (answer?.details?.uid ?? metadata?.uid) : metadata?.uid;
      const isGone = isLetGo || (method === 'DELETE' && answer?.kind === 'Status');
      if (isGone && uid !== undefined) this.#expectGone(plural, uid);
      else if (metadata !== undefined) this.#expect(plural, { metadata });
    }
    this.#meddler.onAnswered?.(call, this);
  }

  #expect(plural: string, { metadata }: KubeObject): void {
    if (this.#views.has(plural)) this.#expected.version(plural, Number(metadata.resourceVersion ?? 0));
  }

  #expectGone(plural: string, uid: string): void {
    const all: readonly View[] = [...this.kubeWire.watches, ...this.#views.values()];
    this.#expected.gone(uid, new Set(all.filter((view) => view.resource === plural)));
  }

  async #view<T extends Conditioned>(resource: ResourceType, store: Store<T>): Promise<void> {
    const view = { resource: resource.plural, seen: 0, gone: new Set<string>() };
    this.#views.set(resource.plural, view);
    store.subscribe(({ type, object }) => {
      view.seen = Math.max(view.seen, Number(object.metadata.resourceVersion ?? 0));
      if (type === 'deleted') view.gone.add(object.metadata.uid ?? '');
      this.#stir();
    });
    const options = { client: this.kube, resource, namespace: this.namespace, store };
    void new Reflector<T>({ ...options, clock: systemClock, logger: silentLogger }).run(
      this.#stopWatching.signal,
    );
    await store.hasSynced;
  }
}
