import { expect } from 'chai';
import type { CoderControlPlaneSpec, CoderControlPlaneStatus } from '../../../../src/api/generated.ts';
import type { KubeObject, ResourceType } from '../../../../src/api/meta.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { CoderClient, type CoderClientOptions } from '../../../../src/coder/client.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { BuildInfo } from '../../../../src/coder/types.ts';
import { Connections } from '../../../../src/controller/connections.ts';
import { ControlPlaneReconciler } from '../../../../src/controller/controlplane/reconcile.ts';
import { Deletions } from '../../../../src/controller/deletions.ts';
import type { Rest } from '../../../../src/controller/step.ts';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { KubeError } from '../../../../src/kube/errors.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { DEPLOYMENT, OPERATOR, OWNER, SimulatedCoder } from '../../../support/controller-coder.ts';
import { HeldObject } from '../../../support/controller-kube.ts';
import { messageOf, shown } from '../../../support/controller-records.ts';
import { SETTINGS } from '../../../support/controller-world.ts';

type Answers = Pick<CoderClient, 'buildInfo' | 'me' | 'tokenExpiry' | 'close'>;
type Data = Readonly<Record<string, string>>;

/** A control plane, the API server's answer to a read of its Secret, and no network. */
class Bench {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly held = new HeldObject<CoderControlPlaneSpec, CoderControlPlaneStatus>('coder', {
    credentialsSecretRef: { name: 'login' },
  });
  readonly asked: string[] = [];
  readonly coder = new SimulatedCoder(this.clock);
  readonly made: CoderClientOptions[] = [];
  /** What Coder answers by token; with any other one a real client is made. */
  readonly answers = new Map<string, Answers>();
  readonly events: string[] = [];
  changes = 0;
  looks = 0;
  secret: Data | KubeError = {};
  mirrored = { mirrored: 0, unmirrored: 0 };
  remarks: readonly string[] = [];
  readonly connections = new Connections({
    clock: this.clock,
    logger: silentLogger,
    signal: this.stop.signal,
    controlPlaneOf: () => 'coder',
    suspendedBySpec: () => this.held.object?.spec.suspend === true,
    onChange: () => this.changes++,
    onFirstLook: () => this.looks++,
    onLook: () => undefined,
    onSuspicion: () => undefined,
    onWorkspace: () => undefined,
    onTemplate: () => undefined,
    onSlot: () => undefined,
  });
  readonly reconciler = new ControlPlaneReconciler({
    context: {
      kube: {
        get: (resource: ResourceType, namespace: string | undefined, name: string): Promise<KubeObject> => {
          this.asked.push(`${resource.plural} ${namespace ?? ''}/${name}`);
          if (this.secret instanceof KubeError) return Promise.reject(this.secret);
          const data = Object.entries(this.secret).map(([k, v]) => [k, Buffer.from(v).toString('base64')]);
          const secret = {
            metadata: { name },
            type: 'coder.com/credentials',
            data: Object.fromEntries(data) as Data,
          };
          return Promise.resolve(secret);
        },
      } as unknown as KubeClient,
      writer: this.held.writer,
      connections: this.connections,
      deletions: new Deletions({
        clock: this.clock,
        budget: SETTINGS.deletionBudget,
        deleting: () => [],
        releasedAt: () => undefined,
      }),
      values: { resolve: () => Promise.reject(new Error('a control plane has no values')) },
      content: {
        configMap: () => Promise.reject(new Error('a control plane has no content')),
        flux: () => Promise.reject(new Error('a control plane has no content')),
        archive: () => ({ state: 'fetching' }),
      },
      settings: SETTINGS,
      clock: this.clock,
      logger: silentLogger,
      epoch: 'one',
      assertLeading: () => undefined,
      emit: (_, event) => this.events.push(event.reason),
      signal: this.stop.signal,
    },
    coder: { policy: { httpHosts: [], allowLoopback: false } },
    makeClient: (options) => {
      const answer = this.answers.get(options.token ?? '');
      if (answer === undefined) return new CoderClient(options);
      this.made.push(options);
      return new Proxy({ ...answer } as unknown as CoderClient, {
        get: (own, name) => {
          const call = Reflect.get(this.coder, name) as (...args: readonly unknown[]) => unknown;
          return (Reflect.get(own, name) as unknown) ?? call.bind(this.coder);
        },
      });
    },
    isThere: () => true,
    olderOne: () => undefined,
    held: () => ({ count: 0, some: [] }),
    mirrored: () => this.mirrored,
    remarks: () => this.remarks,
  });

