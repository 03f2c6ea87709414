import { expect } from 'chai';
import { silentLogger } from '../../../src/base/logger.ts';
import { CoderError } from '../../../src/coder/errors.ts';
import { Connections } from '../../../src/controller/connections.ts';
import type { ConnectedFact } from '../../../src/controller/facts.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { DEPLOYMENT, OPERATOR, OWNER, SimulatedCoder } from '../../support/controller-coder.ts';

const fact: ConnectedFact = {
  deploymentID: DEPLOYMENT,
  userID: OPERATOR.id,
  url: 'https://coder.example.com',
  isAccepted: false,
  scope: { organizations: [], owners: [] },
  adoptedDeletion: false,
  suspended: false,
};
const down = { reason: 'CoderUnreachable', message: 'no answer' } as const;
const POLL_MS = 60_000;

class Bench {
  readonly clock = new FakeClock();
  readonly coder = new SimulatedCoder(this.clock);
  readonly changes: string[] = [];
  readonly suspicions: string[] = [];
  readonly woken: string[] = [];
  readonly looks: string[] = [];
  readonly stop = new AbortController();
  controlPlane: string | undefined = 'coder';
  isSuspended = false;
  readonly connections = new Connections({
    clock: this.clock,
    logger: silentLogger,
    signal: this.stop.signal,
    controlPlaneOf: () => this.controlPlane,
    suspendedBySpec: (namespace) => namespace === 'team' && this.isSuspended,
    onChange: (namespace) => this.changes.push(namespace),
    onFirstLook: (namespace) => this.woken.push(`${namespace}/everything`),
    onLook: (namespace, what) => this.looks.push(`${namespace}: ${what}`),
    onSuspicion: (namespace, name) => this.suspicions.push(`${namespace}/${name}`),
    onWorkspace: (namespace, id) => this.woken.push(`${namespace}/${id}`),
    onTemplate: (namespace, id) => this.woken.push(`${namespace}/${id}`),
    onSlot: (namespace, key) => this.woken.push(`${namespace}: ${key} may build`),
  });

  connect(coder = this.coder, pollIntervalMs = POLL_MS): void {
    this.connections.connected('team', 'coder', { client: coder.client, fact, pollIntervalMs });
  }

  allow(change: Partial<ConnectedFact>, maxConcurrentBuilds?: number): void {
    this.connections.connected('team', 'coder', {
      client: this.coder.client,
      fact: { ...fact, ...change },
      pollIntervalMs: POLL_MS,
      maxConcurrentBuilds,
    });
  }
}

