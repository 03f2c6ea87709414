import { expect } from 'chai';
import { workspaces, type CoderControlPlane, type CoderWorkspace } from '../../../../src/api/kinds.ts';
import { MIRROR_MANAGER } from '../../../../src/api/mirrors.ts';
import { silentLogger, type Logger } from '../../../../src/base/logger.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { Workspace } from '../../../../src/coder/types.ts';
import { Connections } from '../../../../src/controller/connections.ts';
import type { Context } from '../../../../src/controller/context.ts';
import { RememberingWriter } from '../../../../src/controller/writer.ts';
import type { ConnectedFact } from '../../../../src/controller/facts.ts';
import { Mirrors } from '../../../../src/controller/mirror/keeper.ts';
import { workspaceMirrors } from '../../../../src/controller/mirror/kinds.ts';
import { after, untilWoken, type Rest } from '../../../../src/controller/step.ts';
import { createStores } from '../../../../src/controller/stores.ts';
import { KubeError } from '../../../../src/kube/errors.ts';
import { priorities } from '../../../../src/kube/workqueue.ts';
import { FakeClock } from '../../../support/clock.ts';
import { DEPLOYMENT, OPERATOR, SimulatedCoder } from '../../../support/controller-coder.ts';
import { allowing } from '../../../support/controller-records.ts';
import { MemoryKube, type Write } from '../../../support/memory-kube.ts';

const TEAM = 'team';
const POLL_MS = 60_000;
const NAME = 'acme.ann.dev';
const LABELS = {
  'coder.com/mirror': 'true',
  'coder.com/organization': 'acme',
  'coder.com/owner': 'ann',
  'coder.com/template': 'docker',
};

interface Shown {
  readonly name: string;
  readonly status: CoderWorkspace['status'];
  readonly isUnseen: boolean;
}

