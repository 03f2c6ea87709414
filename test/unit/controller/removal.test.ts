import { expect } from 'chai';
import { annotations } from '../../../src/api/kinds.ts';
import type { ConnectionFact } from '../../../src/controller/facts.ts';
import {
  beforeRemoval,
  type BeforeRemoval,
  type RemovableStatus,
  type RemovalInput,
} from '../../../src/controller/removal.ts';
import { DEPLOYMENT } from '../../support/controller-coder.ts';
import { messageOf, NOW, shown, unavailable } from '../../support/controller-records.ts';
import { SETTINGS } from '../../support/controller-world.ts';
import { controlPlane } from '../../support/workspace-rules.ts';

interface Case {
  readonly status?: RemovableStatus;
  readonly policy?: 'Delete' | 'Retain';
  readonly connection?: ConnectionFact;
  readonly crdTerminating?: boolean | 'unknown';
  readonly older?: string;
  readonly isCreating?: boolean;
  readonly force?: string;
  readonly finalizers?: readonly string[];
}

const created: RemovableStatus = { id: 'id-1', origin: 'Created', deploymentID: DEPLOYMENT };
const adopted: RemovableStatus = { ...created, origin: 'Adopted' };
const none = { state: 'none' } as const;
const connecting = { state: 'connecting' } as const;
const allowing = controlPlane({ adoptedDeletion: true });

function before(given: Case): BeforeRemoval<RemovableStatus> {
  const { status = created, policy, connection = controlPlane(), crdTerminating = false, force } = given;
  const input: RemovalInput<RemovableStatus> = {
    object: {
      metadata: {
        name: 'acme.docker',
        namespace: 'team',
        uid: 'uid-1',
        generation: 3,
        finalizers: [...(given.finalizers ?? ['f'])],
        deletionTimestamp: '2026-01-02T03:00:00Z',
        ...(force === undefined ? {} : { annotations: { [annotations.forceRelease]: force } }),
      },
      spec: { deletionPolicy: policy },
      status,
    },
    facts: {
      connection,
      claimedBy: () => given.older,
      ...(crdTerminating === 'unknown' ? {} : { crdTerminating }),
    },
    settings: SETTINGS,
    now: NOW,
  };
  return beforeRemoval(input, status, {
    thing: 'template',
    name: { organization: 'acme' },
    label: 'acme/docker',
    finalizer: 'f',
    isCreating: given.isCreating ?? false,
  });
}

/** In one word: `remove`, the event with which it is let go, the read, or the condition that is reported. */
function outcome(given: Case): string {
  const end = before(given);
  if (end.then === 'remove') return 'remove';
  const { step } = end;
  switch (step.do) {
    case 'nothing':
      return 'nothing';
    case 'read':
      return `read ${step.fact}`;
    case 'finalizer':
      return step.event?.reason ?? 'no event';
    case 'report':
      return shown(step.status).at(-1) ?? 'as before';
  }
}

