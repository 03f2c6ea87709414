import { expect } from 'chai';
import type { CoderWorkspaceSpec } from '../../../../src/api/generated.ts';
import type { RichParameter } from '../../../../src/coder/types.ts';
import type {
  PinnedVersion,
  WorkspaceFacts,
  WorkspaceStep,
} from '../../../../src/controller/workspace/input.ts';
import { richParameter } from '../../../support/controller-coder.ts';
import { wired } from '../../../support/controller-kube.ts';
import {
  build,
  expectStep,
  messageOf,
  shown,
  TEMPLATE_ID,
  VERSION_ID,
} from '../../../support/controller-records.ts';
import {
  asks,
  boundInput,
  built,
  decideBound,
  resolved,
  STOPPED,
  type BoundCase,
} from '../../../support/workspace-rules.ts';
import { wantedVersion } from '../../../../src/controller/workspace/update.ts';

const PIN = '0e000000-0000-4000-8000-00000000000a';
const pinned: PinnedVersion = {
  id: PIN,
  name: 'two',
  templateID: TEMPLATE_ID,
  jobStatus: 'succeeded',
  isArchived: false,
};
const cpu = richParameter({ name: 'cpu', type: 'number', default: '1', min: 1, max: 8 });
const disk = richParameter({ name: 'disk', default: 'small', mutable: false });
const once = richParameter({ name: 'seed', default: '', ephemeral: true });
const parameters = [{ name: 'cpu', value: '4' }];

/** A workspace that is stopped and shall run. */
const toStart = (
  spec: CoderWorkspaceSpec,
  facts: Partial<WorkspaceFacts> = {},
  over: BoundCase = {},
): WorkspaceStep => decideBound({ ...over, spec: { running: true, ...spec }, build: STOPPED, facts });

/** A workspace that runs as it is wished. */
const running = (
  spec: CoderWorkspaceSpec,
  facts: Partial<WorkspaceFacts> = {},
  over: BoundCase = {},
): WorkspaceStep => decideBound({ ...over, spec: { running: true, ...spec }, facts });

function startOf(step: WorkspaceStep): object {
  const { operation } = expectStep(step, 'write');
  if (operation.type !== 'Start') throw new Error(`expected a start, but it is ${operation.type}`);
  return wired({
    templateVersionID: operation.templateVersionID,
    parameters: operation.parameters,
  }) as object;
}