/** The mirrors of workspaces, between an API server and a Coder that are both in memory. Their status is not written. */
class Bench {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly kube = new MemoryKube(this.clock);
  readonly coder = new SimulatedCoder(this.clock);
  readonly stores = createStores(silentLogger);
  readonly template = this.coder.addTemplate();
  /** Keys that were put in the queue since the last look. */
  #woken: [string, number][] = [];
  readonly shown: Shown[] = [];
  readonly events: string[] = [];
  readonly writes: Write[] = [];
  readonly warnings: string[] = [];
  isLeading = true;
  controlPlane: CoderControlPlane | undefined = {
    metadata: { name: 'coder', namespace: TEAM },
    spec: { credentialsSecretRef: { name: 'coder' } },
  };
  readonly connections = new Connections({
    clock: this.clock,
    logger: silentLogger,
    signal: this.stop.signal,
    controlPlaneOf: () => this.controlPlane?.metadata.name,
    suspendedBySpec: () => false,
    onChange: () => undefined,
    onFirstLook: () => undefined,
    onLook: (namespace, what) => {
      if (what === 'workspaces') this.mirrors.looked(namespace);
    },
    onSuspicion: () => undefined,
    onWorkspace: () => undefined,
    onTemplate: () => undefined,
    onSlot: () => undefined,
  });
  readonly mirrors: Mirrors = new Mirrors({
    context: this.#context(),
    kind: workspaceMirrors(this.stores.workspaces, (object, isUnseen) => {
      this.shown.push({ name: object.metadata.name, status: object.status, isUnseen });
      return Promise.resolve(untilWoken);
    }),
    queue: { add: (key, options) => void this.#woken.push([key, options?.priority ?? 0]) },
    controlPlaneOf: () => this.controlPlane,
  });

  constructor() {
    this.kube.lagMs = 0;
    this.kube.feed(workspaces, this.stores.workspaces);
    this.kube.onWrite = (write) => {
      if (write.manager !== undefined) this.writes.push(write);
    };
  }

  /** The control plane answers, and everything is looked at. */
  async connect(fact: Partial<ConnectedFact> = {}): Promise<void> {
    this.connections.connected(TEAM, 'coder', {
      client: this.coder.client,
      fact: {
        deploymentID: DEPLOYMENT,
        userID: OPERATOR.id,
        url: 'https://coder.example.com',
        ...allowing(),
        ...fact,
      },
      pollIntervalMs: POLL_MS,
    });
    await this.clock.advance(1);
  }

  async look(): Promise<void> {
    await this.clock.advance(POLL_MS);
  }

  /** Somebody makes a workspace in Coder. */
  made(name = 'dev', owner = 'ann'): Workspace {
    const workspace = this.coder.addWorkspace(owner, name, this.template);
    if (workspace === undefined) throw new Error('Coder does not make it');
    // A build under way would have it read again and again.
    this.coder.finishBuilds('succeeded');
    return workspace;
  }

  /** Puts an object of the namespace where it is. */
  async put(
    name: string,
    parts: { readonly spec?: object; readonly status?: object; readonly labels?: object },
  ): Promise<void> {
    const { labels = {}, ...rest } = parts;
    this.kube.create(workspaces, { metadata: { name, namespace: TEAM, ...{ labels } }, ...rest }, undefined);
    await this.clock.advance(1);
  }

  /** A mirror as it is once its status is written. */
  async putMirror(id: string, name = NAME, status: object = {}): Promise<void> {
    await this.put(name, {
      labels: LABELS,
      status: { id, deploymentID: DEPLOYMENT, origin: 'Mirrored', ...status },
    });
  }

  object(name = NAME): CoderWorkspace {
    const object = this.stores.workspaces.get(`${TEAM}/${name}`);
    if (object === undefined) throw new Error(`There is no ${name}`);
    return object;
  }

  async pass(name = NAME): Promise<Rest | undefined> {
    const rest = await this.mirrors.reconcile(this.object(name));
    await this.clock.advance(1);
    return rest;
  }

  async appear(id: string): Promise<Rest | undefined> {
    const rest = await this.mirrors.appear(TEAM, id);
    await this.clock.advance(1);
    return rest;
  }

  woken(): [string, number][] {
    const [...woken] = this.#woken;
    this.#woken = [];
    return woken;
  }

  /** Whatever was woken has its pass. */
  async drain(): Promise<void> {
    for (const [key] of this.woken()) {
      const [kind = '', at = ''] = key.split(':');
      const name = at.slice(TEAM.length + 1);
      if (kind === this.mirrors.keyKind) await this.appear(name);
      else if (this.stores.workspaces.get(at) !== undefined) await this.pass(name);
    }
  }

  /** The control plane mirrors no workspaces any more. */
  disable(): void {
    if (this.controlPlane === undefined) throw new Error('There is no control plane');
    const { spec, metadata } = this.controlPlane;
    this.controlPlane = { metadata, spec: { ...spec, mirror: { workspaces: 'Disabled' } } };
  }

  /** How many workspaces can be shown by no object; undefined while that is still to be found out. */
  get unmirrored(): number | undefined {
    return this.mirrors.counts(TEAM)?.unmirrored;
  }

  get names(): string[] {
    return this.kube.all(workspaces).map(({ metadata }) => metadata.name);
  }

  close(): void {
    this.stop.abort(new Error('the test is over'));
  }

  #context(): Context {
    const logger: Logger = {
      ...silentLogger,
      warn: (message) => void this.warnings.push(message),
      child: () => logger,
    };
    const context: Partial<Context> = {
      kube: this.kube.client,
      writer: new RememberingWriter({
        kube: this.kube.client,
        fieldManager: 'coder-operator',
        assume: (resource, object) => this.stores.assume(resource, object),
      }),
      connections: this.connections,
      clock: this.clock,
      logger,
      assertLeading: () => {
        if (!this.isLeading) throw new Error('the lease is lost');
      },
      emit: ({ metadata }, { type, reason, message }) =>
        this.events.push(`${type} ${reason} on ${metadata.name}: ${message}`),
      signal: this.stop.signal,
    };
    return context as Context;
  }
}

const mirrorKey = (id: string): string => `Mirror of CoderWorkspace:${TEAM}/${id}`;
const objectKeyOf = (name: string): string => `CoderWorkspace:${TEAM}/${name}`;