describe('beforeRemoval', () => {
  const known = (parts: Parameters<typeof controlPlane>[0]): ConnectionFact =>
    ({ ...unavailable(), last: controlPlane(parts) }) as ConnectionFact;
  const rows: [string, Case, string][] = [
    ['X1 without our finalizer', { finalizers: ['other'] }, 'nothing'],
    ['X2 not bound', { status: {} }, 'Released'],
    ['X2 not bound, with an older request to let go', { status: {}, force: 'uid-1' }, 'Released'],
    ['X3 force-release with its own uid', { force: 'uid-1' }, 'ForceReleased'],
    [
      'X3 force-release while a create is open',
      { status: {}, isCreating: true, force: 'uid-1' },
      'ForceReleased',
    ],
    ['X3 force-release without a connection', { force: 'uid-1', connection: none }, 'ForceReleased'],
    ['X3 force-release with another uid', { force: 'uid-2' }, 'remove'],
    ['X4 created, to be kept', { policy: 'Retain' }, 'Retained'],
    ['X4 created, to be kept, without a connection', { policy: 'Retain', connection: none }, 'Retained'],
    ['X4 adopted', { status: adopted }, 'Retained'],
    ['X4 adopted, without a connection', { status: adopted, connection: none }, 'Retained'],
    ['X4 adopted, Delete asked for, not allowed', { status: adopted, policy: 'Delete' }, 'Retained'],
    [
      'X4 adopted, Delete asked for, not allowed by what is known last',
      { status: adopted, policy: 'Delete', connection: known({}) },
      'Retained',
    ],
    ['X4 adopted, allowed, not asked for', { status: adopted, connection: allowing }, 'Retained'],
    ['X4 being created, to be kept', { status: {}, isCreating: true, policy: 'Retain' }, 'Retained'],
    ['adopted, asked for and allowed', { status: adopted, policy: 'Delete', connection: allowing }, 'remove'],
    [
      'of unknown origin, asked for and allowed',
      { status: { id: 'id-1' }, policy: 'Delete', connection: allowing },
      'remove',
    ],
    [
      'adopted, asked for and allowed by what is known last',
      { status: adopted, policy: 'Delete', connection: known({ adoptedDeletion: true }) },
      'remove',
    ],
    [
      'X9 adopted, asked for, and nobody knows',
      { status: adopted, policy: 'Delete', connection: none },
      'Reconciling=True/ControlPlaneNotReady',
    ],
    [
      'X9 adopted, asked for, and it never worked',
      { status: adopted, policy: 'Delete', connection: unavailable() },
      'Reconciling=True/ControlPlaneNotReady',
    ],
    [
      'X8 adopted, asked for, and it was not talked to yet',
      { status: adopted, policy: 'Delete', connection: connecting },
      'as before',
    ],
    [
      'X5 out of scope',
      { connection: controlPlane({ scope: { organizations: ['other'], owners: [] } }) },
      'Retained',
    ],
    [
      'X5 out of the scope that is known last',
      { connection: known({ scope: { organizations: ['other'], owners: [] } }) },
      'Retained',
    ],
    ['X6 an older object is bound to it', { older: 'acme.other' }, 'Retained'],
    [
      'X6 being created, an older object does not matter yet',
      { status: {}, isCreating: true, older: 'acme.other' },
      'remove',
    ],
    ['X7 asks for the CRD', { crdTerminating: 'unknown' }, 'read crdTerminating'],
    ['X7 the CRD is being removed', { crdTerminating: true }, 'Retained'],
    [
      'X7 the CRD is being removed, without a connection',
      { crdTerminating: true, connection: none },
      'Retained',
    ],
    [
      'X7 the CRD is being removed, and nobody knows what is allowed',
      { status: adopted, policy: 'Delete', crdTerminating: true, connection: none },
      'Retained',
    ],
    ['X8 not talked to yet', { connection: connecting }, 'as before'],
    ['X9 no control plane', { connection: none }, 'Reconciling=True/ControlPlaneNotReady'],
    ['X9 one that never worked', { connection: unavailable() }, 'Reconciling=True/ControlPlaneNotReady'],
    ['one that worked once', { connection: known({}) }, 'remove'],
    [
      'X10 of another deployment than the accepted one',
      { status: { ...created, deploymentID: 'another' }, connection: controlPlane({ isAccepted: true }) },
      'Released',
    ],
    [
      'X11 of another deployment',
      { status: { ...created, deploymentID: 'another' } },
      'Stalled=True/DeploymentMismatch',
    ],
    ['created', {}, 'remove'],
    [
      'created, suspended: the rule that deletes sees to it',
      { connection: controlPlane({ suspended: true }) },
      'remove',
    ],
    ['being created', { status: {}, isCreating: true }, 'remove'],
  ];
  for (const [name, given, end] of rows) {
    it(`${name}: ${end}`, () => {
      expect(outcome(given)).to.equal(end);
    });
  }

  it('X9, X11 say every way out', () => {
    for (const given of [{ connection: none }, { status: { ...created, deploymentID: 'another' } }]) {
      const end = before(given);
      if (end.then !== 'done' || end.step.do !== 'report') throw new Error('it is not reported');
      expect(messageOf(end.step.status))
        .to.contain('spec.deletionPolicy Retain')
        .and.to.contain('coder.com/force-release: <metadata.uid of this object>');
    }
  });
});
