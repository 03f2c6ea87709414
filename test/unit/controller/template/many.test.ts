import { expect } from 'chai';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import type { KubeObject } from '../../../../src/api/meta.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { CoderError, isRateLimited } from '../../../../src/coder/errors.ts';
import type { CoderClient } from '../../../../src/coder/client.ts';
import { RequestBudget, TurnTimeoutError } from '../../../../src/coder/ratelimit.ts';
import { Connections } from '../../../../src/controller/connections.ts';
import type { Context } from '../../../../src/controller/context.ts';
import { Deletions } from '../../../../src/controller/deletions.ts';
import type { Rest } from '../../../../src/controller/step.ts';
import { TemplateReconciler } from '../../../../src/controller/template/reconcile.ts';
import { runWorkers, type HandlerResult, type WorkResult } from '../../../../src/kube/workers.ts';
import { WorkQueue } from '../../../../src/kube/workqueue.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { MinuteLimit } from '../../../support/coder/limit.ts';
import { DEPLOYMENT, OPERATOR, SimulatedCoder } from '../../../support/controller-coder.ts';
import { HeldObject } from '../../../support/controller-kube.ts';
import { SETTINGS } from '../../../support/controller-world.ts';
import { isReady } from '../../../support/tenant.ts';

const MINUTE_MS = 60_000;
const WORKERS = 10;
/** So many requests a minute Coder takes at each of its addresses; content is limited by itself. */
const MOST_A_MINUTE = 512;
/** A request waits so long for its turn, and is given up then. */
const LONGEST_WAIT_MS = 5_000;
/** Imports end at such steps. */
const STEP_MS = 1_000;

type Held = HeldObject<CoderTemplateSpec, CoderTemplateStatus>;

/** Many templates, one Coder with its limits, and the operator's queue between them. Time is the test's own. */
class Fleet {
  readonly clock = new FakeClock();
  readonly coder = new SimulatedCoder(this.clock);
  readonly objects: ReadonlyMap<string, Held>;
  readonly results: WorkResult[] = [];
  /** Requests that Coder refused since there were too many, beside those for content. */
  readonly refused: string[] = [];
  requests = 0;
  readonly #queue = new WorkQueue({ clock: this.clock, random: () => 1 });
  readonly #stop = new AbortController();
  readonly #connections: Connections;
  readonly #reconciler: TemplateReconciler;
  readonly #working: Promise<void>;

