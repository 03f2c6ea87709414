import { expect } from 'chai';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { filesHash, versionName } from '../../../../src/coder/contenthash.ts';
import type { ActiveContent } from '../../../../src/controller/template/activecontent.ts';
import type { ContentFact } from '../../../../src/controller/template/content.ts';
import { decideTemplate } from '../../../../src/controller/template/decide.ts';
import type { TemplateFacts, TemplateStep } from '../../../../src/controller/template/input.ts';
import type { ArchiveFiles } from '../../../../src/coder/layout.ts';
import { DEPLOYMENT, ORGANIZATION } from '../../../support/controller-coder.ts';
import {
  contentFact,
  expectStep,
  keyOf,
  messageOf,
  pendingOperation,
  seen,
  shown,
  TEMPLATE_ID,
  templateInput,
  templateRecord,
  unseen,
  VERSION_ID,
  versionRecord,
} from '../../../support/controller-records.ts';

const FILES = { 'main.tf': '# one' };
const KEY = keyOf(FILES);
const NAME = versionName(KEY, 1);
const NEW_ID = '0e000000-0000-4000-8000-000000000009';
const held = { finalizers: [finalizers.template] };
const asked = { [annotations.reconcileRequestedAt]: 'again' };
const bound: CoderTemplateStatus = {
  id: TEMPLATE_ID,
  origin: 'Created',
  deploymentID: DEPLOYMENT,
  organizationName: 'acme',
  templateName: 'docker',
  activeVersion: { id: VERSION_ID, name: 'one' },
};
const adopted: CoderTemplateStatus = { ...bound, origin: 'Adopted' };
const done: CoderTemplateStatus = { ...bound, contentHash: KEY, contentVersionID: VERSION_ID };
const there: Partial<TemplateFacts> = { template: seen(templateRecord()) };
const lookForVersion: TemplateStep = { do: 'read', fact: 'versionByName' };

const waiting: ContentFact = {
  state: 'waiting',
  cause: { reason: 'SourceUnavailable', message: 'the Bucket code: no answer' },
  rest: { until: 'time', afterMs: 5_000 },
};
const refused: ContentFact = {
  state: 'refused',
  cause: { reason: 'InvalidContent', message: 'spec.files is no template' },
  rest: { until: 'woken' },
};

/** @param over `metadata` left out: held as what was created is. */
function decided(
  status: CoderTemplateStatus,
  facts: Partial<TemplateFacts> = {},
  over: {
    readonly spec?: CoderTemplateSpec;
    readonly metadata?: object;
    readonly pendingForMs?: number;
  } = {},
): TemplateStep {
  const { spec, pendingForMs, metadata = status.origin === 'Adopted' ? {} : held } = over;
  const parts = { status, metadata, ...(spec === undefined ? {} : { spec }) };
  return decideTemplate(templateInput(parts, { ...there, ...facts }, pendingForMs));
}

