import sinon from 'sinon';
import type {
  CoderTemplateSpec,
  CoderTemplateStatus,
  CoderWorkspaceSpec,
  CoderWorkspaceStatus,
} from '../../src/api/generated.ts';
import type { KubeObject } from '../../src/api/meta.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { ConfigMap } from '../../src/controller/configmaps.ts';
import type { ArchiveAnswer, ArchiveRequest } from '../../src/controller/archives.ts';
import type { CallOptions } from '../../src/coder/connection.ts';
import { CoderError } from '../../src/coder/errors.ts';
import { Connections } from '../../src/controller/connections.ts';
import type { Context } from '../../src/controller/context.ts';
import type { FluxSource } from '../../src/controller/flux.ts';
import { Deletions } from '../../src/controller/deletions.ts';
import type { ConnectedFact } from '../../src/controller/facts.ts';
import type { Secret } from '../../src/controller/secrets.ts';
import type { Settings } from '../../src/controller/settings.ts';
import type { Rest, StepEvent } from '../../src/controller/step.ts';
import { TemplateReconciler } from '../../src/controller/template/reconcile.ts';
import { resolveValues } from '../../src/controller/values.ts';
import { WorkspaceReconciler } from '../../src/controller/workspace/reconcile.ts';
import { isConflict, isNotFound } from '../../src/kube/errors.ts';
import { FakeClock, settle } from './clock.ts';
import type { VersionContent } from './coder/definitions.ts';
import { DEPLOYMENT, OPERATOR, ORGANIZATION, SimulatedCoder } from './controller-coder.ts';
import { HeldObject } from './controller-kube.ts';

export const SETTINGS: Settings = {
  retryBaseMs: 60_000,
  requestTimeoutMs: 30_000,
  stalenessMs: 600_000,
  driftCooldownMs: 300_000,
  driftBudget: 3,
  deletionBudget: 20,
};

const POLL_MS = 600_000;

interface Reconciler {
  reconcile(object: KubeObject): Promise<Rest | undefined>;
}

/**
 * One object, a Coder and the operator between them, all of it but the network. The operator's process may die and
 * come back without any memory.
 */
export class World<Spec, Status extends CoderWorkspaceStatus | CoderTemplateStatus> {
  readonly clock = new FakeClock();
  readonly coder = new SimulatedCoder(this.clock);
  readonly kube: HeldObject<Spec, Status>;
  readonly events: StepEvent[] = [];
  /** Of the object's namespace, by name; 'forbidden' for one that may not be read. */
  readonly secrets = new Map<string, Secret | 'forbidden'>();
  readonly configMaps = new Map<string, ConfigMap | 'forbidden'>();
  /** Sources of Flux by kind and name, such as `Bucket/b`. */
  readonly flux = new Map<string, FluxSource | 'forbidden' | 'unknownKind'>();
  /** What an archive holds, by its SHA-256. One that is not here is not there. */
  readonly archives = new Map<string, ArchiveAnswer>();
  /** Archives that were asked for. */
  readonly fetched: ArchiveRequest[] = [];
  /** Name of an older object that is bound to the same thing in Coder. */
  older: string | undefined;
  isLeading = true;
  /** First versions that may have been left in Coder without a template. */
  versionsLeft = 0;
  /** What the control plane allows; `connect` makes a change known. */
  control: Partial<ConnectedFact> = {};
  /** `spec.suspend` of the control plane, known at once. */
  suspended = false;
  maxConcurrentBuilds: number | undefined;
  /** Until when deletions were released by a person. */
  releasedAt: string | undefined;
  /** Other objects of the namespace that are being deleted. */
  deletingToo: readonly KubeObject[] = [];
  connections: Connections;
  readonly #make: (context: Context) => Reconciler;
  #reconciler: Reconciler;
  #stop = new AbortController();
  #epoch = 0;

