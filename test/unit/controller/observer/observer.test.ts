import { expect } from 'chai';
import sinon from 'sinon';
import { silentLogger } from '../../../../src/base/logger.ts';
import type { CallOptions } from '../../../../src/coder/connection.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import { Observer } from '../../../../src/controller/observer/observer.ts';
import { templateRecordOf } from '../../../../src/controller/template/records.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { OWNER, SimulatedCoder } from '../../../support/controller-coder.ts';

const POLL_MS = 60_000;

class Bench {
  readonly clock = new FakeClock();
  readonly coder = new SimulatedCoder(this.clock);
  readonly template = this.coder.addTemplate();
  readonly woken: string[] = [];
  readonly errors: unknown[] = [];
  /** What became known: `id` when it is remembered, `-id` when it is forgotten. */
  readonly taken: string[] = [];
  /** When all of one kind was read. */
  readonly looked: string[] = [];
  readonly stop = new AbortController();
  readonly observer = new Observer({
    client: this.coder.client,
    clock: this.clock,
    logger: silentLogger,
    pollIntervalMs: POLL_MS,
    onWorkspace: (id) => this.woken.push(id),
    onTemplate: (id) => this.woken.push(id),
    onFirstLook: () => this.woken.push('everything'),
    onLook: (what) => this.looked.push(`${what} at ${this.clock.monotonic() / 1_000} s`),
    onRecord: (id, record) => this.taken.push(record === undefined ? `-${id}` : id),
    onError: (error) => this.errors.push(error),
    organizations: () => this.scope,
    random: () => 0,
  });
  scope: readonly string[] = [];
  running: Promise<void> = Promise.resolve();
  looks = 0;

  /** A workspace that is built. */
  add(name: string): string {
    const workspace = this.coder.addWorkspace(OWNER.username, name, this.template);
    this.coder.finishBuilds('succeeded');
    return workspace?.id ?? '';
  }

  async start(): Promise<void> {
    const eachWorkspace = this.coder.eachWorkspace.bind(this.coder);
    this.coder.eachWorkspace = (each) => {
      this.looks++;
      return eachWorkspace(each);
    };
    this.running = this.observer.run(this.stop.signal);
    await settle();
  }

  /** What Coder is asked by such a call from now on. */
  spy(
    name: 'workspace' | 'workspaces' | 'provisionerJobs',
  ): Pick<sinon.SinonSpy, 'callCount' | 'resetHistory'> {
    return sinon.spy(this.coder, name);
  }

  /** From now on the token may not read jobs, so that only looks at everything tell what others do. */
  withoutJobs(): void {
    this.coder.provisionerJobs = () => Promise.reject(new CoderError('NotFound', 'not for you'));
  }

  take(): string[] {
    return this.woken.splice(0);
  }
}

