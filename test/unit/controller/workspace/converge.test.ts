import { expect } from 'chai';
import fc from 'fast-check';
import type { CoderWorkspaceSpec } from '../../../../src/api/generated.ts';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import type { VersionContent } from '../../../support/coder/definitions.ts';
import { OPERATOR, ORGANIZATION, OWNER, STRANGER, type Landed } from '../../../support/controller-coder.ts';
import { kstatusOf } from '../../../support/conditions.ts';
import { runs } from '../../../support/histories.ts';
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
  'autostop stops it': (w) => w.coder.autostop(),
  'autostart starts it': (w) => w.coder.autostart(),
  'it becomes dormant': (w) => w.coder.becomeDormant(86_400_000),
  'Coder deletes it as dormant': (w) => w.coder.autodelete(),
  'the quota is used up': (w) => w.coder.exceedQuota(),
  'somebody cancels the build': (w) => w.coder.cancelBuilds(),
  'the owner changes the TTL': (w) => w.coder.changeSettings({ ttl: 7_200_000 }),
  'the owner changes the schedule': (w) => w.coder.changeSettings({ autostart: '0 1 * * *' }),
  'the owner changes the updates': (w) => w.coder.changeSettings({ automaticUpdates: 'always' }),
  'the owner changes a parameter': (w) => w.coder.changeParameters({ cpu: '8' }),
  'the template gets another version': (w) => w.coder.promoteAnother(CONTENT),
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
  '6 min pass': (w) => w.clock.advance(360_000),
  'running: true': (w) => w.kube.apply((s) => ({ ...s, running: true })),
  'running: false': (w) => w.kube.apply((s) => ({ ...s, running: false })),
  'running is left out': (w) => w.kube.apply((s) => ({ ...s, running: undefined })),
  'ttlMillis: 1 h': (w) => w.kube.apply((s) => ({ ...s, ttlMillis: 3_600_000 })),
  'ttlMillis: 0': (w) => w.kube.apply((s) => ({ ...s, ttlMillis: 0 })),
  'ttlMillis is left out': (w) => w.kube.apply((s) => ({ ...s, ttlMillis: undefined })),
  'autostartSchedule: 8:00': (w) => w.kube.apply((s) => ({ ...s, autostartSchedule: '0 8 * * 1-5' })),
  'autostartSchedule: never': (w) => w.kube.apply((s) => ({ ...s, autostartSchedule: '' })),
  'automaticUpdates: Never': (w) => w.kube.apply((s) => ({ ...s, automaticUpdates: 'Never' })),
  'cpu: 2': (w) => w.kube.apply((s) => ({ ...s, parameters: [{ name: 'cpu', value: '2' }] })),
  'cpu: 4': (w) => w.kube.apply((s) => ({ ...s, parameters: [{ name: 'cpu', value: '4' }] })),
  'cpu: many': (w) => w.kube.apply((s) => ({ ...s, parameters: [{ name: 'cpu', value: 'many' }] })),
  'updatePolicy: Restart': (w) => w.kube.apply((s) => ({ ...s, updatePolicy: 'Restart' })),
  'updatePolicy: OnNextStart': (w) => w.kube.apply((s) => ({ ...s, updatePolicy: 'OnNextStart' })),
  'the first version is pinned': (w) => w.kube.apply((s) => ({ ...s, templateVersionName: 'first-0' })),
  'no version is pinned': (w) => w.kube.apply((s) => ({ ...s, templateVersionName: undefined })),
  'driftPolicy: OnChange': (w) => w.kube.apply((s) => ({ ...s, driftPolicy: 'OnChange' })),
  'driftPolicy: Enforce': (w) => w.kube.apply((s) => ({ ...s, driftPolicy: 'Enforce' })),
  'suspend: true': (w) => w.kube.apply((s) => ({ ...s, suspend: true })),
  'suspend: false': (w) => w.kube.apply((s) => ({ ...s, suspend: false })),
  'the control plane is suspended': (w) => void (w.suspended = true),
  'the control plane goes on': (w) => void (w.suspended = false),
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
const WISHES: readonly Action[] = [
  'running: true',
  'running: false',
  'ttlMillis: 1 h',
  'ttlMillis: 0',
  'autostartSchedule: 8:00',
  'autostartSchedule: never',
  'automaticUpdates: Never',
  'cpu: 2',
  'cpu: 4',
  'updatePolicy: Restart',
  'updatePolicy: OnNextStart',
  'the first version is pinned',
  'no version is pinned',
  'suspend: true',
  'suspend: false',
];
/** What people change that is set right again when they leave it. */
const MEDDLING: readonly Action[] = [
  'the owner starts it',
  'the owner stops it',
  'somebody deletes it',
  'somebody cancels the build',
  'the owner changes the TTL',
  'the owner changes the schedule',
  'the owner changes the updates',
  'the owner changes a parameter',
  'the template gets another version',
  '6 min pass',
];
/** Longer than the window in which corrections are counted. */
const QUIET_ROUNDS = 3;
const ROUND_MS = 1_500_000;

