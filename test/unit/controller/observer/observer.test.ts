import { expect } from 'chai';
import { silentLogger } from '../../../../src/base/logger.ts';
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
  readonly stop = new AbortController();
  readonly observer = new Observer({
    client: this.coder.client,
    clock: this.clock,
    logger: silentLogger,
    pollIntervalMs: POLL_MS,
    onWorkspace: (id) => this.woken.push(id),
    onTemplate: (id) => this.woken.push(id),
    onFirstLook: () => this.woken.push('everything'),
    onRecord: (id, record) => this.taken.push(record === undefined ? `-${id}` : id),
    onError: (error) => this.errors.push(error),
  });
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
