import { expect } from 'chai';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import type { CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { versionName } from '../../../../src/coder/contenthash.ts';
import { decideTemplate } from '../../../../src/controller/template/decide.ts';
import type { TemplateFacts } from '../../../../src/controller/template/input.ts';
import { DEPLOYMENT, ORGANIZATION } from '../../../support/controller-coder.ts';
import {
  expectStep,
  gone,
  messageOf,
  pendingOperation,
  seen,
  shown,
  TEMPLATE_ID,
  keyOf,
  templateInput,
  templateRecord,
  unavailable,
  unseen,
  VERSION_ID,
  versionRecord,
} from '../../../support/controller-records.ts';
import { controlPlane } from '../../../support/workspace-rules.ts';

const FILES = { 'main.tf': '# one' };
const KEY = keyOf(FILES);
const [FIRST, SECOND, FOURTH] = [versionName(KEY, 1), versionName(KEY, 2), versionName(KEY, 4)];
const NEW_ID = '0e000000-0000-4000-8000-000000000009';
const held = { finalizers: [finalizers.template] };
const asked = { annotations: { [annotations.reconcileRequestedAt]: 'again' } };
const organization = { id: ORGANIZATION.id };
const bound: CoderTemplateStatus = {
  id: TEMPLATE_ID,
  origin: 'Created',
  deploymentID: DEPLOYMENT,
  organizationName: 'acme',
  templateName: 'docker',
  activeVersion: { id: VERSION_ID, name: 'one' },
};
const done: CoderTemplateStatus = { ...bound, contentHash: KEY, contentVersionID: VERSION_ID };
const there: Partial<TemplateFacts> = { template: seen(templateRecord()) };

describe('decideTemplate', () => {
  it('refuses a name that the CRD lets through no more', () => {
    const step = expectStep(decideTemplate(templateInput({ metadata: { name: 'acme' } })), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/InvalidName',
      'Synced=False/InvalidName',
      'Stalled=True/InvalidName',
    ]);
  });

  it('waits for a control plane', () => {
    const step = expectStep(decideTemplate(templateInput({}, { connection: { state: 'none' } })), 'report');
    expect(shown(step.status)).to.include('Synced=False/WaitingForDependency');
  });

  it('at rest keeps saying what was true while Coder is away', () => {
    const status = expectStep(
      decideTemplate(templateInput({ status: done, metadata: held }, there)),
      'report',
    ).status;
    const away = templateInput({ status, metadata: held }, { connection: unavailable(1_000) });
    expect(expectStep(decideTemplate(away), 'report').status).to.equal(status);
    const working = { ...status, pendingVersion: { name: FIRST } };
    const busy = templateInput({ status: working, metadata: held }, { connection: unavailable(1_000) });
    expect(shown(expectStep(decideTemplate(busy), 'report').status)).to.include(
      'Ready=False/ControlPlaneNotReady',
    );
  });

  it('does nothing for an object of another deployment', () => {
    const step = decideTemplate(templateInput({ status: { ...done, deploymentID: 'another' } }));
    expect(shown(expectStep(step, 'report').status)).to.include('Stalled=True/DeploymentMismatch');
  });

  describe('creation', () => {
    it('looks for the name, then for the organization, then takes the finalizer', () => {
      expect(decideTemplate(templateInput())).to.deep.equal({ do: 'read', fact: 'templateByName' });
      expect(decideTemplate(templateInput({}, { templateByName: unseen }))).to.deep.equal({
        do: 'read',
        fact: 'organization',
      });
      expect(decideTemplate(templateInput({}, { templateByName: unseen, organization }))).to.deep.equal({
        do: 'finalizer',
        present: true,
      });
    });

    it('takes no finalizer when the template shall be kept', () => {
      const spec = { files: FILES, deletionPolicy: 'Retain' } as const;
      expect(decideTemplate(templateInput({ spec }, { templateByName: unseen, organization })).do).to.equal(
        'write',
      );
    });

    it('needs content', () => {
      const step = expectStep(
        decideTemplate(templateInput({ spec: {} }, { templateByName: unseen })),
        'report',
      );
      expect(shown(step.status)).to.include('Stalled=True/ContentMissing');
      expect(messageOf(step.status)).to.contain('set one of spec.files, spec.source and spec.versionID');
    });

    it('waits for the organization', () => {
      const facts = { templateByName: unseen, organization: { id: undefined } };
      const step = expectStep(decideTemplate(templateInput({}, facts)), 'report');
      expect(shown(step.status)).to.include('Reconciling=True/WaitingForDependency');
      expect(messageOf(step.status)).to.contain('no organization acme');
    });

    it('uploads the files as a version that bears their hash', () => {
      const step = expectStep(
        decideTemplate(templateInput({ metadata: held }, { templateByName: unseen, organization })),
        'write',
      );
      expect(step.operation).to.deep.include({
        type: 'CreateVersion',
        organizationID: ORGANIZATION.id,
        templateID: undefined,
        name: FIRST,
      });
      expect(step.operation).to.have.property('content').that.deep.includes({ files: FILES });
      expect(step.status.pendingVersion).to.deep.equal({ name: FIRST, attempt: 1 });
      expect(shown(step.status)).to.include('Ready=False/Importing');
    });

    const pendingVersion = { name: FIRST, id: NEW_ID, attempt: 1, jobStatus: 'running' };
    const importing = (jobStatus: string, over = {}): ReturnType<typeof decideTemplate> =>
      decideTemplate(
        templateInput(
          { metadata: held, status: { pendingVersion } },
          {
            templateByName: unseen,
            organization,
            version: { id: NEW_ID, version: versionRecord({ id: NEW_ID, name: FIRST, jobStatus, ...over }) },
          },
        ),
      );

    for (const jobStatus of ['pending', 'running']) {
      it(`waits for an import that is ${jobStatus}`, () => {
        const step = expectStep(importing(jobStatus), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/Importing',
          'Synced=True/SyncSucceeded',
          'Reconciling=True/WaitingForImport',
        ]);
        expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1_000 });
      });
    }

    it('says when nobody can take the import', () => {
      const step = expectStep(importing('pending', { hasProvisioner: false }), 'report');
      expect(messageOf(step.status)).to.contain('no provisioner in Coder can take it');
    });

    it('creates the template on the version that was imported', () => {
      expect(expectStep(importing('succeeded'), 'write').operation).to.deep.equal({
        type: 'CreateTemplate',
        organizationID: ORGANIZATION.id,
        name: 'docker',
        versionID: NEW_ID,
      });
    });

    it('does not build upon a version that belongs to another template', () => {
      const step = expectStep(importing('succeeded', { templateID: 'deleted' }), 'write');
      expect(step.operation.type).to.equal('CreateVersion');
    });

    it('waits for a version that Coder does not show, until a person asks', () => {
      const facts = { templateByName: unseen, organization, version: { id: NEW_ID, version: undefined } };
      const status = { pendingVersion };
      const step = expectStep(decideTemplate(templateInput({ metadata: held, status }, facts)), 'report');
      expect(shown(step.status)).to.include('Reconciling=True/NotVisibleInCoder');
      const again = decideTemplate(templateInput({ metadata: { ...held, ...asked }, status }, facts));
      expect(expectStep(again, 'write').operation.type).to.equal('CreateVersion');
    });
  });

  describe('failed imports', () => {
    const failing = (
      attempt: number,
      failedAt?: string,
      metadata: object = held,
    ): ReturnType<typeof decideTemplate> => {
      const name = versionName(KEY, attempt);
      const status = { pendingVersion: { name, id: NEW_ID, attempt, jobStatus: 'failed', failedAt } };
      const version = versionRecord({ id: NEW_ID, name, jobStatus: 'failed', error: 'main.tf is wrong' });
      const facts = { templateByName: unseen, organization, version: { id: NEW_ID, version } };
      return decideTemplate(templateInput({ metadata, status }, facts));
    };

    it('are tried again later, under another name', () => {
      const step = expectStep(failing(1), 'report');
      expect(shown(step.status)).to.include('Reconciling=True/ImportFailed');
      expect(messageOf(step.status)).to.contain('main.tf is wrong').and.to.contain('Try 2 of 3');
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 60_000 });
      expect(step.status.pendingVersion).to.deep.include({
        failedAt: '2026-01-02T03:04:05Z',
        error: 'main.tf is wrong',
      });
      const again = expectStep(failing(1, '2026-01-02T03:03:05Z'), 'write');
      expect(again.operation).to.deep.include({ type: 'CreateVersion', name: SECOND });
      expect(again.status.pendingVersion).to.deep.equal({ name: SECOND, attempt: 2 });
    });

    it('wait twice as long the second time', () => {
      expect(expectStep(failing(2), 'report').rest).to.deep.equal({ until: 'time', afterMs: 120_000 });
    });

    it('three times need a change', () => {
      const step = expectStep(failing(3, '2020-01-01T00:00:00Z'), 'report');
      expect(shown(step.status)).to.include('Stalled=True/ImportFailed');
      expect(messageOf(step.status)).to.contain('Mend it in spec.files');
    });

    it('are tried once more when a person asks', () => {
      const step = expectStep(failing(3, undefined, { ...held, ...asked }), 'write');
      expect(step.operation).to.deep.include({ name: FOURTH });
      expect(step.status.lastHandledReconcileAt).to.equal('again');
    });

    it('of other files do not count', () => {
      const status = { pendingVersion: { name: 'k8s-other-r3', id: NEW_ID, attempt: 3 } };
      const input = templateInput({ metadata: held, status }, { templateByName: unseen, organization });
      expect(expectStep(decideTemplate(input), 'write').operation).to.deep.include({ name: FIRST });
    });
  });

  describe('an announced version', () => {
    const pending = { pendingOperation: pendingOperation({ type: 'CreateVersion', target: FIRST }) };
    const status = { ...pending, pendingVersion: { name: FIRST, attempt: 1 } };

    it('is looked for when the content is known, or known to be lacking', () => {
      for (const known of [{}, bound]) {
        const input = templateInput({
          status: { ...known, ...status },
          spec: { source: { configMapRef: { name: 'code' } } },
        });
        expect(decideTemplate(input)).to.deep.equal({ do: 'read', fact: 'content' });
      }
    });

    it('of no template is looked for through the jobs', () => {
      expect(decideTemplate(templateInput({ status }))).to.deep.equal({
        do: 'read',
        fact: 'unattachedVersion',
      });
    });

    it('of a template is looked for by its name', () => {
      const input = templateInput({ status: { ...bound, ...status } });
      expect(decideTemplate(input)).to.deep.equal({ do: 'read', fact: 'versionByName' });
    });

    it('found: goes on with it', () => {
      const version = versionRecord({ id: NEW_ID, name: FIRST, jobStatus: 'running' });
      const facts = {
        unattachedVersion: { version },
        templateByName: unseen,
        organization,
        version: { id: NEW_ID, version },
      };
      const step = expectStep(decideTemplate(templateInput({ metadata: held, status }, facts)), 'report');
      expect(step.status.pendingOperation).to.equal(undefined);
      expect(step.status.pendingVersion).to.deep.include({ id: NEW_ID, name: FIRST, attempt: 1 });
    });

    it('not found: waits, then uploads again', () => {
      const facts = { unattachedVersion: { version: undefined }, templateByName: unseen, organization };
      const wait = expectStep(
        decideTemplate(templateInput({ metadata: held, status }, facts, 34_000)),
        'report',
      );
      expect(shown(wait.status)).to.include('Reconciling=True/OutcomeUnknown');
      expect(wait.rest).to.deep.equal({ until: 'time', afterMs: 1_000 });
      const again = expectStep(
        decideTemplate(templateInput({ metadata: held, status }, facts, 35_000)),
        'write',
      );
      expect(again.operation).to.deep.include({ type: 'CreateVersion', name: FIRST });
    });

    it('that nobody wishes any more is not waited for', () => {
      const decide = (spec: object, facts: Partial<TemplateFacts> = {}): ReturnType<typeof decideTemplate> =>
        decideTemplate(
          templateInput({ spec, metadata: held, status: { ...bound, ...status } }, { ...there, ...facts }),
        );
      expect(expectStep(decide({}), 'report').status.pendingOperation).to.equal(undefined);
      expect(decide({ versionID: NEW_ID })).to.deep.equal({ do: 'read', fact: 'version' });
      const files = { 'main.tf': '# two' };
      const name = versionName(keyOf(files), 1);
      const step = expectStep(decide({ files }, { versionByName: { name, version: undefined } }), 'write');
      expect(step.operation).to.deep.include({ type: 'CreateVersion', name });
    });
  });

  describe('an announced template', () => {
    const pendingVersion = { name: FIRST, id: NEW_ID, attempt: 1 };
    const status = {
      pendingOperation: pendingOperation({ type: 'CreateTemplate', target: NEW_ID }),
      pendingVersion,
    };

    it('is looked for by its name', () => {
      expect(decideTemplate(templateInput({ status }))).to.deep.equal({ do: 'read', fact: 'templateByName' });
    });

    it('that stands on our version is ours', () => {
      const facts = {
        templateByName: seen(templateRecord({ activeVersionID: NEW_ID })),
        activeVersionName: { id: NEW_ID, name: FIRST },
        version: { id: NEW_ID, version: versionRecord({ id: NEW_ID, name: FIRST, templateID: TEMPLATE_ID }) },
      };
      const step = expectStep(decideTemplate(templateInput({ metadata: held, status }, facts)), 'report');
      expect(step.status).to.deep.include({ id: TEMPLATE_ID, origin: 'Created', contentHash: KEY });
      expect(shown(step.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
    });

    it("that stands on another one is somebody else's", () => {
      const facts = { templateByName: seen(templateRecord()) };
      expect(decideTemplate(templateInput({ metadata: held, status }, facts))).to.deep.equal({
        do: 'finalizer',
        present: false,
      });
    });

    it('is waited for while it may still land', () => {
      const step = decideTemplate(templateInput({ metadata: held, status }, { templateByName: unseen }));
      expect(shown(expectStep(step, 'report').status)).to.include('Reconciling=True/OutcomeUnknown');
    });
  });

  it('looks afresh after an announced promotion', () => {
    const status = { ...bound, pendingOperation: pendingOperation({ type: 'Promote', target: NEW_ID }) };
    const input = templateInput({ metadata: held, status }, { template: seen(templateRecord(), false) });
    expect(decideTemplate(input)).to.deep.equal({ do: 'read', fact: 'freshTemplate' });
  });

  describe('a bound template', () => {
    const parts = { status: done, metadata: held };

    it('at rest says what is active', () => {
      const step = expectStep(decideTemplate(templateInput(parts, there)), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(messageOf(step.status)).to.contain('version one');
      expect(step.status.url).to.equal('https://coder.example.com/templates/acme/docker');
      expect(step.rest).to.deep.equal({ until: 'woken' });
    });

    it('says how many workspaces use it, as far as that is known', () => {
      const used = (before: number | undefined, now: number | undefined): number | undefined => {
        const input = templateInput(
          { ...parts, status: { ...done, workspaces: before } },
          { ...there, usersOf: () => now },
        );
        return expectStep(decideTemplate(input), 'report').status.workspaces;
      };
      expect(used(undefined, 0)).to.equal(0);
      expect(used(2, 3)).to.equal(3);
      expect(used(2, undefined), 'before the first look').to.equal(2);
    });

    it('whose active version is unknown asks for its name', () => {
      const facts = { template: seen(templateRecord({ activeVersionID: NEW_ID })) };
      expect(decideTemplate(templateInput(parts, facts))).to.deep.equal({
        do: 'read',
        fact: 'activeVersionName',
      });
    });

    const moved: Partial<TemplateFacts> = {
      template: seen(templateRecord({ activeVersionID: NEW_ID })),
      activeVersionName: { id: NEW_ID, name: 'by-hand' },
    };

    it('leaves what others promoted, and says so once', () => {
      const step = expectStep(decideTemplate(templateInput(parts, moved)), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=True/YieldedToCoder',
        'Synced=True/SyncSucceeded',
        'Drifted=True/ActiveVersionChanged',
      ]);
      expect(step.status.activeVersion).to.deep.equal({ id: NEW_ID, name: 'by-hand' });
      expect(step.event).to.deep.include({ reason: 'ActiveVersionChanged' });
      const again = decideTemplate(templateInput({ ...parts, status: step.status }, moved));
      expect(expectStep(again, 'report').event).to.equal(undefined);
    });

    it('promotes its own again when a person asks', () => {
      const input = templateInput({ status: done, metadata: { ...held, ...asked } }, moved);
      const step = expectStep(decideTemplate(input), 'write');
      expect(step.operation).to.deep.equal({
        type: 'Promote',
        templateID: TEMPLATE_ID,
        versionID: VERSION_ID,
      });
      expect(step.status.lastHandledReconcileAt).to.equal('again');
    });

    it('with other files looks for their version by name, and uploads what is not there', () => {
      const status = { ...done, contentHash: 'of other files' };
      expect(decideTemplate(templateInput({ status, metadata: held }, there))).to.deep.equal({
        do: 'read',
        fact: 'versionByName',
      });
      const facts = { ...there, versionByName: { name: FIRST, version: undefined } };
      const step = expectStep(decideTemplate(templateInput({ status, metadata: held }, facts)), 'write');
      expect(step.operation).to.deep.include({ type: 'CreateVersion', templateID: TEMPLATE_ID, name: FIRST });
    });

    it('whose wished version is active already just records it', () => {
      const version = versionRecord({ name: FIRST, templateID: TEMPLATE_ID });
      const status = { ...done, contentHash: 'of other files' };
      const facts = { ...there, versionByName: { name: FIRST, version } };
      const step = expectStep(decideTemplate(templateInput({ status, metadata: held }, facts)), 'report');
      expect(step.status).to.deep.include({ contentHash: KEY, contentVersionID: VERSION_ID });
    });

    it('looks afresh before it sends anything', () => {
      const status = { ...done, contentHash: 'of other files' };
      const facts = {
        template: seen(templateRecord(), false),
        versionByName: { name: FIRST, version: undefined },
      };
      expect(decideTemplate(templateInput({ status, metadata: held }, facts))).to.deep.equal({
        do: 'read',
        fact: 'freshTemplate',
      });
    });

    it('without content manages none', () => {
      const step = expectStep(decideTemplate(templateInput({ spec: {}, ...parts }, moved)), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(step.status.contentHash).to.equal(undefined);
    });

    it('renamed in Coder stays bound', () => {
      const facts = { template: seen(templateRecord({ name: 'podman' })) };
      const step = expectStep(decideTemplate(templateInput(parts, facts)), 'report');
      expect(shown(step.status)).to.include('Drifted=True/RenamedInCoder');
      expect(step.status.templateName).to.equal('podman');
    });

    it('claimed by an older object is left alone', () => {
      const step = decideTemplate(templateInput(parts, { ...there, claimedBy: () => 'acme.older' }));
      expect(shown(expectStep(step, 'report').status)).to.include('Stalled=True/DuplicateClaim');
    });

    it('proven to be deleted is not made again by itself', () => {
      const step = decideTemplate(templateInput(parts, { template: gone }));
      expect(shown(expectStep(step, 'report').status)).to.include('Stalled=True/DeletedInCoder');
    });

    it('not shown any more is not taken for deleted', () => {
      const step = decideTemplate(templateInput(parts, { template: unseen }));
      expect(shown(expectStep(step, 'report').status)).to.include('Reconciling=True/NotVisibleInCoder');
    });

    it('that is gone is made again when a person asks', () => {
      const facts = { template: gone, templateByName: unseen, organization };
      const step = expectStep(
        decideTemplate(templateInput({ status: done, metadata: { ...held, ...asked } }, facts)),
        'write',
      );
      expect(step.operation).to.deep.include({ type: 'CreateVersion', templateID: undefined });
      expect(step.status.id).to.equal(undefined);
    });

    const holding: [string, CoderTemplateStatus['origin'], 'Delete' | 'Retain' | undefined, boolean][] = [
      ['created: held', 'Created', undefined, true],
      ['created, to be kept: not held', 'Created', 'Retain', false],
      ['adopted: not held', 'Adopted', undefined, false],
      ['adopted, Delete asked for: not held', 'Adopted', 'Delete', false],
    ];
    for (const [name, origin, deletionPolicy, present] of holding) {
      it(name, () => {
        const spec = { files: FILES, deletionPolicy };
        const input = templateInput(
          { spec, status: { ...done, origin }, metadata: present ? {} : held },
          there,
        );
        expect(decideTemplate(input)).to.deep.equal({ do: 'finalizer', present });
      });
    }

    it('warns once that Delete does not count', () => {
      const spec = { files: FILES, deletionPolicy: 'Delete' } as const;
      const status = { ...done, origin: 'Adopted' as const };
      const first = expectStep(decideTemplate(templateInput({ spec, status }, there)), 'report');
      expect(first.event).to.deep.include({ type: 'Warning', reason: 'Retained' });
      const again = decideTemplate(templateInput({ spec, status: first.status }, there));
      expect(expectStep(again, 'report').event).to.equal(undefined);
    });

    it('is adopted by name', () => {
      const facts = {
        templateByName: seen(templateRecord()),
        activeVersionName: { id: VERSION_ID, name: 'one' },
      };
      const step = expectStep(decideTemplate(templateInput({ spec: {} }, facts)), 'report');
      expect(step.status).to.deep.include({ id: TEMPLATE_ID, origin: 'Adopted' });
    });
  });

  describe('spec.versionID', () => {
    const spec = { versionID: NEW_ID };
    const given = (
      over: Parameters<typeof versionRecord>[0],
      template?: Partial<TemplateFacts>,
    ): ReturnType<typeof decideTemplate> =>
      decideTemplate(
        templateInput(
          { spec, metadata: held, ...(template === undefined ? {} : { status: bound }) },
          {
            version: { id: NEW_ID, version: versionRecord({ id: NEW_ID, name: 'wished', ...over }) },
            ...(template ?? { templateByName: unseen, organization }),
          },
        ),
      );

    it('of a version that is not there waits for it', () => {
      const facts = { ...there, version: { id: NEW_ID, version: undefined } };
      const step = decideTemplate(templateInput({ spec, status: bound, metadata: held }, facts));
      expect(shown(expectStep(step, 'report').status)).to.include('Reconciling=True/WaitingForDependency');
    });

    it('of a version of none creates the template on it', () => {
      expect(expectStep(given({}), 'write').operation).to.deep.include({
        type: 'CreateTemplate',
        versionID: NEW_ID,
      });
    });

    it('of a version of ours promotes it', () => {
      const step = expectStep(given({ templateID: TEMPLATE_ID }, there), 'write');
      expect(step.operation).to.deep.equal({ type: 'Promote', templateID: TEMPLATE_ID, versionID: NEW_ID });
    });

    it('of the active version does nothing', () => {
      const active: Partial<TemplateFacts> = {
        template: seen(templateRecord({ activeVersionID: NEW_ID })),
        activeVersionName: { id: NEW_ID, name: 'wished' },
      };
      const step = expectStep(given({ templateID: TEMPLATE_ID }, active), 'report');
      expect(step.status).to.deep.include({ contentHash: NEW_ID, contentVersionID: NEW_ID });
    });

    const mismatches: [string, string | undefined, Partial<TemplateFacts> | undefined][] = [
      ["of another template's version", 'another', there],
      ["of another template's version, without a template", 'another', undefined],
      ['of a version of none, with a template', undefined, there],
    ];
    for (const [name, templateID, template] of mismatches) {
      it(`${name} is a mistake`, () => {
        const step = expectStep(given({ templateID }, template), 'report');
        expect(shown(step.status)).to.include('Stalled=True/ImmutableFieldMismatch');
      });
    }

    it('waits for an import, and gives up on one that failed', () => {
      expect(shown(expectStep(given({ jobStatus: 'running' }), 'report').status)).to.include(
        'Reconciling=True/WaitingForImport',
      );
      for (const jobStatus of ['failed', 'canceled']) {
        expect(shown(expectStep(given({ jobStatus }), 'report').status)).to.include(
          'Stalled=True/ImportFailed',
        );
      }
    });
  });

  describe('what the control plane allows', () => {
    const parts = { status: done, metadata: held };

    it('out of its scope nothing is done, and owners do not matter', () => {
      const outside = controlPlane({ scope: { organizations: ['other'], owners: [] } });
      for (const given of [{}, parts]) {
        const step = expectStep(
          decideTemplate(templateInput(given, { ...there, connection: outside })),
          'report',
        );
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/OutOfScope',
          'Synced=True/SyncSucceeded',
          'Stalled=True/OutOfScope',
        ]);
        expect(messageOf(step.status)).to.contain('spec.scope.organizations');
      }
      const inside = controlPlane({ scope: { organizations: ['Acme'], owners: ['bob'] } });
      const step = decideTemplate(templateInput(parts, { ...there, connection: inside }));
      expect(shown(expectStep(step, 'report').status)).to.include('Ready=True/UpToDate');
    });

    it('Delete counts for what was adopted, where it allows that', () => {
      const spec = { files: FILES, deletionPolicy: 'Delete' } as const;
      const status = { ...done, origin: 'Adopted' as const };
      const connection = controlPlane({ adoptedDeletion: true });
      const input = templateInput({ spec, status }, { ...there, connection });
      expect(decideTemplate(input)).to.deep.equal({ do: 'finalizer', present: true });
      const step = decideTemplate(templateInput({ spec, status, metadata: held }, { ...there, connection }));
      expect(expectStep(step, 'report').event).to.equal(undefined);
    });

    describe('while it is suspended', () => {
      const connection = controlPlane({ suspended: true });
      const suspended = [
        'Ready=False/Suspended',
        'Synced=True/SyncSucceeded',
        'Suspended=True/SuspendedByControlPlane',
      ];

      it('nothing is uploaded, and a request is not taken for heard', () => {
        const facts = { connection, templateByName: unseen, organization };
        const step = decideTemplate(templateInput({ metadata: { ...held, ...asked } }, facts));
        const { status, rest } = expectStep(step, 'report');
        expect(shown(status)).to.deep.equal(suspended);
        expect(messageOf(status)).to.contain('Not done while suspended');
        expect(status.pendingVersion).to.equal(undefined);
        expect(status.lastHandledReconcileAt).to.equal(undefined);
        expect(rest).to.deep.equal({ until: 'woken' });
      });

      it('nothing is promoted', () => {
        const spec = { versionID: NEW_ID };
        const version = {
          id: NEW_ID,
          version: versionRecord({ id: NEW_ID, name: 'new', templateID: TEMPLATE_ID }),
        };
        const step = decideTemplate(templateInput({ ...parts, spec }, { ...there, connection, version }));
        const { status } = expectStep(step, 'report');
        expect(shown(status)).to.deep.equal(suspended);
        expect(messageOf(status)).to.contain('Making new the active version');
        expect(status.contentVersionID).to.equal(VERSION_ID);
        const again = decideTemplate(
          templateInput({ ...parts, spec, status }, { ...there, connection, version }),
        );
        expect(expectStep(again, 'report').status, 'nothing is written while it lasts').to.deep.equal(status);
      });

      it('what is up to date is Ready, and says so', () => {
        const step = expectStep(decideTemplate(templateInput(parts, { ...there, connection })), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=True/UpToDate',
          'Synced=True/SyncSucceeded',
          'Suspended=True/SuspendedByControlPlane',
        ]);
      });

      it('what is wrong is told', () => {
        const facts = { connection, templateByName: unseen };
        const step = expectStep(decideTemplate(templateInput({ spec: {} }, facts)), 'report');
        expect(shown(step.status)).to.include('Stalled=True/ContentMissing');
        expect(shown(step.status)).to.include('Suspended=True/SuspendedByControlPlane');
      });
    });

    describe('another deployment that a person has accepted', () => {
      const connection = controlPlane({ isAccepted: true });
      const status: CoderTemplateStatus = {
        ...done,
        id: 'old-id',
        deploymentID: 'another',
        lastHandledReconcileAt: 'x',
        pendingOperation: pendingOperation({ type: 'Promote' }),
        conditions: [],
      };

      it('is looked for by its name there, an open operation or not', () => {
        const input = templateInput({ status, metadata: held }, { connection });
        expect(decideTemplate(input)).to.deep.equal({ do: 'read', fact: 'templateByName' });
      });

      it("is taken over there as somebody else's, and let go", () => {
        const facts = {
          connection,
          templateByName: seen(templateRecord()),
          activeVersionName: { id: VERSION_ID, name: 'one' },
        };
        expect(decideTemplate(templateInput({ status, spec: {}, metadata: held }, facts))).to.deep.equal({
          do: 'finalizer',
          present: false,
        });
        const step = expectStep(decideTemplate(templateInput({ status, spec: {} }, facts)), 'report');
        expect(step.status).to.deep.include({ id: TEMPLATE_ID, origin: 'Adopted', deploymentID: DEPLOYMENT });
        expect(step.status.lastHandledReconcileAt).to.equal('x');
        expect(step.status.pendingOperation).to.equal(undefined);
      });

      it('is made where it is not there', () => {
        const facts = { connection, templateByName: unseen, organization };
        const step = expectStep(decideTemplate(templateInput({ status, metadata: held }, facts)), 'write');
        expect(step.operation).to.deep.include({ type: 'CreateVersion', templateID: undefined });
        expect(step.status.id).to.equal(undefined);
        expect(step.status.contentHash).to.equal(undefined);
      });
    });
  });
});
