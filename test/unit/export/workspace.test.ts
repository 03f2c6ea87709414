import { expect } from 'chai';
import fc from 'fast-check';
import type { CoderWorkspaceSpec } from '../../../src/api/generated.ts';
import type { NameValue, RichParameter, Workspace, WorkspaceBuild } from '../../../src/coder/types.ts';
import { readTemplate, readWorkspace } from '../../../src/coder/readers.ts';
import { readAnswer } from '../../../src/coder/validate.ts';
import { recordOf } from '../../../src/controller/observer/record.ts';
import { decideWorkspace } from '../../../src/controller/workspace/decide.ts';
import type { WorkspaceFacts, WorkspaceStep } from '../../../src/controller/workspace/input.ts';
import { wantedVersion } from '../../../src/controller/workspace/update.ts';
import {
  exportWorkspace,
  hiddenParameters,
  listWorkspace,
  parametersOf,
} from '../../../src/export/workspace.ts';
import { buildAnswer, jobAnswer, templateAnswer, workspaceAnswer } from '../../support/coder-answers.ts';
import { seen, shown, workspaceInput } from '../../support/controller-records.ts';

const CONTEXT = { call: 'test', status: 200, requestID: undefined, mutation: false };
const NAME = 'coder.alice.dev';
const LAST = '44444444-4444-4444-8444-444444444444';
const ACTIVE = '44444444-4444-4444-8444-444444444445';

type Parts = Readonly<Record<string, unknown>>;

function workspace(parts: Parts = {}, build: Parts = {}, job: Parts = {}): Workspace {
  const latest_build = buildAnswer({ template_version_id: LAST, job: jobAnswer(job), ...build });
  return readAnswer(
    workspaceAnswer({ automatic_updates: 'never', ...parts, latest_build }),
    readWorkspace,
    CONTEXT,
  );
}

function template(parts: Parts = {}): ReturnType<typeof readTemplate> {
  return readAnswer(templateAnswer(parts), readTemplate, CONTEXT);
}

const plain = { withWishes: false, withParameters: false };
const wishes = { withWishes: true, withParameters: false };

describe('a workspace that is exported', () => {
  it('names its template and wishes nothing', () => {
    const listed = listWorkspace(NAME, workspace({ ttl_ms: 60_000 }), template(), plain);
    expect(exportWorkspace(listed, undefined, plain)).to.deep.equal({
      manifest: {
        apiVersion: 'coder.com/v1alpha1',
        kind: 'CoderWorkspace',
        metadata: { name: NAME },
        spec: { templateName: 'docker' },
      },
      notes: [],
    });
  });

  it('spells the name of its template in lower case, and leaves out one that a spec cannot hold', () => {
    const spec = (template_name: string): unknown =>
      listWorkspace(NAME, workspace({ template_name }), undefined, plain).spec;
    expect(spec('Docker')).to.deep.equal({ templateName: 'docker' });
    expect(spec('an--old-name')).to.deep.equal({});
    expect(spec('a'.repeat(33))).to.deep.equal({});
  });

  it('goes into a namespace where one is wished', () => {
    const detail = { ...plain, namespace: 'team' };
    const { manifest } = exportWorkspace(
      listWorkspace(NAME, workspace(), undefined, detail),
      undefined,
      detail,
    );
    expect(manifest.metadata).to.deep.equal({ name: NAME, namespace: 'team' });
  });

  const states: readonly (readonly [string, Parts, Parts, boolean | undefined])[] = [
    ['runs', {}, {}, true],
    ['is stopped', { transition: 'stop' }, {}, false],
    ['is being started', {}, { status: 'running' }, undefined],
    ['waits for a provisioner', {}, { status: 'pending' }, undefined],
    ['is being stopped', { transition: 'stop' }, { status: 'canceling' }, undefined],
    ['could not be started', {}, { status: 'failed' }, undefined],
    ['could not be stopped', { transition: 'stop' }, { status: 'canceled' }, undefined],
    ['could not be deleted', { transition: 'delete' }, { status: 'failed' }, undefined],
  ];
  for (const [what, build, job, running] of states) {
    it(`that ${what}: running is ${running === undefined ? 'left out, and it says why' : running}`, () => {
      const { spec, notes } = listWorkspace(NAME, workspace({}, build, job), template(), wishes);
      expect(spec.running).to.equal(running);
      expect(notes.filter((note) => note.startsWith('running'))).to.have.length(
        running === undefined ? 1 : 0,
      );
    });
  }

  it('has its settings as they are', () => {
    const settings = {
      ttl_ms: 5_400_000,
      autostart_schedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
      automatic_updates: 'always',
    };
    expect(listWorkspace(NAME, workspace(settings), template(), wishes).spec).to.deep.equal({
      templateName: 'docker',
      running: true,
      ttlMillis: 5_400_000,
      autostartSchedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
      automaticUpdates: 'Always',
    });
    // Left out by Coder, both mean never, which can be wished.
    expect(listWorkspace(NAME, workspace(), template(), wishes).spec).to.include({
      ttlMillis: 0,
      autostartSchedule: '',
      automaticUpdates: 'Never',
    });
  });

  it('leaves out what a spec cannot hold or the template says, and tells it', () => {
    const odd = { ttl_ms: 90_001, autostart_schedule: '@daily', automatic_updates: 'sometimes' };
    const { spec, notes } = listWorkspace(NAME, workspace(odd), template(), wishes);
    expect(spec).to.deep.equal({ templateName: 'docker', running: true });
    expect(notes.join('\n')).to.contain('ttlMillis is left out').and.to.contain('"@daily"');
    const fixed = template({ allow_user_autostop: false });
    const byTemplate = listWorkspace(NAME, workspace({ ttl_ms: 3_600_000 }), fixed, wishes);
    expect(byTemplate.spec).not.to.have.property('ttlMillis');
    expect(byTemplate.notes).to.have.length(1);
  });
});

