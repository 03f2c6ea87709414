import { expect } from 'chai';
import { parseTemplateName, parseWorkspaceName, type WorkspaceName } from '../../../src/api/names.ts';
import { begin, outsideOf, type Beginning, type BeginningInput } from '../../../src/controller/beginning.ts';
import type { ConnectionFact } from '../../../src/controller/facts.ts';
import type { CommonStatus } from '../../../src/controller/report.ts';
import { expectStep, messageOf, NOW, shown, unavailable } from '../../support/controller-records.ts';
import { SETTINGS } from '../../support/controller-world.ts';
import { controlPlane } from '../../support/workspace-rules.ts';

type Status = CommonStatus & { readonly deploymentID?: string };

interface Case {
  readonly name?: string;
  readonly isDeleted?: boolean;
  readonly connection?: ConnectionFact;
  readonly deploymentID?: string;
  readonly hasPendingWork?: boolean;
}

function start(given: Case): Beginning<WorkspaceName, Status> {
  const { name = 'acme.ann.dev', isDeleted, connection = controlPlane(), deploymentID } = given;
  const status: Status = deploymentID === undefined ? {} : { deploymentID };
  const deletion = isDeleted === true ? { deletionTimestamp: '2026-01-02T03:00:00Z' } : {};
  const input: BeginningInput<Status> = {
    object: { metadata: { name, namespace: 'team', generation: 3, ...deletion }, status },
    facts: { connection },
    settings: SETTINGS,
    now: NOW,
  };
  return begin(input, status, parseWorkspaceName, given.hasPendingWork ?? true);
}

const scoped = (organizations: readonly string[], owners: readonly string[] = []): ConnectionFact =>
  controlPlane({ scope: { organizations, owners } });

describe('begin', () => {
  /** In one word: how it goes on, or the condition that is reported. */
  const ends: [string, Case, string][] = [
    ['B1 a name that is none', { name: 'acme.dev' }, 'Stalled=True/InvalidName'],
    [
      'B1 a name that is none, being deleted',
      { name: 'acme.dev', isDeleted: true },
      'Stalled=True/InvalidName',
    ],
    ['B2 being deleted, without a connection', { isDeleted: true, connection: { state: 'none' } }, 'delete'],
    ['B2 being deleted, out of scope', { isDeleted: true, connection: scoped(['other']) }, 'delete'],
    ['B2 being deleted, of another deployment', { isDeleted: true, deploymentID: 'another' }, 'delete'],
    [
      'B4 without a control plane',
      { connection: { state: 'none' } },
      'Reconciling=True/WaitingForDependency',
    ],
    ['B5 with one that is not ready', { connection: unavailable() }, 'Reconciling=True/ControlPlaneNotReady'],
    ['B8 out of scope', { connection: scoped(['other']) }, 'Stalled=True/OutOfScope'],
    [
      'B8 out of scope, and of another deployment',
      { connection: scoped(['other']), deploymentID: 'another' },
      'Stalled=True/OutOfScope',
    ],
    ['B9 of another deployment', { deploymentID: 'another' }, 'Stalled=True/DeploymentMismatch'],
    [
      'B10 of another one than the accepted one',
      { deploymentID: 'another', connection: controlPlane({ isAccepted: true }) },
      'rebind',
    ],
    [
      'B11 of the accepted one',
      {
        deploymentID: '0d000000-0000-4000-8000-000000000001',
        connection: controlPlane({ isAccepted: true }),
      },
      'go on',
    ],
    ['B11 of none yet, where one is accepted', { connection: controlPlane({ isAccepted: true }) }, 'go on'],
    ['B11 in scope', { connection: scoped(['ACME'], ['Ann']) }, 'go on'],
  ];
  for (const [name, given, end] of ends) {
    it(`${name}: ${end}`, () => {
      const beginning = start(given);
      if (beginning.then !== 'done') {
        expect(beginning.then).to.equal(end);
        expect(beginning.name).to.deep.equal({ organization: 'acme', owner: 'ann', workspace: 'dev' });
        return;
      }
      expect(shown(expectStep(beginning.step, 'report').status)).to.include(end);
    });
  }

  it('B9 says what to do in either case', () => {
    const beginning = start({ deploymentID: 'another' });
    if (beginning.then !== 'done') throw new Error('it goes on');
    expect(messageOf(beginning.step.status))
      .to.contain('deployment another')
      .and.to.contain('Point the control plane back')
      .and.to.contain('coder.com/accept-deployment: 0d000000-0000-4000-8000-000000000001');
  });
});

describe('outsideOf', () => {
  const cases: [string, readonly string[], readonly string[], string | undefined][] = [
    ['without any limit', [], [], undefined],
    ['in an organization of the list', ['other', 'acme'], [], undefined],
    ['in one that is written otherwise', ['ACME'], [], undefined],
    ['in another organization', ['other'], [], 'organization acme'],
    ['of an owner of the list', [], ['bob', 'ann'], undefined],
    ['of another owner', [], ['bob'], 'user ann'],
    ['in the organization, of another owner', ['acme'], ['bob'], 'user ann'],
    ['of the owner, in another organization', ['other'], ['ann'], 'organization acme'],
  ];
  for (const [name, organizations, owners, text] of cases) {
    it(`${name}: ${text === undefined ? 'inside' : 'outside'}`, () => {
      const why = outsideOf({ organizations, owners }, parseWorkspaceName('acme.ann.dev'));
      if (text === undefined) expect(why).to.equal(undefined);
      else expect(why).to.contain(text).and.to.contain('spec.scope.');
    });
  }

  it('a template has no owner: only its organization counts', () => {
    const name = parseTemplateName('acme.docker');
    expect(outsideOf({ organizations: [], owners: ['bob'] }, name)).to.equal(undefined);
    expect(outsideOf({ organizations: ['other'], owners: [] }, name)).to.contain('organization acme');
  });
});