describe('Mirrors', () => {
  let bench: Bench;
  let dev: Workspace;
  beforeEach(() => {
    bench = new Bench();
    dev = bench.made();
  });
  afterEach(() => bench.close());

  describe('appear', () => {
    it('creates a mirror with its labels and nothing wished, and shows what it is bound to', async () => {
      await bench.connect();
      await bench.appear(dev.id);
      const [write, ...more] = bench.writes;
      expect(more).to.deep.equal([]);
      expect(write).to.include({ verb: 'create', name: NAME, manager: MIRROR_MANAGER });
      expect(write?.after?.metadata.labels).to.deep.equal(LABELS);
      expect(write?.after?.spec).to.deep.equal({});
      expect(write?.after?.metadata.finalizers ?? []).to.deep.equal([]);
      const [shown] = bench.shown;
      expect(shown).to.include({ name: NAME, isUnseen: false });
      expect(shown?.status).to.include({ id: dev.id, deploymentID: DEPLOYMENT, origin: 'Mirrored' });
      await bench.appear(dev.id);
      expect(bench.writes, 'it is there now').to.have.length(1);
    });

    const nothing: [string, (b: Bench) => Promise<void> | void][] = [
      ['without a connection', () => undefined],
      [
        'while Coder does not answer',
        async (b) => {
          await b.connect();
          b.connections.failed(TEAM, 'coder', { reason: 'CoderUnreachable', message: 'down' });
        },
      ],
      [
        'before everything was looked at',
        async (b) => {
          b.coder.outage = new CoderError('Unreachable', 'no answer');
          await b.connect();
          b.connections.live(TEAM)?.observer.learn(dev, b.clock.monotonic());
        },
      ],
      [
        'that are not wished',
        async (b) => {
          await b.connect();
          b.disable();
        },
      ],
      [
        'while the control plane is being deleted',
        async (b) => {
          await b.connect();
          if (b.controlPlane === undefined) return;
          const metadata = { ...b.controlPlane.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
          b.controlPlane = { ...b.controlPlane, metadata };
        },
      ],
      ['out of scope', (b) => b.connect({ scope: { organizations: [], owners: ['bob'] } })],
      [
        "beside a user's object of that name",
        async (b) => {
          await b.connect();
          await b.put(NAME, { spec: { running: true } });
        },
      ],
      [
        "beside a user's object that is bound to the same one",
        async (b) => {
          await b.connect();
          await b.put('acme.ann.other', { spec: { running: true }, status: { id: dev.id } });
        },
      ],
    ];
    for (const [name, prepare] of nothing) {
      it(`creates none ${name}`, async () => {
        await prepare(bench);
        await bench.appear(dev.id);
        expect(bench.writes).to.deep.equal([]);
        expect(bench.shown).to.deep.equal([]);
        expect(bench.unmirrored ?? 0).to.equal(0);
      });
    }

    it('creates one where the only object that is bound to it is in another namespace', async () => {
      await bench.connect();
      bench.stores.workspaces.apply({
        type: 'ADDED',
        object: {
          metadata: { name: NAME, namespace: 'elsewhere' },
          spec: { running: true },
          status: { id: dev.id },
        },
      });
      await bench.appear(dev.id);
      expect(bench.names).to.deep.equal([NAME]);
    });

    it('creates none of what is not known', async () => {
      await bench.connect();
      expect(await bench.appear('unknown')).to.equal(undefined);
      expect(bench.writes).to.deep.equal([]);
    });

    it('keeps the name of a user who is about to create the object again free for a while', async () => {
      await bench.connect();
      await bench.put(NAME, { spec: { running: true } });
      bench.mirrors.objectGone(bench.object());
      bench.kube.delete(workspaces, NAME);
      await bench.clock.advance(2_000);
      expect(await bench.appear(dev.id)).to.deep.equal(after(8_000));
      await bench.clock.advance(8_000);
      await bench.appear(dev.id);
      expect(bench.writes).to.have.length(1);
    });

    it('wakes the mirror of its name that is bound to nothing yet', async () => {
      await bench.connect();
      await bench.put(NAME, { labels: LABELS });
      bench.woken();
      await bench.appear(dev.id);
      expect(bench.woken()).to.deep.equal([[objectKeyOf(NAME), priorities.mirror]]);
      expect(bench.writes).to.deep.equal([]);
    });

    it('puts a mirror that somebody has deleted back at once', async () => {
      await bench.connect();
      await bench.putMirror(dev.id);
      bench.woken();
      bench.mirrors.objectGone(bench.object());
      expect(bench.woken()).to.deep.equal([[mirrorKey(dev.id), priorities.mirror]]);
      bench.kube.delete(workspaces, NAME);
      await bench.clock.advance(1);
      await bench.appear(dev.id);
      expect(bench.writes).to.have.length(1);
    });

    it('leaves the name to a user who was first, before the store knows of it', async () => {
      await bench.connect();
      bench.kube.lagMs = 1_000;
      bench.kube.create(workspaces, {
        metadata: { name: NAME, namespace: TEAM },
        ...{ spec: { running: true } },
      });
      expect(await bench.appear(dev.id)).to.equal(undefined);
      expect(bench.writes).to.deep.equal([]);
      expect(bench.unmirrored).to.equal(0);
    });

    it('tries nothing for a minute in a namespace that is being deleted', async () => {
      await bench.connect();
      bench.kube.isTerminating = true;
      expect(await bench.appear(dev.id)).to.equal(undefined);
      expect(bench.unmirrored, 'that is no fault of the workspace').to.equal(0);
      bench.kube.isTerminating = false;
      await bench.clock.advance(50_000);
      await bench.appear(dev.id);
      expect(bench.writes).to.deep.equal([]);
      await bench.clock.advance(10_000);
      await bench.appear(dev.id);
      expect(bench.writes).to.have.length(1);
    });

    it('creates none once it does not lead any more', async () => {
      await bench.connect();
      bench.isLeading = false;
      const failed = await bench.mirrors.appear(TEAM, dev.id).catch((error: unknown) => error);
      expect(failed).to.be.instanceOf(Error);
      expect(bench.writes).to.deep.equal([]);
    });

    it('lets an answer that the API server did not give be tried again', async () => {
      await bench.connect();
      const down = new KubeError('KUBE_UNREACHABLE', 'no answer');
      bench.kube.create = () => {
        throw down;
      };
      expect(await bench.mirrors.appear(TEAM, dev.id).catch((error: unknown) => error)).to.equal(down);
    });
  });

  describe('what no object can show', () => {
    it('is counted, and told once with the next look', async () => {
      bench.coder.forceName(dev.id, 'a--b');
      await bench.connect();
      await bench.appear(dev.id);
      expect(bench.mirrors.counts(TEAM)).to.deep.equal({ mirrored: 0, unmirrored: 1 });
      expect(bench.events).to.deep.equal([]);
      await bench.look();
      expect(bench.events).to.have.length(1);
      expect(bench.events[0])
        .to.contain('Warning Unmirrored on coder: Of the workspaces in Coder 1 cannot')
        .and.to.contain('acme.ann.a--b ("a--b" in');
      await bench.appear(dev.id);
      await bench.look();
      expect(bench.events).to.have.length(1);
    });

    /** From now on the cluster refuses every creation. The answer lets them through again, and counts the attempts. */
    function refuseAll(status: number, reason: string): { attempts: number; readonly end: () => void } {
      const create = bench.kube.create.bind(bench.kube);
      const refusing = { attempts: 0, end: (): void => void (bench.kube.create = create) };
      bench.kube.create = () => {
        refusing.attempts++;
        throw new KubeError('KUBE_REFUSED', 'the quota is used up', { status, reason });
      };
      return refusing;
    }

    it('is also what a rule of the cluster refuses, until it does not', async () => {
      await bench.connect();
      const refusing = refuseAll(422, 'Invalid');
      await bench.appear(dev.id);
      expect(bench.unmirrored).to.equal(1);
      await bench.look();
      expect(bench.events[0]).to.contain(`${NAME} (the quota is used up)`);
      expect(bench.woken(), 'it is tried again').to.deep.include([mirrorKey(dev.id), priorities.resync]);
      refusing.end();
      await bench.look();
      await bench.appear(dev.id);
      expect(bench.mirrors.counts(TEAM)).to.deep.equal({ mirrored: 1, unmirrored: 0 });
    });

    it('is all that there is when the cluster lets us create none, which is tried ever more seldom', async () => {
      const others = ['one', 'two', 'three', 'four'].map((name) => bench.made(name));
      await bench.connect();
      const refusing = refuseAll(403, 'Forbidden');
      for (const { id } of [dev, ...others]) await bench.appear(id);
      expect(bench.unmirrored).to.equal(5);
      expect(refusing.attempts, 'what is refused to several is refused to all').to.equal(3);
      for (let minute = 1; minute <= 30; minute++) {
        await bench.look();
        await bench.drain();
      }
      expect(refusing.attempts, 'half an hour of looks').to.be.lessThan(25);
      refusing.end();
      for (let minute = 0; minute < 31; minute++) {
        await bench.look();
        await bench.drain();
      }
      expect(bench.names).to.have.length(5);
      expect(bench.unmirrored).to.equal(0);
    });

    it("is what bears the name of a user's object for another one", async () => {
      await bench.connect();
      await bench.put(NAME, { spec: { running: true }, status: { id: 'another' } });
      await bench.appear(dev.id);
      expect(bench.unmirrored).to.equal(1);
    });

    it('is no longer counted when it is not seen any more, out of scope, not wished, or a user has it', async () => {
      const ends: [string, (b: Bench, id: string) => Promise<void> | void][] = [
        ['not seen any more', (b) => b.coder.hide(b.template.id)],
        ['out of scope', (b) => b.connect({ scope: { organizations: ['other'], owners: [] } })],
        ['not wished', (b) => b.disable()],
        ["a user's", (b, id) => b.put('acme.ann.x', { spec: { running: true }, status: { id } })],
      ];
      for (const [name, end] of ends) {
        const b = new Bench();
        const { id } = b.made();
        b.coder.forceName(id, 'a--b');
        await b.connect();
        await b.drain();
        expect(b.unmirrored).to.equal(1);
        await end(b, id);
        // What Coder counts and does not list is missed when it is so twice.
        for (let i = 0; i < 2; i++) {
          await b.look();
          await b.drain();
        }
        expect(b.unmirrored, name).to.equal(0);
        b.close();
      }
    });
  });

  describe('reconcile', () => {
    it('shows what it is bound to', async () => {
      await bench.connect();
      await bench.putMirror(dev.id);
      expect(await bench.pass()).to.equal(untilWoken);
      expect(bench.shown).to.have.length(1);
      expect(bench.shown[0]).to.deep.include({ name: NAME, isUnseen: false });
      expect(bench.writes).to.deep.equal([]);
    });

    it('binds one that a process has left unbound', async () => {
      await bench.connect();
      await bench.put(NAME, { labels: LABELS });
      await bench.pass();
      expect(bench.shown[0]?.status).to.include({ id: dev.id, deploymentID: DEPLOYMENT, origin: 'Mirrored' });
    });

    it('sets labels that are not right any more, and leaves those of others', async () => {
      await bench.connect();
      await bench.put(NAME, {
        labels: { ...LABELS, 'coder.com/template': 'former', 'example.com/team': 'x' },
        status: { id: dev.id, deploymentID: DEPLOYMENT, origin: 'Mirrored' },
      });
      await bench.pass();
      expect(bench.writes).to.have.length(1);
      expect(bench.writes[0]).to.include({ verb: 'patch', manager: MIRROR_MANAGER });
      expect(bench.object().metadata.labels).to.deep.equal({ ...LABELS, 'example.com/team': 'x' });
      await bench.pass();
      expect(bench.writes).to.have.length(1);
    });

    it('removes it when its time is over', async () => {
      await bench.connect();
      await bench.putMirror(dev.id);
      bench.disable();
      expect(await bench.pass()).to.equal(undefined);
      expect(bench.names).to.deep.equal([]);
      expect(bench.shown).to.deep.equal([]);
    });

    it('waits half a minute for a control plane to come back', async () => {
      await bench.connect();
      await bench.putMirror(dev.id);
      const { controlPlane } = bench;
      bench.controlPlane = undefined;
      bench.connections.drop(TEAM);
      expect(await bench.pass()).to.deep.equal(after(30_000));
      await bench.clock.advance(20_000);
      bench.controlPlane = controlPlane;
      await bench.connect();
      await bench.pass();
      bench.controlPlane = undefined;
      bench.connections.drop(TEAM);
      expect(await bench.pass(), 'it was back').to.deep.equal(after(30_000));
      expect(bench.names).to.deep.equal([NAME]);
      await bench.clock.advance(30_000);
      await bench.pass();
      expect(bench.names).to.deep.equal([]);
    });

    it('shows a manifest that only looks like a mirror, and never removes it: it would be applied again', async () => {
      await bench.connect();
      const metadata = {
        name: 'acme.ann.none',
        namespace: TEAM,
        ...{ labels: { 'coder.com/mirror': 'true' } },
      };
      bench.kube.create(workspaces, { metadata }, 'argocd-controller');
      await bench.clock.advance(1);
      await bench.pass('acme.ann.none');
      expect(bench.names).to.deep.equal(['acme.ann.none']);
      expect(bench.shown.map(({ name }) => name)).to.deep.equal(['acme.ann.none']);
    });

    it('removes an unbound one of its own of which there is nothing to show', async () => {
      await bench.connect();
      await bench.put('acme.ann.none', { labels: LABELS });
      await bench.pass('acme.ann.none');
      expect(bench.names).to.deep.equal([]);
    });

    it('removes nothing that somebody has just made theirs', async () => {
      await bench.connect();
      await bench.putMirror(dev.id);
      const stale = bench.object();
      bench.disable();
      bench.kube.patch(workspaces, NAME, { spec: { running: true } });
      const failed = await bench.mirrors.reconcile(stale).catch((error: unknown) => error);
      expect(failed).to.be.instanceOf(KubeError);
      expect(bench.names).to.deep.equal([NAME]);
    });

    it('removes nothing of that name that was created anew', async () => {
      await bench.connect();
      await bench.putMirror(dev.id);
      const { metadata, ...rest } = bench.object();
      bench.disable();
      const another = { ...rest, metadata: { ...metadata, uid: 'another' } };
      expect(await bench.mirrors.reconcile(another).catch((error: unknown) => error)).to.be.instanceOf(
        KubeError,
      );
      expect(bench.names).to.deep.equal([NAME]);
    });

    it('removes none once it does not lead any more', async () => {
      await bench.putMirror(dev.id);
      bench.disable();
      bench.isLeading = false;
      expect(await bench.pass().catch((error: unknown) => error)).to.be.instanceOf(Error);
      expect(bench.names).to.deep.equal([NAME]);
    });

    it('takes one that is gone already for removed', async () => {
      await bench.putMirror(dev.id);
      const object = bench.object();
      bench.kube.delete(workspaces, NAME);
      bench.disable();
      expect(await bench.mirrors.reconcile(object)).to.equal(undefined);
    });

    it('has the successor of a mirror made before it goes', async () => {
      await bench.putMirror(dev.id);
      bench.coder.rename('other');
      await bench.connect();
      bench.woken();
      await bench.pass();
      expect(bench.woken()).to.deep.equal([[mirrorKey(dev.id), priorities.mirror]]);
      expect(bench.names).to.deep.equal([NAME]);
      await bench.appear(dev.id);
      expect(bench.names).to.have.members([NAME, 'acme.ann.other']);
      const { metadata } = bench.object('acme.ann.other');
      bench.kube.delete(workspaces, metadata.name);
      await bench.clock.advance(1);
      await bench.putMirror(dev.id, 'acme.ann.other');
      await bench.pass();
      expect(bench.names).to.deep.equal(['acme.ann.other']);
    });

    it('leaves one that is there before everything was looked at', async () => {
      await bench.putMirror('gone-long-ago');
      bench.coder.outage = new CoderError('Unreachable', 'no answer');
      await bench.connect();
      expect(await bench.pass()).to.equal(untilWoken);
      expect(bench.names).to.deep.equal([NAME]);
      expect(bench.shown).to.deep.equal([]);
    });

    it('shows one as it was while Coder does not answer', async () => {
      await bench.connect();
      await bench.putMirror('unknown');
      bench.connections.failed(TEAM, 'coder', { reason: 'CoderUnreachable', message: 'down' });
      await bench.pass();
      expect(bench.shown).to.have.length(1);
      expect(bench.writes).to.deep.equal([]);
    });
  });

  describe('looked', () => {
    it('wakes what needs a mirror, behind what people wait for', async () => {
      await bench.connect();
      expect(bench.woken()).to.deep.equal([[mirrorKey(dev.id), priorities.resync]]);
      await bench.putMirror(dev.id);
      await bench.look();
      expect(bench.woken(), 'all is as it should be').to.deep.equal([]);
    });

    it("wakes nothing for what a user's object has, or may not be shown", async () => {
      bench.made('two', 'bob');
      await bench.put('acme.ann.other', { spec: { running: true }, status: { id: dev.id } });
      await bench.connect({ scope: { organizations: [], owners: ['ann'] } });
      expect(bench.woken()).to.deep.equal([]);
    });

    it('wakes a mirror whose name another one has now', async () => {
      await bench.putMirror('another');
      await bench.connect();
      expect(bench.woken()).to.deep.include([objectKeyOf(NAME), priorities.resync]);
    });

    it('finds out whether what is missing is gone, and removes its mirror only then', async () => {
      await bench.putMirror(dev.id);
      await bench.putMirror('never-seen', 'acme.ann.never');
      bench.coder.build('delete');
      bench.coder.finishBuilds('succeeded');
      expect(await bench.pass(), 'nothing was looked at').to.equal(untilWoken);
      await bench.connect();
      expect(bench.woken()).to.have.deep.members([
        [objectKeyOf(NAME), priorities.mirror],
        [objectKeyOf('acme.ann.never'), priorities.mirror],
      ]);
      for (const name of bench.names) await bench.pass(name);
      expect(bench.names).to.deep.equal(['acme.ann.never']);
      expect(bench.shown.at(-1)).to.include({ name: 'acme.ann.never', isUnseen: true });
    });

    it('removes the mirror of what was just found to be gone, without another look', async () => {
      await bench.putMirror(dev.id);
      await bench.connect();
      bench.connections.live(TEAM)?.observer.provenGone(dev.id);
      await bench.pass();
      expect(bench.names).to.deep.equal([]);
    });

    it('keeps the mirror of what may only be hidden, and says so without asking again', async () => {
      await bench.putMirror(dev.id);
      await bench.connect();
      bench.coder.hide(bench.template.id);
      for (let i = 0; i < 2; i++) await bench.look();
      await bench.pass();
      expect(bench.names).to.deep.equal([NAME]);
      expect(bench.shown.at(-1)).to.include({ isUnseen: true });
    });

    it('keeps the mirror of what only the list has lost', async () => {
      await bench.putMirror(dev.id);
      await bench.connect();
      bench.coder.ofList = () => [];
      for (let i = 0; i < 2; i++) await bench.look();
      await bench.pass();
      expect(bench.names).to.deep.equal([NAME]);
      expect(bench.shown.at(-1)).to.include({ isUnseen: false });
    });

    it('gives none up when very many are missing at once, and tells people', async () => {
      const ids = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'].map(
        (name) => [name, bench.made(name).id] as const,
      );
      await bench.putMirror(dev.id);
      for (const [name, id] of ids) await bench.putMirror(id, `acme.ann.${name}`);
      await bench.connect();
      expect(bench.mirrors.counts(TEAM)?.mirrored).to.equal(11);
      expect(bench.mirrors.remarks(TEAM)).to.deep.equal([]);
      bench.coder.hide(bench.template.id);
      for (let i = 0; i < 2; i++) await bench.look();
      expect(bench.mirrors.remarks(TEAM)).to.have.length(1);
      expect(bench.mirrors.remarks(TEAM)[0]).to.match(/^11 mirrored workspaces are missing in Coder at once/);
      expect(bench.warnings).to.have.length(1);
      await bench.look();
      await bench.pass();
      expect(bench.names).to.have.length(11);
      bench.coder.show(bench.template.id);
      await bench.look();
      expect(bench.mirrors.remarks(TEAM)).to.deep.equal([]);
    });

    it('misses nothing of what was in another Coder than the accepted one', async () => {
      for (let i = 0; i < 12; i++) await bench.putMirror(`w${i}`, `acme.ann.w${i}`, { deploymentID: 'd0' });
      await bench.connect({ isAccepted: true });
      expect(bench.mirrors.remarks(TEAM)).to.deep.equal([]);
      await bench.pass('acme.ann.w1');
      expect(bench.names).to.have.length(11);
    });
  });

  describe('giveUp', () => {
    const taken = { running: true };

    /** A mirror that somebody has just set a wish on, as the store has it. */
    async function takenOver(spec: object = taken): Promise<CoderWorkspace> {
      await bench.connect();
      await bench.appear(dev.id);
      bench.kube.patch(workspaces, NAME, { spec }, 'kubectl');
      await bench.clock.advance(1);
      bench.writes.length = 0;
      return bench.object();
    }

    it('takes our labels off what a user has made theirs, and nothing else', async () => {
      const object = await takenOver();
      bench.kube.patch(workspaces, NAME, { metadata: { labels: { 'example.com/team': 'x' } } }, 'kubectl');
      const given = await bench.mirrors.giveUp(object);
      expect(given.metadata.labels).to.deep.equal({ 'example.com/team': 'x' });
      expect(given.spec).to.deep.equal(taken);
      expect(bench.writes.map(({ verb, manager }) => [verb, manager])).to.deep.equal([
        ['patch', 'kubectl'],
        ['patch', MIRROR_MANAGER],
      ]);
    });

    it("leaves the labels that are in the user's own manifest, and does not ask for ever", async () => {
      const object = await takenOver();
      bench.kube.patch(workspaces, NAME, { metadata: { labels: LABELS } }, 'argocd');
      expect(await bench.mirrors.giveUp(object)).to.equal(object);
      await bench.clock.advance(1);
      expect(bench.object().metadata.labels).to.deep.equal(LABELS);
      const adopted = { ...bench.object(), status: { id: dev.id, origin: 'Adopted' as const } };
      const get = bench.kube.client.get.bind(bench.kube.client);
      bench.kube.client.get = () => Promise.reject(new Error('asked'));
      expect(await bench.mirrors.giveUp(adopted)).to.equal(adopted);
      bench.kube.client.get = get;
    });

    it('touches no object that never was ours', async () => {
      await bench.put('acme.ann.plain', { spec: taken });
      const object = bench.object('acme.ann.plain');
      expect(await bench.mirrors.giveUp(object)).to.equal(object);
      expect(bench.writes).to.deep.equal([]);
    });

    it('touches nothing that is being deleted', async () => {
      const object = await takenOver();
      const leaving = {
        ...object,
        metadata: { ...object.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
      };
      expect(await bench.mirrors.giveUp(leaving)).to.equal(leaving);
      expect(bench.writes).to.deep.equal([]);
    });

    it('touches nothing when the wish was taken back meanwhile', async () => {
      const object = await takenOver();
      bench.kube.patch(workspaces, NAME, { spec: { running: null } }, 'kubectl');
      expect(await bench.mirrors.giveUp(object)).to.equal(object);
      expect(bench.kube.get(workspaces, NAME)?.metadata.labels).to.deep.equal(LABELS);
    });

    it('touches no other object that has the name now', async () => {
      const object = await takenOver();
      bench.kube.delete(workspaces, NAME);
      const metadata = { name: NAME, namespace: TEAM, ...{ labels: LABELS } };
      bench.kube.create(workspaces, { metadata, ...{ spec: taken } }, MIRROR_MANAGER);
      expect(await bench.mirrors.giveUp(object)).to.equal(object);
      expect(bench.kube.get(workspaces, NAME)?.metadata.labels).to.deep.equal(LABELS);
    });
  });

  it('wakes what waited for the name of an object that is gone', async () => {
    await bench.connect();
    bench.woken();
    await bench.put(NAME, { spec: { running: true }, status: { id: 'another' } });
    bench.mirrors.objectGone(bench.object());
    expect(bench.woken().map(([key]) => key)).to.deep.equal([mirrorKey('another'), mirrorKey(dev.id)]);
    bench.connections.drop('elsewhere');
    const object = { ...bench.object(), metadata: { name: NAME, namespace: 'elsewhere' } };
    bench.mirrors.objectGone(object);
    expect(bench.woken(), 'there is no Coder').to.deep.equal([]);
  });

  it('counts the mirrors of one namespace, and not the objects of users', async () => {
    await bench.putMirror(dev.id);
    await bench.put('acme.ann.other', { spec: { running: true }, labels: LABELS });
    await bench.connect();
    expect(bench.mirrors.counts(TEAM)).to.deep.equal({ mirrored: 1, unmirrored: 0 });
    expect(bench.mirrors.counts('elsewhere')).to.equal(undefined);
  });

  it('counts nothing as long as some are still to be made', async () => {
    const other = bench.made('other');
    expect(bench.mirrors.counts(TEAM)).to.equal(undefined);
    await bench.connect();
    await bench.appear(dev.id);
    expect(bench.mirrors.counts(TEAM)).to.equal(undefined);
    await bench.appear(other.id);
    expect(bench.mirrors.counts(TEAM)).to.deep.equal({ mirrored: 2, unmirrored: 0 });
    bench.mirrors.forget(TEAM);
    expect(bench.mirrors.counts(TEAM)).to.equal(undefined);
  });
});
