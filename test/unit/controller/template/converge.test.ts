import { expect } from 'chai';
import fc from 'fast-check';
import type { CoderTemplateSpec } from '../../../../src/api/generated.ts';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import { filesIn } from '../../../support/coder/tar.ts';
import { kstatusOf } from '../../../support/conditions.ts';
import { fetched, fluxSource, keyOf, valuesSecret } from '../../../support/controller-records.ts';
import { runs } from '../../../support/histories.ts';
import { templateWorld, type TemplateWorld } from '../../../support/controller-world.ts';

/** The first ones know the variable that is wished now and then, the second do not. */
const FILES = [
  { 'main.tf': '# one\nvariable "image" {\n  default = "debian"\n}\n' },
  { 'main.tf': '# two' },
] as const;
/** Digests of archives with these files, and of another one with the first. */
const [FIRST, SECOND, AGAIN] = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)];
const CONFIG_MAP = { source: { configMapRef: { name: 'code' } } } as const;
const FLUX = { source: { sourceRef: { kind: 'GitRepository', name: 'code' } } } as const;

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
  'a request is refused or times out': (w) => away(w),
  'Coder answers again': (w) => void (w.coder.outage = undefined),
  'others upload': (w) => takeTurns(w),
  'the first files': (w) => wish(w, { files: FILES[0] }),
  'the second files': (w) => wish(w, { files: FILES[1] }),
  'a ConfigMap': (w) => wish(w, CONFIG_MAP),
  'the ConfigMap holds the first files': (w) => fillConfigMap(w, FILES[0]),
  'the ConfigMap holds the second files': (w) => fillConfigMap(w, FILES[1]),
  'a source of Flux': (w) => wish(w, FLUX),
  'its artifact holds the first files': (w) => pointFlux(w, FIRST),
  'its artifact holds the second files': (w) => pointFlux(w, SECOND),
  'a new revision holds the first files': (w) => pointFlux(w, AGAIN),
  'the content goes': (w) => loseContent(w),
  'the artifact is being fetched': (w) => void w.archives.set(FIRST, { state: 'fetching' }),
  'the artifact is there': (w) => void w.archives.set(FIRST, fetched(FILES[0])),
  'no content': (w) => wish(w, {}),
  'a version that exists': (w) => wish(w, { versionID: anyVersion(w) }),
  'a variable': (w) => setVariables(w, [{ name: 'image', value: 'ubuntu' }]),
  'a variable from a Secret': (w) =>
    setVariables(w, [{ name: 'image', valueFrom: { secretKeyRef: { name: 'values', key: 'image' } } }]),
  'no variables': (w) => setVariables(w, undefined),
  'the Secret changes': (w) => w.secrets.set('values', valuesSecret({ image: 'x' }, `${w.clock.now()}`)),
  'the Secret goes': (w) => w.secrets.delete('values'),
  'promotion: Manual': (w) => w.kube.apply((s) => ({ ...s, promotion: 'Manual' })),
  'promotion: Automatic': (w) => w.kube.apply((s) => ({ ...s, promotion: 'Automatic' })),
  'somebody promotes what waits': (w) => promotePending(w),
  'settings that Coder heeds': (w) =>
    w.kube.apply((s) => ({ ...s, icon: '/icon/docker.png', defaultTTLMillis: 60_000 })),
  'other ones': (w) => w.kube.apply((s) => ({ ...s, icon: '', allowUserCancelWorkspaceJobs: true })),
  'one that it does not heed': (w) => w.kube.apply((s) => ({ ...s, deprecated: 'old' })),
  'one that it refuses': (w) => w.kube.apply((s) => ({ ...s, maxPortShareLevel: 'Owner' })),
  'no settings': (w) =>
    w.kube.apply(({ files, source, versionID, variables, promotion, deletionPolicy }) => ({
      ...{ files, source, versionID, variables, promotion, deletionPolicy },
    })),
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
  'a request is refused or times out',
  'Coder answers again',
  'others upload',
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
/** Where content comes from, as far as that changes nothing of it. */
const LACKS: readonly Action[] = ['the content goes', 'the artifact is being fetched'];
const SOURCES: readonly Action[] = [
  'the ConfigMap holds the first files',
  'its artifact holds the first files',
  'a new revision holds the first files',
  'the artifact is there',
];
const WISHES: readonly Action[] = [
  ...LACKS,
  ...SOURCES,
  'the first files',
  'the second files',
  'a ConfigMap',
  'the ConfigMap holds the second files',
  'a source of Flux',
  'its artifact holds the second files',
  'no content',
  'a version that exists',
  'a variable',
  'a variable from a Secret',
  'no variables',
  'the Secret changes',
  'the Secret goes',
  'promotion: Manual',
  'promotion: Automatic',
];
/** Wishes for the files of an index in the end, wherever they are. */
const LAST: readonly (readonly [index: 0 | 1, last: readonly Action[]])[] = [
  [0, ['the first files']],
  [1, ['the second files']],
  [0, ['a ConfigMap', 'the ConfigMap holds the first files']],
  [1, ['the ConfigMap holds the second files', 'a ConfigMap']],
  [0, ['its artifact holds the first files', 'a source of Flux']],
  [0, ['a source of Flux', 'a new revision holds the first files']],
  [1, ['a source of Flux', 'its artifact holds the second files']],
];