  /** @param requestsPerMinute as the control plane says it; left out as there. */
  constructor(count: number, requestsPerMinute?: number) {
    this.objects = new Map(
      Array.from({ length: count }, (_, i) => {
        const files = { 'main.tf': `# template ${i}` };
        const held: Held = new HeldObject<CoderTemplateSpec, CoderTemplateStatus>(`acme.t${i}`, { files });
        return [`acme.t${i}`, held];
      }),
    );
    this.#connections = new Connections({
      clock: this.clock,
      logger: silentLogger,
      signal: this.#stop.signal,
      controlPlaneOf: () => 'coder',
      suspendedBySpec: () => false,
      onChange: () => undefined,
      onFirstLook: () => this.#wakeAll(),
      onLook: () => undefined,
      onSuspicion: () => undefined,
      onWorkspace: () => undefined,
      onTemplate: (_, id) => this.#wakeAll((status) => status?.id === id),
      onSlot: () => undefined,
    });
    this.#reconciler = new TemplateReconciler({
      context: this.#context(),
      claimedBy: () => undefined,
      isClaimedByAnother: () => false,
    });
    this.#connections.connected('team', 'coder', {
      client: this.#client(requestsPerMinute),
      fact: {
        deploymentID: DEPLOYMENT,
        userID: OPERATOR.id,
        url: 'https://coder.example.com',
        isAccepted: false,
        scope: { organizations: [], owners: [] },
        adoptedDeletion: false,
        suspended: false,
      },
      pollIntervalMs: MINUTE_MS,
    });
    this.#working = runWorkers({
      queue: this.#queue,
      workers: WORKERS,
      handler: async (name) => {
        const object = this.objects.get(name)?.object;
        return object === undefined ? undefined : resultOf(await this.#reconciler.reconcile(object));
      },
      logger: silentLogger,
      clock: this.clock,
      signal: this.#stop.signal,
      onResult: (result) => this.results.push(result),
    });
    this.#wakeAll();
  }

  get ready(): number {
    return [...this.objects.values()].filter(({ object }) => object !== undefined && isReady(object)).length;
  }

  /** Lets time pass until all are ready, and says how long that took; no longer than `mostMs`. */
  async untilReady(mostMs: number): Promise<number> {
    await this.#quiet();
    while (this.ready < this.objects.size && this.clock.monotonic() < mostMs) {
      this.coder.playOut();
      await this.clock.advance(STEP_MS);
      await this.#quiet();
    }
    return this.clock.monotonic();
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the test has ended'));
    this.#queue.shutDown();
    await this.#working;
  }

  /** What happens at one moment comes to its end before time goes on. */
  async #quiet(): Promise<void> {
    const state = (): string => `${this.requests} ${this.results.length} ${this.#queue.length}`;
    for (let before = ''; before !== state();) {
      before = state();
      await settle();
    }
  }

  #wakeAll(isMeant: (status: CoderTemplateStatus | undefined) => boolean = () => true): void {
    for (const [name, { object }] of this.objects) if (isMeant(object?.status)) this.#queue.add(name);
  }

  /** Within the request budget, as the real client is, and within Coder's limit of each address. */
  #client(requestsPerMinute: number | undefined): CoderClient {
    const { clock, coder } = this;
    const budget = new RequestBudget({
      clock,
      ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
    });
    const limit = new MinuteLimit(clock, MOST_A_MINUTE);
    const send = async (name: string, args: readonly unknown[]): Promise<unknown> => {
      const address = [name, ...args.filter((arg) => typeof arg === 'string')].join(' ');
      this.requests++;
      try {
        limit.admit(address);
        const call = Reflect.get(coder, name) as (...given: readonly unknown[]) => unknown;
        return await call.apply(coder, [...args]);
      } catch (error) {
        if (isRateLimited(error)) this.refused.push(address);
        throw error;
      }
    };
    const inTurn = async (name: string, args: readonly unknown[]): Promise<unknown> => {
      const counted = !args.some((arg) => isOptions(arg) && arg.counted === false);
      const turn = { lane: name, counted, ...(counted ? { maxWaitMs: LONGEST_WAIT_MS } : {}) };
      try {
        return await budget.run(turn, () => send(name, args));
      } catch (error) {
        if (!(error instanceof TurnTimeoutError)) throw error;
        const retryAfterMs = Math.max(1_000, error.retryAfterMs);
        throw new CoderError('RateLimited', error.message, { retryAfterMs });
      }
    };
    return new Proxy(coder.client, {
      get:
        (_, name) =>
        (...args: readonly unknown[]) =>
          inTurn(String(name), args),
    });
  }

  #context(): Context {
    const held = (object: KubeObject): Held => {
      const found = this.objects.get(object.metadata.name);
      if (found === undefined) throw new Error(`There is no ${object.metadata.name}`);
      return found;
    };
    const unexpected = (): never => {
      throw new Error('The content is in the object itself, and none is a mirror');
    };
    const writer: Context['writer'] = {
      writeStatus: (resource, object, status) => held(object).writer.writeStatus(resource, object, status),
      setFinalizer: (resource, object, finalizer, present) =>
        held(object).writer.setFinalizer(resource, object, finalizer, present),
      create: unexpected,
      setLabels: unexpected,
      remove: unexpected,
    };
    return {
      kube: new HeldObject('none', {}).client,
      writer,
      connections: this.#connections,
      values: { resolve: unexpected },
      content: { configMap: unexpected, flux: unexpected, archive: unexpected },
      deletions: new Deletions({
        clock: this.clock,
        budget: 20,
        deleting: () => [],
        releasedAt: () => undefined,
      }),
      settings: SETTINGS,
      clock: this.clock,
      logger: silentLogger,
      epoch: '1',
      assertLeading: () => undefined,
      emit: () => undefined,
      signal: this.#stop.signal,
    };
  }
}

/** What the queue is to do after a pass. */
function resultOf(rest: Rest | undefined): HandlerResult | undefined {
  switch (rest?.until) {
    case 'time':
      return { requeueAfterMs: rest.afterMs };
    case 'backoff':
      return { backoff: true };
    default:
      return undefined;
  }
}

function isOptions(arg: unknown): arg is { readonly counted?: boolean } {
  return typeof arg === 'object' && arg !== null;
}

describe('many templates at once', function () {
  this.timeout(60_000);
  let fleet: Fleet;

  afterEach(() => fleet.close());

  const expectNoneRefused = (count: number): void => {
    const refused = fleet.coder.uploads.filter(({ fileID }) => fileID === undefined);
    expect(refused, 'uploads that Coder refused').to.have.length(0);
    expect(fleet.refused, 'other requests that Coder refused').to.deep.equal([]);
    expect(fleet.coder.uploads, 'uploads').to.have.length(count);
  };

  it("are all imported within Coder's limits, two hundred in half an hour", async () => {
    fleet = new Fleet(200);
    const tookMs = await fleet.untilReady(60 * MINUTE_MS);
    expect(fleet.ready).to.equal(200);
    expect(tookMs).to.be.at.most(30 * MINUTE_MS);
    expectNoneRefused(200);
  });

  it('hold no worker while they wait for their turn', async () => {
    // Of the requests themselves none has to wait here.
    fleet = new Fleet(40, 100_000);
    await fleet.untilReady(60 * MINUTE_MS);
    expect(fleet.ready).to.equal(40);
    expect(fleet.results.filter(({ durationMs }) => durationMs > 0)).to.deep.equal([]);
    // Each is looked at a handful of times, and not again and again until its turn has come.
    expect(fleet.results.length / 40).to.be.at.most(8);
    expectNoneRefused(40);
  });
});