describe('the content of a template that is there', () => {
  describe('and was made by somebody else', () => {
    const active = (parts: Partial<ActiveContent> = {}): Partial<TemplateFacts> => ({
      activeContent: {
        versionID: VERSION_ID,
        filesHash: filesHash(FILES),
        tags: { scope: 'organization', owner: '' },
        variables: [],
        ...parts,
      },
    });
    const variable = (parts: object): ActiveContent['variables'][number] => ({
      name: 'image',
      type: 'string',
      value: 'ubuntu',
      default_value: '',
      required: true,
      sensitive: false,
      ...parts,
    });
    const image = contentFact(FILES, {
      variables: [{ name: 'image', value: 'ubuntu', isSecret: false }],
      variablesHash: 'v',
    });

    it('is compared with what is active first', () => {
      expect(decided(adopted)).to.deep.equal({ do: 'read', fact: 'activeContent' });
      expect(decided(adopted, active({ versionID: 'one before' })), 'of another version').to.deep.equal({
        do: 'read',
        fact: 'activeContent',
      });
    });

    it('counts as carried out where that is the same', () => {
      const step = expectStep(decided(adopted, active()), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(step.status).to.deep.include({ contentHash: KEY, contentVersionID: VERSION_ID });
      expect(step.event).to.deep.include({ type: 'Normal', reason: 'UpToDate' });
    });

    const same: [string, Partial<TemplateFacts>, CoderTemplateSpec][] = [
      ['the same variables', { ...active({ variables: [variable({})] }), content: image }, { files: FILES }],
      ['variables that are not wished', active({ variables: [variable({})] }), { files: FILES }],
      ['tags that are not wished', active({ tags: { zone: 'a' } }), { files: FILES }],
      [
        'the same tags',
        active({ tags: { zone: 'a', scope: 'organization', owner: '' } }),
        { files: FILES, provisionerTags: { zone: 'a' } },
      ],
    ];
    for (const [name, facts, spec] of same) {
      it(`counts as the same with ${name}`, () => {
        expect(decided(adopted, facts, { spec }).do).to.equal('report');
      });
    }

    const zone = { files: FILES, provisionerTags: { zone: 'a' } };
    const others: [string, Partial<TemplateFacts>, CoderTemplateSpec][] = [
      ['other files', active({ filesHash: filesHash({ 'main.tf': '# two' }) }), { files: FILES }],
      ['files that Coder does not give', active({ filesHash: undefined }), { files: FILES }],
      [
        'another value of a variable',
        { ...active({ variables: [variable({ value: 'debian' })] }), content: image },
        { files: FILES },
      ],
      ['a variable that it does not have', { ...active(), content: image }, { files: FILES }],
      [
        'a sensitive variable',
        { ...active({ variables: [variable({ sensitive: true })] }), content: image },
        { files: FILES },
      ],
      ['another value of a tag', active({ tags: { zone: 'b' } }), zone],
      ['a tag that it does not have', active(), zone],
      ['tags that are to go', active({ tags: { zone: 'a' } }), { files: FILES, provisionerTags: {} }],
    ];
    for (const [name, facts, spec] of others) {
      it(`is imported with ${name}`, () => {
        expect(decided(adopted, facts, { spec })).to.deep.equal(lookForVersion);
      });
    }

    it('is compared no more once there was content of ours', () => {
      const before = { ...adopted, contentHash: 'of other files', contentVersionID: VERSION_ID };
      expect(decided(before)).to.deep.equal(lookForVersion);
      const importing = { ...adopted, pendingVersion: { name: NAME, attempt: 1 } };
      expect(decided(importing)).to.deep.equal(lookForVersion);
      expect(decided(bound), 'made by us').to.deep.equal(lookForVersion);
    });
  });

  describe('that was made active once', () => {
    const moved: Partial<TemplateFacts> = {
      template: seen(templateRecord({ activeVersionID: NEW_ID })),
      activeVersionName: { id: NEW_ID, name: 'by-hand' },
    };
    const manual = { files: FILES, promotion: 'Manual' } as const;

    it('is made so again when a person asks, but not under Manual', () => {
      const metadata = { ...held, annotations: asked };
      expect(expectStep(decided(done, moved, { metadata }), 'write').operation).to.include({
        type: 'Promote',
        versionID: VERSION_ID,
      });
      const step = expectStep(decided(done, moved, { metadata, spec: manual }), 'report');
      expect(step.status.lastHandledReconcileAt).to.equal('again');
      expect(shown(step.status)).to.include('Ready=True/YieldedToCoder');
    });

    it('is made so again under Manual where the wish is that very version', () => {
      const spec = { versionID: VERSION_ID, promotion: 'Manual' } as const;
      const status = { ...bound, contentHash: VERSION_ID, contentVersionID: VERSION_ID };
      const step = decided(status, moved, { spec, metadata: { ...held, annotations: asked } });
      expect(expectStep(step, 'write').operation).to.include({ type: 'Promote', versionID: VERSION_ID });
    });
  });

  it('is not taken for promoted by what is only remembered', () => {
    const stale = { template: seen(templateRecord({ activeVersionID: NEW_ID }), false) };
    const activeVersionName = { id: NEW_ID, name: 'wished' };
    const pendingVersion = { name: 'k8s-before', id: 'before', attempt: 1, jobStatus: 'succeeded' };
    const status = { ...done, contentHash: 'of other files', pendingVersion };
    const look: TemplateStep = { do: 'read', fact: 'freshTemplate' };
    const spec = { versionID: NEW_ID, promotion: 'Manual' } as const;
    expect(decided(status, { ...stale, activeVersionName }, { spec })).to.deep.equal(look);
    const versionByName = { name: NAME, version: versionRecord({ id: NEW_ID, templateID: TEMPLATE_ID }) };
    const manual = { files: FILES, promotion: 'Manual' } as const;
    const step = decided(status, { ...stale, activeVersionName, versionByName }, { spec: manual });
    expect(step).to.deep.equal(look);
  });

  describe('that is lacking', () => {
    const cases = [
      ['waited for', waiting, 'Reconciling=True/SourceUnavailable'],
      ['refused', refused, 'Stalled=True/InvalidContent'],
    ] as const;
    for (const [how, content, condition] of cases) {
      it(`${how}: Ready says why, and nothing is sent or forgotten`, () => {
        const pendingVersion = { name: NAME, id: NEW_ID, attempt: 2, jobStatus: 'failed' };
        const status = { ...done, pendingVersion };
        const step = expectStep(decided(status, { content }), 'report');
        expect(shown(step.status)).to.include(condition);
        expect(messageOf(step.status)).to.equal(content.cause.message);
        expect(step.rest).to.deep.equal(content.rest);
        expect(step.event).to.deep.include({ type: 'Warning', reason: content.cause.reason });
        expect(step.status).to.deep.include({
          contentHash: KEY,
          contentVersionID: VERSION_ID,
          pendingVersion,
        });
      });

      it(`${how}: settings are sent all the same`, () => {
        const spec = { files: FILES, displayName: 'Docker' };
        const step = expectStep(decided(done, { content }, { spec }), 'write');
        expect(step.operation).to.include({ type: 'SetSettings' });
      });

      it(`${how}: no template is made`, () => {
        const facts = { template: undefined, templateByName: unseen, content };
        const step = expectStep(decided({}, facts, { metadata: {} }), 'report');
        expect(shown(step.status)).to.include(condition);
      });

      it(`${how}: what was announced is looked for by its announced name`, () => {
        const announced = {
          pendingVersion: { name: NAME, attempt: 1 },
          pendingOperation: pendingOperation({ type: 'CreateVersion', target: NAME }),
        };
        const status = { ...done, contentHash: 'of other files', ...announced };
        expect(decided(status, { content })).to.deep.equal(lookForVersion);
        const absent = { content, versionByName: { name: NAME, version: undefined } };
        const open = expectStep(decided(status, absent), 'report');
        expect(shown(open.status)).to.include('Reconciling=True/OutcomeUnknown');
        expect(open.status.pendingOperation).to.deep.equal(status.pendingOperation);
        const given = expectStep(decided(status, absent, { pendingForMs: 35_000 }), 'report');
        expect(shown(given.status)).to.include(condition);
        expect(given.status.pendingOperation).to.equal(undefined);
        const version = versionRecord({ id: NEW_ID, name: NAME, templateID: TEMPLATE_ID });
        const found = expectStep(
          decided(status, { content, versionByName: { name: NAME, version } }),
          'report',
        );
        expect(shown(found.status)).to.include(condition);
        expect(found.status.pendingVersion).to.deep.include({ id: NEW_ID, name: NAME, attempt: 1 });
      });
    }
  });

  it('of spec.versionID that failed is not quoted: it may have been made with values from a Secret', () => {
    const error = 'the password hunter2 is wrong';
    const version = versionRecord({
      id: NEW_ID,
      name: NAME,
      jobStatus: 'failed',
      error,
      templateID: TEMPLATE_ID,
    });
    const step = decided(done, { version: { id: NEW_ID, version } }, { spec: { versionID: NEW_ID } });
    expect(shown(expectStep(step, 'report').status)).to.include('Stalled=True/ImportFailed');
    expect(JSON.stringify(step)).to.not.contain('hunter2');
  });

  it('that is left out any more leaves nothing of it in the status', () => {
    const source = { digest: `sha256:${'a'.repeat(64)}`, filesHash: filesHash(FILES) };
    const pendingVersion = { name: NAME, id: NEW_ID, attempt: 1 };
    const step = expectStep(decided({ ...done, source, pendingVersion }, {}, { spec: {} }), 'report');
    for (const key of ['source', 'contentHash', 'contentVersionID', 'pendingVersion'] as const) {
      expect(step.status[key], key).to.equal(undefined);
    }
  });
});

describe('a template whose status was lost', () => {
  const found: Partial<TemplateFacts> = {
    template: undefined,
    templateByName: seen(templateRecord()),
    activeVersionName: { id: VERSION_ID, name: 'one' },
  };
  /** As it was restored: held, and without a status. */
  const restored = (facts: Partial<TemplateFacts> = {}): TemplateStep =>
    decided({}, { ...found, ...facts }, { metadata: { ...held, annotations: asked } });

  it('has its content counted as carried out, and its request as handled', () => {
    const step = expectStep(restored(), 'report');
    expect(shown(step.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
    expect(step.status).to.deep.include({
      contentHash: KEY,
      lastHandledReconcileAt: 'again',
      origin: 'Adopted',
    });
    expect(step.event).to.equal(undefined);
  });

  for (const content of [waiting, refused]) {
    it(`has content that is ${content.state} counted so too, whatever that is`, () => {
      const lost = expectStep(restored({ content }), 'report').status;
      expect(lost.contentHash).to.equal('lost:3');
      expect(messageOf(lost)).to.equal(content.cause.message);
      const metadata = { annotations: asked };
      const still = expectStep(decided(lost, { content }, { metadata }), 'report').status;
      expect(still.contentHash).to.equal('lost:3');
      const step = expectStep(decided(still, {}, { metadata }), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(step.status.contentHash).to.equal(KEY);
      expect(step.event, 'nothing was done').to.equal(undefined);
    });
  }

  it('is asked for its content first', () => {
    expect(restored({ content: undefined })).to.deep.equal({ do: 'read', fact: 'content' });
  });

  it('has its content compared and carried out when a person asks', () => {
    const { status } = expectStep(restored(), 'report');
    expect(messageOf(status)).to.contain('since the status was lost');
    const metadata = { annotations: { [annotations.reconcileRequestedAt]: 'once more' } };
    expect(decided(status, {}, { metadata })).to.deep.equal({ do: 'read', fact: 'activeContent' });
    const contents = (files: ArchiveFiles): Partial<TemplateFacts> => ({
      activeContent: { versionID: VERSION_ID, filesHash: filesHash(files), tags: {}, variables: [] },
    });
    const same = expectStep(decided(status, contents(FILES), { metadata }), 'report').status;
    expect(same).to.deep.include({ contentVersionID: VERSION_ID, lastHandledReconcileAt: 'once more' });
    expect(messageOf(same)).to.equal('The wished content is active as version one');
    const other = { ...contents({ 'main.tf': '# two' }), versionByName: { name: NAME, version: undefined } };
    const step = expectStep(decided(status, other, { metadata }), 'write');
    expect(step.operation).to.include({ type: 'CreateVersion', name: NAME });
    expect(step.status.contentHash, 'it is a new wish').to.equal(undefined);
  });

  it('and that has no template any more gets one', () => {
    const organization = { id: ORGANIZATION.id };
    const step = decided({}, { ...found, templateByName: unseen, organization }, { metadata: held });
    expect(expectStep(step, 'write').operation).to.include({ type: 'CreateVersion' });
  });
});
