import { expect } from 'chai';
import type { JobQuery } from '../../../../src/coder/client.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { ProvisionerJob } from '../../../../src/coder/types.ts';
import { JobFeed } from '../../../../src/controller/observer/feed.ts';
import { FakeClock } from '../../../support/clock.ts';

interface Asked {
  readonly at: number;
  readonly organization: string;
  readonly kind: 'active' | 'newest';
  readonly limit: number;
}

class Bench {
  readonly clock = new FakeClock();
  readonly asked: Asked[] = [];
  readonly news: string[] = [];
  readonly errors: unknown[] = [];
  /** Newest first. */
  jobs: ProvisionerJob[] = [];
  /** What Coder answers an organization instead. */
  readonly faults = new Map<string, Error>();
  tookMs = 0;
  scope: readonly string[] = [];
  readonly stop = new AbortController();
  readonly feed: JobFeed;
  readonly running: Promise<void>;

  constructor() {
    this.feed = new JobFeed({
      client: { provisionerJobs: (id, query) => this.#answer(id, query) },
      clock: this.clock,
      organizations: () => this.scope,
      onNews: ({ workspaceID, jobStatus }) => this.news.push(`${workspaceID} ${jobStatus}`),
      onError: (error) => this.errors.push(error),
      random: () => 1,
    });
    this.running = this.feed.run(this.stop.signal);
  }

  async #answer(organization: string, query: JobQuery = {}): Promise<readonly ProvisionerJob[]> {
    const { limit = 0, status } = query;
    const kind = status === undefined ? 'newest' : 'active';
    this.asked.push({ at: this.clock.monotonic(), organization, kind, limit });
    if (this.tookMs > 0) await this.clock.sleep(this.tookMs);
    const fault = this.faults.get(organization);
    if (fault !== undefined) throw fault;
    return this.jobs
      .filter((j) => j.organization_id === organization && (status?.includes(j.status) ?? true))
      .slice(0, limit);
  }

  refresh(...ids: readonly string[]): void {
    this.feed.refresh(new Map(ids.map((id) => [id, `Name-${id}`])));
  }

  add(status: string, organization = 'a'): void {
    const id = String(this.jobs.length);
    this.jobs.unshift({
      id,
      created_at: '2026-01-01T00:00:00Z',
      status,
      type: 'workspace_build',
      organization_id: organization,
      metadata: { workspace_id: `ws-${id}` },
    });
  }

  times(kind: Asked['kind'], organization = 'a'): readonly number[] {
    return this.asked.filter((a) => a.kind === kind && a.organization === organization).map((a) => a.at);
  }

  take(): readonly string[] {
    return this.news.splice(0);
  }
}

