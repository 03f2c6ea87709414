import { expect } from 'chai';
import { annotations } from '../../../../src/api/kinds.ts';
import { CoderError, type CoderErrorKind } from '../../../../src/coder/errors.ts';
import type { Secret } from '../../../../src/controller/secrets.ts';
import { OWNER } from '../../../support/controller-coder.ts';
import { messageOf, shown } from '../../../support/controller-records.ts';
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

  it('waits for a version of a name that none can have, and asks Coder for none', async () => {
    for (const templateVersionName of ['..', '../v1', 'v\n1']) {
      const w = world({ templateName: 'docker', running: true, templateVersionName });
      await w.settle();
      expect(shown(w.kube.object?.status)).to.include('Reconciling=True/WaitingForDependency');
      expect(w.coder.landed).to.deep.equal([]);
    }
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

  it('F15. builds once when the request lands after nobody waits for it any more', async () => {
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

  it('F18. finds its own workspace after the answer was lost and the process died', async () => {
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

  it('F21. sends nothing when the lease is lost', async () => {
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

  describe('a setting that fails again and again', () => {
    const spec = { templateName: 'docker', running: true, ttlMillis: 3_600_000 };
    const failing = async (): Promise<WorkspaceWorld> => {
      const w = world({ templateName: 'docker', running: false });
      await live(w, 2);
      w.coder.onRequest = (what) => {
        if (what === 'setTTL') throw new CoderError('ServerError', 'status 500', { mayHaveChanged: true });
      };
      w.kube.apply(() => spec);
      return w;
    };
    const transitions = (w: WorkspaceWorld): readonly string[] =>
      w.coder.history.map(({ build }) => build.transition);
    /** Passes for so many minutes; every build ends so. */
    const play = async (w: WorkspaceWorld, minutes: number, end: 'succeeded' | 'failed'): Promise<void> => {
      for (let s = 0; s < minutes * 60; s += 2) {
        await w.pass();
        w.coder.finishBuilds(end);
        await w.clock.advance(2_000);
      }
    };

    it('T4 keeps no workspace from being started', async () => {
      const w = await failing();
      await play(w, 3, 'succeeded');
      expect(transitions(w)).to.deep.equal(['start', 'stop', 'start']);
      expect(w.kube.statuses.filter((s) => s.pendingOperation?.type === 'SetTTL')).to.have.length.above(1);
      expect(w.kube.object?.status).to.deep.include({ running: true });
      expect(w.kube.object?.status?.applied?.ttlMillis).to.equal(undefined);
    });

    it('P11 keeps no start that failed from being tried again', async () => {
      const w = await failing();
      await play(w, 5, 'failed');
      expect(transitions(w)).to.deep.equal(['start', 'stop', 'start', 'start', 'start']);
    });

    it('D9 keeps nothing from being set right after the cooldown', async () => {
      const w = await failing();
      await play(w, 3, 'succeeded');
      w.coder.build('stop');
      await play(w, 8, 'succeeded');
      expect(transitions(w)).to.deep.equal(['start', 'stop', 'start', 'stop', 'start']);
      expect(w.kube.object?.status?.corrections).to.have.length(1);
    });

    it('T4 is sent while a build is under way', async () => {
      const w = world({ templateName: 'docker', running: true });
      await w.settle();
      w.kube.apply(() => spec);
      await w.settle();
      expect(w.coder.landed.map((l) => l.what)).to.deep.equal(['createWorkspace', 'setTTL']);
      expect(shown(w.kube.object?.status)).to.include('Reconciling=True/WaitingForBuild');
    });
  });

  it('keeps the place of a build whose outcome is not known', async () => {
    const w = world({ templateName: 'docker', running: false });
    await live(w, 2);
    w.maxConcurrentBuilds = 1;
    w.restart();
    w.kube.apply((spec) => ({ ...spec, running: true }));
    w.coder.fate = 'lost';
    await w.pass();
    expect(w.kube.object?.status?.pendingOperation?.type).to.equal('Start');
    const taken = (): number | undefined => w.connections.live('team')?.slots.taken;
    for (let s = 0; s < 30; s += 2) {
      expect(taken(), `${s} s after`).to.equal(1);
      await w.pass();
      await w.clock.advance(2_000);
    }
    await w.clock.advance(10_000);
    await live(w, 1);
    expect(shown(w.kube.object?.status)).to.include('Ready=True/Running');
    expect(taken()).to.equal(0);
  });

  it('P13 starts what it has stopped for a restart before all others that wait', async () => {
    const w = world({ templateName: 'docker', running: true, updatePolicy: 'Restart' });
    w.maxConcurrentBuilds = 1;
    w.connect();
    await live(w, 1);
    w.coder.promoteAnother();
    w.restart();
    await w.settle();
    expect(w.coder.landed.at(-1)).to.deep.include({ what: 'createBuild', detail: 'stop' });
    const slots = w.connections.live('team')?.slots;
    expect(['a', 'b'].map((key) => slots?.reserve(key, `team/${key}`))).to.deep.equal([false, false]);
    await live(w, 1);
    expect(shown(w.kube.object?.status), 'it is the turn of a').to.include(
      'Reconciling=True/WaitingForBuildSlot',
    );
    slots?.done('a');
    expect(slots?.reserve('b', 'team/b')).to.equal(false);
    await w.settle();
    expect(w.coder.landed.at(-1)).to.deep.include({ what: 'createBuild', detail: 'start' });
  });

  it('F1 tells no secret value of a build, also when it is not the value of now any more', async () => {
    const SECRET = 'tr0ub4dor-3';
    const secret = (value: string): Secret => ({
      metadata: { name: 'values', namespace: 'team', uid: 'uid-values', resourceVersion: value },
      type: 'coder.com/values',
      data: { password: Buffer.from(value).toString('base64') },
    });
    const password = { name: 'password', valueFrom: { secretKeyRef: { name: 'values', key: 'password' } } };
    const w = world(
      { templateName: 'docker', running: true, parameters: [password] },
      {},
      {
        parameters: [{ name: 'password', default: '' }],
      },
    );
    w.secrets.set('values', secret(SECRET));
    await w.settle();
    w.coder.finishBuilds('failed', `Error: bad password "${SECRET}"`);
    await w.clock.advance(1_000);
    await w.settle();
    expect(messageOf(w.kube.object?.status)).to.contain('log of build 1');
    w.secrets.set('values', secret('new'));
    w.restart();
    await w.settle();
    w.kube.apply(() => ({ templateName: 'docker' }));
    await w.settle();
    w.restart();
    await w.settle();
    w.kube.annotate(annotations.reconcileRequestedAt, 'again');
    await w.settle();
    expect(shown(w.kube.object?.status)).to.include('Ready=False/BuildFailed');
    expect(JSON.stringify({ statuses: w.kube.statuses, events: w.events })).to.not.contain(SECRET);
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
