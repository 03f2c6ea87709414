import { expect } from 'chai';
import type { CoderControlPlaneSpec } from '../../../../src/api/generated.ts';
import { annotations, type CoderControlPlane } from '../../../../src/api/kinds.ts';
import { OperatorError } from '../../../../src/base/errors.ts';
import type { CoderClient } from '../../../../src/coder/client.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { BuildInfo, TokenExpiry, User } from '../../../../src/coder/types.ts';
import { Handshakes, type ClientWish } from '../../../../src/controller/controlplane/handshake.ts';
import type { HandshakeFact } from '../../../../src/controller/controlplane/input.ts';
import { FakeClock } from '../../../support/clock.ts';

const GRACE_MS = 35_000;
const URL_ = 'https://coder.example.com';
const refused = new CoderError('Unauthorized', 'the token is refused');
const down = new CoderError('Unreachable', 'no answer');

/** One client, and what Coder answers to it. */
class Client implements Pick<CoderClient, 'buildInfo' | 'me' | 'tokenExpiry' | 'close'> {
  readonly wish: ClientWish;
  deploymentID = 'd1';
  failure: CoderError | undefined;
  expiry: TokenExpiry | CoderError | undefined;
  isClosed = false;
  /** Calls that carried the token. */
  greetings = 0;

  constructor(wish: ClientWish) {
    this.wish = wish;
  }

  buildInfo(): Promise<BuildInfo> {
    if (this.failure?.kind === 'Unreachable') return Promise.reject(this.failure);
    return Promise.resolve({ version: 'v2.30.0', deployment_id: this.deploymentID } as BuildInfo);
  }

  me(): Promise<User> {
    this.greetings++;
    return this.failure === undefined
      ? Promise.resolve({ id: 'u1', username: 'coder-operator' } as User)
      : Promise.reject(this.failure);
  }

  tokenExpiry(): Promise<TokenExpiry | undefined> {
    return this.expiry instanceof CoderError ? Promise.reject(this.expiry) : Promise.resolve(this.expiry);
  }

  close(): void {
    this.isClosed = true;
  }
}

class Bench {
  readonly clock = new FakeClock();
  readonly made: Client[] = [];
  /** Tokens that no client can be made with. */
  readonly unusable = new Set<string>();
  /** Done to each client that is made. */
  prepare: (client: Client) => void = () => undefined;
  status: CoderControlPlane['status'];
  annotations: Record<string, string> = {};
  uid = 'first';
  spec: Partial<CoderControlPlaneSpec> = {};
  readonly handshakes = new Handshakes({
    clock: this.clock,
    signal: new AbortController().signal,
    graceMs: GRACE_MS,
    makeClient: (wish) => {
      if (this.unusable.has(wish.token)) throw new OperatorError('INVALID_TOKEN', 'it cannot be used');
      const client = new Client(wish);
      this.prepare(client);
      this.made.push(client);
      return client as unknown as CoderClient;
    },
  });

  async shake(token = 'one', waitMs = 60_000): Promise<HandshakeFact> {
    await this.clock.advance(waitMs);
    const metadata = { name: 'coder', namespace: 'team', uid: this.uid, annotations: this.annotations };
    const spec = { credentialsSecretRef: { name: 'login' }, ...this.spec };
    const object = { metadata, spec, ...(this.status === undefined ? {} : { status: this.status }) };
    const fact = await this.handshakes.shake(object, { url: `${URL_}/`, token, caCertificates: undefined });
    const current = fact.state === 'former' ? fact.former : fact;
    if (current.state === 'connected') this.status = { deploymentID: current.deploymentID };
    return fact;
  }

  get inUse(): string | undefined {
    return (this.handshakes.client('team') as unknown as Client | undefined)?.wish.token;
  }

  client(i: number): Client {
    const client = this.made[i];
    if (client === undefined) throw new Error(`there is no client ${i}`);
    return client;
  }
}