describe('JobFeed', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    bench.stop.abort();
    await bench.clock.advance(bench.tookMs);
    await bench.running;
    expect(bench.clock.pending).to.equal(0);
  });

  it('asks for nothing before it knows of an organization', async () => {
    await bench.clock.advance(60_000);
    expect(bench.asked).to.deep.equal([]);
    expect(bench.feed.state).to.deep.equal({ state: 'unknown', refused: [] });
  });

  it('asks for active jobs every two seconds, for the newest every four', async () => {
    bench.refresh('a');
    await bench.clock.advance(8_000);
    expect(bench.times('active')).to.deep.equal([0, 2_000, 4_000, 6_000, 8_000]);
    expect(bench.times('newest')).to.deep.equal([0, 4_000, 8_000]);
    expect(bench.feed.state).to.deep.equal({ state: 'working', refused: [] });
  });

  it('tells of builds that go on, and of those that were over before it looked', async () => {
    bench.add('succeeded');
    bench.refresh('a');
    await bench.clock.advance(1_000);
    expect(bench.take()).to.deep.equal(['ws-0 succeeded']);
    bench.add('running');
    await bench.clock.advance(1_000);
    expect(bench.take()).to.deep.equal(['ws-1 running']);
    bench.add('failed');
    await bench.clock.advance(2_000);
    expect(bench.take()).to.deep.equal(['ws-2 failed']);
    await bench.clock.advance(60_000);
    expect(bench.take()).to.deep.equal([]);
  });

  it('loses none of a burst that is larger than what is asked for usually', async () => {
    for (let i = 0; i < 200; i++) bench.add('succeeded');
    bench.refresh('a');
    await bench.clock.advance(2_500);
    bench.take();
    for (let i = 0; i < 250; i++) bench.add('succeeded');
    await bench.clock.advance(2_000);
    expect(bench.take()).to.have.length(250);
    const limits = bench.asked.filter((a) => a.kind === 'newest').map((a) => a.limit);
    await bench.clock.advance(4_000);
    expect(Math.max(...limits)).to.be.at.least(250);
    expect(bench.asked.at(-1)?.limit, 'once').to.equal(limits[0]);
    expect(bench.take()).to.deep.equal([]);
  });

  it('keeps its rhythm while Coder answers as it does with ten thousand workspaces', async () => {
    bench.tookMs = 130;
    bench.refresh('a');
    await bench.clock.advance(60_000);
    expect(bench.times('newest').length).to.be.at.least(14);
  });

  it('asks less often while Coder is slow, but does not mind a hiccup', async () => {
    bench.refresh('a');
    await bench.clock.advance(2_500);
    bench.tookMs = 1_000;
    await bench.clock.advance(2_500);
    bench.tookMs = 0;
    await bench.clock.advance(5_000);
    expect(bench.times('active').filter((at) => at > 5_000).length, 'after a hiccup').to.be.at.least(2);
    bench.tookMs = 1_000;
    await bench.clock.advance(30_000);
    bench.asked.length = 0;
    await bench.clock.advance(200_000);
    expect(bench.times('active').length).to.be.within(9, 11);
    expect(bench.times('newest').length).to.be.within(9, 11);
  });

  it('asks about once a second in all, of however many organizations', async () => {
    const many = Array.from({ length: 30 }, (_, i) => `org-${i}`);
    bench.refresh(...many);
    await bench.clock.advance(100_000);
    bench.asked.length = 0;
    await bench.clock.advance(180_000);
    expect(bench.asked.length).to.be.within(160, 190);
    for (const organization of many) {
      expect(bench.times('active', organization).length).to.be.within(3, 5);
      expect(bench.times('newest', organization).length).to.be.within(1, 3);
    }
  });

  it('keeps Coder busy for a bounded time with many organizations, too', async () => {
    bench.tookMs = 200;
    bench.refresh(...Array.from({ length: 10 }, (_, i) => `org-${i}`));
    await bench.clock.advance(100_000);
    bench.asked.length = 0;
    await bench.clock.advance(400_000);
    expect(bench.asked.length * bench.tookMs).to.be.at.most(400_000 / 10);
  });

  it('asks only for organizations in scope, without regard to case', async () => {
    bench.scope = ['NAME-b'];
    bench.refresh('a', 'b');
    await bench.clock.advance(10_000);
    expect(new Set(bench.asked.map((a) => a.organization))).to.deep.equal(new Set(['b']));
    bench.scope = [];
    await bench.clock.advance(4_000);
    expect(new Set(bench.asked.map((a) => a.organization))).to.deep.equal(new Set(['a', 'b']));
  });

  it('does not ask for organizations that are not there any more', async () => {
    bench.refresh('a', 'b');
    await bench.clock.advance(1_000);
    bench.refresh('b');
    bench.asked.length = 0;
    await bench.clock.advance(10_000);
    expect(bench.times('active', 'a')).to.deep.equal([]);
    expect(bench.times('active', 'b')).to.not.deep.equal([]);
  });

  for (const kind of ['NotFound', 'Forbidden'] as const) {
    it(`asks again only after the next look at everything when the token may not read jobs (${kind})`, async () => {
      bench.faults.set('a', new CoderError(kind, 'not for you'));
      bench.refresh('a');
      await bench.clock.advance(60_000);
      expect(bench.asked).to.have.length(1);
      expect(bench.feed.state).to.deep.equal({ state: 'refused', refused: ['Name-a'] });
      bench.refresh('a');
      await bench.clock.advance(60_000);
      expect(bench.asked).to.have.length(2);
      expect(bench.errors, 'nothing is wrong with the connection').to.deep.equal([]);
      bench.faults.clear();
      bench.add('running');
      bench.refresh('a');
      await bench.clock.advance(4_000);
      expect(bench.feed.state).to.deep.equal({ state: 'working', refused: [] });
      expect(bench.times('newest').length).to.be.at.least(1);
      expect(bench.take()).to.deep.equal(['ws-0 running']);
    });
  }

  it('feeds the others when some organizations refuse', async () => {
    bench.faults.set('a', new CoderError('NotFound', 'not for you'));
    bench.refresh('a', 'b');
    await bench.clock.advance(8_000);
    expect(bench.times('active', 'b')).to.deep.equal([0, 2_000, 4_000, 6_000, 8_000]);
    expect(bench.feed.state).to.deep.equal({ state: 'working', refused: ['Name-a'] });
    bench.scope = ['name-b'];
    expect(bench.feed.state.refused, 'who is out of scope is not asked').to.deep.equal([]);
  });

  it('tells of other failures, and tries again more and more seldom', async () => {
    bench.refresh('a');
    await bench.clock.advance(1_000);
    bench.faults.set('a', new CoderError('ServerError', 'x'));
    bench.asked.length = 0;
    await bench.clock.advance(400_000);
    expect(bench.asked.length).to.be.within(10, 30);
    expect(bench.errors).to.have.length(bench.asked.length);
    expect(bench.feed.state.state, 'it says nothing about the token').to.equal('working');
    bench.faults.clear();
    await bench.clock.advance(60_000);
    bench.asked.length = 0;
    await bench.clock.advance(8_000);
    expect(bench.times('active').length).to.be.at.least(4);
  });
});
