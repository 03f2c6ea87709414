import { expect } from 'chai';
import fc from 'fast-check';
import type { ProvisionerJob } from '../../../../src/coder/types.ts';
import { SeenJobs, type BuildNews } from '../../../../src/controller/observer/seenjobs.ts';

/** The job `build:n` of a workspace. */
const job = (id: string, status: string, workspace = `ws-${id}`): ProvisionerJob => ({
  id,
  created_at: '2026-01-01T00:00:00Z',
  status,
  type: 'workspace_build',
  input: { workspace_build_id: `build-${id}` },
  metadata: { workspace_id: workspace },
});

const told = (news: readonly BuildNews[]): readonly string[] =>
  news.map((n) => `${n.workspaceID} ${n.jobStatus}`);

describe('SeenJobs', () => {
  let seen: SeenJobs;
  beforeEach(() => {
    seen = new SeenJobs();
    seen.takeActive([]);
    seen.takeNewest([job('2', 'succeeded'), job('1', 'failed')]);
  });

  it('says of the first answers that they are the first', () => {
    seen = new SeenJobs();
    const [active] = seen.takeActive([job('1', 'running')]);
    expect(active).to.deep.equal({
      workspaceID: 'ws-1',
      buildID: 'build-1',
      jobStatus: 'running',
      isFirst: true,
    });
    const newest = [job('2', 'succeeded'), job('1', 'running')];
    expect(seen.takeNewest(newest)).to.deep.equal([
      { workspaceID: 'ws-2', buildID: 'build-2', jobStatus: 'succeeded', isFirst: true },
    ]);
    expect(seen.takeActive([job('3', 'pending')])[0]?.isFirst).to.equal(false);
    expect(seen.takeNewest([job('4', 'succeeded'), ...newest])[0]?.isFirst).to.equal(false);
  });

  it('tells of a job once', () => {
    const jobs = [job('3', 'succeeded'), job('2', 'succeeded'), job('1', 'failed')];
    expect(told(seen.takeNewest(jobs))).to.deep.equal(['ws-3 succeeded']);
    expect(told(seen.takeNewest(jobs))).to.deep.equal([]);
  });

  it('tells of each state of a job once, whichever answer shows it', () => {
    expect(told(seen.takeActive([job('3', 'pending')]))).to.deep.equal(['ws-3 pending']);
    expect(told(seen.takeActive([job('3', 'running')]))).to.deep.equal(['ws-3 running']);
    const rest = [job('2', 'succeeded'), job('1', 'failed')];
    expect(told(seen.takeNewest([job('3', 'running'), ...rest]))).to.deep.equal([]);
    expect(told(seen.takeActive([job('3', 'running')]))).to.deep.equal([]);
    expect(told(seen.takeNewest([job('3', 'canceling'), ...rest]))).to.deep.equal(['ws-3 canceling']);
    expect(told(seen.takeActive([job('3', 'canceling')]))).to.deep.equal([]);
    expect(told(seen.takeActive([]))).to.deep.equal([]);
    expect(told(seen.takeNewest([job('3', 'failed'), ...rest]))).to.deep.equal(['ws-3 failed']);
  });

  it('tells of the newest build of a workspace only', () => {
    const jobs = [job('4', 'running', 'ws'), job('3', 'succeeded', 'ws'), job('2', 'succeeded')];
    expect(told(seen.takeNewest(jobs))).to.deep.equal(['ws running']);
    expect(told(seen.takeActive([job('5', 'pending', 'ws'), job('4', 'running', 'ws')]))).to.deep.equal([
      'ws pending',
    ]);
  });

  it('does not take for new what has only come back into sight', () => {
    // Newer jobs are gone, or more of them are asked for than before.
    const older = [job('0', 'succeeded'), job('-1', 'succeeded')];
    expect(told(seen.takeNewest([job('3', 'running'), job('1', 'failed'), ...older]))).to.deep.equal([
      'ws-3 running',
    ]);
  });

  it('takes what stands before a known one for new, also when that was seen among the active ones', () => {
    seen.takeActive([job('5', 'running')]);
    const jobs = ['6', '5', '4', '3'].map((id) => job(id, id === '5' ? 'running' : 'succeeded'));
    expect(told(seen.takeNewest(jobs)), 'nothing that the answer before had is left').to.deep.equal([
      'ws-6 succeeded',
      'ws-4 succeeded',
      'ws-3 succeeded',
    ]);
  });

  it('tells whether answers join', () => {
    expect(seen.joins([job('3', 'running'), job('2', 'succeeded')])).to.equal(true);
    expect(seen.joins([job('9', 'running'), job('8', 'succeeded')])).to.equal(false);
    expect(new SeenJobs().joins([job('9', 'running')]), 'with nothing').to.equal(true);
  });

  it('tells nothing of imports and of jobs whose workspace is not told', () => {
    const { metadata: _metadata, ...nameless } = job('4', 'running');
    const jobs = [{ ...job('3', 'running'), type: 'template_version_import' }, nameless];
    expect([_metadata?.workspace_id, ...told(seen.takeNewest(jobs))]).to.deep.equal(['ws-4']);
    expect(seen.joins(jobs), 'they are seen all the same').to.equal(true);
  });

  it('misses no build, whatever begins and ends between two looks', () => {
    const LIMIT = 4;
    const acts = fc.array(fc.constantFrom('begin', 'end', 'active', 'newest'), { maxLength: 60 });
    fc.assert(
      fc.property(acts, (history) => {
        const own = new SeenJobs();
        const all: ProvisionerJob[] = [];
        const known = new Set<string>();
        let unlooked = 0;
        const look = (news: readonly BuildNews[]): void => news.forEach((n) => known.add(n.buildID ?? ''));
        own.takeActive([]);
        own.takeNewest([]);
        for (const act of history) {
          const running = all.findIndex((j) => j.status === 'running');
          if (act === 'begin') {
            all.unshift(job(String(all.length), 'running'));
            unlooked++;
          } else if (act === 'end' && running !== -1) {
            all[running] = { ...(all[running] as ProvisionerJob), status: 'succeeded' };
          } else if (act === 'active') {
            look(own.takeActive(all.filter((j) => j.status === 'running')));
          } else if (act === 'newest') {
            const newest = all.slice(0, LIMIT);
            // More began than one answer holds.
            const isWide = newest.length === LIMIT && !own.joins(newest);
            expect(unlooked <= LIMIT - 1 && isWide && all.length > unlooked).to.equal(false);
            look(own.takeNewest(isWide ? all : newest));
            unlooked = 0;
            expect(all.every((j) => known.has(`build-${j.id}`))).to.equal(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
