import { expect } from 'chai';
import type { CoderControlPlaneStatus } from '../../../../src/api/generated.ts';
import { finalizers } from '../../../../src/api/kinds.ts';
import { CoderError, type CoderErrorKind } from '../../../../src/coder/errors.ts';
import { credentialsIn, forbidden } from '../../../../src/controller/controlplane/credentials.ts';
import { decideControlPlane } from '../../../../src/controller/controlplane/decide.ts';
import type { ControlPlaneFacts, ControlPlaneInput } from '../../../../src/controller/controlplane/input.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import { expectStep, messageOf, NOW, shown } from '../../../support/controller-records.ts';

const held = { finalizers: [finalizers.controlPlane] };
const url = 'https://coder.example.com';
const secret: ControlPlaneFacts['secret'] = {
  state: 'read',
  credentials: { url, token: 'secret-token', caCertificates: undefined },
};
const user = { id: 'u1', name: 'coder-operator' };
const handshake: ControlPlaneFacts['handshake'] = {
  state: 'connected',
  url,
  version: 'v2.30.0',
  deploymentID: DEPLOYMENT,
  user,
};
const needed = { count: 1, some: ['CoderWorkspace acme.ann.dev'] };

function input(
  facts: Partial<ControlPlaneFacts> = {},
  metadata: object = {},
  parts: { readonly status?: CoderControlPlaneStatus; readonly pollInterval?: string } = {},
): ControlPlaneInput {
  return {
    object: {
      metadata: { name: 'coder', namespace: 'team', uid: 'u', generation: 3, ...metadata },
      spec: { credentialsSecretRef: { name: 'coder' }, pollInterval: parts.pollInterval },
      ...(parts.status === undefined ? {} : { status: parts.status }),
    },
    facts: { olderOne: undefined, held: { count: 0, some: [] }, ...facts },
    now: NOW,
  };
}

