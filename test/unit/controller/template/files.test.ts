import { expect } from 'chai';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { contentHash, filesHash, versionName } from '../../../../src/coder/contenthash.ts';
import { decideTemplate } from '../../../../src/controller/template/decide.ts';
import type { TemplateFacts, TemplateStep } from '../../../../src/controller/template/input.ts';
import { DEPLOYMENT, ORGANIZATION } from '../../../support/controller-coder.ts';
import {
  contentFact,
  expectStep,
  keyOf,
  messageOf,
  NOW,
  seen,
  shown,
  TEMPLATE_ID,
  templateInput,
  templateRecord,
  unseen,
  VERSION_ID,
  versionRecord,
} from '../../../support/controller-records.ts';
import { controlPlane } from '../../../support/workspace-rules.ts';

const FILES = { 'main.tf': '# one' };
const KEY = keyOf(FILES);
const [FIRST, SECOND] = [versionName(KEY, 1), versionName(KEY, 2)];
const NEW_ID = '0e000000-0000-4000-8000-000000000009';
const held = { finalizers: [finalizers.template] };
const asked = { ...held, annotations: { [annotations.reconcileRequestedAt]: 'again' } };
/** Other content is the active one. */
const bound: CoderTemplateStatus = {
  id: TEMPLATE_ID,
  origin: 'Created',
  deploymentID: DEPLOYMENT,
  organizationName: 'acme',
  templateName: 'docker',
  activeVersion: { id: VERSION_ID, name: 'one' },
  contentHash: 'of other files',
  contentVersionID: VERSION_ID,
};
const there: Partial<TemplateFacts> = {
  template: seen(templateRecord()),
  versionByName: { name: FIRST, version: undefined },
};
const manual = { files: FILES, promotion: 'Manual' } as const;
const withSecret = {
  files: FILES,
  variables: [{ name: 'password', valueFrom: { secretKeyRef: { name: 'values', key: 'password' } } }],
};
const secretly = contentFact(FILES, {
  variables: [{ name: 'password', value: 'hunter2', isSecret: true }],
});

interface Given {
  readonly status?: CoderTemplateStatus;
  /** Undefined for one that is not known. */
  readonly facts?: { readonly [Fact in keyof TemplateFacts]?: TemplateFacts[Fact] | undefined };
  readonly spec?: CoderTemplateSpec;
  readonly metadata?: object;
}

function decided({ status = bound, facts = {}, spec, metadata = held }: Given = {}): TemplateStep {
  const parts = { status, metadata, ...(spec === undefined ? {} : { spec }) };
  return decideTemplate(templateInput(parts, { ...there, ...facts } as Partial<TemplateFacts>));
}

/** The pending version of the first try, and what Coder says of it now. */
function imported(
  over: Parameters<typeof versionRecord>[0],
  pending: Partial<NonNullable<CoderTemplateStatus['pendingVersion']>> = {},
): Pick<Required<Given>, 'status' | 'facts'> {
  const version = versionRecord({ id: NEW_ID, name: FIRST, templateID: TEMPLATE_ID, ...over });
  return {
    status: { ...bound, pendingVersion: { name: FIRST, id: NEW_ID, attempt: 1, ...pending } },
    facts: { version: { id: NEW_ID, version } },
  };
}

