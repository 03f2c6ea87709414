import { expect } from 'chai';
import { CoderError, type CoderErrorKind } from '../../../../src/coder/errors.ts';
import { OWNER } from '../../../support/controller-coder.ts';
import { shown } from '../../../support/controller-records.ts';
import { workspaceWorld, type WorkspaceWorld } from '../../../support/controller-world.ts';

/** Passes and builds that succeed; the observer sees each within a second. */
const live = async (w: WorkspaceWorld, times: number): Promise<void> => {
  for (let i = 0; i < times; i++) {
    await w.settle();
    w.coder.finishBuilds('succeeded');
    await w.clock.advance(1_000);
  }
  await w.settle();
};

describe('WorkspaceReconciler', () => {
  const worlds: WorkspaceWorld[] = [];
  const world = (...parts: Parameters<typeof workspaceWorld>): WorkspaceWorld => {
    const w = workspaceWorld(...parts);
    worlds.push(w);
    return w;
  };
  afterEach(() => {
    for (const w of worlds.splice(0)) w.stop();
  });

  it('creates a workspace, with one request and few writes', async () => {
    const w = world({ templateName: 'docker', running: true });
    await live(w, 1);
    expect(w.coder.landed.map((l) => `${l.what} ${l.detail}`)).to.deep.equal(['createWorkspace ann/dev']);
    expect(w.kube.writes, 'finalizer, announcement, outcome, end of the build').to.equal(4);
    expect(shown(w.kube.object?.status)).to.deep.equal(['Ready=True/Running', 'Synced=True/SyncSucceeded']);
  });

  it('creates one that shall not run, waits, and stops it', async () => {
    const w = world({ templateName: 'docker', running: false });
    await live(w, 2);
    expect(w.coder.landed.map((l) => `${l.what} ${l.detail}`)).to.deep.equal([
      'createWorkspace ann/dev',
      'createBuild stop',
    ]);
    expect(shown(w.kube.object?.status)).to.deep.equal(['Ready=True/Stopped', 'Synced=True/SyncSucceeded']);
  });

  it('builds once when the request lands after nobody waits for it any more', async () => {
    const w = world({ templateName: 'docker', running: true });
    await live(w, 1);
    w.kube.apply((spec) => ({ ...spec, running: false }));
    w.coder.fate = 'late';
    for (let i = 0; i < 30; i++) {
      await w.pass();
      await w.clock.advance(2_000);
    }
    await live(w, 1);
    expect(w.coder.history.map(({ build }) => build.transition)).to.deep.equal(['start', 'stop']);
  });

  it('finds its own workspace after the answer was lost and the process died', async () => {
    const w = world({ templateName: 'docker', running: true });
    w.coder.fate = 'answer lost';
    await w.pass();
    expect(w.kube.object?.status?.pendingOperation).to.deep.include({ type: 'Create', target: 'ann/dev' });
    w.restart();
    await live(w, 1);
    expect(w.coder.landed).to.have.length(1);
    expect(w.kube.object?.status?.origin).to.equal('Created');
  });

  it('gives the announcement the reign of the leader', async () => {
    const w = world();
    w.restart();
    w.coder.fate = 'lost';
    await w.pass();
    expect(w.kube.object?.status?.pendingOperation?.epoch).to.equal('2');
  });

  it('sends nothing when the lease is lost', async () => {
    const w = world();
    w.isLeading = false;
    const error = await w.pass().catch((e: unknown) => e);
    expect(error).to.be.instanceOf(Error);
    expect(w.coder.landed).to.deep.equal([]);
  });

  it('tells what a request was refused for, and that it is tried again', async () => {
    const w = world();
    w.coder.fate = 'refused';
    const rest = await w.settle();
    expect(rest).to.deep.equal({ until: 'time', afterMs: 60_000 });
    expect(shown(w.kube.object?.status)).to.include('Reconciling=True/RefusedByCoder');
  });

  it('at rest waits for the first look after a restart, instead of reading it by itself', async () => {
    const w = world();
    await w.settle();
    w.coder.finishBuilds('succeeded');
    await w.settle();
    w.coder.outage = new CoderError('Timeout', 'the list takes long');
    w.restart();
    const before = w.kube.writes;
    expect(await w.pass()).to.deep.equal({ until: 'woken' });
    expect(w.kube.writes).to.equal(before);
  });

  it('takes over a workspace that its owner made', async () => {
    const w = world({ templateName: 'docker', running: false });
    const template = (await w.coder.templates())[0];
    if (template !== undefined) w.coder.addWorkspace(OWNER.username, 'dev', template, OWNER.id);
    await live(w, 2);
    expect(w.kube.object?.status).to.deep.include({ origin: 'Adopted', running: false });
    expect(w.events.map((e) => e.reason)).to.include('Stopping');
  });

  describe('when Coder cannot be read', () => {
    for (const kind of [
      'Unreachable',
      'Timeout',
      'ServerError',
      'RateLimited',
      'Unauthorized',
    ] as CoderErrorKind[]) {
      it(`${kind}: an object at rest keeps saying what was true`, async () => {
        const w = world({ templateName: 'docker', running: true });
        await live(w, 1);
        w.restart();
        w.coder.outage = new CoderError(kind, 'no answer');
        const before = w.kube.writes;
        await w.pass();
        expect(w.kube.writes).to.equal(before);
        expect(shown(w.kube.object?.status)).to.include('Ready=True/Running');
      });
    }

    it('one with something to do says so', async () => {
      const w = world();
      w.coder.outage = new CoderError('Timeout', 'no answer within 30 s');
      const rest = await w.pass();
      expect(shown(w.kube.object?.status)).to.deep.equal([
        'Ready=False/CoderUnreachable',
        'Synced=False/CoderUnreachable',
        'Reconciling=True/CoderUnreachable',
      ]);
      expect(rest).to.deep.equal({ until: 'backoff' });
    });

    it('because the process ends, nothing is said', async () => {
      const w = world();
      w.coder.outage = new CoderError('Aborted', 'stopping');
      await w.pass();
      expect(w.kube.writes).to.equal(0);
    });
  });
});