describe('version and parameters', () => {
  describe('the version of a start', () => {
    const versions: [string, CoderWorkspaceSpec, BoundCase['record'], Partial<WorkspaceFacts>, object][] = [
      ['that of the last build, when none is wished', {}, { templateActiveVersionID: 'newer' }, {}, {}],
      [
        'the one that is pinned by its id',
        { templateVersionID: PIN },
        {},
        { version: { version: pinned } },
        { templateVersionID: PIN },
      ],
      [
        'the one that is pinned by its name',
        { templateVersionName: 'two' },
        {},
        { version: { version: pinned } },
        { templateVersionID: PIN },
      ],
      [
        'the pinned one although another is active',
        { templateVersionID: PIN, updatePolicy: 'OnNextStart' },
        { templateActiveVersionID: 'newer' },
        { version: { version: pinned } },
        { templateVersionID: PIN },
      ],
      [
        'the active one, with OnNextStart',
        { updatePolicy: 'OnNextStart' },
        { templateActiveVersionID: 'newer' },
        {},
        { templateVersionID: 'newer' },
      ],
      [
        'the active one, with Restart',
        { updatePolicy: 'Restart' },
        { templateActiveVersionID: 'newer' },
        {},
        { templateVersionID: 'newer' },
      ],
      [
        'the active one, with automatic updates',
        {},
        { templateActiveVersionID: 'newer', automaticUpdates: 'Always' },
        {},
        { templateVersionID: 'newer' },
      ],
      [
        'that of the last build, when the active one is not to be seen',
        { updatePolicy: 'Restart' },
        { templateActiveVersionID: '' },
        {},
        {},
      ],
      [
        'that of the last build, when it is not to be seen in spite of automatic updates',
        {},
        { templateActiveVersionID: '', automaticUpdates: 'Always' },
        {},
        {},
      ],
    ];
    for (const [name, spec, record, facts, sent] of versions) {
      it(`U16 is ${name}`, () => {
        const over = { record: { ...record, build: build(STOPPED) } };
        expect(startOf(toStart(spec, facts, over))).to.deep.equal(sent);
      });
    }

    it('U16 a pin that the workspace has already is not read, and sent all the same', () => {
      for (const spec of [{ templateVersionID: VERSION_ID }, { templateVersionName: 'one' }]) {
        expect(startOf(toStart(spec))).to.deep.equal({ templateVersionID: VERSION_ID });
      }
    });

    it('U16 a pin is kept after a start that failed, whatever is active', () => {
      const failed = build({ jobStatus: 'failed', initiatorID: 'somebody' });
      const record = { templateActiveVersionID: 'mended', build: failed };
      expect(
        startOf(decideBound({ spec: { running: true, templateVersionID: VERSION_ID }, record })),
      ).to.deep.equal({
        templateVersionID: VERSION_ID,
      });
      expect(startOf(decideBound({ spec: { running: true }, record }))).to.deep.equal({
        templateVersionID: 'mended',
      });
    });

    it('U16 a stop takes none', () => {
      const step = decideBound({ spec: { running: false, templateVersionID: PIN, parameters } });
      expect(wired(expectStep(step, 'write').operation)).to.not.have.any.keys(
        'templateVersionID',
        'parameters',
      );
    });
  });

  describe('a pin', () => {
    const problems: [string, PinnedVersion | undefined, string, string, object][] = [
      [
        'U1 that is not there',
        undefined,
        'Reconciling=True/WaitingForDependency',
        'no template version',
        { until: 'backoff' },
      ],
      [
        'U2 of another template',
        { ...pinned, templateID: 'other' },
        'Stalled=True/InvalidParameters',
        'belongs to another template',
        { until: 'woken' },
      ],
      [
        'U2 of no template',
        { ...pinned, templateID: undefined },
        'Stalled=True/InvalidParameters',
        'belongs to another template',
        { until: 'woken' },
      ],
      [
        'U3 whose import failed',
        { ...pinned, jobStatus: 'failed', isArchived: false },
        'Stalled=True/InvalidParameters',
        'the import of the version two failed',
        { until: 'woken' },
      ],
      [
        'U3 whose import was canceled',
        { ...pinned, jobStatus: 'canceled', isArchived: false },
        'Stalled=True/InvalidParameters',
        'the import of the version two failed',
        { until: 'woken' },
      ],
      [
        'U3 that is archived',
        { ...pinned, isArchived: true },
        'Stalled=True/InvalidParameters',
        'the version two is archived',
        { until: 'woken' },
      ],
      [
        'U4 that waits to be imported',
        { ...pinned, jobStatus: 'pending', isArchived: false },
        'Reconciling=True/WaitingForImport',
        'two is being imported',
        { until: 'time', afterMs: 2_000 },
      ],
      [
        'U4 that is being imported',
        { ...pinned, jobStatus: 'running', isArchived: false },
        'Reconciling=True/WaitingForImport',
        'two is being imported',
        { until: 'time', afterMs: 2_000 },
      ],
    ];
    for (const spec of [{ templateVersionID: PIN }, { templateVersionName: 'two' }]) {
      const [field = ''] = Object.keys(spec);
      it(`P12 by ${field} is read before a start`, () => {
        expect(toStart(spec)).to.deep.equal({ do: 'read', fact: 'version' });
      });
      for (const [name, version, condition, text, rest] of problems) {
        it(`${name}, by ${field}: nothing is started`, () => {
          const step = expectStep(toStart(spec, { version: { version } }), 'report');
          expect(shown(step.status)).to.include(condition);
          expect(messageOf(step.status)).to.contain(text);
          if (condition.startsWith('Stalled')) expect(messageOf(step.status)).to.contain(`spec.${field}`);
          expect(step.rest).to.deep.equal(rest);
        });
      }
    }
  });

  describe('parameters of a start', () => {
    const spec = { parameters };
    const known = { values: resolved({ cpu: '4' }), ...built({ cpu: '1' }), ...asks([cpu]) };

    it('U16 are sent, all that are wished and nothing else', () => {
      const current = built({ cpu: '4', disk: 'large' });
      const facts = { values: resolved({ cpu: '4' }), ...current, ...asks([cpu, disk]) };
      expect(startOf(toStart(spec, facts))).to.deep.equal({ parameters });
    });

    it('U16 with automatic updates are checked against the active version', () => {
      const record = {
        templateActiveVersionID: 'newer',
        automaticUpdates: 'Always' as const,
        build: build(STOPPED),
      };
      expect(toStart(spec, known, { record })).to.deep.equal({ do: 'read', fact: 'definitions' });
      const facts = { ...known, ...asks([cpu], 'newer') };
      expect(startOf(toStart(spec, facts, { record }))).to.deep.equal({
        templateVersionID: 'newer',
        parameters,
      });
    });

    it('U16 after a start that failed are checked against the active version, which it takes', () => {
      const failed = build({ jobStatus: 'failed', initiatorID: 'somebody' });
      const given = {
        spec: { running: true, parameters: [{ name: 'size', value: 'xl' }] },
        record: { templateActiveVersionID: 'mended', build: failed },
      };
      const facts = { values: resolved({ size: 'xl' }), ...built({ cpu: '1' }) };
      const decide = (more: Partial<WorkspaceFacts>): WorkspaceStep =>
        decideBound({ ...given, facts: { ...facts, ...more } });
      expect(decide(asks([cpu]))).to.deep.equal({ do: 'read', fact: 'definitions' });
      const input = boundInput(given);
      const { workspace } = input.facts;
      expect(wantedVersion(input, workspace?.seen === 'found' ? workspace.value : undefined)).to.equal(
        'mended',
      );
      expect(startOf(decide(asks([richParameter({ name: 'size' })], 'mended')))).to.deep.equal({
        templateVersionID: 'mended',
        parameters: [{ name: 'size', value: 'xl' }],
      });
      const refused = expectStep(decide(asks([cpu], 'mended')), 'report');
      expect(shown(refused.status)).to.include('Stalled=True/InvalidParameters');
      expect(messageOf(refused.status)).to.contain('"size" is unknown');
    });

    it('U16 are remembered by a hash in which the version counts too', () => {
      const hashOf = (step: WorkspaceStep): string | undefined =>
        expectStep(step, 'write').status.applied?.update;
      const first = hashOf(toStart(spec, known));
      expect(first).to.match(/^[0-9a-f]{16}$/);
      expect(hashOf(toStart(spec, known))).to.equal(first);
      expect(hashOf(toStart(spec, { ...known, values: resolved({ cpu: '4' }, 'wish-2') }))).to.not.equal(
        first,
      );
      expect(hashOf(toStart({ ...spec, templateVersionID: VERSION_ID }, known))).to.not.equal(first);
      expect(hashOf(toStart({}))).to.equal(undefined);
    });

    const reads: [string, Partial<WorkspaceFacts>, string][] = [
      ['values', {}, 'values'],
      ['what the last build had', { values: resolved({ cpu: '4' }) }, 'buildParameters'],
      [
        'what the newest build had, when another is known',
        { values: resolved({ cpu: '4' }), buildParameters: { buildID: 'older', values: [] } },
        'buildParameters',
      ],
      ['what the version asks for', { values: resolved({ cpu: '4' }), ...built({}) }, 'definitions'],
      [
        'what this version asks for, when that of another is known',
        { values: resolved({ cpu: '4' }), ...built({}), ...asks([cpu], 'older') },
        'definitions',
      ],
    ];
    for (const [name, facts, fact] of reads) {
      it(`P12 ask for ${name}`, () => {
        expect(toStart(spec, facts)).to.deep.equal({ do: 'read', fact });
        expect(running(spec, facts)).to.deep.equal({ do: 'read', fact });
      });
    }

    const missing = { reason: 'WaitingForDependency', message: 'there is no Secret sizes' } as const;
    const forbidden = { reason: 'SecretForbidden', message: 'the Secret sizes may not be read' } as const;
    const problems: [string, Partial<WorkspaceFacts>, string, RegExp, object][] = [
      [
        'U5 the version is not to be seen',
        { definitions: { state: 'missing', versionID: VERSION_ID } },
        'Reconciling=True/WaitingForDependency',
        /no template version/,
        { until: 'backoff' },
      ],
      [
        'U6 the version is being imported',
        { definitions: { state: 'importing', versionID: VERSION_ID } },
        'Reconciling=True/WaitingForImport',
        /is being imported/,
        { until: 'time', afterMs: 2_000 },
      ],
      [
        'U7 a Secret is missing',
        { values: { state: 'missing', cause: missing } },
        'Reconciling=True/WaitingForDependency',
        /no Secret sizes/,
        { until: 'time', afterMs: 10_000 },
      ],
      [
        'U8 a Secret may not be read',
        { values: { state: 'forbidden', cause: forbidden } },
        'Stalled=True/SecretForbidden',
        /may not be read/,
        { until: 'time', afterMs: 10_000 },
      ],
      [
        'U9 one is unknown',
        { ...asks([disk]), ...built({ disk: 'small' }) },
        'Stalled=True/InvalidParameters',
        /"cpu" is unknown.*disk/,
        { until: 'woken' },
      ],
      [
        'U9 one is out of its limits',
        { values: resolved({ cpu: '9' }) },
        'Stalled=True/InvalidParameters',
        /"cpu" must not be above 8/,
        { until: 'woken' },
      ],
      [
        'U9 one is of another type',
        { values: resolved({ cpu: 'many' }) },
        'Stalled=True/InvalidParameters',
        /"cpu" must be a number/,
        { until: 'woken' },
      ],
      [
        'U9 one that cannot be changed has another value',
        { values: resolved({ disk: 'large' }), ...built({ disk: 'small' }), ...asks([disk]) },
        'Stalled=True/InvalidParameters',
        /"disk" cannot be changed any more/,
        { until: 'woken' },
      ],
      [
        'U9 several are wrong: each is named',
        { values: resolved({ cpu: '9', disk: 'large' }), ...built({ disk: 'small' }), ...asks([cpu, disk]) },
        'Stalled=True/InvalidParameters',
        /"cpu".*"disk"/,
        { until: 'woken' },
      ],
    ];
    for (const [name, facts, condition, text, rest] of problems) {
      it(`${name}: nothing is started, and one that runs says so too`, () => {
        for (const decide of [toStart, running]) {
          const step = expectStep(decide(spec, { ...known, ...facts }), 'report');
          expect(shown(step.status)).to.include(condition);
          expect(messageOf(step.status)).to.match(text);
          expect(step.rest).to.deep.equal(rest);
          expect(step.event?.type).to.equal(condition.includes('WaitingForImport') ? undefined : 'Warning');
        }
      });
    }

    it('P14 wrong ones keep nothing from being stopped', () => {
      const step = decideBound({
        spec: { ...spec, running: false },
        facts: { values: { state: 'missing', cause: missing } },
      });
      expect(expectStep(step, 'write').operation.type).to.equal('Stop');
    });

    it('a missing Secret is told while power is left to others, too', () => {
      const step = decideBound({ spec, facts: { values: { state: 'missing', cause: missing } } });
      expect(shown(expectStep(step, 'report').status)).to.include('Reconciling=True/WaitingForDependency');
    });
  });

  describe('what is remembered of a comparison', () => {
    const spec = { parameters, updatePolicy: 'OnNextStart' as const };
    const facts = { values: resolved({ cpu: '4' }), ...asks([cpu]) };

    it('U10 of what is equal: it counts as carried out, and is decided from memory', () => {
      const step = expectStep(running(spec, { ...facts, ...built({ cpu: '4' }) }), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/Running', 'Synced=True/SyncSucceeded']);
      expect(wired(step.status.parameters)).to.deep.equal({ wish: 'wish-1', build: 1 });
      expect(step.status.applied?.update).to.match(/^[0-9a-f]{16}$/);
      const values = resolved({ cpu: '4' });
      const again = expectStep(running(spec, { values }, { status: step.status, fresh: false }), 'report');
      expect(wired(again.status)).to.deep.equal(wired(step.status));
    });

    it('U11 of what differs: their names, and no value', () => {
      const step = expectStep(running(spec, { ...facts, ...built({ cpu: '1' }) }), 'report');
      expect(step.status.parameters).to.deep.equal({ wish: 'wish-1', build: 1, differing: ['cpu'] });
      expect(step.status.applied).to.equal(undefined);
      const again = expectStep(
        running(spec, { values: resolved({ cpu: '4' }) }, { status: step.status }),
        'report',
      );
      expect(again.status).to.deep.equal(step.status);
    });

    it('U11 of very many: as many names as are remembered, the first time and from memory', () => {
      const names = Array.from({ length: 40 }, (_, i) => `p${String(i).padStart(2, '0')}`);
      const many = {
        parameters: names.map((name) => ({ name, value: 'x' })),
        updatePolicy: 'OnNextStart' as const,
      };
      const wished = { values: resolved(Object.fromEntries(names.map((name) => [name, 'x']))) };
      const known = { ...wished, ...built({}), ...asks(names.map((name) => richParameter({ name }))) };
      const step = expectStep(running(many, known), 'report');
      expect(messageOf(step.status, 'Drifted')).to.contain('p04 and ');
      expect(step.status.parameters?.differing).to.have.length.below(names.length);
      const again = expectStep(running(many, wished, { status: step.status, fresh: false }), 'report');
      expect(again.status).to.deep.equal(step.status);
      expect(again.event).to.equal(undefined);
    });

    const forgetting: [string, BoundCase['build'], WorkspaceFacts['values'] | undefined][] = [
      ['another build', { number: 2 }, resolved({ cpu: '4' })],
      ['another value', {}, resolved({ cpu: '8' }, 'wish-2')],
    ];
    for (const [name, parts, values] of forgetting) {
      it(`is compared again after ${name}`, () => {
        const { status } = expectStep(running(spec, { ...facts, ...built({ cpu: '4' }) }), 'report');
        const step = decideBound({
          spec: { running: true, ...spec },
          status,
          ...(parts === undefined ? {} : { build: parts }),
          facts: { values: values! },
        });
        expect(step).to.deep.equal({ do: 'read', fact: 'buildParameters' });
      });
    }

    it('is forgotten when nothing of it is wished any more', () => {
      const { status } = expectStep(running(spec, { ...facts, ...built({ cpu: '4' }) }), 'report');
      const step = expectStep(running({}, {}, { status }), 'report');
      expect(step.status.parameters).to.equal(undefined);
      expect(step.status.applied).to.equal(undefined);
    });

    it('a parameter for one build only never differs', () => {
      const values = resolved({ seed: 'x' });
      const step = expectStep(running(spec, { values, ...built({}), ...asks([once]) }), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/Running', 'Synced=True/SyncSucceeded']);
    });

    it('no parameters at all are a wish too, which nothing differs from', () => {
      const step = expectStep(
        running({ parameters: [] }, { values: resolved({}), ...built({ cpu: '1' }), ...asks([cpu]) }),
        'report',
      );
      expect(shown(step.status)).to.include('Ready=True/Running');
    });

    it('R4 values from a Secret are read again each minute', () => {
      const valueFrom = { secretKeyRef: { name: 'sizes', key: 'cpu' } };
      const step = running(
        { parameters: [{ name: 'cpu', valueFrom }] },
        { ...facts, ...built({ cpu: '4' }) },
      );
      expect(expectStep(step, 'report').rest).to.deep.equal({ until: 'time', afterMs: 60_000 });
      const plain = running({ parameters }, { ...facts, ...built({ cpu: '4' }) });
      expect(expectStep(plain, 'report').rest).to.deep.equal({ until: 'woken' });
    });
  });

  it('the version whose parameters are read is always the one that the rules ask about', () => {
    const definitions: readonly RichParameter[] = [cpu];
    const specs: CoderWorkspaceSpec[] = [
      {},
      { templateVersionID: PIN },
      { templateVersionName: 'two' },
      { templateVersionID: VERSION_ID },
      { templateVersionName: 'one' },
      { templateVersionName: 'two', updatePolicy: 'Restart' },
      { updatePolicy: 'OnNextStart' },
      { updatePolicy: 'Restart' },
    ];
    for (const spec of specs) {
      const isOther = spec.templateVersionID === PIN || spec.templateVersionName === 'two';
      for (const automaticUpdates of ['Always', 'Never'] as const) {
        for (const templateActiveVersionID of ['newer', VERSION_ID, PIN, '']) {
          for (const parts of [STOPPED, {}]) {
            const facts = {
              values: resolved({ cpu: '4' }),
              ...built({ cpu: '1' }),
              ...(isOther ? { version: { version: pinned } } : {}),
            };
            const record = { automaticUpdates, templateActiveVersionID, build: build(parts) };
            const given = { spec: { running: true, parameters, ...spec }, record, facts };
            expect(decideBound(given)).to.deep.equal({ do: 'read', fact: 'definitions' });
            const input = boundInput(given);
            const workspace = input.facts.workspace;
            const wanted = wantedVersion(input, workspace?.seen === 'found' ? workspace.value : undefined);
            const step = decideBound({ ...given, facts: { ...facts, ...asks(definitions, wanted) } });
            expect(step.do, JSON.stringify({ spec, record })).to.not.equal('read');
          }
        }
      }
    }
  });
});
