import { expect } from 'chai';
import { mirrorLabels } from '../../../src/api/mirrors.ts';
import type { Verdict } from '../../../src/api/conditions.ts';
import { annotations } from '../../../src/api/kinds.ts';
import type { ConnectionFact } from '../../../src/controller/facts.ts';
import {
  newRequest,
  overruledWarning,
  reconciling,
  requestOf,
  stalled,
  suspensionOf,
  synced,
  unboundStatus,
  unlessSuspended,
  withVerdict,
  type CommonInput,
  type CommonStatus,
} from '../../../src/controller/report.ts';
import type { Step } from '../../../src/controller/step.ts';
import { expectStep, messageOf, NOW, shown, unavailable } from '../../support/controller-records.ts';
import { controlPlane } from '../../support/workspace-rules.ts';

const suspended = { reason: 'SuspendedBySpec', message: 'spec.suspend is true' } as const;
const starting: Verdict = {
  ready: { status: 'False', reason: 'Starting', message: 'Starting the workspace' },
  synced,
  reconciling: { reason: 'Progressing', message: 'Starting the workspace' },
};

function inputOf(status: CommonStatus = {}, asked?: string): CommonInput<CommonStatus> {
  const request = asked === undefined ? {} : { annotations: { [annotations.reconcileRequestedAt]: asked } };
  return { object: { metadata: { name: 'x', generation: 3, ...request }, status }, now: NOW };
}

interface Draft extends CommonStatus {
  readonly power?: string;
}

describe('unlessSuspended', () => {
  const input = inputOf();
  const write: Extract<Step<never, string, Draft>, { do: 'write' }> = {
    do: 'write',
    operation: 'start',
    status: withVerdict<Draft>(input, { power: 'asked for' }, starting),
    event: { type: 'Normal', reason: 'Starting', message: 'x' },
  };

  it('gives the step as it is while nothing is suspended', () => {
    expect(unlessSuspended(input, write, {})).to.equal(write);
  });

  it('says what is not done and why, with the status without what the step would make true', () => {
    const step = expectStep(
      unlessSuspended({ ...input, suspended }, write, { power: 'as before' }),
      'report',
    );
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/Suspended',
      'Synced=True/SyncSucceeded',
      'Suspended=True/SuspendedBySpec',
    ]);
    expect(messageOf(step.status))
      .to.contain('Starting the workspace')
      .and.to.contain('spec.suspend is true');
    expect(step.status.power).to.equal('as before');
    expect(step.rest).to.deep.equal({ until: 'woken' });
    expect(step.event).to.equal(undefined);
  });

  it('is said beside whatever else a status says', () => {
    const cause = { reason: 'WaitingForDependency', message: 'there is none' } as const;
    const waiting = reconciling({ ...input, suspended }, {}, cause, { until: 'woken' });
    expect(shown(waiting.status)).to.include('Reconciling=True/WaitingForDependency');
    expect(shown(waiting.status)).to.include('Suspended=True/SuspendedBySpec');
    const held = stalled({ ...input, suspended }, {}, { reason: 'OutOfScope', message: 'no' });
    expect(shown(held.status))
      .to.include('Stalled=True/OutOfScope')
      .and.to.include('Suspended=True/SuspendedBySpec');
  });
});

describe('suspensionOf', () => {
  const last = controlPlane({ suspended: true });
  const cases: [string, boolean | undefined, ConnectionFact, string | undefined][] = [
    ['nobody', undefined, controlPlane(), undefined],
    ['nobody, said so', false, controlPlane(), undefined],
    ['the spec', true, controlPlane(), 'SuspendedBySpec'],
    ['the spec, without a control plane', true, { state: 'none' }, 'SuspendedBySpec'],
    ['the control plane', undefined, last, 'SuspendedByControlPlane'],
    ['the control plane, whatever the spec says', false, last, 'SuspendedByControlPlane'],
    ['both', true, last, 'SuspendedBySpec'],
    ['nobody who is known', undefined, { state: 'connecting' }, undefined],
    ['nobody where there is no control plane', undefined, { state: 'none' }, undefined],
    ['nobody where it never worked', undefined, unavailable(), undefined],
    [
      'one that cannot be reached now',
      undefined,
      { ...unavailable(), last } as ConnectionFact,
      'SuspendedByControlPlane',
    ],
  ];
  for (const [name, suspend, connection, reason] of cases) {
    it(`by ${name}: ${reason ?? 'not suspended'}`, () => {
      const cause = suspensionOf({ metadata: { name: 'acme.ann.dev' }, spec: { suspend } }, connection);
      expect(cause?.reason).to.equal(reason);
      if (reason !== undefined) expect(cause?.message).to.contain('set it to false');
    });
  }
});

describe('suspensionOf a mirror', () => {
  it('is none, since nothing is wished of it', () => {
    const labels = { [mirrorLabels.mirror]: 'true' };
    const mirror = { metadata: { name: 'acme.ann.dev', labels }, spec: {} };
    expect(suspensionOf(mirror, controlPlane({ suspended: true }))).to.equal(undefined);
  });
});

describe('unboundStatus', () => {
  it('keeps the last request and the conditions, and nothing else', () => {
    const status = withVerdict<Draft>(inputOf(), { power: 'y', lastHandledReconcileAt: 'z' }, starting);
    expect(unboundStatus(status)).to.deep.equal({
      lastHandledReconcileAt: 'z',
      conditions: status.conditions,
    });
  });
});

describe('a request by annotation', () => {
  it('is new until its value was handled', () => {
    expect(newRequest(inputOf())).to.equal(undefined);
    expect(newRequest(inputOf({}, 'a'))).to.equal('a');
    expect(newRequest(inputOf({ lastHandledReconcileAt: 'a' }, 'a'))).to.equal(undefined);
    expect(newRequest(inputOf({ lastHandledReconcileAt: 'b' }, 'a'))).to.equal('a');
    expect(newRequest(inputOf({}, ''))).to.equal('');
  });

  it('is not new because it is long, or is taken away', () => {
    const long = 'x'.repeat(1_000);
    const handled = requestOf(inputOf({}, long).object);
    expect(handled).to.have.length(256);
    expect(
      newRequest(inputOf(handled === undefined ? {} : { lastHandledReconcileAt: handled }, long)),
    ).to.equal(undefined);
    expect(newRequest(inputOf({ lastHandledReconcileAt: 'a' }))).to.equal(undefined);
  });
});

describe('overruledWarning', () => {
  it('is told once for a generation', () => {
    expect(overruledWarning(inputOf(), false, 'workspace')).to.equal(undefined);
    const first = overruledWarning(inputOf(), true, 'workspace');
    expect(first).to.deep.include({ type: 'Warning', reason: 'Retained' });
    expect(first?.message).to.contain('adoptedDeletion');
    const status = withVerdict(inputOf(), {}, starting);
    expect(overruledWarning(inputOf(status), true, 'workspace')).to.equal(undefined);
  });
});