function scripts(actions: readonly Action[]): fc.Arbitrary<Action[]> {
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom<Action>('pass', 'settle', 'imports succeed') },
      { weight: 4, arbitrary: fc.constantFrom(...actions) },
    ),
    { maxLength: 25 },
  );
}

/** A world in which everything is there that content may come from. */
function worldOf(spec?: CoderTemplateSpec): TemplateWorld {
  const w = templateWorld(spec);
  makeReadable(w);
  return w;
}

/** Whatever is lacking comes back. */
function makeReadable(w: TemplateWorld): void {
  w.coder.outage = undefined;
  w.archives.set(FIRST, fetched(FILES[0]));
  w.archives.set(SECOND, fetched(FILES[1]));
  w.archives.set(AGAIN, fetched(FILES[0]));
  if (!w.configMaps.has('code')) fillConfigMap(w, FILES[0]);
  if (!w.flux.has('GitRepository/code')) pointFlux(w, FIRST);
  if (!w.secrets.has('values')) w.secrets.set('values', valuesSecret({ image: 'x' }));
}

/** Nothing is left of it but what the spec holds itself. */
function loseContent(w: TemplateWorld): void {
  w.configMaps.delete('code');
  w.flux.delete('GitRepository/code');
}

function fillConfigMap(w: TemplateWorld, data: Readonly<Record<string, string>>): void {
  w.configMaps.set('code', { metadata: { name: 'code' }, data });
}

function pointFlux(w: TemplateWorld, sha256: string): void {
  w.flux.set('GitRepository/code', fluxSource(`main@sha1:${sha256.slice(0, 8)}`, sha256));
}

/** Other content; variables go with it. */
function wish(w: TemplateWorld, content: Pick<CoderTemplateSpec, 'files' | 'source' | 'versionID'>): void {
  const none = { files: undefined, source: undefined, versionID: undefined };
  w.kube.apply((s) => ({
    ...{ ...s, ...none, ...content },
    variables: content.files === undefined && content.source === undefined ? undefined : s.variables,
  }));
}

/** Where there is content that they can belong to. */
function setVariables(w: TemplateWorld, variables: CoderTemplateSpec['variables']): void {
  w.kube.apply((s) => (s.files === undefined && s.source === undefined ? s : { ...s, variables }));
}

function away(w: TemplateWorld): void {
  w.coder.outage = new CoderError(w.clock.now() % 2 === 0 ? 'Unreachable' : 'RateLimited', 'not now');
}

function takeTurns(w: TemplateWorld): void {
  const uploads = w.connections.live('team')?.uploads;
  for (let i = 0; i < 4; i++) uploads?.waitMs(`another ${i} at ${w.clock.now()}`);
}

function promotePending(w: TemplateWorld): void {
  const { pendingVersion } = w.kube.object?.status ?? {};
  const version = w.coder.allVersions.find((v) => v.id === pendingVersion?.id);
  if (version?.template_id === undefined || version.job.status !== 'succeeded') return;
  if (w.coder.presentTemplates.some((t) => t.id === version.template_id)) {
    w.coder.promote(version.template_id, version.id);
  }
}