describe('parameters that are exported', () => {
  const definition = (name: string, parts: Partial<RichParameter> = {}): RichParameter => ({
    name,
    type: 'string',
    mutable: true,
    required: false,
    default_value: '',
    options: [],
    ...parts,
  });

  it('are sorted, without ephemeral and unknown ones', () => {
    const values = [
      { name: 'zone', value: 'eu' },
      { name: 'once', value: 'true' },
      { name: 'cpus', value: '4' },
      { name: 'old', value: 'secret' },
    ];
    const known = [definition('cpus'), definition('zone'), definition('once', { ephemeral: true })];
    const { values: exported, notes } = parametersOf(values, known);
    expect(exported).to.deep.equal([
      { name: 'cpus', value: '4' },
      { name: 'zone', value: 'eu' },
    ]);
    expect(notes.join()).to.contain('old').and.not.to.contain('secret');
    expect(notes.join()).not.to.contain('once');
  });

  it('are left out as a whole where there are none, or the token may not see them', () => {
    expect(parametersOf([], [definition('cpus')])).to.deep.equal({ values: undefined, notes: [] });
    const detail = { ...plain, withParameters: true };
    const listed = listWorkspace(NAME, workspace(), undefined, detail);
    const { manifest, notes } = exportWorkspace(listed, hiddenParameters, detail);
    expect(manifest.spec).to.deep.equal({ templateName: 'docker' });
    expect(notes.join()).to.contain('does not show them');
  });

  it('are left out where a spec cannot hold them', () => {
    const many = Array.from({ length: 65 }, (_, i) => `p${String(i).padStart(2, '0')}`);
    const values = [...many.map((name) => ({ name, value: 'x' })), { name: 'long', value: 'x'.repeat(4097) }];
    const { values: exported = [], notes } = parametersOf(
      values,
      [...many, 'long'].map((n) => definition(n)),
    );
    expect(exported).to.have.length(64);
    expect(notes.join()).to.contain('long').and.to.contain('p64');
  });

  it('are judged by the version of the next start, as the operator has it', () => {
    const cases: readonly (readonly [Workspace, string])[] = [
      [workspace({ template_active_version_id: ACTIVE }), LAST],
      [workspace({ template_active_version_id: ACTIVE, automatic_updates: 'always' }), ACTIVE],
      [workspace({ template_active_version_id: ACTIVE }, {}, { status: 'failed' }), ACTIVE],
      [workspace({ template_active_version_id: ACTIVE }, { transition: 'stop' }, { status: 'failed' }), LAST],
      [workspace({ automatic_updates: 'always' }), LAST],
    ];
    for (const [made, version] of cases) {
      const { versionID } = listWorkspace(NAME, made, undefined, plain);
      expect(versionID).to.equal(version);
      expect(wantedVersion(workspaceInput({ spec: { parameters: [] } }), recordOf(made))).to.equal(version);
    }
  });
});