  constructor(
    kube: HeldObject<Spec, Status>,
    make: (world: World<Spec, Status>, context: Context) => Reconciler,
  ) {
    this.kube = kube;
    this.#make = (context) => make(this, context);
    this.coder.sender = () => this.kube.object?.status?.pendingOperation?.id;
    withoutJobFeed(this.coder);
    [this.connections, this.#reconciler] = this.#start();
  }

  /** One pass, whether anything wakes it or not. A stale copy only means that the object comes again. */
  async pass(): Promise<Rest | undefined> {
    const { object } = this.kube;
    if (object === undefined) return undefined;
    // Nobody passes before the observer has looked once, or given up on it.
    await settle();
    try {
      return await this.#reconciler.reconcile(object);
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return { until: 'backoff' };
      throw error;
    }
  }

  /** Passes until there is nothing left to write, at one moment. */
  async settle(): Promise<Rest | undefined> {
    for (let i = 0; i < 20; i++) {
      const before = this.kube.writes + this.coder.landed.length;
      const rest = await this.pass();
      if (this.kube.writes + this.coder.landed.length === before) return rest;
    }
    throw new Error(`It does not come to rest: ${JSON.stringify(this.kube.object, undefined, 2)}`);
  }

  /** The process dies; another one takes over and knows nothing but what is written down. */
  restart(): void {
    this.stop();
    this.#stop = new AbortController();
    [this.connections, this.#reconciler] = this.#start();
  }

  stop(): void {
    this.#stop.abort(new Error('stopped'));
  }

  /** The control plane answers, as it did before. */
  connect(): void {
    this.connections.connected('team', 'coder', {
      client: this.coder.client,
      fact: {
        deploymentID: DEPLOYMENT,
        userID: OPERATOR.id,
        url: 'https://coder.example.com',
        isAccepted: false,
        scope: { organizations: [], owners: [] },
        adoptedDeletion: false,
        suspended: false,
        ...this.control,
      },
      maxConcurrentBuilds: this.maxConcurrentBuilds,
      pollIntervalMs: POLL_MS,
    });
  }

  #start(): [Connections, Reconciler] {
    this.#epoch++;
    this.connections = new Connections({
      clock: this.clock,
      logger: silentLogger,
      signal: this.#stop.signal,
      controlPlaneOf: () => 'coder',
      suspendedBySpec: () => this.suspended,
      onChange: () => undefined,
      onFirstLook: () => undefined,
      onLook: () => undefined,
      onSuspicion: () => undefined,
      onWorkspace: () => undefined,
      onTemplate: () => undefined,
      onSlot: () => undefined,
    });
    this.connect();
    const context: Context = {
      kube: this.kube.client,
      writer: this.kube.writer,
      connections: this.connections,
      values: {
        resolve: (namespace, items) =>
          resolveValues(items, {
            namespace,
            secret: (name) => Promise.resolve(this.secrets.get(name)),
            configMap: (name) => Promise.resolve(this.configMaps.get(name)),
          }),
      },
      content: {
        configMap: (_, name) => Promise.resolve(this.configMaps.get(name)),
        flux: (_, { kind, name }) => Promise.resolve(this.flux.get(`${kind}/${name}`)),
        archive: (_, request) => {
          this.fetched.push(request);
          return (
            this.archives.get(request.sha256) ?? {
              state: 'failed',
              message: 'There is no such file.',
              retryAfterMs: 5_000,
            }
          );
        },
      },
      deletions: new Deletions({
        clock: this.clock,
        budget: SETTINGS.deletionBudget,
        deleting: () => [
          ...(this.kube.object?.metadata.deletionTimestamp === undefined ? [] : [this.kube.object]),
          ...this.deletingToo,
        ],
        releasedAt: () => this.releasedAt,
      }),
      settings: SETTINGS,
      clock: this.clock,
      logger: silentLogger,
      epoch: String(this.#epoch),
      assertLeading: () => {
        if (!this.isLeading) throw new Error('the lease is lost');
      },
      onVersionLeft: () => this.versionsLeft++,
      emit: (_, event) => this.events.push(event),
      signal: this.#stop.signal,
    };
    return [this.connections, this.#make(context)];
  }
}

const TEMPLATE_READS = [
  'template',
  'templateByName',
  'deletedTemplateById',
  'templateVersion',
  'templateVersionByName',
  'templateVersionVariables',
  'file',
  'organization',
  'provisionerJobs',
] as const;

/** What is read of a template from now on, by the name of the call; the observer's own looks are not among it. */
export function templateReads(coder: SimulatedCoder): () => readonly string[] {
  const spies = TEMPLATE_READS.map((name) => ({ name, spy: sinon.spy(coder, name) }));
  return () =>
    spies.flatMap(({ name, spy }) => {
      const calls: readonly (readonly unknown[])[] = spy.args;
      const own = calls.filter((given) => !isOfObserver(given.at(-1)));
      return Array<string>(own.length).fill(name);
    });
}

function isOfObserver(options: unknown): boolean {
  return (options as CallOptions | undefined)?.counted === false;
}

/** Days pass in a test: the observer does not get the jobs to see that it would look at every two seconds. */
function withoutJobFeed(coder: SimulatedCoder): void {
  const provisionerJobs = coder.provisionerJobs.bind(coder);
  coder.provisionerJobs = (organizationID, options) =>
    isOfObserver(options)
      ? Promise.reject(new CoderError('NotFound', 'jobs are not shown to the observer'))
      : provisionerJobs(organizationID, options);
}

export type WorkspaceWorld = World<CoderWorkspaceSpec, CoderWorkspaceStatus>;
export type TemplateWorld = World<CoderTemplateSpec, CoderTemplateStatus>;

/** A world with the workspace `acme.ann.dev` applied, and a template `docker` in Coder. */
export function workspaceWorld(
  spec: CoderWorkspaceSpec = { templateName: 'docker' },
  metadata: Partial<KubeObject['metadata']> = {},
  content: VersionContent = {},
): WorkspaceWorld {
  const world: WorkspaceWorld = new World(
    new HeldObject<CoderWorkspaceSpec, CoderWorkspaceStatus>('acme.ann.dev', spec, metadata),
    (w, context) =>
      new WorkspaceReconciler({
        context,
        claimedBy: () => w.older,
        isClaimedByAnother: () => w.older !== undefined,
      }),
  );
  world.coder.addTemplate('docker', ORGANIZATION, content);
  return world;
}

/** A world with the template `acme.docker` applied. */
export function templateWorld(
  spec: CoderTemplateSpec = { files: { 'main.tf': '# one' } },
  metadata: Partial<KubeObject['metadata']> = {},
): TemplateWorld {
  return new World(
    new HeldObject<CoderTemplateSpec, CoderTemplateStatus>('acme.docker', spec, metadata),
    (w, context) =>
      new TemplateReconciler({
        context,
        claimedBy: () => w.older,
        isClaimedByAnother: () => w.older !== undefined,
      }),
  );
}