describe('decideControlPlane', () => {
  it('leaves a namespace to its older control plane', () => {
    const step = expectStep(decideControlPlane(input({ olderOne: 'first' })), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/AnotherControlPlane',
      'Synced=False/AnotherControlPlane',
      'Stalled=True/AnotherControlPlane',
    ]);
    expect(messageOf(step.status)).to.contain('first');
    expect(decideControlPlane(input({ olderOne: 'first' }, held))).to.deep.equal({
      do: 'finalizer',
      present: false,
    });
  });

  it('holds on while anything of its namespace needs it, and no longer', () => {
    expect(decideControlPlane(input({ held: needed }))).to.deep.equal({ do: 'finalizer', present: true });
    expect(decideControlPlane(input({}, held))).to.deep.equal({ do: 'finalizer', present: false });
    const deleting = { deletionTimestamp: '2026-01-02T03:00:00Z' };
    expect(decideControlPlane(input({}, { ...held, ...deleting }))).to.deep.equal({
      do: 'finalizer',
      present: false,
    });
    expect(decideControlPlane(input({ held: needed }, deleting))).to.deep.equal({ do: 'nothing' });
  });

  it('reads the Secret, then makes itself known', () => {
    expect(decideControlPlane(input())).to.deep.equal({ do: 'read', fact: 'secret' });
    expect(decideControlPlane(input({ secret }))).to.deep.equal({ do: 'read', fact: 'handshake' });
  });

  it('a Secret that is missing or wrong heals by itself, and is read again soon', () => {
    for (const wrong of [
      credentialsIn(undefined, 'coder'),
      credentialsIn({ metadata: { name: 'coder' } }, 'coder'),
    ]) {
      const step = expectStep(decideControlPlane(input({ secret: wrong })), 'report');
      const reason = wrong.state === 'wrong' ? wrong.cause.reason : '';
      expect(shown(step.status)).to.deep.equal([
        `Ready=False/${reason}`,
        `Synced=False/${reason}`,
        `Reconciling=True/${reason}`,
      ]);
      expect(messageOf(step.status)).to.match(/^[A-Z]/);
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 5_000 });
    }
  });

  it('a Secret that may not be read needs a person, and the message holds the command', () => {
    const step = expectStep(decideControlPlane(input({ secret: forbidden('coder', 'team') })), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/SecretForbidden',
      'Synced=False/SecretForbidden',
      'Stalled=True/SecretForbidden',
    ]);
    expect(messageOf(step.status)).to.contain('kubectl apply -n team -k config/tenant');
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 5_000 });
  });

  it('credentials that cannot be used name their Secret', () => {
    const unusable = { state: 'unusable', message: 'the URL must be https' } as const;
    const step = expectStep(decideControlPlane(input({ secret, handshake: unusable })), 'report');
    expect(shown(step.status)).to.include('Reconciling=True/InvalidCredentials');
    expect(messageOf(step.status)).to.equal('The Secret coder cannot be used: the URL must be https');
  });

  const failures: [CoderErrorKind, string, number][] = [
    ['Unauthorized', 'TokenRefused', 5_000],
    ['Unreachable', 'CoderUnreachable', 10_000],
    ['Timeout', 'CoderUnreachable', 10_000],
    ['ServerError', 'ServerError', 10_000],
    ['UnexpectedResponse', 'UnexpectedResponse', 10_000],
    ['AddressRefused', 'InvalidCredentials', 10_000],
  ];
  for (const [kind, reason, afterMs] of failures) {
    it(`${kind}: ${reason}, again after ${afterMs / 1000} s, and what was known stays`, () => {
      const status = { deploymentID: DEPLOYMENT, user, version: 'v2.30.0' };
      const failed = { state: 'failed', error: new CoderError(kind, 'what happened') } as const;
      const step = expectStep(
        decideControlPlane(input({ secret, handshake: failed }, {}, { status })),
        'report',
      );
      expect(shown(step.status)).to.deep.equal([
        `Ready=False/${reason}`,
        `Synced=False/${reason}`,
        `Reconciling=True/${reason}`,
      ]);
      expect(messageOf(step.status)).to.contain(url).and.to.contain('what happened');
      expect(step.status).to.deep.include({ ...status, url });
      expect(step.rest).to.deep.equal({ until: 'time', afterMs });
    });
  }

  it('another deployment behind the URL stops everything, until a person says that it is meant', () => {
    const other = { state: 'otherDeployment', url, version: 'v2.30.0', deploymentID: 'another' } as const;
    const status = { deploymentID: DEPLOYMENT };
    const step = expectStep(
      decideControlPlane(input({ secret, handshake: other }, {}, { status })),
      'report',
    );
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/DeploymentMismatch',
      'Synced=False/DeploymentMismatch',
      'Stalled=True/DeploymentMismatch',
    ]);
    expect(messageOf(step.status))
      .to.contain('coder.com/accept-deployment: another')
      .and.to.contain(DEPLOYMENT);
    expect(step.status.deploymentID).to.equal(DEPLOYMENT);
  });

  it('connected says to what and as whom, once', () => {
    const step = expectStep(decideControlPlane(input({ secret, handshake })), 'report');
    expect(shown(step.status)).to.deep.equal(['Ready=True/Connected', 'Synced=True/SyncSucceeded']);
    expect(step.status).to.deep.include({ url, version: 'v2.30.0', deploymentID: DEPLOYMENT, user });
    expect(step.event).to.deep.include({ type: 'Normal', reason: 'Connected' });
    expect(JSON.stringify(step)).to.not.contain('secret-token');
    const again = decideControlPlane(input({ secret, handshake }, {}, { status: step.status }));
    expect(expectStep(again, 'report').event).to.equal(undefined);
    expect(expectStep(again, 'report').status).to.deep.equal(step.status);
  });

  it('looks again at the rhythm that the spec says', () => {
    const rest = (pollInterval?: string): unknown =>
      expectStep(
        decideControlPlane(
          input({ secret, handshake }, {}, pollInterval === undefined ? {} : { pollInterval }),
        ),
        'report',
      ).rest;
    expect(rest()).to.deep.equal({ until: 'time', afterMs: 60_000 });
    expect(rest('5m')).to.deep.equal({ until: 'time', afterMs: 300_000 });
  });

  it('hears a request', () => {
    const annotations = { 'coder.com/reconcile-requested-at': 'now' };
    const step = expectStep(decideControlPlane(input({ secret, handshake }, { annotations })), 'report');
    expect(step.status.lastHandledReconcileAt).to.equal('now');
  });

  it('while it is deleted stays connected for those that need it, and names them', () => {
    const metadata = { ...held, deletionTimestamp: '2026-01-02T03:00:00Z' };
    const some = ['CoderWorkspace a', 'CoderWorkspace b', 'CoderTemplate c'];
    const facts = { secret, handshake, held: { count: 5, some } };
    const step = expectStep(decideControlPlane(input(facts, metadata)), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/Deleting',
      'Synced=True/SyncSucceeded',
      'Reconciling=True/InUse',
    ]);
    expect(messageOf(step.status))
      .to.contain('5 object(s)')
      .and.to.contain(`${some.join(', ')}, …`);
  });
});
