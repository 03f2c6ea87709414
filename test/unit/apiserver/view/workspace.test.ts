import { expect } from 'chai';
import { workspaces, type CoderWorkspace } from '../../../../src/api/kinds.ts';
import type { Cell } from '../../../../src/apiserver/view/types.ts';
import { workspaceView } from '../../../../src/apiserver/view/workspace.ts';
import { fullObject } from '../../../support/crd-samples.ts';

type Spec = Readonly<Record<string, unknown>>;

const wished: CoderWorkspace = {
  metadata: {
    name: 'coder.ann.dev',
    namespace: 'demo',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: {},
};

const build = {
  id: 'b-7',
  number: 7,
  transition: 'start',
  status: 'running',
  templateVersionID: 'v-2',
  templateVersionName: 'second',
  deadline: '2026-01-01T18:00:00Z',
} as const;

const bound: CoderWorkspace = {
  ...wished,
  spec: { templateName: 'wish', running: false, templateVersionID: 'v-1', ttlMillis: 3_600_000 },
  status: {
    observedGeneration: 1,
    id: 'w-1',
    ownerName: 'Ann',
    organizationName: 'Coder',
    templateName: 'docker',
    workspaceName: 'Dev',
    outdated: true,
    healthy: true,
    latestBuild: build,
    lastUsedAt: '2026-01-01T09:00:00Z',
    observed: {
      ttlMillis: 28_800_000,
      autostartSchedule: 'CRON_TZ=UTC 30 9 * * 1-5',
      automaticUpdates: 'Never',
    },
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        lastTransitionTime: '2026-01-01T00:00:00Z',
        reason: 'Running',
        message: 'It runs',
      },
    ],
  },
};

const full = fullObject(workspaces, 'coder.ann.dev') as CoderWorkspace;

const withStatus = (change: object): CoderWorkspace => ({ ...bound, status: { ...bound.status, ...change } });
const spec = (object: CoderWorkspace): Spec => workspaceView.view(object).spec as Spec;
const status = (object: CoderWorkspace): Spec => workspaceView.view(object).status as Spec;

describe('a workspace as the endpoint shows it', () => {
  it('begins with kind, apiVersion and metadata', () => {
    const view = workspaceView.view(bound);
    expect(Object.keys(view)).to.deep.equal(['kind', 'apiVersion', 'metadata', 'spec', 'status']);
    expect(view.kind).to.equal('CoderWorkspace');
    expect(view.apiVersion).to.equal('aggregation.coder.com/v1alpha1');
    expect(view.metadata.uid).to.equal('u');
  });

  it('has in spec what Coder has, whatever is wished', () => {
    expect(spec(bound)).to.deep.equal({
      organization: 'Coder',
      templateName: 'docker',
      templateVersionID: 'v-2',
      running: true,
      ttlMillis: 28_800_000,
      autostartSchedule: 'CRON_TZ=UTC 30 9 * * 1-5',
    });
  });

  it('shows its wish and an empty id before it is bound', () => {
    const wish = {
      organization: 'coder',
      templateName: 'docker',
      templateVersionID: 'v-1',
      running: true,
      ttlMillis: 60_000,
      autostartSchedule: '0 9 * * 1',
    };
    expect(spec({ ...wished, spec: wish })).to.deep.equal(wish);
    expect(spec(wished)).to.deep.equal({ organization: 'coder', running: false });
    expect(status(wished)).to.deep.equal({ id: '' });
    expect(status({ ...wished, status: { observedGeneration: -1 } })).to.deep.equal({
      id: '',
      observedGeneration: -1,
    });
  });

  describe('runs', () => {
    const cases: readonly [transition: string, state: string, running: boolean][] = [
      ['start', 'pending', true],
      ['start', 'starting', true],
      ['start', 'running', true],
      ['start', 'failed', false],
      ['start', 'canceling', false],
      ['start', 'canceled', false],
      ['stop', 'pending', false],
      ['stop', 'stopping', false],
      ['stop', 'stopped', false],
      ['stop', 'failed', false],
      ['delete', 'pending', false],
      ['delete', 'deleting', false],
      ['delete', 'deleted', false],
    ];
    for (const [transition, state, running] of cases) {
      it(`${running ? 'with' : 'not with'} a ${transition} that is ${state}`, () => {
        const object = withStatus({ latestBuild: { ...build, transition, status: state } });
        expect(spec(object).running).to.equal(running);
        expect(status(object).latestBuildStatus).to.equal(state);
      });
    }
  });

  it('leaves out a TTL and a schedule that Coder does not have, also where one is wished', () => {
    const never = withStatus({ observed: { ttlMillis: 0, autostartSchedule: '' } });
    expect(spec(never)).to.not.have.any.keys('ttlMillis', 'autostartSchedule');
    expect(status(never).observed).to.deep.equal({ ttlMillis: 0, autostartSchedule: '' });
  });

  it('has the fields of coder-k8s in status', () => {
    expect(status(bound)).to.deep.include({
      id: 'w-1',
      ownerName: 'Ann',
      organizationName: 'Coder',
      templateName: 'docker',
      latestBuildID: 'b-7',
      latestBuildStatus: 'running',
      autoShutdown: '2026-01-01T18:00:00Z',
      lastUsedAt: '2026-01-01T09:00:00Z',
    });
  });

  it('knows no last use where Coder names the year 1', () => {
    const unused = withStatus({ lastUsedAt: '0001-01-01T00:00:00Z' });
    expect(status(unused)).to.not.have.property('lastUsedAt');
    expect(cells(unused)['Last Used']).to.equal(null);
  });

  it('shows nothing of what only the operator needs', () => {
    const shown = status(full);
    expect(shown).to.not.have.any.keys(
      'applied',
      'corrections',
      'driftedAt',
      'failures',
      'lastHandledReconcileAt',
      'parameters',
      'pendingOperation',
      'power',
      'refusals',
      'running',
    );
    expect(shown).to.include.keys('agents', 'conditions', 'dormantAt', 'deletingAt', 'url', 'origin');
  });

  it('changes nothing of the object, and says the same twice', () => {
    const before = structuredClone(full);
    expect(workspaceView.view(full)).to.deep.equal(workspaceView.view(full));
    expect(full).to.deep.equal(before);
  });
});

