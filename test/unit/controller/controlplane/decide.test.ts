import { expect } from 'chai';
import type { CoderControlPlaneSpec, CoderControlPlaneStatus } from '../../../../src/api/generated.ts';
import { finalizers } from '../../../../src/api/kinds.ts';
import { CoderError, type CoderErrorKind } from '../../../../src/coder/errors.ts';
import { credentialsIn, forbidden } from '../../../../src/controller/controlplane/credentials.ts';
import { decideControlPlane } from '../../../../src/controller/controlplane/decide.ts';
import type {
  ConnectedHandshake,
  ControlPlaneFacts,
  ControlPlaneInput,
  RefusedHandshake,
} from '../../../../src/controller/controlplane/input.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import { expectStep, messageOf, NOW, shown } from '../../../support/controller-records.ts';

const held = { finalizers: [finalizers.controlPlane] };
const url = 'https://coder.example.com';
const secret: NonNullable<ControlPlaneFacts['secret']> = {
  state: 'read',
  credentials: { url, token: 'secret-token', caCertificates: undefined },
};
const user = { id: 'u1', name: 'coder-operator' };
const handshake: ConnectedHandshake = {
  state: 'connected',
  url,
  version: 'v2.30.0',
  deploymentID: DEPLOYMENT,
  user,
  token: undefined,
};
const needed = { count: 1, some: ['CoderWorkspace acme.ann.dev'] };

