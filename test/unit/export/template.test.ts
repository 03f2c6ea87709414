import { expect } from 'chai';
import fc from 'fast-check';
import type { CoderTemplateSpec } from '../../../src/api/generated.ts';
import { filesHash } from '../../../src/coder/contenthash.ts';
import { templateFiles, type ArchiveFiles } from '../../../src/coder/layout.ts';
import { readTemplate } from '../../../src/coder/readers.ts';
import type { Template, TemplateVersionVariable } from '../../../src/coder/types.ts';
import { unpack } from '../../../src/coder/unpack.ts';
import { readAnswer } from '../../../src/coder/validate.ts';
import { holdsContent } from '../../../src/controller/template/activecontent.ts';
import { wishedContent } from '../../../src/controller/template/content.ts';
import {
  SETTING_FIELDS,
  settingsOf as settingsToTheOperator,
  wishOf,
} from '../../../src/coder/templatesettings.ts';
import { contentOf, type VersionContent } from '../../../src/export/content.ts';
import { exportedSettings } from '../../../src/export/settings.ts';
import { exportTemplate } from '../../../src/export/template.ts';
import { printYaml } from '../../../src/export/yaml.ts';
import { tarOf } from '../../support/archives.ts';
import { templateAnswer, VERSION_ID } from '../../support/coder-answers.ts';
import { contentFact, templateInput } from '../../support/controller-records.ts';

const CONTEXT = { call: 'test', status: 200, requestID: undefined, mutation: false };
const PLAIN_TAGS = { scope: 'organization', owner: '' };

function template(parts: Readonly<Record<string, unknown>> = {}): Template {
  return readAnswer(templateAnswer({ provisioner: 'terraform', ...parts }), readTemplate, CONTEXT);
}

function version(files: ArchiveFiles, parts: Partial<VersionContent> = {}): VersionContent {
  return { files: { seen: 'files', files, leftOut: [] }, tags: PLAIN_TAGS, variables: [], ...parts };
}

const variable = (name: string, parts: Partial<TemplateVersionVariable> = {}): TemplateVersionVariable => ({
  name,
  value: 'x',
  default_value: 'x',
  required: false,
  sensitive: false,
  ...parts,
});

/** Whether the operator would take the active version as it is. */
function isAdopted(spec: CoderTemplateSpec, { files, tags, variables = [] }: VersionContent): boolean {
  const input = templateInput({ spec }, { content: contentFact(templateFiles(spec.files ?? {}).files) });
  const wished = wishedContent(input, {});
  if (wished.then !== 'content') throw new Error(wished.then);
  if (wished.content.kind === 'version') return wished.content.versionID === VERSION_ID;
  const hash = files.seen === 'files' ? filesHash(files.files) : undefined;
  return holdsContent({ versionID: VERSION_ID, filesHash: hash, tags, variables }, wished.content);
}

