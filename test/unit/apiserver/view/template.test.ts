import { expect } from 'chai';
import { templates, type CoderTemplate } from '../../../../src/api/kinds.ts';
import { templateView } from '../../../../src/apiserver/view/template.ts';
import type { Cell } from '../../../../src/apiserver/view/types.ts';
import { fullObject } from '../../../support/crd-samples.ts';

type Fields = Readonly<Record<string, unknown>>;

const wished: CoderTemplate = {
  metadata: {
    name: 'coder.docker',
    namespace: 'demo',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: {},
};

const bound: CoderTemplate = {
  ...wished,
  spec: { displayName: 'Wish', description: 'Wish', icon: '/wish.png', files: { 'main.tf': 'x' } },
  status: {
    id: 't-1',
    organizationName: 'Coder',
    templateName: 'Docker',
    activeVersion: { id: 'v-1', name: 'first' },
    workspaces: 3,
    origin: 'Created',
    observed: { displayName: 'Docker', description: 'Containers', icon: '/icon/docker.png', deprecated: '' },
  },
};

const full = fullObject(templates, 'coder.docker') as CoderTemplate;

const withStatus = (change: object): CoderTemplate => ({ ...bound, status: { ...bound.status, ...change } });
const spec = (object: CoderTemplate): Fields => templateView.view(object).spec as Fields;
const status = (object: CoderTemplate): Fields => templateView.view(object).status as Fields;

describe('a template as the endpoint shows it', () => {
  it('begins with kind, apiVersion and metadata', () => {
    const view = templateView.view(bound);
    expect(Object.keys(view)).to.deep.equal(['kind', 'apiVersion', 'metadata', 'spec', 'status']);
    expect(view.kind).to.equal('CoderTemplate');
    expect(view.apiVersion).to.equal('aggregation.coder.com/v1alpha1');
  });

  it('has in spec what Coder has, and the files that the object holds', () => {
    expect(spec(bound)).to.deep.equal({
      organization: 'Coder',
      versionID: 'v-1',
      displayName: 'Docker',
      description: 'Containers',
      icon: '/icon/docker.png',
      files: { 'main.tf': 'x' },
    });
  });

  it('has no files where the content is elsewhere, and nothing of where that is', () => {
    const elsewhere = { ...bound, spec: { source: { configMapRef: { name: 'x' } } } };
    expect(spec(elsewhere)).to.not.have.any.keys('files', 'source');
  });

  it('leaves out what is empty in Coder, also where something is wished', () => {
    const bare = withStatus({ observed: { displayName: '', description: '', icon: '', deprecated: '' } });
    expect(spec(bare)).to.have.all.keys('organization', 'versionID', 'files');
  });

  it('shows its wish and an empty id before it is bound', () => {
    const wish = { versionID: 'v-9', displayName: 'D', description: 'E', icon: '/f.png' };
    expect(spec({ ...wished, spec: wish })).to.deep.equal({ organization: 'coder', ...wish });
    expect(spec(wished)).to.deep.equal({ organization: 'coder', versionID: '' });
    expect(status(wished)).to.deep.equal({ id: '' });
  });

  it('has the fields of coder-k8s in status, but for the time of the last change', () => {
    expect(status(bound)).to.deep.include({
      id: 't-1',
      organizationName: 'Coder',
      activeVersionID: 'v-1',
      deprecated: false,
    });
    expect(status(bound)).to.not.have.any.keys('updatedAt', 'autoShutdown');
    expect(spec(bound)).to.not.have.property('running');
  });

  it('is deprecated where Coder says why, and tells it', () => {
    const old = withStatus({ observed: { deprecated: 'Use the other one' } });
    expect(status(old).deprecated).to.equal(true);
    expect(status(old).observed).to.deep.equal({ deprecated: 'Use the other one' });
  });

  it('shows nothing of what only the operator needs', () => {
    const shown = status(full);
    expect(shown).to.not.have.any.keys(
      'applied',
      'contentHash',
      'contentVersionID',
      'corrections',
      'driftedAt',
      'lastHandledReconcileAt',
      'pendingOperation',
      'refusals',
    );
    expect(shown).to.include.keys('pendingVersion', 'source', 'workspaces', 'conditions', 'url');
  });

  it('changes nothing of the object, and says the same twice', () => {
    const before = structuredClone(full);
    expect(templateView.view(full)).to.deep.equal(templateView.view(full));
    expect(full).to.deep.equal(before);
  });
});

describe('the columns of templates', () => {
  const cells = (object: CoderTemplate): Readonly<Record<string, Cell>> => {
    const row = templateView.cells(object);
    return Object.fromEntries(templateView.columns.map(({ name }, i) => [name, row[i]!]));
  };

  it('25. are what a person wants first, and more with -o wide', () => {
    const names = (priority: 0 | 1): string[] =>
      templateView.columns.filter((column) => column.priority === priority).map(({ name }) => name);
    expect(names(0)).to.deep.equal([
      'Name',
      'Organization',
      'Template',
      'Active Version',
      'Workspaces',
      'Deprecated',
      'Age',
    ]);
    expect(names(1)).to.deep.equal(['Display Name', 'Pending', 'Revision', 'Origin', 'Ready', 'Reason']);
  });

  it('tell a template in a row', () => {
    const object = withStatus({
      pendingVersion: { name: 'second', jobStatus: 'running' },
      source: { digest: 'sha256:0', filesHash: '0', revision: 'main@sha1:1' },
    });
    expect(cells(object)).to.deep.equal({
      Name: 'coder.docker',
      Organization: 'Coder',
      Template: 'Docker',
      'Active Version': 'first',
      Workspaces: 3,
      Deprecated: false,
      Age: { since: Date.parse('2026-01-01T00:00:00Z') },
      'Display Name': 'Docker',
      Pending: 'running',
      Revision: 'main@sha1:1',
      Origin: 'Created',
      Ready: null,
      Reason: null,
    });
  });

  it('name the version by its UUID until its name is known', () => {
    expect(cells(withStatus({ activeVersion: { id: 'v-2' } }))['Active Version']).to.equal('v-2');
  });

  it('know what the name says before the template is bound', () => {
    expect(cells(wished)).to.include({ Organization: 'coder', Template: 'docker', Deprecated: null });
  });
});