describe('Observer', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    bench.stop.abort();
    await bench.running;
  });

  it('looks at everything at once, then at its rhythm, and wakes whom it concerns', async () => {
    const a = bench.add('a');
    expect(bench.observer.hasLooked).to.equal(false);
    await bench.start();
    expect(bench.take(), 'everybody, once').to.deep.equal(['everything']);
    expect(bench.observer.hasLooked).to.equal(true);
    expect(bench.observer.workspaces.get(a)?.name).to.equal('a');
    await bench.clock.advance(POLL_MS);
    expect(bench.looks).to.equal(2);
    expect(bench.take(), 'nothing changed').to.deep.equal([]);
  });

  it('wakes only what changed, and what is not seen any more', async () => {
    const a = bench.add('a');
    await bench.start();
    bench.take();
    const b = bench.add('b');
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.deep.equal([b, bench.template.id]);
    bench.coder.build('delete');
    bench.coder.finishBuilds('succeeded');
    bench.coder.promoteAnother();
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.have.members([a, b, bench.template.id]);
    expect(bench.observer.workspaces.get(a)).to.equal(undefined);
    bench.coder.removeTemplates();
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.deep.equal([bench.template.id]);
    expect(bench.observer.template(bench.template.id)).to.equal(undefined);
  });

  it('stretches its rhythm to twenty times what a look takes', async () => {
    const slow = 10_000;
    const eachWorkspace = bench.coder.eachWorkspace.bind(bench.coder);
    bench.coder.eachWorkspace = async (each) => {
      bench.looks++;
      await bench.clock.sleep(slow);
      return eachWorkspace(each);
    };
    bench.running = bench.observer.run(bench.stop.signal);
    await bench.clock.advance(slow + 20 * slow - 1);
    expect(bench.looks).to.equal(1);
    await bench.clock.advance(1);
    expect(bench.looks).to.equal(2);
    await bench.clock.advance(slow);
  });

  it('goes on after a failure, which it tells', async () => {
    bench.coder.outage = new CoderError('Unreachable', 'no answer');
    await bench.start();
    expect(bench.errors).to.deep.equal([bench.coder.outage]);
    expect(bench.observer.hasLooked).to.equal(false);
    bench.coder.outage = undefined;
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.deep.equal(['everything']);
  });

  it('follows a build and wakes when it moves on, but not when nothing moves', async () => {
    const a = bench.add('a');
    await bench.start();
    bench.coder.build('stop');
    bench.observer.learn(await bench.coder.workspace(a), bench.clock.monotonic());
    bench.take();
    bench.observer.follow(a);
    await bench.clock.advance(2_000);
    expect(bench.take()).to.deep.equal([]);
    bench.coder.finishBuilds('succeeded');
    await bench.clock.advance(1_000);
    expect(bench.take()).to.deep.equal([a]);
    expect(bench.observer.workspaces.get(a)?.build.status).to.equal('stopped');
    expect(bench.observer.inFlight).to.equal(0);
  });

  it('follows many builds together', async () => {
    const ids = Array.from({ length: 12 }, (_, i) => bench.add(`w${i}`));
    await bench.start();
    bench.coder.build('stop');
    bench.take();
    for (const id of ids) bench.observer.follow(id);
    await bench.clock.advance(250);
    expect(bench.take()).to.have.members(ids);
  });

  it('wakes the object of a followed workspace that is gone', async () => {
    const a = bench.add('a');
    await bench.start();
    bench.take();
    bench.observer.follow(a);
    bench.coder.build('delete');
    bench.coder.finishBuilds('succeeded');
    await bench.clock.advance(250);
    expect(bench.take()).to.deep.equal([a]);
    expect(bench.observer.workspaces.get(a)).to.equal(undefined);
  });

  it('tells of everything that becomes known, whoever brings it', async () => {
    const a = bench.add('a');
    await bench.start();
    expect(bench.taken.splice(0), 'the whole list').to.deep.equal([a]);
    bench.coder.build('stop');
    bench.observer.learn(await bench.coder.workspace(a), bench.clock.monotonic());
    expect(bench.taken.splice(0), 'a read of ours').to.deep.equal([a]);
    bench.observer.follow(a);
    await bench.clock.advance(250);
    expect(bench.taken.splice(0), 'the follower').to.deep.equal([a]);
    bench.coder.finishBuilds('succeeded');
    bench.coder.build('delete');
    bench.coder.finishBuilds('succeeded');
    await bench.clock.advance(1_000);
    expect(bench.taken, 'what is not seen any more').to.deep.equal([`-${a}`]);
  });

  it('knows everything after both lists were read once', async () => {
    const a = bench.add('a');
    const templates = bench.coder.templates.bind(bench.coder);
    bench.coder.templates = () => Promise.reject(new CoderError('ServerError', 'x'));
    await bench.start();
    expect(bench.observer.everything).to.equal(undefined);
    bench.coder.templates = templates;
    await bench.clock.advance(POLL_MS);
    const { everything } = bench.observer;
    expect([...(everything?.workspaces ?? [])].map((w) => w.id)).to.deep.equal([a]);
    expect([...(everything?.templates ?? [])].map((t) => t.id)).to.deep.equal([bench.template.id]);
  });

  it('counts what uses each template, and wakes those with another number', async () => {
    const { id } = bench.template;
    const unused = bench.coder.addTemplate('unused');
    bench.add('a');
    bench.add('b');
    expect(bench.observer.usersOf(id), 'nothing was looked at').to.equal(undefined);
    await bench.start();
    expect(bench.observer.usersOf(id)).to.equal(2);
    expect(bench.observer.usersOf(unused.id)).to.equal(0);
    bench.take();
    const c = bench.add('c');
    expect(bench.observer.usersOf(id), 'as it was at the last look').to.equal(2);
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.have.members([c, id]);
    expect(bench.observer.usersOf(id)).to.equal(3);
    bench.coder.build('delete');
    bench.coder.finishBuilds('succeeded');
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.include(id).and.not.include(unused.id);
    expect(bench.observer.usersOf(id)).to.equal(0);
  });

  it('wakes a template with another number of users also when the templates cannot be listed', async () => {
    bench.add('a');
    await bench.start();
    const b = bench.add('b');
    const templates = bench.coder.templates.bind(bench.coder);
    bench.coder.templates = () => Promise.reject(new CoderError('ServerError', 'x'));
    bench.take();
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.have.members([b, bench.template.id]);
    bench.coder.templates = templates;
    await bench.clock.advance(POLL_MS);
    expect(bench.take(), 'once').to.deep.equal([]);
  });

  it('does not let a list that was asked for before bring a template back to what it was', async () => {
    await bench.start();
    const before = await bench.coder.templates();
    const after = { ...templateRecordOf(bench.template), activeVersionID: 'promoted' };
    let answer: (() => void) | undefined;
    bench.coder.templates = async () => {
      await new Promise<void>((resolve) => (answer = resolve));
      return before;
    };
    await bench.clock.advance(POLL_MS);
    await bench.clock.advance(10);
    bench.observer.learnTemplate(after, bench.clock.monotonic());
    bench.take();
    answer?.();
    await settle();
    expect(bench.observer.template(bench.template.id)).to.deep.equal(after);
    expect(bench.take()).to.deep.equal([]);
  });

  it('says after each look at all of one kind that it was made', async () => {
    const templates = bench.coder.templates.bind(bench.coder);
    bench.coder.templates = () => Promise.reject(new CoderError('ServerError', 'x'));
    await bench.start();
    expect(bench.take(), 'and first that it was the first').to.deep.equal(['everything']);
    expect(bench.looked).to.deep.equal(['workspaces at 0 s']);
    bench.coder.templates = templates;
    await bench.clock.advance(5_000 + POLL_MS);
    expect(bench.looked.slice(1)).to.deep.equal([
      'workspaces at 5 s',
      'templates at 5 s',
      'workspaces at 65 s',
      'templates at 65 s',
    ]);
  });

  it('tries a look that failed again after a few seconds, then more and more seldom', async () => {
    const eachWorkspace = bench.coder.eachWorkspace.bind(bench.coder);
    const asked: number[] = [];
    bench.coder.eachWorkspace = () => {
      asked.push(bench.clock.monotonic());
      return Promise.reject(new CoderError('ServerError', 'x'));
    };
    bench.running = bench.observer.run(bench.stop.signal);
    await bench.clock.advance(200_000);
    expect(asked).to.deep.equal([0, 5_000, 15_000, 35_000, 75_000, 135_000, 195_000]);
    bench.coder.eachWorkspace = eachWorkspace;
    await bench.clock.advance(POLL_MS);
    expect(bench.take()).to.deep.equal(['everything']);
  });

  it('gives a list that takes ever longer more time', async () => {
    const timeouts: (number | undefined)[] = [];
    const eachWorkspace = bench.coder.eachWorkspace.bind(bench.coder);
    bench.coder.eachWorkspace = async (each, options) => {
      timeouts.push((options as CallOptions).timeoutMs);
      await bench.clock.sleep(30_000);
      return eachWorkspace(each);
    };
    bench.running = bench.observer.run(bench.stop.signal);
    await bench.clock.advance(21 * 30_000);
    expect(timeouts).to.deep.equal([120_000, 300_000]);
    await bench.clock.advance(30_000);
  });

  it('finds what an object of a name stands for', async () => {
    const a = bench.add('a');
    await bench.start();
    expect(bench.observer.workspaces.named('acme.ann.a')?.id).to.equal(a);
    expect(bench.observer.templates.named(`acme.${bench.template.name}`)?.id).to.equal(bench.template.id);
    bench.coder.renameWorkspace(a, 'b');
    await bench.clock.advance(POLL_MS);
    expect(bench.observer.workspaces.named('acme.ann.a')).to.equal(undefined);
    expect(bench.observer.workspaces.named('acme.ann.b')?.id).to.equal(a);
  });

  it('counts a workspace once that comes twice in a list', async () => {
    const a = bench.add('a');
    bench.coder.ofList = (rows) => [...rows, ...rows];
    await bench.start();
    expect(bench.observer.usersOf(bench.template.id)).to.equal(1);
    expect([...bench.observer.workspaces.records()].map((w) => w.id)).to.deep.equal([a]);
  });

  describe('of what is gone', () => {
    it('does not let a list that was asked for before the proof bring it back', async () => {
      const a = bench.add('a');
      await bench.start();
      bench.withoutJobs();
      const held = bench.coder.holdNextList();
      await bench.clock.advance(POLL_MS);
      await held.arrived;
      await bench.clock.advance(10);
      bench.observer.provenGone(a);
      bench.take();
      held.release();
      await settle();
      expect(bench.observer.workspaces.get(a)).to.equal(undefined);
      expect(bench.observer.workspaces.named('acme.ann.a')).to.equal(undefined);
      expect(bench.take()).to.not.include(a);
    });

    it('nor a list of templates', async () => {
      await bench.start();
      const before = await bench.coder.templates();
      let answer: (() => void) | undefined;
      bench.coder.templates = async () => {
        await new Promise<void>((resolve) => (answer = resolve));
        return before;
      };
      await bench.clock.advance(POLL_MS + 10);
      bench.observer.templateProvenGone(bench.template.id);
      answer?.();
      await settle();
      expect(bench.observer.template(bench.template.id)).to.equal(undefined);
    });

    it('holds its own read for a proof', async () => {
      const a = bench.add('a');
      await bench.start();
      const before = await bench.coder.workspace(a);
      const askedAt = bench.clock.monotonic();
      bench.coder.build('delete');
      bench.coder.finishBuilds('succeeded');
      bench.observer.follow(a);
      await bench.clock.advance(250);
      bench.observer.learn(before, askedAt);
      expect(bench.observer.workspaces.get(a)).to.equal(undefined);
    });
  });

  describe('of what Coder counts and does not show', () => {
    beforeEach(() => bench.withoutJobs());

    it('misses nothing at first', async () => {
      const a = bench.add('a');
      bench.add('b');
      await bench.start();
      bench.take();
      bench.coder.ofList = (rows) => rows.filter((r) => r.id !== a);
      await bench.clock.advance(POLL_MS);
      expect(bench.take()).to.not.include(a);
      expect(bench.observer.workspaces.get(a)).to.not.equal(undefined);
      bench.coder.ofList = (rows) => rows;
      await bench.clock.advance(POLL_MS);
      expect(bench.take()).to.not.include(a);
    });

    it('misses it once when it goes on so, and not again after it was read by itself', async () => {
      const a = bench.add('a');
      await bench.start();
      bench.coder.ofList = () => [];
      await bench.clock.advance(POLL_MS);
      bench.take();
      await bench.clock.advance(POLL_MS);
      expect(bench.take()).to.include(a);
      bench.observer.learn(await bench.coder.workspace(a), bench.clock.monotonic());
      await bench.clock.advance(3 * POLL_MS);
      expect(bench.take()).to.not.include(a);
      expect(bench.observer.workspaces.get(a)).to.not.equal(undefined);
    });

    it('misses what is deleted meanwhile', async () => {
      const hidden = bench.add('hidden');
      bench.coder.ofList = (rows) => rows.filter((r) => r.id !== hidden);
      const a = bench.add('a');
      await bench.start();
      bench.take();
      bench.coder.build('delete', OWNER.id, 'dashboard', { workspaceID: a });
      bench.coder.finishBuilds('succeeded');
      await bench.clock.advance(POLL_MS);
      expect(bench.take()).to.include(a);
    });
  });

  describe('of builds by others', () => {
    it('sees each within seconds, and follows it to its end', async () => {
      const a = bench.add('a');
      await bench.start();
      await bench.clock.advance(10_000);
      bench.take();
      bench.coder.build('stop');
      await bench.clock.advance(2_000);
      expect(bench.take()).to.deep.equal([a]);
      expect(bench.observer.workspaces.get(a)?.build.status).to.equal('stopping');
      bench.coder.finishBuilds('succeeded');
      await bench.clock.advance(1_000);
      expect(bench.take()).to.deep.equal([a]);
      expect(bench.observer.workspaces.get(a)?.build.status).to.equal('stopped');
      expect(bench.observer.inFlight).to.equal(0);
      expect(bench.observer.jobFeed.state).to.equal('working');
    });

    it('sees one that begins and ends between two looks at the active ones', async () => {
      const a = bench.add('a');
      await bench.start();
      await bench.clock.advance(10_100);
      bench.take();
      bench.coder.build('stop');
      bench.coder.finishBuilds('succeeded');
      await bench.clock.advance(4_000);
      expect(bench.take()).to.deep.equal([a]);
      expect(bench.observer.workspaces.get(a)?.build.status).to.equal('stopped');
    });

    it('sees what is new, and what is deleted', async () => {
      await bench.start();
      await bench.clock.advance(10_000);
      const a = bench.add('a');
      await bench.clock.advance(4_000);
      expect(bench.observer.workspaces.named('acme.ann.a')?.id).to.equal(a);
      bench.coder.build('delete');
      bench.coder.finishBuilds('succeeded');
      await bench.clock.advance(4_000);
      expect(bench.observer.workspaces.get(a)).to.equal(undefined);
    });

    it('reads many together', async () => {
      const ids = Array.from({ length: 250 }, (_, i) => bench.add(`w${i}`));
      await bench.start();
      await bench.clock.advance(10_000);
      const [single, several] = [bench.spy('workspace'), bench.spy('workspaces')];
      bench.take();
      bench.coder.build('stop');
      await bench.clock.advance(2_000);
      expect(new Set(bench.take())).to.deep.equal(new Set(ids));
      expect(single.callCount).to.equal(0);
      expect(several.callCount).to.be.at.most(15);
    });

    it('reads nothing of what ended before the first look', async () => {
      bench.add('a');
      const gone = bench.add('gone');
      bench.coder.build('delete', OWNER.id, 'dashboard', { workspaceID: gone });
      bench.coder.finishBuilds('succeeded');
      await bench.start();
      const single = bench.spy('workspace');
      await bench.clock.advance(POLL_MS - 1);
      expect(single.callCount).to.equal(0);
    });

    it('follows what was under way at the first look', async () => {
      const a = bench.add('a');
      bench.coder.build('stop');
      await bench.start();
      await bench.clock.advance(1_000);
      bench.coder.finishBuilds('succeeded');
      await bench.clock.advance(1_000);
      expect(bench.observer.workspaces.get(a)?.build.status).to.equal('stopped');
    });

    it('reads what ended while the first list was on its way', async () => {
      const a = bench.add('a');
      const held = bench.coder.holdNextList();
      await bench.start();
      await held.arrived;
      bench.coder.build('stop');
      bench.coder.finishBuilds('succeeded');
      held.release();
      await bench.clock.advance(100);
      expect(bench.observer.workspaces.get(a)?.build.status).to.equal('stopped');
    });

    it('does not read again what our own call has told', async () => {
      const a = bench.add('a');
      await bench.start();
      await bench.clock.advance(10_100);
      const single = bench.spy('workspace');
      bench.coder.build('stop');
      bench.coder.finishBuilds('succeeded');
      bench.observer.learn(await bench.coder.workspace(a), bench.clock.monotonic());
      single.resetHistory();
      await bench.clock.advance(10_000);
      expect(single.callCount).to.equal(0);
    });

    it('does not go on with one whose template is not shown to the token', async () => {
      bench.add('a');
      await bench.start();
      await bench.clock.advance(10_000);
      bench.coder.hide(bench.template.id);
      bench.coder.build('stop');
      const single = bench.spy('workspace');
      await bench.clock.advance(40_000);
      expect(bench.observer.inFlight).to.equal(0);
      expect(single.callCount).to.be.within(1, 2);
      expect(bench.errors).to.deep.equal([]);
    });

    it('leaves organizations out of scope alone', async () => {
      bench.add('a');
      bench.scope = ['elsewhere'];
      const jobs = bench.spy('provisionerJobs');
      await bench.start();
      await bench.clock.advance(10_000);
      expect(jobs.callCount).to.equal(0);
      bench.scope = ['ACME'];
      await bench.clock.advance(POLL_MS);
      expect(jobs.callCount).to.be.greaterThan(0);
    });

    it('asks once with each look when the token may not read jobs, and all else goes on', async () => {
      const a = bench.add('a');
      const refused = sinon.stub(bench.coder, 'provisionerJobs').rejects(new CoderError('NotFound', 'no'));
      await bench.start();
      await bench.clock.advance(2 * POLL_MS + 1_000);
      expect(refused.callCount).to.equal(3);
      expect(bench.observer.jobFeed).to.deep.equal({ state: 'refused', refused: ['acme'] });
      expect(bench.errors).to.deep.equal([]);
      bench.take();
      bench.coder.build('stop');
      await bench.clock.advance(POLL_MS);
      expect(bench.take()).to.deep.equal([a]);
    });

    it('asks for the same few things at rest, however many workspaces there are', async () => {
      const asked = async (workspaces: number): Promise<readonly number[]> => {
        const own = new Bench();
        for (let i = 0; i < workspaces; i++) own.add(`w${i}`);
        await own.start();
        await own.clock.advance(1_000);
        const spies = (['workspace', 'workspaces', 'provisionerJobs'] as const).map((name) => own.spy(name));
        await own.clock.advance(5 * POLL_MS);
        own.stop.abort();
        await own.running;
        return spies.map((spy) => spy.callCount);
      };
      const few = await asked(2);
      expect(few.slice(0, 2), 'the whole list five times').to.deep.equal([0, 5]);
      expect(await asked(200)).to.deep.equal(few);
    });
  });

  it('wakes nobody for what was learnt by a call of ours', async () => {
    await bench.start();
    bench.take();
    const a = bench.add('a');
    const known = bench.observer.learn(await bench.coder.workspace(a), bench.clock.monotonic());
    const build = await bench.coder.createBuild(a, { transition: 'stop' });
    const record = bench.observer.learnBuild(known, build, bench.clock.monotonic());
    expect(record.build).to.include({ number: 2, transition: 'stop' });
    bench.observer.learn(await bench.coder.workspace(a), bench.clock.monotonic());
    await bench.clock.advance(POLL_MS);
    expect(bench.take(), 'only the template, which has one more').to.deep.equal([bench.template.id]);
  });
});