  /** A Secret with a token that Coder knows, or refuses. */
  give(token: string, parts: Partial<Answers> = {}): void {
    this.secret = { url: 'https://coder.example.com', token };
    this.answers.set(token, {
      buildInfo: () => Promise.resolve({ version: 'v2.30.0', deployment_id: DEPLOYMENT } as BuildInfo),
      me: () => this.coder.user(OPERATOR.username),
      tokenExpiry: () => Promise.resolve({ at: '2026-03-01T00:00:00Z', lifetimeMs: 90 * 86_400_000 }),
      close: () => undefined,
      ...parts,
    });
  }

  pass(): Promise<Rest | undefined> {
    const { object } = this.held;
    if (object === undefined) throw new Error('it is gone');
    return this.reconciler.reconcile(object);
  }
}

const tokenRefused = (): Promise<never> =>
  Promise.reject(new CoderError('Unauthorized', 'the token is refused'));
const refusal = (status: number, reason: string): KubeError =>
  new KubeError('KUBE_REFUSED', 'x', { status, reason });

describe('ControlPlaneReconciler', () => {
  const cases: [string, Data | KubeError, string][] = [
    ['a Secret that is not there', refusal(404, 'NotFound'), 'WaitingForDependency'],
    ['a Secret that may not be read', refusal(403, 'Forbidden'), 'SecretForbidden'],
    ['a Secret without a token', { url: 'https://coder.example.com' }, 'InvalidCredentials'],
    ['a URL that is none', { url: 'coder', token: 'abc' }, 'InvalidCredentials'],
    [
      'plain http to a host that no flag names',
      { url: 'http://coder.example.com', token: 'abc' },
      'InvalidCredentials',
    ],
    ['an address of this very machine', { url: 'https://127.0.0.1:1', token: 'abc' }, 'InvalidCredentials'],
  ];
  for (const [name, secret, reason] of cases) {
    it(`${name}: ${reason}, and every object of the namespace learns why`, async () => {
      const bench = new Bench();
      bench.secret = secret;
      expect(await bench.pass()).to.deep.include({ until: 'time' });
      expect(bench.asked).to.deep.equal(['secrets team/login']);
      const ready = shown(bench.held.object?.status)[0];
      expect(ready).to.equal(`Ready=False/${reason}`);
      expect(bench.connections.fact('team')).to.deep.include({ state: 'unavailable', controlPlane: 'coder' });
      bench.stop.abort();
    });
  }

  describe('connected', () => {
    let bench: Bench;
    beforeEach(() => {
      bench = new Bench();
    });
    afterEach(async () => {
      bench.stop.abort();
      bench.connections.close();
      bench.reconciler.close();
      await settle();
    });

    it('tells the objects of the namespace what they may do', async () => {
      const scope = { organizations: ['acme'], owners: ['ann'] };
      bench.give('one');
      bench.held.apply((spec) => ({ ...spec, scope, adoptedDeletion: 'Allow', maxConcurrentBuilds: 2 }));
      await bench.pass();
      expect(bench.connections.fact('team')).to.deep.equal({
        state: 'ready',
        deploymentID: DEPLOYMENT,
        userID: OPERATOR.id,
        url: 'https://coder.example.com',
        isAccepted: false,
        scope,
        adoptedDeletion: true,
        suspended: false,
      });
      expect(bench.connections.live('team')?.slots.limit).to.equal(2);
      bench.held.apply((spec) => ({ ...spec, suspend: true, maxConcurrentBuilds: 3 }));
      await bench.pass();
      expect(bench.connections.fact('team')).to.include({ state: 'ready', suspended: true });
      expect(bench.connections.live('team')?.slots.limit).to.equal(3);
      expect(bench.changes).to.equal(2);
    });

    it('makes its client with the rate of the spec', async () => {
      bench.give('one');
      bench.held.apply((spec) => ({ ...spec, requestsPerMinute: 600 }));
      await bench.pass();
      expect(bench.made).to.have.length(1);
      expect(bench.made[0]).to.include({ requestsPerMinute: 600, token: 'one' });
    });

    it('says what Coder holds after everything was looked at, and writes it when it has changed', async () => {
      const template = bench.coder.addTemplate();
      bench.coder.addWorkspace(OWNER.username, 'dev', template);
      bench.give('one');
      await bench.pass();
      expect(bench.held.object?.status?.counts).to.equal(undefined);
      await settle();
      expect(bench.looks).to.equal(1);
      bench.mirrored = { mirrored: 1, unmirrored: 0 };
      await bench.pass();
      const counts = { workspaces: 1, templates: 1, mirrored: 1, unmirrored: 0 };
      expect(bench.held.object?.status?.counts).to.deep.equal(counts);
      const { writes } = bench.held;
      bench.coder.addWorkspace(OWNER.username, 'other', template);
      await bench.pass();
      expect(bench.held.writes, 'not more often than it looks').to.equal(writes);
      await bench.clock.advance(60_000);
      await bench.pass();
      expect(bench.held.object?.status?.counts).to.deep.equal({ ...counts, workspaces: 2 });
    });

    it('says what a person should know of how Coder is looked at, and no longer than it is so', async () => {
      bench.give('one');
      bench.remarks = ['Three mirrors are missing'];
      await bench.pass();
      expect(messageOf(bench.held.object?.status)).to.contain('. Three mirrors are missing');
      bench.remarks = [];
      await bench.pass();
      expect(messageOf(bench.held.object?.status)).to.not.contain('Three mirrors');
    });

    it('takes new credentials over without a gap, and keeps the old ones until the new ones work', async () => {
      bench.give('one');
      await bench.pass();
      const before = bench.connections.live('team')?.client;
      await bench.clock.advance(5_000);
      bench.give('two', { me: tokenRefused });
      expect(await bench.pass()).to.deep.equal({ until: 'time', afterMs: 5_000 });
      expect(shown(bench.held.object?.status)).to.deep.equal([
        'Ready=False/TokenRefused',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/TokenRefused',
      ]);
      expect(bench.connections.fact('team')).to.include({ state: 'ready' });
      expect(bench.connections.live('team')?.client).to.equal(before);
      expect(bench.changes, 'no object notices').to.equal(1);
      await bench.clock.advance(5_000);
      bench.give('three');
      await bench.pass();
      expect(shown(bench.held.object?.status)[0]).to.equal('Ready=True/Connected');
      expect(bench.connections.fact('team')).to.include({ state: 'ready' });
      expect(bench.connections.live('team')?.client).to.not.equal(before);
    });

    it('cannot be used when neither the new credentials nor the old ones work', async () => {
      bench.give('one');
      await bench.pass();
      await bench.clock.advance(5_000);
      const client = bench.connections.live('team')?.client;
      Object.assign(client ?? {}, { me: tokenRefused });
      bench.give('two', { me: tokenRefused });
      await bench.pass();
      expect(bench.connections.fact('team')).to.include({ state: 'unavailable' });
    });

    it('moves to another deployment when a person has accepted it', async () => {
      bench.give('one');
      await bench.pass();
      await bench.clock.advance(5_000);
      const moved = {
        buildInfo: () => Promise.resolve({ version: 'v2.31.0', deployment_id: 'd2' } as BuildInfo),
      };
      Object.assign(bench.connections.live('team')?.client ?? {}, moved);
      await bench.pass();
      expect(shown(bench.held.object?.status)).to.include('Stalled=True/DeploymentMismatch');
      expect(bench.connections.fact('team')).to.include({ state: 'unavailable' });
      expect(bench.held.object?.status?.deploymentID).to.equal(DEPLOYMENT);
      const { changes } = bench;
      bench.held.annotate('coder.com/accept-deployment', 'd2');
      await bench.pass();
      expect(shown(bench.held.object?.status)[0]).to.equal('Ready=True/Connected');
      expect(bench.held.object?.status?.deploymentID).to.equal('d2');
      expect(bench.connections.fact('team')).to.include({
        state: 'ready',
        deploymentID: 'd2',
        isAccepted: true,
      });
      expect(bench.changes, 'the objects are woken').to.equal(changes + 1);
    });

    it('warns once of a token that ends', async () => {
      bench.give('one', {
        tokenExpiry: () => Promise.resolve({ at: '2026-01-05T00:00:00Z', lifetimeMs: 90 * 86_400_000 }),
      });
      await bench.pass();
      await bench.clock.advance(60_000);
      await bench.pass();
      expect(bench.held.object?.status?.tokenExpiresAt).to.equal('2026-01-05T00:00:00Z');
      expect(bench.events).to.deep.equal(['TokenExpiring']);
      expect(bench.held.writes).to.be.at.most(2);
    });
  });

  it('lets the queue try again when the API server does not answer', async () => {
    const bench = new Bench();
    bench.secret = refusal(500, 'InternalError');
    expect(await bench.pass().catch((error: unknown) => error)).to.equal(bench.secret);
    expect(bench.held.writes).to.equal(0);
  });
});
