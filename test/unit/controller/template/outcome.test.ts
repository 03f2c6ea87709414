import { expect } from 'chai';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { TemplateOperation } from '../../../../src/controller/template/input.ts';
import { afterFailure, afterSuccess } from '../../../../src/controller/template/outcome.ts';
import {
  gone,
  pendingOperation,
  seen,
  TEMPLATE_ID,
  templateInput,
  templateRecord,
  versionRecord,
} from '../../../support/controller-records.ts';

const NEW_ID = '0e000000-0000-4000-8000-000000000009';
const operation: TemplateOperation = { type: 'Promote', templateID: TEMPLATE_ID, versionID: NEW_ID };
const pendingVersion = { name: 'k8s-x', attempt: 2 };
const input = templateInput(
  { status: { pendingOperation: pendingOperation(), pendingVersion } },
  { template: seen(templateRecord()) },
);

describe('afterSuccess', () => {
  it('knows the new version and keeps which try it is', () => {
    const version = versionRecord({ id: NEW_ID, name: 'k8s-x', jobStatus: 'running' });
    const { object, facts } = afterSuccess(input, operation, { type: 'CreateVersion', version });
    expect(object.status?.pendingVersion).to.deep.include({
      id: NEW_ID,
      name: 'k8s-x',
      attempt: 2,
      jobStatus: 'running',
    });
    expect(object.status?.pendingOperation).to.equal(undefined);
    expect(facts.version).to.deep.equal({ id: NEW_ID, version });
  });

  it('binds the template that was created, as ours', () => {
    const { object, facts } = afterSuccess(input, operation, {
      type: 'CreateTemplate',
      template: templateRecord(),
    });
    expect(object.status).to.deep.include({ id: TEMPLATE_ID, origin: 'Created' });
    expect(facts.template).to.deep.equal(seen(templateRecord()));
  });

  it('sees the promoted version as the active one, wherever the template was found', () => {
    const both = { ...input, facts: { ...input.facts, templateByName: seen(templateRecord()) } };
    const { object, facts } = afterSuccess(both, operation, { type: 'Promote' });
    expect(object.status?.activeVersion?.id).to.equal(NEW_ID);
    for (const sighting of [facts.template, facts.templateByName]) {
      expect(sighting).to.deep.equal(seen(templateRecord({ activeVersionID: NEW_ID })));
    }
  });

  it('takes a deleted template for gone', () => {
    expect(afterSuccess(input, operation, { type: 'Delete' }).facts.template).to.deep.equal(gone);
  });
});

describe('afterFailure', () => {
  it('keeps the announcement only while the outcome is unclear', () => {
    const unclear = new CoderError('Timeout', 'x', { mayHaveChanged: true });
    expect(afterFailure(input, operation, unclear)).to.deep.equal(input.object.status);
    const refused = afterFailure(input, operation, new CoderError('Invalid', 'x', { mayHaveChanged: true }));
    expect(refused).to.deep.equal({ pendingOperation: undefined, pendingVersion });
  });

  describe('of content that was to become a version', () => {
    const creation: TemplateOperation = {
      type: 'CreateVersion',
      organizationID: 'org',
      templateID: TEMPLATE_ID,
      name: 'k8s-x',
      content: {
        ...{ kind: 'files', key: 'x', files: {}, filesHash: 'x', leftOut: [], source: undefined },
        ...{ provisioner: 'terraform', tags: undefined, variables: [], attempt: 2, versionName: 'k8s-x' },
      },
    };

    it('counts what Coder refuses like an import that failed', () => {
      const status = afterFailure(input, creation, new CoderError('Invalid', 'x'.repeat(5_000)));
      expect(status.pendingOperation).to.equal(undefined);
      expect(status.pendingVersion).to.deep.include({ ...pendingVersion, failedAt: '2026-01-02T03:04:05Z' });
      expect(status.pendingVersion?.error).to.have.length(1000);
    });

    it('counts no other failure: it is tried again under the same name', () => {
      for (const kind of ['RateLimited', 'Unreachable', 'ServerError', 'Conflict', 'Forbidden'] as const) {
        const status = afterFailure(input, creation, new CoderError(kind, 'x'));
        expect(status, kind).to.deep.equal({ pendingOperation: undefined, pendingVersion });
      }
    });
  });
});
