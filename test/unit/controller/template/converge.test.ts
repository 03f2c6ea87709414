import { expect } from 'chai';
import fc from 'fast-check';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { kstatusOf } from '../../../support/conditions.ts';
import { runs } from '../../../support/histories.ts';
import { templateWorld, type TemplateWorld } from '../../../support/controller-world.ts';

const FILES = [{ 'main.tf': '# one' }, { 'main.tf': '# two' }];

/** Everything that may happen around one object. */
const ACTIONS = {
  pass: (w) => w.pass(),
  settle: (w) => w.settle(),
  'imports succeed': (w) => w.coder.finishImports('succeeded'),
  'imports fail': (w) => w.coder.finishImports('failed'),
  'another version is promoted': (w) => w.coder.promoteAnother(),
  'somebody deletes it': (w) => w.coder.removeTemplates(),
  'somebody makes one of the name': (w) => addByHand(w),
  'the request is lost': (w) => void (w.coder.fate = 'lost'),
  'the answer is lost': (w) => void (w.coder.fate = 'answer lost'),
  'the request lands late': (w) => void (w.coder.fate = 'late'),
  'the request is refused': (w) => void (w.coder.fate = 'refused'),
  'the object is touched': (w) => void (w.kube.touchNext = true),
  'the process dies': (w) => w.restart(),
  '3 s pass': (w) => w.clock.advance(3_000),
  '40 s pass': (w) => w.clock.advance(40_000),
  '3 min pass': (w) => w.clock.advance(180_000),
  'the first files': (w) => w.kube.apply((s) => ({ ...s, files: FILES[0], versionID: undefined })),
  'the second files': (w) => w.kube.apply((s) => ({ ...s, files: FILES[1], versionID: undefined })),
  'no content': (w) => w.kube.apply((s) => ({ ...s, files: undefined, versionID: undefined })),
  'a version that exists': (w) => w.kube.apply((s) => ({ ...s, files: undefined, versionID: anyVersion(w) })),
  'settings that Coder heeds': (w) =>
    w.kube.apply((s) => ({ ...s, icon: '/icon/docker.png', defaultTTLMillis: 60_000 })),
  'other ones': (w) => w.kube.apply((s) => ({ ...s, icon: '', allowUserCancelWorkspaceJobs: true })),
  'one that it does not heed': (w) => w.kube.apply((s) => ({ ...s, deprecated: 'old' })),
  'one that it refuses': (w) => w.kube.apply((s) => ({ ...s, maxPortShareLevel: 'Owner' })),
  'no settings': (w) =>
    w.kube.apply(({ files, versionID, deletionPolicy }) => ({ files, versionID, deletionPolicy })),
  'driftPolicy: OnChange': (w) => w.kube.apply((s) => ({ ...s, driftPolicy: 'OnChange' })),
  'suspend: true': (w) => w.kube.apply((s) => ({ ...s, suspend: true })),
  'suspend: false': (w) => w.kube.apply((s) => ({ ...s, suspend: false })),
  'somebody changes settings': (w) =>
    w.coder.changeTemplates({ icon: '/icon/other.png', default_ttl_ms: 3_600_000, description: 'theirs' }),
  'somebody looks': (w) => w.clock.advance(600_000),
  'deletionPolicy: Retain': (w) => w.kube.apply((s) => ({ ...s, deletionPolicy: 'Retain' })),
  'a person asks again': (w) => w.kube.annotate(annotations.reconcileRequestedAt, `at ${w.clock.now()}`),
  'the status is lost': (w) => w.kube.loseStatus(),
  'the object is deleted': (w) => w.kube.delete(),
} satisfies Readonly<Record<string, (world: TemplateWorld) => unknown>>;

type Action = keyof typeof ACTIONS;
const ALL = Object.keys(ACTIONS) as Action[];
const FAULTS: readonly Action[] = [
  'the request is lost',
  'the answer is lost',
  'the request lands late',
  'the object is touched',
  'the process dies',
  '3 s pass',
  '40 s pass',
];
const SETTINGS: readonly Action[] = [
  'settings that Coder heeds',
  'other ones',
  'one that it does not heed',
  'one that it refuses',
  'somebody changes settings',
];
const WISHES: readonly Action[] = ['the first files', 'the second files'];

function scripts(actions: readonly Action[]): fc.Arbitrary<Action[]> {
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom<Action>('pass', 'settle', 'imports succeed') },
      { weight: 4, arbitrary: fc.constantFrom(...actions) },
    ),
    { maxLength: 25 },
  );
}

function addByHand(w: TemplateWorld): void {
  if (!w.coder.presentTemplates.some((t) => t.name === 'docker')) w.coder.addTemplate();
}

function anyVersion(w: TemplateWorld): string {
  return w.coder.allVersions.at(-1)?.id ?? '00000000-0000-4000-8000-000000000000';
}

/** What must hold at every request that leaves. */
function watchRequests(w: TemplateWorld): void {
  w.coder.onRequest = (what) => {
    const object = w.kube.object;
    const told = `${what}: ${JSON.stringify(object)}`;
    expect(object?.status?.pendingOperation, `announced before it is sent: ${told}`).to.not.equal(undefined);
    const isHeld = object?.metadata.finalizers?.includes(finalizers.template) === true;
    if (what === 'createTemplate' && object?.spec.deletionPolicy !== 'Retain') {
      expect(isHeld, `held before it is made: ${told}`).to.equal(true);
    }
    if (what === 'updateTemplate') {
      expect(object?.spec.suspend, `nothing while suspended: ${told}`).to.not.equal(true);
    }
    if (what === 'deleteTemplate') {
      expect(object?.status?.origin, `only what was created is deleted: ${told}`).to.equal('Created');
      expect(object?.metadata.deletionTimestamp, `only with the object: ${told}`).to.not.equal(undefined);
    }
  };
}