/** The files of a version that was imported. */
async function filesOf(w: TemplateWorld, versionID: string | undefined): Promise<object> {
  const version = w.coder.allVersions.find((v) => v.id === versionID);
  return Object.fromEntries(filesIn(await w.coder.file(version?.job.file_id ?? '')));
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
    if (what === 'promote') {
      const isAsked = object?.spec.promotion !== 'Manual' || object.spec.versionID !== undefined;
      expect(isAsked, `not under Manual: ${told}`).to.equal(true);
    }
    if (what === 'createVersion' || what === 'promote' || what === 'updateTemplate') {
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
  makeReadable(w);
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
        const w = worldOf();
        await play(w, script);
        const ids = w.coder.landed.map((l) => `${l.announcement}`);
        expect(ids).to.deep.equal([...new Set(ids)]);
        expect(w.kube.object?.status?.pendingOperation, 'nothing is left open').to.equal(undefined);
      }),
      { numRuns: runs(1 / 3) },
    );
  });

  it('makes one version for each try, as long as the wish stays the same', async () => {
    const specs = fc.constantFrom<CoderTemplateSpec>({ files: FILES[0] }, CONFIG_MAP, CONFIG_MAP, FLUX);
    const script = scripts([...FAULTS, ...LACKS, ...SOURCES, 'imports fail', 'promotion: Manual']);
    await fc.assert(
      fc.asyncProperty(specs, script, async (spec, script) => {
        const w = worldOf(spec);
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
      fc.asyncProperty(scripts([...FAULTS, ...WISHES]), fc.constantFrom(...LAST), async (script, wished) => {
        const w = worldOf();
        const [index, last] = wished;
        await play(w, [...script, ...last, 'no variables', 'promotion: Automatic']);
        const [template, ...more] = w.coder.presentTemplates;
        expect(more).to.deep.equal([]);
        expect(w.kube.object?.status?.origin).to.equal('Created');
        expect(w.kube.object?.status?.activeVersion?.id).to.equal(template?.active_version_id);
        expect(w.kube.object?.status?.contentVersionID).to.equal(template?.active_version_id);
        expect(w.kube.object?.status?.contentHash).to.equal(keyOf(FILES[index]));
        expect(await filesOf(w, template?.active_version_id)).to.deep.equal(FILES[index]);
        if (w.kube.object !== undefined) expect(kstatusOf(w.kube.object)).to.equal('Current');
      }),
      { numRuns: runs(1 / 4) },
    );
  });

  it('imports every wish under Manual, and promotes none of them before the word is Automatic', async () => {
    const actions = [...FAULTS, ...WISHES].filter((a) => a !== 'promotion: Automatic' && a !== 'no content');
    const script = scripts(actions.filter((a) => a !== 'a version that exists'));
    await fc.assert(
      fc.asyncProperty(script, fc.constantFrom(...LAST), async (script, [index, last]) => {
        const w = worldOf({ files: FILES[0], promotion: 'Manual' });
        await play(w, [...script, ...last, 'no variables']);
        const promotions = (): number => w.coder.landed.filter((l) => l.what === 'promote').length;
        expect(promotions()).to.equal(0);
        const { pendingVersion, contentVersionID } = w.kube.object?.status ?? {};
        expect(await filesOf(w, pendingVersion?.id ?? contentVersionID)).to.deep.equal(FILES[index]);
        w.restart();
        await play(w, ['promotion: Automatic']);
        expect(promotions()).to.equal(pendingVersion === undefined ? 0 : 1);
        const [template] = w.coder.presentTemplates;
        expect(await filesOf(w, template?.active_version_id)).to.deep.equal(FILES[index]);
        expect(w.kube.object?.status?.contentHash).to.equal(keyOf(FILES[index]));
      }),
      { numRuns: runs(1 / 6) },
    );
  });

  it('of which the status is lost imports and promotes nothing, whatever is lacking meanwhile', async () => {
    const specs = fc.constantFrom<CoderTemplateSpec>({ files: FILES[0] }, CONFIG_MAP, FLUX);
    const others = scripts([...LACKS, ...SOURCES, 'the process dies', '40 s pass']);
    await fc.assert(
      fc.asyncProperty(
        specs,
        fc.constantFrom<Action>('pass', ...LACKS),
        others,
        async (spec, first, script) => {
          const w = worldOf(spec);
          await quiesce(w);
          w.coder.promoteAnother();
          const before = w.coder.landed.length;
          await play(w, ['the status is lost', first, ...script]);
          expect(w.coder.landed.slice(before)).to.deep.equal([]);
          if (w.kube.object !== undefined) expect(kstatusOf(w.kube.object)).to.equal('Current');
        },
      ),
      { numRuns: runs(1 / 12) },
    );
  });

  it('promotes nothing while the wish stays the same', async () => {
    const specs = fc.constantFrom<CoderTemplateSpec>({ files: FILES[0] }, CONFIG_MAP, FLUX);
    const others = scripts([
      ...(['another version is promoted', 'the process dies', '40 s pass'] as const),
      ...LACKS,
      ...SOURCES,
    ]);
    await fc.assert(
      fc.asyncProperty(specs, others, async (spec, script) => {
        const w = worldOf(spec);
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
        const w = worldOf();
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
        const w = worldOf();
        await play(w, [...before, 'the object is deleted', ...meanwhile]);
        expect(w.coder.presentTemplates).to.deep.equal([]);
        expect(w.kube.object).to.equal(undefined);
      }),
      { numRuns: runs(1 / 12) },
    );
  });
});