describe('the content of a template that is exported', () => {
  it('is the files, sorted, where they are texts', () => {
    const files = { 'b/z.tf': '# two\n', 'main.tf': Buffer.from('# one\r\n'), 'README.md': '' };
    const { spec, notes } = contentOf(template(), version(files));
    expect(Object.entries(spec.files ?? {})).to.deep.equal([
      ['README.md', ''],
      ['b/z.tf', '# two\n'],
      ['main.tf', '# one\r\n'],
    ]);
    expect(Object.keys(spec)).to.deep.equal(['files']);
    expect(notes).to.deep.equal([]);
  });

  const MAIN = { 'main.tf': '# x\n' };
  const many = Object.fromEntries(Array.from({ length: 128 }, (_, i) => [`f${i}.tf`, '']));
  const unfit: readonly (readonly [string, ArchiveFiles, RegExp])[] = [
    ['no UTF-8', { ...MAIN, logo: Buffer.from([0xff, 0xfe, 0x41]) }, /"logo" is no text/],
    ['NUL characters', { ...MAIN, data: 'a\0b' }, /"data" is no text/],
    ['terminal sequences', { ...MAIN, log: '\u001b[1m' }, /"log" is no text/],
    ['a path with a blank', { ...MAIN, 'my file.txt': '' }, /the path "my file.txt"/],
    ['a long path', { ...MAIN, [`${'a'.repeat(198)}.tf`]: '' }, /does not fit/],
    ['more files than fit', { ...MAIN, ...many }, /more than 128 files/],
    ['too many bytes', { 'main.tf': '# é'.repeat(65_000) }, /larger than 192 KiB/],
    [
      'so many line ends that kubectl could not keep it',
      { 'main.tf': '\n'.repeat(190_000) },
      /kubectl apply/,
    ],
    ['so many <, > and &', { 'main.tf': `# ${'<>&'.repeat(20_000)}` }, /kubectl apply/],
    ['no Terraform at its root', { 'a/main.tf': '' }, /no \.tf or \.tf\.json file at its root/],
  ];
  for (const [what, files, why] of unfit) {
    it(`is the version's UUID where the files hold ${what}, and says so`, () => {
      const { spec, notes } = contentOf(template(), version(files));
      expect(spec).to.deep.equal({ versionID: VERSION_ID });
      expect(notes).to.have.length(1);
      expect(notes[0]).to.match(why);
    });
  }

  it('is the version where the token may not see the files, or nobody could read them', () => {
    for (const seen of ['hidden', 'unusable'] as const) {
      const content = version({}, { files: { seen, why: 'are a riddle' } });
      const { spec, notes } = contentOf(template(), content);
      expect(spec).to.deep.equal({ versionID: VERSION_ID });
      expect(notes.join()).to.contain('its files are a riddle');
    }
  });

  it('names another provisioner than Terraform, and gives up on one that is not known', () => {
    const files = { '0.plan.protobuf': 'x' };
    expect(contentOf(template({ provisioner: 'echo' }), version(files)).spec).to.deep.equal({
      files,
      provisioner: 'Echo',
    });
    expect(contentOf(template({ provisioner: 'pulumi' }), version(files)).spec).to.deep.equal({
      versionID: VERSION_ID,
    });
  });

  it('tells what was left out of the files', () => {
    const files = { seen: 'files', files: MAIN, leftOut: ['.git/', 'terraform.tfvars'] } as const;
    expect(contentOf(template(), version({}, { files })).notes.join()).to.contain('.git/, terraform.tfvars');
  });

  describe('tags', () => {
    const tagsOf = (tags: Readonly<Record<string, string>>, files: ArchiveFiles = MAIN): unknown =>
      contentOf(template(), version(files, { tags })).spec.provisionerTags;

    it('are there as far as somebody has chosen them', () => {
      expect(tagsOf(PLAIN_TAGS)).to.equal(undefined);
      expect(tagsOf({ ...PLAIN_TAGS, zone: 'eu', arch: 'arm' })).to.deep.equal({ arch: 'arm', zone: 'eu' });
      expect(tagsOf({ scope: 'user', owner: 'someone' })).to.deep.equal({ scope: 'user', owner: 'someone' });
    });

    it('are left to the content where it names them, and left out where they do not fit', () => {
      const files = { 'main.tf': 'data "coder_workspace_tags" "t" {}\n' };
      expect(tagsOf({ ...PLAIN_TAGS, zone: 'eu' }, files)).to.equal(undefined);
      expect(tagsOf({ ...PLAIN_TAGS, zone: 'x'.repeat(129) })).to.equal(undefined);
      const { notes } = contentOf(template(), version(files, { tags: { ...PLAIN_TAGS, zone: 'eu' } }));
      expect(notes.join()).to.contain('zone=eu');
    });
  });

  it('tells of variables by name, and never their values', () => {
    const variables = [
      variable('plain'),
      variable('token', { sensitive: true, value: '*redacted*', default_value: '*redacted*' }),
      variable('size', { value: 'hush' }),
    ];
    const { spec, notes } = contentOf(template(), version(MAIN, { variables }));
    expect(spec).to.deep.equal({ files: MAIN });
    expect(notes.join()).to.contain('size, token (sensitive)').and.not.to.contain('hush');
    expect(notes.join()).not.to.contain('plain');
  });

  it('is always what the operator finds to be active already', async () => {
    const path = fc.constantFrom('main.tf', 'a/b.tf', '.hidden', '.git/config', 'x.auto.tfvars', 'my file');
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constant('# x\r\n'));
    const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));
    const tag = fc.constantFrom('scope', 'owner', 'zone', 'arch');
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(path, fc.oneof(text, bytes), { minKeys: 1, noNullPrototype: true }),
        fc.dictionary(tag, fc.constantFrom('', 'user', 'organization', 'x'.repeat(200)), {
          noNullPrototype: true,
        }),
        fc.boolean(),
        async (files, tags, sensitive) => {
          const unpacked = await unpack(await tarOf(files, { folders: true }));
          const content: VersionContent = {
            files: { seen: 'files', ...unpacked },
            tags,
            variables: [variable('v', { sensitive, value: 'y' })],
          };
          expect(isAdopted(contentOf(template(), content).spec, content)).to.equal(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('settings of a template that are exported', () => {
  const SETTINGS = {
    display_name: 'Docker',
    description: 'Containers',
    icon: '/icon/docker.png',
    deprecation_message: '',
    default_ttl_ms: 3_600_000,
    activity_bump_ms: 60_000,
    autostop_requirement: { days_of_week: ['sunday', 'monday'], weeks: 2 },
    autostart_requirement: { days_of_week: [] },
    allow_user_autostart: true,
    allow_user_autostop: false,
    allow_user_cancel_workspace_jobs: true,
    failure_ttl_ms: 0,
    time_til_dormant_ms: 60_000,
    time_til_dormant_autodelete_ms: 0,
    require_active_version: false,
    max_port_share_level: 'public',
    cors_behavior: 'passthru',
    use_classic_parameter_flow: true,
  };

  it('are as Coder has them', () => {
    expect(exportedSettings(template(SETTINGS))).to.deep.equal({
      spec: {
        displayName: 'Docker',
        description: 'Containers',
        icon: '/icon/docker.png',
        deprecated: '',
        defaultTTLMillis: 3_600_000,
        activityBumpMillis: 60_000,
        autostopRequirement: { daysOfWeek: ['Monday', 'Sunday'], weeks: 2 },
        autostartRequirement: { daysOfWeek: [] },
        allowUserAutostart: true,
        allowUserAutostop: false,
        allowUserCancelWorkspaceJobs: true,
        failureTTLMillis: 0,
        timeTilDormantMillis: 60_000,
        timeTilDormantAutodeleteMillis: 0,
        requireActiveVersion: false,
        maxPortShareLevel: 'Public',
        corsBehavior: 'Passthru',
        useClassicParameterFlow: true,
      },
      leftOut: [],
    });
  });

  it('are all that the operator knows', () => {
    expect(Object.keys(exportedSettings(template(SETTINGS)).spec)).to.deep.equal([...SETTING_FIELDS]);
  });

  it('leave out what an older Coder does not know', () => {
    const { spec, leftOut } = exportedSettings(template());
    expect(Object.keys(spec)).to.deep.equal(['displayName', 'description', 'icon']);
    expect(leftOut).to.deep.equal([]);
  });

  const unfit: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ['displayName', { display_name: ' padded' }],
    ['displayName', { display_name: 'x'.repeat(65) }],
    ['description', { description: 'x'.repeat(129) }],
    ['icon', { icon: 'docker' }],
    ['icon', { icon: 'https://example.com/%zz' }],
    ['icon', { icon: 'https://exa mple.com/' }],
    ['icon', { icon: 'x'.repeat(257) }],
    ['deprecated', { deprecation_message: 'x'.repeat(513) }],
    ['defaultTTLMillis', { default_ttl_ms: -1 }],
    ['activityBumpMillis', { activity_bump_ms: 315_360_000_001 }],
    ['failureTTLMillis', { failure_ttl_ms: 59_999 }],
    ['autostopRequirement', { autostop_requirement: { days_of_week: [], weeks: 17 } }],
    ['maxPortShareLevel', { max_port_share_level: 'everybody' }],
    ['corsBehavior', { cors_behavior: 'magic' }],
  ];
  for (const [field, parts] of unfit) {
    it(`leave out ${field} with ${JSON.stringify(parts).slice(0, 60)}, and tell it`, () => {
      const { spec, leftOut } = exportedSettings(template(parts));
      expect(spec).not.to.have.property(field);
      expect(leftOut).to.deep.equal([field]);
    });
  }

  it('are always what the operator takes for the same', () => {
    const day = fc.constantFrom('monday', 'tuesday', 'sunday', 'someday');
    const days = fc.array(day, { maxLength: 5 });
    const ms = fc.constantFrom(-1, 0, 1, 60_000, 315_360_000_000, 315_360_000_001);
    const settings = fc.record(
      {
        display_name: fc.string(),
        description: fc.string({ maxLength: 200 }),
        icon: fc.oneof(fc.webUrl(), fc.string()),
        deprecation_message: fc.string(),
        default_ttl_ms: ms,
        activity_bump_ms: ms,
        failure_ttl_ms: ms,
        autostop_requirement: fc.record({ days_of_week: days, weeks: fc.integer({ min: 0, max: 20 }) }),
        autostart_requirement: fc.record({ days_of_week: days }),
        allow_user_autostart: fc.boolean(),
        max_port_share_level: fc.constantFrom('', 'owner', 'public', 'other'),
        cors_behavior: fc.constantFrom('', 'simple', 'other'),
      },
      { requiredKeys: ['display_name', 'description', 'icon'] },
    );
    fc.assert(
      fc.property(settings, (made) => {
        const { spec } = exportedSettings(template(made));
        const has = settingsToTheOperator(template(made));
        for (const field of SETTING_FIELDS) {
          if (spec[field] !== undefined) expect(wishOf(spec, field)).to.deep.equal(has[field]);
        }
      }),
    );
  });
});

describe('a template that is exported', () => {
  const content = version({ 'main.tf': 'x\n' });

  it('has its content and, unless asked for, no settings', () => {
    const exported = exportTemplate('coder.docker', template({ description: 'd' }), content, {
      withWishes: false,
      withParameters: false,
      namespace: 'team',
    });
    expect(exported).to.deep.equal({
      manifest: {
        apiVersion: 'coder.com/v1alpha1',
        kind: 'CoderTemplate',
        metadata: { name: 'coder.docker', namespace: 'team' },
        spec: { files: { 'main.tf': 'x\n' } },
      },
      notes: [],
    });
  });

  it('has its settings before its files, and tells which are left out', () => {
    const parts = { description: 'd', display_name: ' ' };
    const { manifest, notes } = exportTemplate('coder.docker', template(parts), content, {
      withWishes: true,
      withParameters: false,
    });
    expect(Object.keys(manifest.spec)).to.deep.equal(['description', 'icon', 'files']);
    expect(notes).to.deep.equal(['Left out, since the fields cannot hold what Coder has: displayName.']);
  });

  it('is the same bytes in whatever order Coder answers', () => {
    const detail = { withWishes: true, withParameters: false };
    const [one, other] = [
      { 'main.tf': 'x\n', 'a.md': 'y\n' },
      { 'a.md': 'y\n', 'main.tf': 'x\n' },
    ].map((files) =>
      printYaml(
        exportTemplate('coder.docker', template(), version(files, { tags: { b: '1', a: '2' } }), detail)
          .manifest,
      ),
    );
    expect(one).to.equal(other);
  });
});