/** Nobody does anything any more, every import succeeds, nothing is lost: writes must come to an end. */
async function quiesce(w: TemplateWorld): Promise<void> {
  w.coder.fate = 'works';
  for (let round = 0, quiet = 0; quiet < 2; round++) {
    expect(round, `it comes to rest: ${JSON.stringify(w.kube.object, undefined, 2)}`).to.be.below(40);
    const before = w.kube.writes + w.coder.landed.length;
    await w.settle();
    w.coder.finishImports('succeeded');
    await w.clock.advance(1_200_000);
    await w.settle();
    quiet = w.kube.writes + w.coder.landed.length === before ? quiet + 1 : 0;
  }
}

async function play(w: TemplateWorld, script: readonly Action[]): Promise<void> {
  watchRequests(w);
  for (const action of script) await ACTIONS[action](w);
  await quiesce(w);
  w.stop();
}

describe('a template, whatever happens', () => {
  it('comes to rest, with each announcement carried out at most once', async () => {
    await fc.assert(
      fc.asyncProperty(scripts(ALL), async (script) => {
        const w = templateWorld();
        await play(w, script);
        const ids = w.coder.landed.map((l) => `${l.announcement}`);
        expect(ids).to.deep.equal([...new Set(ids)]);
        expect(w.kube.object?.status?.pendingOperation, 'nothing is left open').to.equal(undefined);
      }),
      { numRuns: runs(1 / 3) },
    );
  });

  it('makes one version for each try, as long as the wish stays the same', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, 'imports fail']), async (script) => {
        const w = templateWorld();
        await play(w, script);
        const names = w.coder.allVersions.map((v) => v.name);
        expect(names, 'versions by name').to.deep.equal([...new Set(names)]);
        expect(w.coder.landed.filter((l) => l.what === 'createTemplate')).to.have.length.at.most(1);
      }),
      { numRuns: runs(1 / 4) },
    );
  });

  it('ends with one template that has the wished files active', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, ...WISHES]), fc.nat(1), async (script, last) => {
        const w = templateWorld();
        await play(w, [...script, last === 0 ? 'the first files' : 'the second files']);
        const [template, ...more] = w.coder.presentTemplates;
        expect(more).to.deep.equal([]);
        expect(w.kube.object?.status?.origin).to.equal('Created');
        expect(w.kube.object?.status?.activeVersion?.id).to.equal(template?.active_version_id);
        expect(w.kube.object?.status?.contentVersionID).to.equal(template?.active_version_id);
        if (w.kube.object !== undefined) expect(kstatusOf(w.kube.object)).to.equal('Current');
      }),
      { numRuns: runs(1 / 4) },
    );
  });

  it('promotes nothing while the wish stays the same', async () => {
    const others = scripts(['another version is promoted', 'the process dies', '40 s pass']);
    await fc.assert(
      fc.asyncProperty(others, async (script) => {
        const w = templateWorld();
        await quiesce(w);
        const before = w.coder.landed.length;
        await play(w, script);
        expect(w.coder.landed.slice(before)).to.deep.equal([]);
      }),
      { numRuns: runs(1 / 12) },
    );
  });

  it('ends with the wished settings, and leaves those that are not managed to others', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, ...SETTINGS, 'the first files']), async (script) => {
        const w = templateWorld();
        await play(w, [...script, 'settings that Coder heeds']);
        const [template] = w.coder.presentTemplates;
        expect(template).to.include({
          icon: '/icon/docker.png',
          default_ttl_ms: 60_000,
          deprecation_message: '',
        });
        const isTouched = script.includes('somebody changes settings') && template?.description !== '';
        expect(template?.description).to.equal(isTouched ? 'theirs' : '');
        const { applied, observed, refusals } = w.kube.object?.status ?? {};
        const { deprecated, maxPortShareLevel } = w.kube.object?.spec ?? {};
        expect(observed).to.include({ icon: '/icon/docker.png', defaultTTLMillis: 60_000 });
        expect(applied?.notHonoured).to.deep.equal(deprecated === undefined ? undefined : ['deprecated']);
        expect(refusals?.map((r) => r.field)).to.deep.equal(
          maxPortShareLevel === undefined ? undefined : ['maxPortShareLevel'],
        );
      }),
      { numRuns: runs(1 / 6) },
    );
  });

  it('leaves what somebody changed under OnChange', async () => {
    const others = scripts(['somebody changes settings', 'the process dies', '40 s pass', 'somebody looks']);
    await fc.assert(
      fc.asyncProperty(others, async (script) => {
        const w = templateWorld({ files: FILES[0], icon: '/icon/docker.png', driftPolicy: 'OnChange' });
        await quiesce(w);
        const before = w.coder.landed.length;
        await play(w, script);
        expect(w.coder.landed.slice(before)).to.deep.equal([]);
      }),
      { numRuns: runs(1 / 12) },
    );
  });

  it('leaves no template behind when the object is deleted', async () => {
    await fc.assert(
      fc.asyncProperty(scripts([...FAULTS, ...WISHES]), scripts(FAULTS), async (before, meanwhile) => {
        const w = templateWorld();
        await play(w, [...before, 'the object is deleted', ...meanwhile]);
        expect(w.coder.presentTemplates).to.deep.equal([]);
        expect(w.kube.object).to.equal(undefined);
      }),
      { numRuns: runs(1 / 12) },
    );
  });
});