describe('the rules of a workspace, given one that was exported', () => {
  interface Case {
    readonly made: Workspace;
    readonly values: readonly NameValue[];
    readonly definitions: Readonly<Record<string, readonly RichParameter[]>>;
  }

  /** Decides until it rests or sends something; whatever is asked for is as Coder has it. */
  function applied({ made, values, definitions }: Case, withParameters: boolean): WorkspaceStep {
    const detail = { withWishes: true, withParameters };
    const listed = listWorkspace(NAME, made, undefined, detail);
    const parameters = withParameters ? parametersOf(values, definitions[listed.versionID] ?? []) : undefined;
    const { manifest } = exportWorkspace(listed, parameters, detail);
    const full = manifest.spec as CoderWorkspaceSpec;
    const record = recordOf(made);
    let facts: Partial<WorkspaceFacts> = {};
    for (let i = 0; i < 20; i++) {
      const input = workspaceInput({ metadata: { name: NAME }, spec: full }, facts);
      const step = decideWorkspace(input);
      if (step.do !== 'read') return step;
      const wished = full.parameters?.map(({ name, value = '' }) => ({ name, value, isSecret: false })) ?? [];
      const all: Partial<WorkspaceFacts> = {
        workspaceByName: seen(record),
        workspace: seen(record),
        values: { state: 'resolved', values: wished, hash: 'hash' },
        buildParameters: { buildID: record.build.id, values },
        definitions: {
          state: 'known',
          versionID: wantedVersion(input, record),
          parameters: definitions[wantedVersion(input, record)] ?? [],
        },
      };
      const fact = step.fact === 'freshWorkspace' ? 'workspace' : step.fact;
      facts = { ...facts, [fact]: all[fact as keyof typeof all] };
    }
    throw new Error('the rules go round in circles');
  }

  const parameter: fc.Arbitrary<RichParameter> = fc.record({
    name: fc.constantFrom('cpus', 'zone', 'once', 'gone'),
    type: fc.constant('string'),
    mutable: fc.boolean(),
    required: fc.boolean(),
    ephemeral: fc.boolean(),
    default_value: fc.constant('x'),
    options: fc.constant([]),
  });
  const definitions = fc.uniqueArray(parameter, { selector: ({ name }) => name });
  const build = fc.record({
    transition: fc.constantFrom('start', 'stop', 'delete'),
    job: fc.constantFrom('pending', 'running', 'canceling', 'succeeded', 'failed', 'canceled'),
    reason: fc.constantFrom('initiator', 'autostop', 'autostart', 'dormancy'),
  });
  const anyCase: fc.Arbitrary<Case> = fc
    .record({
      build,
      settings: fc.record({
        ttl_ms: fc.constantFrom(undefined, 0, 60_000, 90_001, 2_592_000_000),
        autostart_schedule: fc.constantFrom(undefined, '', '30 9 * * 1-5', '@daily'),
        automatic_updates: fc.constantFrom(undefined, 'always', 'never'),
        dormant_at: fc.constantFrom(null, '2026-01-02T03:04:05Z'),
        template_active_version_id: fc.constantFrom(LAST, ACTIVE),
      }),
      values: fc.uniqueArray(
        fc.record({
          name: fc.constantFrom('cpus', 'zone', 'once', 'gone'),
          value: fc.constantFrom('', 'x', 'y'),
        }),
        { selector: ({ name }) => name },
      ),
      last: definitions,
      active: definitions,
    })
    .map(({ build: { transition, job, reason }, settings, values, last, active }) => ({
      made: workspace(settings, { transition, reason } satisfies Partial<WorkspaceBuild>, { status: job }),
      values,
      definitions: { [LAST]: last, [ACTIVE]: active },
    }));

  it('send nothing, whatever the workspace is like', () => {
    fc.assert(
      fc.property(anyCase, fc.boolean(), (made, withParameters) => {
        const step = applied(made, withParameters);
        expect(step.do, JSON.stringify(step)).to.equal('report');
      }),
      { numRuns: 1000 },
    );
  });

  it('find an ordinary one in order at once', () => {
    const known = [
      { name: 'cpus', type: 'string', mutable: true, required: true, default_value: '', options: [] },
    ];
    for (const transition of ['start', 'stop']) {
      const step = applied(
        {
          made: workspace({ ttl_ms: 3_600_000, autostart_schedule: '30 9 * * 1-5' }, { transition }),
          values: [{ name: 'cpus', value: '4' }],
          definitions: { [LAST]: known },
        },
        true,
      );
      if (step.do !== 'report') throw new Error(step.do);
      expect(shown(step.status)).to.deep.equal([
        `Ready=True/${transition === 'start' ? 'Running' : 'Stopped'}`,
        'Synced=True/SyncSucceeded',
      ]);
      expect(step.status.origin).to.equal('Adopted');
    }
  });
});