/** Every version of the template takes a number of processors. */
const CONTENT: VersionContent = {
  parameters: [{ name: 'cpu', type: 'number', default: '1' }],
};

function world(spec: CoderWorkspaceSpec = { templateName: 'docker' }): WorkspaceWorld {
  return workspaceWorld(spec, {}, CONTENT);
}

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
  const template = w.coder.addTemplate(`by-hand-${w.clock.now()}`, ORGANIZATION, CONTENT);
  w.coder.addWorkspace(OWNER.username, 'dev', template);
}

/** What must hold at every request that leaves. */
function watchRequests(w: WorkspaceWorld): void {
  w.coder.onRequest = (what, detail) => {
    const object = w.kube.object;
    const { status, metadata, spec } = object ?? {};
    const hasFinalizer = metadata?.finalizers?.includes(finalizers.workspace) === true;
    const told = `${what} ${detail}: ${JSON.stringify(object)}`;
    expect(w.suspended || spec?.suspend === true, `not while suspended: ${told}`).to.equal(false);
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
  for (let round = 0, quiet = 0; quiet < QUIET_ROUNDS; round++) {
    expect(round, `it comes to rest: ${JSON.stringify(w.kube.object, undefined, 2)}`).to.be.below(40);
    const before = w.kube.writes + w.coder.landed.length;
    await w.settle();
    w.coder.finishBuilds('succeeded');
    await w.clock.advance(ROUND_MS);
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

/** Coder has what the object says, in everything that it says. */
function expectWishes(w: WorkspaceWorld, script: readonly string[]): void {
  const { spec, status } = w.kube.object ?? {};
  const told = `${script.join(', ')}: ${JSON.stringify(w.kube.object)}`;
  const [workspace, ...others] = w.coder.present;
  expect(others, told).to.deep.equal([]);
  if (workspace === undefined || spec === undefined) return expect.fail(`there is no workspace: ${told}`);
  expect(workspace.latest_build.status, told).to.equal(spec.running === true ? 'running' : 'stopped');
  if (spec.ttlMillis !== undefined) expect(workspace.ttl_ms ?? 0, told).to.equal(spec.ttlMillis);
  if (spec.autostartSchedule !== undefined) {
    expect(workspace.autostart_schedule ?? '', told).to.equal(spec.autostartSchedule);
  }
  if (spec.automaticUpdates !== undefined) {
    expect(workspace.automatic_updates, told).to.equal(spec.automaticUpdates.toLowerCase());
  }
  if (spec.running === true) {
    const [parameter] = spec.parameters ?? [];
    if (parameter !== undefined)
      expect(w.coder.valuesOf(workspace.id)['cpu'], told).to.equal(parameter.value);
    const version = w.coder.allVersions.find((v) => v.id === workspace.latest_build.template_version_id);
    const wished =
      spec.templateVersionName ??
      w.coder.allVersions.find((v) => v.id === w.coder.presentTemplates[0]?.active_version_id)?.name;
    expect(version?.name, told).to.equal(wished);
  }
  expect(w.kube.object === undefined ? '' : kstatusOf(w.kube.object), told).to.equal('Current');
  expect(status?.conditions?.find((c) => c.type === 'Drifted')?.message, told).to.equal(
    spec.running === true ? undefined : status?.conditions?.find((c) => c.type === 'Drifted')?.message,
  );
}

function repeated(landed: readonly Landed[]): readonly string[] {
  const ids = landed.map((l) => `${l.announcement}`);
  return ids.filter((id, i) => ids.indexOf(id) !== i);
}

describe('a workspace, whatever happens', () => {
  it('comes to rest, with at most one build for each announcement and none beside an active one', async () => {
    await fc.assert(
      fc.asyncProperty(scripts(ALL), fc.boolean(), async (script, running) => {
        const w = world({ templateName: 'docker', ...(running ? { running } : {}) });
        await play(w, script);
        expect(w.coder.violations).to.deep.equal([]);
        expect(repeated(w.coder.landed), 'announcements that were carried out twice').to.deep.equal([]);
        const { object } = w.kube;
        expect(object?.status?.pendingOperation, 'nothing is left open').to.equal(undefined);
        const waits = object?.status?.conditions?.find((c) => c.type === 'Reconciling');
        expect(waits, `nothing is waited for: ${JSON.stringify(object)}`).to.equal(undefined);
      }),
      { numRuns: runs(1 / 3) },
    );
  });

  it('reaches the last wish with one workspace, as long as only the way to Coder fails', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, ...WISHES]), fc.boolean(), async (script, running) => {
        const w = world();
        await play(w, [
          ...script,
          'suspend: false',
          running ? 'running: true' : 'running: false',
          'a person asks again',
        ]);
        expect(w.coder.present.map((p) => p.latest_build.status)).to.deep.equal([
          running ? 'running' : 'stopped',
        ]);
        expect(w.coder.history.filter(({ build }) => build.build_number === 1)).to.have.length(1);
        expect(w.kube.object?.status?.origin).to.equal('Created');
        if (w.kube.object !== undefined) expect(kstatusOf(w.kube.object)).to.equal('Current');
      }),
      { numRuns: runs(1 / 6) },
    );
  });

  it('sets right what people change, and then leaves them alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        scripts([...FAULTS, ...WISHES]),
        scripts(MEDDLING),
        fc.boolean(),
        async (before, meddling, running) => {
          const w = world();
          const wish = running ? 'running: true' : 'running: false';
          const sure: Action[] = ['suspend: false', 'updatePolicy: Restart', wish, 'a person asks again'];
          watchRequests(w);
          for (const action of [...before, ...sure]) await ACTIONS[action](w);
          await quiesce(w);
          expectWishes(w, before);
          const landed = w.coder.landed.length;
          for (const action of meddling) await ACTIONS[action](w);
          await quiesce(w);
          expectWishes(w, [...before, 'then', ...meddling]);
          // A restart is two builds; nothing that is set right is set right twice.
          expect(w.coder.landed.length - landed, 'calls to set it right').to.be.at.most(2 * meddling.length);
          w.stop();
        },
      ),
      { numRuns: runs(1 / 6) },
    );
  });

  it('leaves nothing of what it created behind when the object is deleted', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, ...WISHES]), scripts(FAULTS), async (before, meanwhile) => {
        const w = world();
        await play(w, [
          ...before,
          'suspend: false',
          'the object is deleted',
          ...meanwhile,
          'a person asks again',
        ]);
        expect(w.coder.present).to.deep.equal([]);
        expect(w.kube.object).to.equal(undefined);
      }),
      { numRuns: runs(1 / 6) },
    );
  });

  it('never deletes what the operator did not create', async () => {
    await fc.assert(
      fc.asyncProperty(scripts(ALL), async (script) => {
        const w = world({ templateName: 'docker', deletionPolicy: 'Delete' });
        await play(w, ['a stranger makes one of the name', ...script, 'the object is deleted']);
        const wrong = w.coder.history.filter(
          ({ build, creator }) =>
            build.transition === 'delete' && build.initiator_id === OPERATOR.id && creator !== OPERATOR.id,
        );
        expect(wrong).to.deep.equal([]);
      }),
      { numRuns: runs(1 / 6) },
    );
  });

  it('F28. starts and stops nothing after its status was lost, until the wish changes', async () => {
    const others = scripts(['the owner starts it', 'the owner stops it', '40 s pass', 'the process dies']);
    await fc.assert(
      fc.asyncProperty(others, fc.boolean(), fc.boolean(), async (script, running, asked) => {
        const w = world({ templateName: 'docker', running, driftPolicy: 'OnChange' });
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
      { numRuns: runs(1 / 6) },
    );
  });
});