describe('files on their way to a version', () => {
  describe('wait for their turn', () => {
    it('which is taken only when nothing else is to be known', () => {
      expect(decided({ facts: { upload: undefined } })).to.deep.equal({ do: 'read', fact: 'upload' });
      const unknown = { upload: undefined, versionByName: undefined };
      expect(decided({ facts: unknown })).to.deep.equal({ do: 'read', fact: 'versionByName' });
    });

    it('and say so, with nothing announced and no request taken for heard', () => {
      const step = expectStep(decided({ facts: { upload: { waitMs: 7_000 } }, metadata: asked }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/Importing',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/WaitingForUpload',
      ]);
      expect(messageOf(step.status)).to.contain(FIRST).and.to.contain('twelve uploads a minute');
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 7_000 });
      expect(step.status).to.not.have.any.keys('pendingVersion', 'lastHandledReconcileAt');
    });

    it('also for another try, and remember what failed', () => {
      const failed = imported(
        { jobStatus: 'failed', error: 'no' },
        { jobStatus: 'failed', failedAt: '2026-01-02T03:03:05Z' },
      );
      const step = decided({ ...failed, facts: { ...failed.facts, upload: { waitMs: 7_000 } } });
      const { status } = expectStep(step, 'report');
      expect(shown(status)).to.include('Reconciling=True/WaitingForUpload');
      expect(messageOf(status)).to.contain(SECOND);
      expect(status.pendingVersion).to.deep.include({ name: FIRST, failedAt: '2026-01-02T03:03:05Z' });
    });

    it('and take none while suspended', () => {
      const suspended: Given[] = [
        { facts: { connection: controlPlane({ suspended: true }) } },
        { spec: { files: FILES, suspend: true } },
      ];
      for (const { facts, ...given } of suspended) {
        const step = expectStep(decided({ ...given, facts: { ...facts, upload: undefined } }), 'report');
        expect(shown(step.status)).to.include('Ready=False/Suspended');
        expect(step.status.pendingVersion).to.equal(undefined);
      }
    });
  });

  it('are asked for before their turn, which is to be used at once', () => {
    const source = { digest: `sha256:${'a'.repeat(64)}`, filesHash: filesHash(FILES) };
    const content = contentFact(FILES, { files: undefined, source });
    expect(decided({ facts: { content, upload: undefined } })).to.deep.equal({ do: 'read', fact: 'files' });
    expect(decided({ facts: { upload: undefined } })).to.deep.equal({ do: 'read', fact: 'upload' });
  });

  it('are announced with where they are from, and with what was left out', () => {
    const source = {
      revision: 'main@sha1:1',
      digest: `sha256:${'a'.repeat(64)}`,
      filesHash: filesHash(FILES),
    };
    const leftOut = ['.git/', '.gitignore', 'a.tfstate', 'b.tfstate', 'c.tfstate', 'd.tfstate'];
    const spec = { source: { sourceRef: { kind: 'Bucket', name: 'code' } } } as const;
    const content = contentFact(FILES, { source, leftOut });
    const step = expectStep(decided({ spec, facts: { content } }), 'write');
    expect(step.status.source).to.deep.equal(source);
    expect(step.event).to.deep.include({ type: 'Normal', reason: 'Importing' });
    expect(step.event?.message).to.equal(
      `Uploading the content of the Bucket code as version ${FIRST}; left out: .git/, .gitignore, a.tfstate, b.tfstate, c.tfstate, …`,
    );
  });

  describe('of an import that failed', () => {
    const missing = {
      jobStatus: 'failed',
      error: 'update job: required template variables need values: region',
      errorCode: 'REQUIRED_TEMPLATE_VARIABLES',
    };

    it('for want of variables need a person at once', () => {
      const failed = imported(missing);
      const step = expectStep(decided(failed), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/ImportFailed',
        'Synced=True/SyncSucceeded',
        'Stalled=True/ImportFailed',
      ]);
      expect(messageOf(step.status)).to.contain('values: region').and.to.contain('spec.variables');
      expect(step.rest).to.deep.equal({ until: 'woken' });
      const years = { ...step.status, pendingVersion: { name: FIRST, ...step.status.pendingVersion } };
      const later = {
        ...years,
        pendingVersion: { ...years.pendingVersion, failedAt: '2020-01-01T00:00:00Z' },
      };
      expect(shown(expectStep(decided({ ...failed, status: later }), 'report').status)).to.include(
        'Stalled=True/ImportFailed',
      );
      const again = expectStep(decided({ ...failed, metadata: asked }), 'write');
      expect(again.operation).to.deep.include({ type: 'CreateVersion', name: SECOND });
      expect(again.status.lastHandledReconcileAt).to.equal('again');
    });

    it('for want of variables say which, also where others come from a Secret', () => {
      const failed = imported(missing);
      const step = decided({ ...failed, spec: withSecret, facts: { ...failed.facts, content: secretly } });
      expect(messageOf(expectStep(step, 'report').status)).to.contain('values: region');
    });

    it('are told why', () => {
      const { status } = expectStep(
        decided(imported({ jobStatus: 'failed', error: 'main.tf is wrong' })),
        'report',
      );
      expect(status.pendingVersion?.error).to.equal('main.tf is wrong');
      expect(messageOf(status)).to.contain('main.tf is wrong');
    });

    it('are not told why where a variable comes from a Secret', () => {
      const failed = imported({ jobStatus: 'failed', error: 'hunter2 is wrong' });
      const step = decided({ ...failed, spec: withSecret, facts: { ...failed.facts, content: secretly } });
      const { status } = expectStep(step, 'report');
      expect(messageOf(status)).to.contain(`the log of the version ${FIRST}`);
      expect(JSON.stringify(step)).to.not.contain('hunter2');
      const error = status.pendingVersion?.error ?? '';
      const without = imported({ jobStatus: 'failed', error: 'hunter2 is wrong' }, { error });
      expect(JSON.stringify(decided(without)), 'nor when the reference is gone').to.not.contain('hunter2');
    });

    it('that was cancelled are tried again', () => {
      const step = decided(imported({ jobStatus: 'canceled' }));
      expect(shown(expectStep(step, 'report').status)).to.include('Reconciling=True/ImportFailed');
    });
  });

  describe('of an import that succeeded', () => {
    const variables = [{ name: 'imgae', value: 'ubuntu', isSecret: false }];
    const content = contentFact(FILES, { variables, variablesHash: 'v' });
    const key = contentHash({ filesHash: filesHash(FILES), provisioner: 'terraform', variablesHash: 'v' });
    const name = versionName(key, 1);
    const succeeded = imported({ name }, { name, jobStatus: 'running' });
    const declaring = (names: readonly string[] | undefined): Required<Given>['facts'] => ({
      ...succeeded.facts,
      content,
      importDetails: new Map([[NEW_ID, { variables: names }]]),
    });

    it('are asked for the variables that are there, if any are wished', () => {
      const step = decided({
        ...succeeded,
        facts: { ...succeeded.facts, content, importDetails: undefined },
      });
      expect(step).to.deep.equal({ do: 'read', fact: 'importDetails' });
    });

    it('and lack a variable that is wished need a person', () => {
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const promotion of ['Automatic', 'Manual'] as const) {
        const spec = { files: FILES, promotion };
        const step = expectStep(decided({ ...succeeded, spec, facts: declaring(names) }), 'report');
        expect(shown(step.status)).to.include('Stalled=True/InvalidContent');
        expect(messageOf(step.status)).to.contain('no variable imgae').and.to.contain('a, b, c, d, e, …');
        const facts = { ...declaring(names), template: seen(templateRecord()) };
        const again = expectStep(decided({ status: step.status, spec, facts }), 'report');
        expect(again.status, 'it stays so').to.deep.equal(step.status);
      }
    });

    it('go on where all are there, or where Coder does not tell', () => {
      for (const names of [['imgae'], undefined]) {
        const step = decided({ ...succeeded, facts: declaring(names) });
        expect(expectStep(step, 'write').operation).to.include({ type: 'Promote', versionID: NEW_ID });
      }
    });

    it('and that somebody made active count as carried out', () => {
      const template = seen(templateRecord({ activeVersionID: NEW_ID }));
      const activeVersionName = { id: NEW_ID, name };
      const step = decided({ ...succeeded, facts: { ...declaring([]), template, activeVersionName } });
      expect(shown(expectStep(step, 'report').status)).to.include('Ready=True/UpToDate');
    });
  });

  describe('under promotion: Manual', () => {
    const succeeded = imported({}, { jobStatus: 'running' });

    it('are imported and wait, which is told once', () => {
      const step = expectStep(decided({ ...succeeded, spec: manual }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=True/WaitingForPromotion',
        'Synced=True/SyncSucceeded',
      ]);
      expect(messageOf(step.status)).to.contain(FIRST);
      expect(step.event).to.deep.include({ type: 'Normal', reason: 'WaitingForPromotion' });
      expect(step.rest).to.deep.equal({ until: 'woken' });
      expect(step.status.contentHash, 'it was not carried out').to.equal('of other files');
      expect(step.status.pendingVersion).to.deep.include({ id: NEW_ID, jobStatus: 'succeeded' });
      // From memory: neither the version nor the template is read again.
      const facts = { template: seen(templateRecord(), false), versionByName: undefined };
      const again = expectStep(decided({ status: step.status, facts, spec: manual }), 'report');
      expect(again.status).to.deep.equal(step.status);
      expect(again.event).to.equal(undefined);
    });

    it('are told of again when they are others, also when those were there already', () => {
      const pendingVersion = { name: 'k8s-before', id: 'before', attempt: 1, jobStatus: 'succeeded' };
      const version = versionRecord({ id: NEW_ID, name: FIRST, templateID: TEMPLATE_ID });
      const facts = { versionByName: { name: FIRST, version } };
      const step = decided({ status: { ...bound, pendingVersion }, facts, spec: manual });
      expect(expectStep(step, 'report').event).to.deep.include({ reason: 'WaitingForPromotion' });
    });

    const waits = imported({}, { jobStatus: 'succeeded' });

    it('that somebody made active count as carried out', () => {
      const active = {
        template: seen(templateRecord({ activeVersionID: NEW_ID }), false),
        activeVersionName: { id: NEW_ID, name: FIRST },
      };
      const step = expectStep(decided({ ...waits, facts: active, spec: manual }), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(step.status).to.deep.include({ contentHash: KEY, contentVersionID: NEW_ID });
      expect(step.status.pendingVersion).to.equal(undefined);
      expect(step.event).to.deep.include({ reason: 'UpToDate' });
    });

    it('keep waiting when somebody made another version active, or asks', () => {
      const id = '0e000000-0000-4000-8000-00000000000a';
      const other = {
        template: seen(templateRecord({ activeVersionID: id }), false),
        activeVersionName: { id, name: 'by-hand' },
      };
      const step = expectStep(decided({ ...waits, facts: other, spec: manual, metadata: asked }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=True/WaitingForPromotion',
        'Synced=True/SyncSucceeded',
      ]);
      expect(step.status.activeVersion).to.deep.equal({ id, name: 'by-hand' });
      expect(step.status.lastHandledReconcileAt).to.equal('again');
    });

    it('are looked at anew, then promoted, when the word is Automatic again', () => {
      expect(decided({ ...waits, facts: {} })).to.deep.equal({ do: 'read', fact: 'version' });
      expect(expectStep(decided(waits), 'write').operation).to.include({
        type: 'Promote',
        versionID: NEW_ID,
      });
    });

    it('become the first version of a template all the same', () => {
      const facts = { template: undefined, templateByName: unseen, organization: { id: ORGANIZATION.id } };
      const { pendingVersion } = waits.status;
      const version = { id: NEW_ID, version: versionRecord({ id: NEW_ID, name: FIRST }) };
      const step = decided({ status: { pendingVersion }, facts: { ...facts, version }, spec: manual });
      expect(expectStep(step, 'write').operation).to.include({ type: 'CreateTemplate', versionID: NEW_ID });
    });
  });

  describe('with variables from a Secret', () => {
    const resting: [string, Given][] = [
      ['active', { status: { ...bound, contentHash: KEY } }],
      [
        'waiting to be promoted',
        { ...imported({}, { jobStatus: 'succeeded' }), spec: { ...manual, ...withSecret } },
      ],
      [
        'failed for good',
        imported({ jobStatus: 'failed' }, { attempt: 1, failedAt: NOW.toISOString(), name: FIRST }),
      ],
    ];
    for (const [name, given] of resting) {
      it(`and ${name} look again once a minute`, () => {
        const facts = { ...given.facts, content: secretly };
        const step = expectStep(decided({ spec: withSecret, ...given, facts }), 'report');
        expect(step.rest).to.deep.equal({ until: 'time', afterMs: 60_000 });
      });
    }
  });
});