function input(
  facts: Partial<ControlPlaneFacts> = {},
  metadata: object = {},
  parts: { readonly status?: CoderControlPlaneStatus; readonly spec?: Partial<CoderControlPlaneSpec> } = {},
): ControlPlaneInput {
  return {
    object: {
      metadata: { name: 'coder', namespace: 'team', uid: 'u', generation: 3, ...metadata },
      spec: { credentialsSecretRef: { name: 'coder' }, ...parts.spec },
      ...(parts.status === undefined ? {} : { status: parts.status }),
    },
    facts: {
      olderOne: undefined,
      held: { count: 0, some: [] },
      lastDeletion: undefined,
      counts: undefined,
      remarks: [],
      ...facts,
    },
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
      expectStep(decideControlPlane(input({ secret, handshake }, {}, { spec: { pollInterval } })), 'report')
        .rest;
    expect(rest()).to.deep.equal({ until: 'time', afterMs: 60_000 });
    expect(rest('5m')).to.deep.equal({ until: 'time', afterMs: 300_000 });
  });

  describe('a request', () => {
    const annotations = { 'coder.com/reconcile-requested-at': 'now' };
    const known = { deploymentID: DEPLOYMENT };
    const statusFor = (
      facts: Partial<ControlPlaneFacts>,
      status: CoderControlPlaneStatus = known,
    ): CoderControlPlaneStatus =>
      expectStep(decideControlPlane(input({ secret, ...facts }, { annotations }, { status })), 'report')
        .status;

    it('is heard, and releases the deletions that are held', () => {
      expect(statusFor({ handshake, lastDeletion: '2026-01-02T03:00:00Z' })).to.deep.include({
        lastHandledReconcileAt: 'now',
        deletionsReleasedAt: '2026-01-02T03:00:00Z',
      });
    });

    it('is heard while nothing works, too: a deletion may need neither the Secret nor a look', () => {
      for (const facts of [
        { secret: forbidden('coder', 'team') },
        { secret: credentialsIn(undefined, 'coder') },
        { handshake: { state: 'failed', error: new CoderError('Unreachable', 'x') } as const },
      ]) {
        expect(statusFor({ ...facts, lastDeletion: '2026-01-02T03:00:00Z' })).to.deep.include({
          lastHandledReconcileAt: 'now',
          deletionsReleasedAt: '2026-01-02T03:00:00Z',
        });
      }
    });

    it("goes by the API server's clock, whatever ours says", () => {
      for (const lastDeletion of ['2026-01-02T03:05:00Z', '2026-01-02T03:03:00Z']) {
        expect(statusFor({ handshake, lastDeletion }).deletionsReleasedAt).to.equal(lastDeletion);
      }
      expect(statusFor({ handshake }).deletionsReleasedAt, 'nothing waits').to.equal(undefined);
    });

    it('that was heard before releases nothing', () => {
      const handled = { ...known, lastHandledReconcileAt: 'now' };
      expect(statusFor({ handshake }, handled).deletionsReleasedAt).to.equal(undefined);
      const released = { ...handled, deletionsReleasedAt: '2026-01-01T00:00:00Z' };
      expect(statusFor({ handshake }, released).deletionsReleasedAt).to.equal('2026-01-01T00:00:00Z');
    });

    it('releases nothing where nothing was seen before', () => {
      const status = statusFor({ handshake }, {});
      expect(status.lastHandledReconcileAt).to.equal('now');
      expect(status.deletionsReleasedAt).to.equal(undefined);
    });
  });

  describe('with new credentials that do not work while the former ones do', () => {
    const refusals: [RefusedHandshake, string, string][] = [
      [
        { state: 'unusable', message: 'the URL must be https' },
        'InvalidCredentials',
        'the URL must be https',
      ],
      [{ state: 'failed', error: new CoderError('Unauthorized', 'no') }, 'TokenRefused', 'no'],
      [
        { state: 'failed', error: new CoderError('Unreachable', 'no answer') },
        'CoderUnreachable',
        'no answer',
      ],
      [
        { state: 'otherDeployment', url, version: 'v2.30.0', deploymentID: 'another' },
        'InvalidCredentials',
        'coder.com/accept-deployment: another',
      ],
    ];
    for (const [refused, reason, text] of refusals) {
      it(`says so (${refused.state}, ${reason}), and tries again soon`, () => {
        const facts = { secret, handshake: { state: 'former', former: handshake, refused } as const };
        const status = { deploymentID: DEPLOYMENT };
        const step = expectStep(decideControlPlane(input(facts, {}, { status })), 'report');
        expect(shown(step.status)).to.deep.equal([
          `Ready=False/${reason}`,
          'Synced=True/SyncSucceeded',
          `Reconciling=True/${reason}`,
        ]);
        expect(messageOf(step.status)).to.contain(text).and.to.contain('The former token is still in use');
        expect(step.status).to.deep.include({ deploymentID: DEPLOYMENT, user });
        expect(step.rest).to.deep.equal({ until: 'time', afterMs: 5_000 });
      });
    }
  });

  it('takes over the deployment that a person has accepted', () => {
    const accepted = { ...handshake, deploymentID: 'another' };
    const status = { deploymentID: DEPLOYMENT };
    const step = expectStep(
      decideControlPlane(input({ secret, handshake: accepted }, {}, { status })),
      'report',
    );
    expect(step.status.deploymentID).to.equal('another');
  });

  describe('suspended', () => {
    const spec = { suspend: true };

    it('goes on reading, and says that nothing in Coder is changed', () => {
      const step = expectStep(decideControlPlane(input({ secret, handshake }, {}, { spec })), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=True/Connected',
        'Synced=True/SyncSucceeded',
        'Suspended=True/SuspendedBySpec',
      ]);
      expect(messageOf(step.status)).to.contain('Nothing in Coder is changed');
    });

    it('is said whatever else is wrong', () => {
      for (const facts of [
        { secret: forbidden('coder', 'team') },
        { secret, handshake: { state: 'failed', error: new CoderError('Unreachable', 'x') } as const },
      ]) {
        const step = expectStep(decideControlPlane(input(facts, {}, { spec })), 'report');
        expect(shown(step.status)).to.include('Suspended=True/SuspendedBySpec');
      }
    });
  });

  describe('the end of the token', () => {
    const day = 86_400_000;
    const inDays = (days: number): string => new Date(NOW.getTime() + days * day).toISOString();
    const stepWith = (
      at: string,
      status: CoderControlPlaneStatus = {},
      lifetimeMs = 90 * day,
    ): ReturnType<typeof expectStep<never, never, CoderControlPlaneStatus, 'report'>> => {
      const facts = { secret, handshake: { ...handshake, token: { at, lifetimeMs } } };
      return expectStep(decideControlPlane(input(facts, {}, { status })), 'report');
    };

    it('is shown, and no warning while it is far away', () => {
      const step = stepWith(inDays(30));
      expect(step.status.tokenExpiresAt).to.equal('2026-02-01T03:04:05Z');
      expect(messageOf(step.status)).to.equal('Connected to Coder v2.30.0 as coder-operator');
    });

    it('is announced seven days ahead, once', () => {
      const step = stepWith(inDays(6), { deploymentID: DEPLOYMENT });
      const message = 'The token expires on 2026-01-08: replace it in the Secret coder';
      expect(shown(step.status)[0]).to.equal('Ready=True/Connected');
      expect(messageOf(step.status)).to.contain(message);
      expect(step.event).to.deep.equal({ type: 'Warning', reason: 'TokenExpiring', message });
      const again = stepWith(inDays(6), step.status);
      expect(again.event).to.equal(undefined);
      expect(again.status).to.deep.equal(step.status);
    });
  });

  it('says what a person should know of how Coder is looked at, as the end of its message', () => {
    const remarks = ['The token may not read jobs', 'Two mirrors are missing'];
    const step = expectStep(decideControlPlane(input({ secret, handshake, remarks })), 'report');
    expect(shown(step.status)[0], 'it is Ready all the same').to.equal('Ready=True/Connected');
    expect(messageOf(step.status)).to.match(/\. The token may not read jobs\. Two mirrors are missing$/);
  });

  describe('counts', () => {
    const counts = { workspaces: 3, templates: 2, mirrored: 4, unmirrored: 1 };

    it('appear when everything was looked at', () => {
      const statusWith = (given: typeof counts | undefined, status = {}): CoderControlPlaneStatus =>
        expectStep(decideControlPlane(input({ secret, handshake, counts: given }, {}, { status })), 'report')
          .status;
      expect(statusWith(undefined).counts).to.equal(undefined);
      expect(statusWith(counts).counts).to.deep.equal(counts);
      expect(statusWith(undefined, { counts }).counts, 'it is being looked at anew').to.deep.equal(counts);
    });

    it('of mirrors stay as they were as long as some are still to be made: a restart does not make them flap', () => {
      const fresh = { workspaces: 7, templates: 2 };
      const facts = { secret, handshake, counts: fresh };
      const step = expectStep(decideControlPlane(input(facts, {}, { status: { counts } })), 'report');
      expect(step.status.counts).to.deep.equal({ ...fresh, mirrored: 4, unmirrored: 1 });
    });
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
