import { expect } from 'chai';
import fc from 'fast-check';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { OPERATOR, OWNER, STRANGER, type Landed } from '../../../support/controller-coder.ts';
import { kstatusOf } from '../../../support/conditions.ts';
import { workspaceWorld, type WorkspaceWorld } from '../../../support/controller-world.ts';

/** Everything that may happen around one object. */
const ACTIONS = {
  pass: (w) => w.pass(),
  settle: (w) => w.settle(),
  'builds succeed': (w) => w.coder.finishBuilds('succeeded'),
  'builds fail': (w) => w.coder.finishBuilds('failed'),
  'builds are cancelled': (w) => w.coder.finishBuilds('canceled'),
  'the owner starts it': (w) => w.coder.build('start'),
  'the owner stops it': (w) => w.coder.build('stop'),
  'somebody deletes it': (w) => w.coder.build('delete', STRANGER.id),
  'autostop stops it': (w) => w.coder.build('stop', OWNER.id, 'autostop'),
  'it is renamed': (w) => w.coder.rename('renamed'),
  'it gets its name back': (w) => w.coder.rename('dev'),
  'a stranger makes one of the name': (w) => addStranger(w),
  'the request is lost': (w) => void (w.coder.fate = 'lost'),
  'the answer is lost': (w) => void (w.coder.fate = 'answer lost'),
  'the request lands late': (w) => void (w.coder.fate = 'late'),
  'the request is refused': (w) => void (w.coder.fate = 'refused'),
  'the object is touched': (w) => void (w.kube.touchNext = true),
  'the process dies': (w) => w.restart(),
  '3 s pass': (w) => w.clock.advance(3_000),
  '40 s pass': (w) => w.clock.advance(40_000),
  '3 min pass': (w) => w.clock.advance(180_000),
  'running: true': (w) => w.kube.apply((s) => ({ ...s, running: true })),
  'running: false': (w) => w.kube.apply((s) => ({ ...s, running: false })),
  'running is left out': (w) => w.kube.apply((s) => ({ ...s, running: undefined })),
  'deletionPolicy: Retain': (w) => w.kube.apply((s) => ({ ...s, deletionPolicy: 'Retain' })),
  'deletionPolicy: Delete': (w) => w.kube.apply((s) => ({ ...s, deletionPolicy: 'Delete' })),
  'a person asks again': (w) => w.kube.annotate(annotations.reconcileRequestedAt, `at ${w.clock.now()}`),
  'the status is lost': (w) => w.kube.loseStatus(),
  'the object is deleted': (w) => w.kube.delete(),
} satisfies Readonly<Record<string, (world: WorkspaceWorld) => unknown>>;

type Action = keyof typeof ACTIONS;
const ALL = Object.keys(ACTIONS) as Action[];
/** What goes wrong between us and Coder while everybody else keeps still. */
const FAULTS: readonly Action[] = [
  'builds fail',
  'builds are cancelled',
  'the request is lost',
  'the answer is lost',
  'the request lands late',
  'the request is refused',
  'the object is touched',
  'the process dies',
  '3 s pass',
  '40 s pass',
  '3 min pass',
];
const WISHES: readonly Action[] = ['running: true', 'running: false'];
const RUNS = 120;

/** Scripts of these actions; passes and builds that end are what happens most. */
function scripts(actions: readonly Action[]): fc.Arbitrary<Action[]> {
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom<Action>('pass', 'settle', 'builds succeed') },
      { weight: 4, arbitrary: fc.constantFrom(...actions) },
    ),
    { maxLength: 30 },
  );
}

function addStranger(w: WorkspaceWorld): void {
  const template = w.coder.addTemplate(`by-hand-${w.clock.now()}`);
  w.coder.addWorkspace(OWNER.username, 'dev', template);
}

/** What must hold at every request that leaves. */
function watchRequests(w: WorkspaceWorld): void {
  w.coder.onRequest = (what, detail) => {
    const object = w.kube.object;
    const { status, metadata, spec } = object ?? {};
    const hasFinalizer = metadata?.finalizers?.includes(finalizers.workspace) === true;
    const told = `${what} ${detail}: ${JSON.stringify(object)}`;
    expect(status?.pendingOperation, `announced before it is sent: ${told}`).to.not.equal(undefined);
    if (what === 'createWorkspace') expect(hasFinalizer, `held before it is made: ${told}`).to.equal(true);
    if (status?.origin === 'Created' && spec?.deletionPolicy !== 'Retain') {
      expect(hasFinalizer, `what was created is held: ${told}`).to.equal(true);
    }
    if (detail === 'delete') {
      expect(status?.origin, `only what was created is deleted: ${told}`).to.equal('Created');
      expect(metadata?.deletionTimestamp, `only with the object: ${told}`).to.not.equal(undefined);
      expect(spec?.deletionPolicy, `only if it is not to be kept: ${told}`).to.not.equal('Retain');
    }
  };
}