describe('Handshakes', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });

  it('makes itself known, through one client for as long as nothing changes', async () => {
    bench.prepare = (client) => (client.expiry = { at: '2026-02-01T00:00:00Z' });
    expect(await bench.shake()).to.deep.equal({
      state: 'connected',
      url: URL_,
      version: 'v2.30.0',
      deploymentID: 'd1',
      user: { id: 'u1', name: 'coder-operator' },
      token: { at: '2026-02-01T00:00:00Z' },
    });
    await bench.shake();
    expect(bench.made).to.have.length(1);
    expect(bench.client(0).greetings).to.equal(2);
  });

  it('counts for a few seconds, however often it is asked for', async () => {
    await bench.shake();
    for (let i = 0; i < 5; i++) await bench.shake('one', 500);
    expect(bench.client(0).greetings).to.equal(1);
    await bench.shake('one', 500);
    expect(bench.client(0).greetings).to.equal(2);
    bench.status = { deploymentID: 'another' };
    expect(await bench.shake('one', 0), 'not for another deployment').to.include({
      state: 'otherDeployment',
    });
  });

  it('does not fail because the end of the token cannot be read', async () => {
    bench.prepare = (client) => (client.expiry = new CoderError('ServerError', 'x'));
    expect(await bench.shake()).to.include({ state: 'connected', token: undefined });
    bench.client(0).expiry = { at: '2026-02-01T00:00:00Z' };
    await bench.shake();
    bench.client(0).expiry = new CoderError('ServerError', 'x');
    expect(await bench.shake(), 'what was last heard stays').to.deep.include({
      token: { at: '2026-02-01T00:00:00Z' },
    });
  });

  it('sends the token to no other deployment, until a person says that it is meant', async () => {
    await bench.shake();
    bench.client(0).deploymentID = 'd2';
    expect(await bench.shake()).to.include({ state: 'otherDeployment', deploymentID: 'd2' });
    expect(bench.client(0).greetings).to.equal(1);
    bench.annotations = { 'coder.com/accept-deployment': 'd2' };
    expect(await bench.shake()).to.include({ state: 'connected', deploymentID: 'd2' });
  });

  it('makes another client when the rate changes', async () => {
    await bench.shake();
    expect(bench.client(0).wish.requestsPerMinute).to.equal(240);
    bench.spec = { requestsPerMinute: 600 };
    await bench.shake();
    expect(bench.made.map((c) => c.wish.requestsPerMinute)).to.deep.equal([240, 600]);
    expect(bench.handshakes.client('team')).to.equal(bench.client(1));
  });

  it('says what is wrong when there was nothing before', async () => {
    bench.unusable.add('one');
    expect(await bench.shake()).to.deep.equal({ state: 'unusable', message: 'it cannot be used' });
    bench.prepare = (client) => (client.failure = refused);
    expect(await bench.shake('two')).to.deep.equal({ state: 'failed', error: refused });
    expect(bench.inUse).to.equal(undefined);
  });

  describe('that fails', () => {
    /** How often Coder was asked in five minutes, when the control plane is looked at every five seconds. */
    async function asked(failure: CoderError): Promise<number> {
      let count = 0;
      bench.prepare = (client) => {
        client.failure = failure;
        const buildInfo = client.buildInfo.bind(client);
        client.buildInfo = () => {
          count++;
          return buildInfo();
        };
      };
      for (let i = 0; i < 60; i++) await bench.shake('one', 5_000);
      return count;
    }

    it('is tried again twice a minute when the token is refused', async () => {
      expect(await asked(refused)).to.equal(10);
    });

    it('is tried again soon at first when Coder is away, and twice a minute after that', async () => {
      expect(await asked(down)).to.equal(12 + 8);
    });

    it('is tried again at once with other credentials, or when a person asks', async () => {
      await asked(refused);
      const [before] = bench.made;
      bench.annotations = { [annotations.reconcileRequestedAt]: 'now' };
      await bench.shake('one', 1_000);
      expect(before?.greetings).to.equal(11);
      bench.annotations = {};
      bench.prepare = () => undefined;
      expect(await bench.shake('two', 1_000)).to.include({ state: 'connected' });
    });
  });

  it('is given up when the process ends: nothing was learnt', async () => {
    bench.prepare = (client) => (client.failure = new CoderError('Aborted', 'x'));
    const error = await bench.shake().catch((e: unknown) => e);
    expect(error).to.include({ kind: 'Aborted' });
  });

  describe('when the credentials change', () => {
    it('replaces the old client when the new one works, and closes it when its calls have ended', async () => {
      await bench.shake('one');
      expect(await bench.shake('two')).to.include({ state: 'connected' });
      expect(bench.inUse).to.equal('two');
      await bench.clock.advance(GRACE_MS - 1);
      expect(bench.client(0).isClosed).to.equal(false);
      await bench.clock.advance(1);
      expect(bench.client(0).isClosed).to.equal(true);
      expect(bench.client(1).isClosed).to.equal(false);
    });

    const faults: [string, (client: Client) => void, string][] = [
      ['are refused', (client) => (client.failure = refused), 'failed'],
      ['may not enter', (client) => (client.failure = new CoderError('Forbidden', 'x')), 'failed'],
      ['lead nowhere', (client) => (client.failure = down), 'failed'],
      ['lead to another Coder', (client) => (client.deploymentID = 'd2'), 'otherDeployment'],
    ];
    for (const [name, prepare, state] of faults) {
      it(`keeps the old client while the new ones ${name}`, async () => {
        await bench.shake('one');
        bench.prepare = prepare;
        for (let i = 0; i < 3; i++) {
          const fact = await bench.shake('two');
          expect(fact).to.deep.include({ state: 'former' });
          if (fact.state !== 'former') continue;
          expect(fact.refused).to.include({ state });
          expect(fact.former).to.include({ state: 'connected', deploymentID: 'd1' });
        }
        expect(bench.inUse).to.equal('one');
        expect(bench.made, 'the same one is tried again').to.have.length(2);
        expect(bench.client(0).isClosed).to.equal(false);
        bench.client(1).failure = undefined;
        bench.client(1).deploymentID = 'd1';
        expect(await bench.shake('two')).to.include({ state: 'connected' });
        expect(bench.inUse).to.equal('two');
      });
    }

    it('keeps the old client while no client can be made of the new ones', async () => {
      await bench.shake('one');
      bench.unusable.add('two');
      expect(await bench.shake('two')).to.deep.include({
        state: 'former',
        refused: { state: 'unusable', message: 'it cannot be used' },
      });
      expect(bench.inUse).to.equal('one');
    });

    it('says what is wrong with the new ones when the old client does not work either', async () => {
      await bench.shake('one');
      bench.client(0).failure = down;
      bench.prepare = (client) => (client.failure = refused);
      expect(await bench.shake('two')).to.deep.equal({ state: 'failed', error: refused });
      bench.client(0).failure = undefined;
      expect(await bench.shake('two'), 'it works again').to.include({ state: 'former' });
    });

    it('sends the old token to no other deployment either', async () => {
      await bench.shake('one');
      bench.client(0).deploymentID = 'd2';
      bench.prepare = (client) => (client.failure = refused);
      expect(await bench.shake('two')).to.include({ state: 'otherDeployment', deploymentID: 'd2' });
      expect(bench.client(0).greetings).to.equal(1);
    });

    it("does not stay with another control plane's, which is gone", async () => {
      await bench.shake('one');
      bench.uid = 'second';
      bench.prepare = (client) => (client.failure = refused);
      expect(await bench.shake('two')).to.deep.equal({ state: 'failed', error: refused });
    });

    it('asks Coder no more often while new ones fail', async () => {
      await bench.shake('one');
      bench.prepare = (client) => (client.failure = refused);
      await bench.shake('two');
      await bench.shake('two', 1_000);
      expect(bench.client(1).greetings).to.equal(1);
    });

    it('closes what was tried when other ones come, or the former ones again', async () => {
      await bench.shake('one');
      bench.prepare = (client) => (client.failure = refused);
      await bench.shake('two');
      await bench.shake('three');
      expect(bench.client(1).isClosed).to.equal(true);
      expect(await bench.shake('one')).to.include({ state: 'connected' });
      expect(bench.client(2).isClosed).to.equal(true);
      expect(bench.client(0).isClosed).to.equal(false);
    });
  });

  it('closes everything with its control plane, and when the work ends', async () => {
    await bench.shake('one');
    await bench.shake('two');
    bench.prepare = (client) => (client.failure = refused);
    await bench.shake('three', 0);
    bench.handshakes.forget('team');
    expect(bench.made.map((c) => c.isClosed)).to.deep.equal([false, true, true]);
    bench.handshakes.close();
    expect(bench.client(0).isClosed).to.equal(true);
    expect(bench.clock.pending).to.equal(0);
    expect(bench.inUse).to.equal(undefined);
  });
});