describe('Connections', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    bench.stop.abort();
    await settle();
  });

  it('knows no control plane, then one that was not talked to yet', () => {
    expect(bench.connections.fact('team')).to.deep.equal({ state: 'connecting' });
    bench.controlPlane = undefined;
    expect(bench.connections.fact('team')).to.deep.equal({ state: 'none' });
  });

  it('is ready when the control plane answered, and tells so once', () => {
    bench.connect();
    expect(bench.connections.fact('team')).to.deep.equal({ state: 'ready', ...fact });
    expect(bench.connections.fact('elsewhere')).to.deep.equal({ state: 'connecting' });
    bench.connect();
    expect(bench.changes).to.deep.equal(['team']);
  });

  it('goes on observing through the same client, and observes anew through another or at another rhythm', async () => {
    bench.connect();
    const first = bench.connections.live('team')?.observer;
    bench.connect();
    expect(bench.connections.live('team')?.observer).to.equal(first);
    bench.connect(bench.coder, 2 * POLL_MS);
    const second = bench.connections.live('team')?.observer;
    expect(second).to.not.equal(first);
    bench.connect(new SimulatedCoder(bench.clock), 2 * POLL_MS);
    expect(bench.connections.live('team')?.observer).to.not.equal(second);
    await settle();
    expect(bench.clock.pending, 'one observer is left').to.equal(1);
  });

  it('says since when it cannot be used, keeps what was last, and tells each cause once', async () => {
    bench.connect();
    bench.connections.failed('team', 'coder', down);
    await bench.clock.advance(5_000);
    bench.connections.failed('team', 'coder', down);
    expect(bench.connections.fact('team')).to.deep.equal({
      state: 'unavailable',
      controlPlane: 'coder',
      cause: down,
      sinceMs: 5_000,
      last: fact,
    });
    expect(bench.changes).to.deep.equal(['team', 'team']);
    bench.connections.failed('team', 'coder', { ...down, message: 'refused' });
    expect(bench.connections.fact('team')).to.deep.include({ sinceMs: 5_000 });
    expect(bench.changes).to.have.length(3);
    bench.connect();
    expect(bench.connections.fact('team')).to.deep.include({ state: 'ready' });
    expect(bench.changes).to.have.length(4);
  });

  const allowances: [string, Partial<ConnectedFact>][] = [
    ['its scope', { scope: { organizations: ['acme'], owners: [] } }],
    ['what it may delete', { adoptedDeletion: true }],
    ['its suspension', { suspended: true }],
    ['that its deployment is accepted', { isAccepted: true }],
    ['whom it is', { userID: 'another' }],
  ];
  for (const [name, change] of allowances) {
    it(`tells a change of ${name}, once`, () => {
      bench.connect();
      bench.allow(change);
      bench.allow(structuredClone(change));
      expect(bench.changes).to.deep.equal(['team', 'team']);
    });
  }

  it('tells what the control plane allows also while Coder does not answer', () => {
    bench.connect();
    bench.connections.failed('team', 'coder', down, { permissions: fact });
    bench.connections.failed('team', 'coder', down, { permissions: { ...fact, adoptedDeletion: true } });
    expect(bench.changes).to.have.length(3);
    const known = bench.connections.fact('team');
    expect(known.state === 'unavailable' && known.last).to.deep.equal({ ...fact, adoptedDeletion: true });
    bench.connections.failed('team', 'coder', down);
    expect(bench.changes).to.have.length(3);
  });

  it('knows of a suspension at once, before the control plane was looked at', () => {
    bench.connect();
    bench.isSuspended = true;
    expect(bench.connections.isSuspended('team')).to.equal(true);
    expect(bench.connections.isSuspended('elsewhere')).to.equal(false);
    expect(bench.connections.fact('team')).to.deep.include({ state: 'ready', suspended: true });
    bench.connections.failed('team', 'coder', down);
    const known = bench.connections.fact('team');
    expect(known.state === 'unavailable' && known.last?.suspended).to.equal(true);
    bench.isSuspended = false;
    expect(bench.connections.isSuspended('team')).to.equal(false);
  });

  it('lets as many build as the control plane says, after all that is under way was seen', async () => {
    const template = bench.coder.addTemplate();
    const first = bench.coder.addWorkspace(OWNER.username, 'first', template, OPERATOR.id);
    bench.coder.addWorkspace(OWNER.username, 'hers', template);
    bench.allow({}, 1);
    const slots = bench.connections.live('team')?.slots;
    expect(slots?.reserve('ann/second', 'team/acme.ann.second'), 'it is not known yet').to.equal(false);
    await settle();
    expect(slots?.taken).to.equal(1);
    bench.woken.splice(0);
    bench.coder.finishBuilds('succeeded');
    bench.connections.live('team')?.observer.follow(first?.id ?? '');
    await bench.clock.advance(1_000);
    expect(bench.woken).to.include('team: team/acme.ann.second may build');
    expect(slots?.reserve('ann/third', 'team/acme.ann.third')).to.equal(false);
    bench.allow({}, 2);
    expect(bench.connections.live('team')?.slots, 'the same ones').to.equal(slots);
    expect(bench.woken).to.include('team: team/acme.ann.third may build');
  });

  it('has no last connection when there never was one', () => {
    bench.connections.failed('team', 'coder', down);
    expect(bench.connections.fact('team')).to.not.have.property('last');
    expect(bench.connections.live('team')).to.equal(undefined);
  });

  it('sends the token nowhere any more when another Coder answers', async () => {
    bench.connect();
    await settle();
    bench.connections.failed('team', 'coder', { reason: 'DeploymentMismatch', message: 'another' });
    await settle();
    expect(bench.connections.fact('team')).to.not.have.property('last');
    expect(bench.connections.live('team')).to.equal(undefined);
    expect(bench.clock.pending, 'nobody observes').to.equal(0);
    bench.connect();
    expect(bench.connections.fact('team')).to.deep.include({ state: 'ready' });
  });

  it('has the control plane looked at when a call fails by the fault of the connection', () => {
    const lost = new CoderError('Unreachable', 'x');
    bench.connections.suspect('team', lost);
    expect(bench.suspicions, 'there is none').to.deep.equal([]);
    bench.connect();
    bench.connections.suspect('team', new CoderError('NotFound', 'x'));
    bench.connections.suspect('team', new Error('a mistake of ours'));
    expect(bench.suspicions).to.deep.equal([]);
    bench.connections.suspect('team', lost);
    expect(bench.suspicions).to.deep.equal(['team/coder']);
    bench.connections.failed('team', 'coder', down);
    bench.connections.suspect('team', lost);
    expect(bench.suspicions, 'it is known already').to.deep.equal(['team/coder']);
  });

  it('has it looked at when the observer cannot read', async () => {
    bench.coder.outage = new CoderError('Timeout', 'x');
    bench.connect();
    await settle();
    expect(bench.suspicions).to.deep.equal(['team/coder']);
  });

  it('leaves a Coder alone that does not answer, and looks at everything once it does', async () => {
    bench.connect();
    await settle();
    const looks = bench.looks.length;
    bench.connections.failed('team', 'coder', down);
    await bench.clock.advance(10 * POLL_MS);
    expect(bench.looks).to.have.length(looks);
    expect(bench.clock.pending, 'nothing is due').to.equal(0);
    bench.connect();
    await settle();
    expect(bench.looks).to.have.length(looks + 2);
    // One that comes and goes is not looked at more often for that.
    bench.connections.failed('team', 'coder', down);
    bench.connect();
    await settle();
    expect(bench.looks).to.have.length(looks + 2);
    await bench.clock.advance(POLL_MS);
    expect(bench.looks).to.have.length(looks + 4);
  });

  it('tells of the first look although one was given up in the middle', async () => {
    const templates = (options?: { readonly signal?: AbortSignal | undefined }): Promise<never> =>
      new Promise((_, reject) => {
        options?.signal?.addEventListener('abort', () => reject(new CoderError('Aborted', 'x')));
      });
    const { client } = bench.coder;
    const list = client.templates.bind(client);
    client.templates = templates;
    bench.connect();
    await settle();
    bench.connections.failed('team', 'coder', down);
    await settle();
    expect(bench.woken).to.deep.equal([]);
    client.templates = list;
    bench.connect();
    await settle();
    expect(bench.woken).to.deep.equal(['team/everything']);
  });

  it('goes on looking at a Coder that answers, though not as it should', async () => {
    bench.connect();
    await settle();
    const looks = bench.looks.length;
    bench.connections.failed('team', 'coder', down, { isReached: true });
    await bench.clock.advance(POLL_MS);
    expect(bench.looks.length).to.be.above(looks);
  });

  it('goes on looking when only the Secret is gone: what is deleted after it is seen to end', async () => {
    bench.connect();
    await settle();
    bench.connections.failed('team', 'coder', down);
    await bench.clock.advance(POLL_MS);
    const looks = bench.looks.length;
    bench.connections.failed('team', 'coder', { reason: 'WaitingForDependency', message: 'no Secret' });
    await bench.clock.advance(POLL_MS);
    expect(bench.looks.length).to.be.above(looks);
  });

  it('passes on what the observer sees', async () => {
    bench.connect();
    await settle();
    expect(bench.woken).to.deep.equal(['team/everything']);
    const { id } = bench.coder.addTemplate();
    await bench.clock.advance(POLL_MS);
    expect(bench.woken).to.deep.equal(['team/everything', `team/${id}`]);
  });

  it('tells of each look at all workspaces, or all templates, the first one too', async () => {
    bench.connect();
    await settle();
    const both = ['team: workspaces', 'team: templates'];
    expect(bench.looks).to.deep.equal(both);
    await bench.clock.advance(POLL_MS);
    expect(bench.looks).to.deep.equal([...both, ...both]);
  });

  it('ends every connection when the work ends', async () => {
    bench.connect();
    await settle();
    bench.connections.close();
    await settle();
    expect(bench.clock.pending).to.equal(0);
    expect(bench.coder.outage, 'its client is closed').to.be.instanceOf(CoderError);
    expect(bench.connections.live('team')).to.equal(undefined);
  });

  it('ends with its control plane', async () => {
    bench.connect();
    await settle();
    bench.controlPlane = undefined;
    bench.connections.drop('team');
    await settle();
    expect(bench.connections.fact('team')).to.deep.equal({ state: 'none' });
    expect(bench.clock.pending).to.equal(0);
    expect(bench.coder.outage, 'its client is closed').to.be.instanceOf(CoderError);
    expect(bench.changes).to.have.length(2);
    // Objects may have rested in the meantime: they are told in any case.
    bench.connections.drop('team');
    expect(bench.changes).to.have.length(3);
  });
});