/** Nobody does anything any more, every build succeeds, nothing is lost: writes must come to an end. */
async function quiesce(w: WorkspaceWorld): Promise<void> {
  w.coder.fate = 'works';
  for (let round = 0, quiet = 0; quiet < 2; round++) {
    expect(round, `it comes to rest: ${JSON.stringify(w.kube.object, undefined, 2)}`).to.be.below(40);
    const before = w.kube.writes + w.coder.landed.length;
    await w.settle();
    w.coder.finishBuilds('succeeded');
    await w.clock.advance(1_200_000);
    await w.settle();
    quiet = w.kube.writes + w.coder.landed.length === before ? quiet + 1 : 0;
  }
}

async function play(w: WorkspaceWorld, script: readonly Action[]): Promise<void> {
  watchRequests(w);
  for (const action of script) await ACTIONS[action](w);
  await quiesce(w);
  w.stop();
}

function repeated(landed: readonly Landed[]): readonly string[] {
  const ids = landed.map((l) => `${l.announcement}`);
  return ids.filter((id, i) => ids.indexOf(id) !== i);
}

describe('a workspace, whatever happens', () => {
  it('comes to rest, with at most one build for each announcement and none beside an active one', async () => {
    await fc.assert(
      fc.asyncProperty(scripts(ALL), fc.boolean(), async (script, running) => {
        const w = workspaceWorld({ templateName: 'docker', ...(running ? { running } : {}) });
        await play(w, script);
        expect(w.coder.violations).to.deep.equal([]);
        expect(repeated(w.coder.landed), 'announcements that were carried out twice').to.deep.equal([]);
        const { object } = w.kube;
        expect(object?.status?.pendingOperation, 'nothing is left open').to.equal(undefined);
        const waits = object?.status?.conditions?.find((c) => c.type === 'Reconciling');
        expect(waits, `nothing is waited for: ${JSON.stringify(object)}`).to.equal(undefined);
      }),
      { numRuns: 2 * RUNS },
    );
  });

  it('reaches the last wish with one workspace, as long as only the way to Coder fails', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, ...WISHES]), fc.boolean(), async (script, running) => {
        const w = workspaceWorld();
        await play(w, [...script, running ? 'running: true' : 'running: false', 'a person asks again']);
        expect(w.coder.present.map((p) => p.latest_build.status)).to.deep.equal([
          running ? 'running' : 'stopped',
        ]);
        expect(w.coder.history.filter(({ build }) => build.build_number === 1)).to.have.length(1);
        expect(w.kube.object?.status?.origin).to.equal('Created');
        if (w.kube.object !== undefined) expect(kstatusOf(w.kube.object)).to.equal('Current');
      }),
      { numRuns: RUNS },
    );
  });

  it('leaves nothing of what it created behind when the object is deleted', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, ...WISHES]), scripts(FAULTS), async (before, meanwhile) => {
        const w = workspaceWorld();
        await play(w, [...before, 'the object is deleted', ...meanwhile, 'a person asks again']);
        expect(w.coder.present).to.deep.equal([]);
        expect(w.kube.object).to.equal(undefined);
      }),
      { numRuns: RUNS },
    );
  });

  it('never deletes what the operator did not create', async () => {
    await fc.assert(
      fc.asyncProperty(scripts(ALL), async (script) => {
        const w = workspaceWorld({ templateName: 'docker', deletionPolicy: 'Delete' });
        await play(w, ['a stranger makes one of the name', ...script, 'the object is deleted']);
        const wrong = w.coder.history.filter(
          ({ build, creator }) =>
            build.transition === 'delete' && build.initiator_id === OPERATOR.id && creator !== OPERATOR.id,
        );
        expect(wrong).to.deep.equal([]);
      }),
      { numRuns: RUNS },
    );
  });

  it('starts and stops nothing after its status was lost, until the wish changes', async () => {
    const others = scripts(['the owner starts it', 'the owner stops it', '40 s pass', 'the process dies']);
    await fc.assert(
      fc.asyncProperty(others, fc.boolean(), fc.boolean(), async (script, running, asked) => {
        const w = workspaceWorld({ templateName: 'docker', running });
        if (asked) w.kube.annotate(annotations.reconcileRequestedAt, 'once');
        await quiesce(w);
        const before = w.coder.landed.length;
        w.coder.build(running ? 'stop' : 'start');
        w.kube.loseStatus();
        await play(w, script);
        expect(w.coder.landed.slice(before)).to.deep.equal([]);
        expect(w.kube.object?.status?.origin).to.equal('Adopted');
        expect(w.kube.object?.metadata.finalizers).to.deep.equal([]);
      }),
      { numRuns: RUNS },
    );
  });
});