function cells(object: CoderWorkspace): Readonly<Record<string, Cell>> {
  const row = workspaceView.cells(object);
  return Object.fromEntries(workspaceView.columns.map(({ name }, i) => [name, row[i]!]));
}

describe('the columns of workspaces', () => {
  it('25. are what a person wants first, and more with -o wide', () => {
    const names = (priority: 0 | 1): string[] =>
      workspaceView.columns.filter((column) => column.priority === priority).map(({ name }) => name);
    expect(names(0)).to.deep.equal([
      'Name',
      'Owner',
      'Workspace',
      'Template',
      'Status',
      'Outdated',
      'Last Used',
      'Age',
    ]);
    expect(names(1)).to.deep.equal([
      'Organization',
      'Version',
      'TTL',
      'Stops',
      'Healthy',
      'Dormant',
      'Origin',
      'Ready',
      'Reason',
    ]);
  });

  it('tell a workspace in a row', () => {
    const object = withStatus({ dormantAt: '2026-01-02T00:00:00Z', origin: 'Created' });
    expect(cells(object)).to.deep.equal({
      Name: 'coder.ann.dev',
      Owner: 'Ann',
      Workspace: 'Dev',
      Template: 'docker',
      Status: 'running',
      Outdated: true,
      'Last Used': { since: Date.parse('2026-01-01T09:00:00Z') },
      Age: { since: Date.parse('2026-01-01T00:00:00Z') },
      Organization: 'Coder',
      Version: 'second',
      TTL: '8h',
      Stops: '2026-01-01T18:00:00Z',
      Healthy: true,
      Dormant: { since: Date.parse('2026-01-02T00:00:00Z') },
      Origin: 'Created',
      Ready: 'True',
      Reason: 'Running',
    });
  });

  it('take names from the object, and the state from Ready, until Coder has it', () => {
    const conditions = [{ ...bound.status!.conditions![0]!, status: 'False' as const, reason: 'Creating' }];
    const spec = { templateName: 'docker', ttlMillis: 28_800_000 };
    const row = cells({ ...wished, spec, status: { conditions } });
    expect(row).to.include({
      Owner: 'ann',
      Workspace: 'dev',
      Template: 'docker',
      Status: 'Creating',
      Outdated: null,
      Organization: 'coder',
      TTL: '8h',
    });
  });

  it('tell no TTL where there is none, nor a wished one that Coder does not have', () => {
    expect(cells({ ...wished, spec: {} })).to.include({ TTL: null });
    expect(cells(withStatus({ observed: { ttlMillis: 0 } }))).to.include({ TTL: null });
  });

  it('know nothing of an object without a name that is right, and say so', () => {
    const row = cells({ metadata: { name: 'odd' }, spec: {} });
    expect(row).to.include({ Name: 'odd', Owner: null, Workspace: null, Status: null, Age: '<unknown>' });
  });
});
