import { expect } from 'chai';
import {
  templateDifferences,
  wishDifferences,
  workspaceDifferences,
} from '../../../../hack/soak/differences.ts';
import type { CoderWorkspace } from '../../../../src/api/kinds.ts';
import type { Template, Workspace } from '../../../../src/coder/types.ts';

function workspace(id: string, name: string): Workspace {
  return {
    id,
    name,
    organization_name: 'coder',
    owner_name: 'Alice',
    template_name: 'small',
    ttl_ms: 60_000,
    latest_build: { build_number: 3, status: 'running', transition: 'start', job: { status: 'succeeded' } },
  } as Workspace;
}

function mirror(id: string, name: string, status: object = {}): CoderWorkspace {
  return {
    metadata: { name: `coder.alice.${name}`, labels: { 'coder.com/mirror': 'true' } },
    spec: {},
    status: {
      id,
      templateName: 'small',
      running: true,
      latestBuild: { id: 'b', number: 3, status: 'running', transition: 'start' },
      observed: { ttlMillis: 60_000 },
      ...status,
    },
  };
}

describe('what a soak finds wrong', () => {
  it('is nothing when objects say what Coder says', () => {
    expect(workspaceDifferences([workspace('1', 'Dev')], [mirror('1', 'dev')])).to.deep.equal([]);
  });

  it('is a workspace without an object, and an object without a workspace', () => {
    expect(workspaceDifferences([workspace('1', 'dev')], [mirror('2', 'old')])).to.deep.equal([
      'coder.alice.dev is in Coder, and no object shows it',
      'coder.alice.old stands for nothing that is in Coder',
    ]);
  });

  it('is a second object for the same workspace', () => {
    const found = workspaceDifferences([workspace('1', 'dev')], [mirror('1', 'old'), mirror('1', 'dev')]);
    expect(found).to.deep.equal(['coder.alice.old and coder.alice.dev both stand for 1']);
  });

  it('is a mirror under an old name, but not an object of a user', () => {
    const renamed = [workspace('1', 'new')];
    expect(workspaceDifferences(renamed, [mirror('1', 'dev')])).to.have.lengthOf(1);
    const own = { ...mirror('1', 'dev'), spec: { running: true } };
    expect(workspaceDifferences(renamed, [own])).to.deep.equal([]);
  });

  it('is whatever the status says otherwise', () => {
    const status = {
      running: false,
      latestBuild: { id: 'a', number: 2, status: 'stopped', transition: 'stop' },
    };
    expect(workspaceDifferences([workspace('1', 'dev')], [mirror('1', 'dev', status)])).to.deep.equal([
      'coder.alice.dev: build is 3 in Coder and 2 in the object',
      'coder.alice.dev: status is running in Coder and stopped in the object',
      'coder.alice.dev: running is true in Coder and false in the object',
    ]);
  });

  it('is a template that is told otherwise', () => {
    const template = {
      id: '1',
      name: 'small',
      organization_name: 'coder',
      active_version_id: 'v2',
      description: 'd',
    };
    const object = {
      metadata: { name: 'coder.small', labels: { 'coder.com/mirror': 'true' } },
      spec: {},
      status: { id: '1', activeVersion: { id: 'v1' }, observed: { description: 'd' } },
    };
    expect(templateDifferences([template as Template], [object])).to.deep.equal([
      'coder.small: version is v2 in Coder and v1 in the object',
    ]);
  });

  it('is a wish that was not carried out', () => {
    const ready = { type: 'Ready', status: 'True', reason: 'Running', message: '', lastTransitionTime: '' };
    const object = mirror('1', 'dev', { conditions: [ready] });
    const name = object.metadata.name;
    expect(wishDifferences(new Map([[name, true]]), [object])).to.deep.equal([]);
    expect(wishDifferences(new Map([[name, false]]), [object])).to.have.lengthOf(1);
    expect(wishDifferences(new Map([['coder.alice.gone', true]]), [object])).to.have.lengthOf(1);
  });
});
