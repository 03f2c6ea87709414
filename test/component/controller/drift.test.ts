import { expect } from 'chai';
import type { CoderWorkspaceSpec } from '../../../src/api/generated.ts';
import type { DriftReason } from '../../../src/api/reasons.ts';
import type { SimulatedCoder } from '../../support/controller-coder.ts';
import { OWNER, STRANGER } from '../../support/controller-coder.ts';
import { Loop, type LoopWorkspace } from '../../support/loop.ts';
import { has, messageOf } from '../../support/tenant.ts';

const HOUR_MS = 3_600_000;
const CPU = { name: 'cpu', type: 'number', default: '1' } as const;
const POLICIES = ['Enforce', 'OnChange'] as const;
type Policy = (typeof POLICIES)[number];

/** What somebody or something does in Coder, and what becomes of it. */
interface Row {
  readonly what: string;
  /** Beside template and policy. */
  readonly spec: CoderWorkspaceSpec;
  readonly meddle: (coder: SimulatedCoder, id: string) => void;
  readonly drifted: DriftReason;
  /** Reason of Ready where it is left as it is. */
  readonly left: string;
  /** In every event and condition that tells of it. */
  readonly told: RegExp;
  /** What is asked of Coder to set it right under Enforce. Left out: it is left so there too. */
  readonly corrected?: readonly string[];
}

/** The owner's build ends by itself, with success, unless the same act ends it otherwise. */
function byOwner(coder: SimulatedCoder, id: string, transition: string): void {
  coder.build(transition, OWNER.id, 'dashboard', { workspaceID: id });
}

const ROWS: readonly Row[] = [
  {
    what: 'autostop',
    spec: { running: true },
    meddle: (coder, id) => coder.autostop(id),
    drifted: 'StoppedByAutostop',
    left: 'YieldedToCoder',
    told: /by Coder itself stopped the workspace/,
  },
  {
    what: 'autostart',
    spec: { running: false },
    meddle: (coder, id) => coder.autostart(id),
    drifted: 'StartedByAutostart',
    left: 'YieldedToCoder',
    told: /by Coder itself started the workspace/,
  },
  {
    what: 'F34. the maximum lifetime',
    spec: { running: true },
    meddle: (coder, id) => coder.endLifetime(id),
    drifted: 'StoppedByAutostop',
    left: 'YieldedToCoder',
    told: /by Coder itself stopped the workspace/,
  },
  {
    what: 'F33. dormancy',
    spec: { running: true },
    meddle: (coder, id) => coder.becomeDormant(24 * HOUR_MS, id),
    drifted: 'StoppedByDormancy',
    left: 'YieldedToCoder',
    told: /by Coder itself stopped the workspace/,
  },
  {
    what: 'a stop by somebody, dormancy after it',
    spec: { running: true },
    meddle: (coder, id) => {
      byOwner(coder, id, 'stop');
      coder.finishBuilds('succeeded', '', id);
      coder.becomeDormant(24 * HOUR_MS, id);
    },
    drifted: 'Dormant',
    left: 'YieldedToCoder',
    told: /is dormant since/,
  },
  {
    what: 'F11. quota',
    spec: { running: true },
    meddle: (coder, id) => {
      byOwner(coder, id, 'start');
      coder.exceedQuota(id);
    },
    drifted: 'QuotaExceeded',
    left: 'BuildFailed',
    told: /quota is used up/,
  },
  {
    what: "the owner's stop",
    spec: { running: true },
    meddle: (coder, id) => byOwner(coder, id, 'stop'),
    drifted: 'StoppedByUser',
    left: 'YieldedToCoder',
    told: /Build 2 by its owner stopped the workspace, and spec.running is true/,
    corrected: ['start'],
  },
  {
    what: "somebody else's start",
    spec: { running: false },
    meddle: (coder, id) => coder.build('start', STRANGER.id, 'initiator', { workspaceID: id }),
    drifted: 'StartedByUser',
    left: 'YieldedToCoder',
    told: /Build 3 by another user started the workspace, and spec.running is false/,
    corrected: ['stop'],
  },
  {
    what: 'a build of a user that failed',
    spec: { running: true },
    meddle: (coder, id) => {
      byOwner(coder, id, 'start');
      coder.finishBuilds('failed', 'no disk left', id);
    },
    drifted: 'BuildFailedInCoder',
    left: 'BuildFailed',
    told: /Build 2 \(start\) by its owner failed/,
    corrected: ['start'],
  },
  {
    what: 'another TTL',
    spec: { running: true, ttlMillis: HOUR_MS },
    meddle: (coder, id) => coder.changeSettings({ ttl: 2 * HOUR_MS }, id),
    drifted: 'SettingsChanged',
    left: 'Running',
    told: /Somebody changed spec.ttlMillis in Coder/,
    corrected: [`ttl ${HOUR_MS}`],
  },
  {
    what: 'another schedule',
    spec: { running: true, autostartSchedule: '0 8 * * 1-5' },
    meddle: (coder, id) => coder.changeSettings({ autostart: '' }, id),
    drifted: 'SettingsChanged',
    left: 'Running',
    told: /Somebody changed spec.autostartSchedule in Coder/,
    corrected: ['autostart 0 8 * * 1-5'],
  },
  {
    what: 'other automatic updates',
    spec: { running: true, automaticUpdates: 'Never' },
    meddle: (coder, id) => coder.changeSettings({ automaticUpdates: 'always' }, id),
    drifted: 'SettingsChanged',
    left: 'Running',
    told: /Somebody changed spec.automaticUpdates in Coder/,
    corrected: ['autoupdates {"automatic_updates":"never"}'],
  },
  {
    what: 'other parameters (OnNextStart)',
    spec: { running: true, parameters: [{ name: 'cpu', value: '2' }] },
    meddle: (coder, id) => coder.changeParameters({ cpu: '8' }, id),
    drifted: 'ParametersChanged',
    left: 'Running',
    told: /Takes effect with the next start: parameter cpu/,
  },
  {
    what: 'other parameters (Restart)',
    spec: { running: true, updatePolicy: 'Restart', parameters: [{ name: 'cpu', value: '2' }] },
    meddle: (coder, id) => coder.changeParameters({ cpu: '8' }, id),
    drifted: 'ParametersChanged',
    left: 'Running',
    told: /Somebody built it otherwise in Coder than wished: parameter cpu/,
    corrected: ['stop', 'start cpu=2'],
  },
  {
    what: 'another version (OnNextStart)',
    spec: { running: true, templateVersionName: 'first-0' },
    meddle: (coder, id) => withAnotherVersion(coder, id),
    drifted: 'VersionChanged',
    left: 'Running',
    told: /Takes effect with the next start: template version first-0/,
  },
  {
    what: 'another version (Restart)',
    spec: { running: true, updatePolicy: 'Restart', templateVersionName: 'first-0' },
    meddle: (coder, id) => withAnotherVersion(coder, id),
    drifted: 'VersionChanged',
    left: 'Running',
    told: /Somebody built it otherwise in Coder than wished: template version first-0/,
    corrected: ['stop', 'start'],
  },
  {
    what: 'F31. a rename',
    spec: { running: true },
    meddle: (coder, id) => coder.rename(`renamed-${id.slice(0, 8)}`, id),
    drifted: 'RenamedInCoder',
    left: 'Running',
    told: /In Coder the workspace is now ann\/renamed-/,
  },
  {
    what: 'F31. another owner',
    spec: { running: true },
    meddle: (coder, id) => coder.changeOwner(STRANGER.username, id),
    drifted: 'OwnerChangedInCoder',
    left: 'Running',
    told: /In Coder the workspace is now bob\//,
  },
];

function withAnotherVersion(coder: SimulatedCoder, workspaceID: string): void {
  const [template] = coder.presentTemplates;
  const versionID = coder.addVersion(template?.id, { parameters: [CPU] }).id;
  coder.build('start', OWNER.id, 'dashboard', { workspaceID, versionID });
}

describe('drift, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;
  /** What every workspace has asked of Coder at the end of its test. */
  const settled = new Map<LoopWorkspace, readonly string[]>();
  const prepared = new Map<string, LoopWorkspace>();

  before(async () => {
    loop = await Loop.open({ content: { parameters: [CPU] } });
    const all = ROWS.flatMap((row, i) => POLICIES.map((policy) => [row, i, policy] as const));
    await Promise.all(
      all.map(async ([{ spec }, i, driftPolicy]) => {
        const name = `row-${i}-${driftPolicy.toLowerCase()}`;
        prepared.set(keyOf(i, driftPolicy), await loop.applied(name, { ...spec, driftPolicy }));
      }),
    );
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
  });

  const keyOf = (row: number, policy: Policy): string => `${row} ${policy}`;

  function workspaceOf(row: number, policy: Policy): LoopWorkspace {
    const workspace = prepared.get(keyOf(row, policy));
    if (workspace === undefined) throw new Error('It was not prepared.');
    return workspace;
  }

  /** It is said and left; the last test looks whether it stays so. */
  async function expectLeft(w: LoopWorkspace, row: Row, calls: readonly string[]): Promise<void> {
    const object = await w.until(
      (o) => has(o, 'Drifted', 'True', row.drifted) && !has(o, 'Reconciling', 'True'),
    );
    const status = row.left === 'BuildFailed' ? 'False' : 'True';
    expect(has(object, 'Ready', status, row.left), JSON.stringify(object.status)).to.equal(true);
    expect(messageOf(object, 'Drifted')).to.match(row.told);
    expect(object.status).not.to.have.any.keys('driftedAt', 'corrections');
    expect(w.calls).to.deep.equal(calls);
    await w.untilTold('Normal', row.drifted, row.told);
  }

  /** It is said at once, and set right when the cooldown is over. */
  async function expectCorrected(w: LoopWorkspace, row: Row, calls: readonly string[]): Promise<void> {
    const object = await w.until((o) => has(o, 'Drifted', 'True', row.drifted));
    expect(messageOf(object, 'Drifted'))
      .to.match(row.told)
      .and.match(/; it is set right at 20\d\d-/);
    expect(object.status).to.have.property('driftedAt');
    expect(w.calls).to.deep.equal(calls);
    // What keeps it from running or being stopped as wished is work to do; the rest is only told.
    const isPower = row.left === 'YieldedToCoder' || row.left === 'BuildFailed';
    expect(has(object, 'Reconciling', 'True', 'CorrectingDrift')).to.equal(isPower);
    expect(has(object, 'Ready', 'True', row.left)).to.equal(!isPower);
    await w.untilTold(isPower ? 'Warning' : 'Normal', isPower ? 'CorrectingDrift' : row.drifted, row.told);

    const { status } = await w.untilWell();
    expect(w.calls).to.deep.equal([...calls, ...(row.corrected ?? [])]);
    expect(status?.corrections).to.have.length(1);
    expect(status).not.to.have.any.keys('driftedAt', 'pendingOperation');
    if (isPower) {
      const doing = row.spec.running === true ? 'Starting' : 'Stopping';
      await w.untilTold('Normal', doing, new RegExp(`^${doing} the workspace again: .*${row.told.source}`));
    } else {
      await w.untilTold('Normal', 'Updating');
    }
  }

  for (const [i, row] of ROWS.entries()) {
    for (const policy of POLICIES) {
      const isCorrected = policy === 'Enforce' && row.corrected !== undefined;
      it(`${row.what}: ${isCorrected ? 'is set right' : 'is left'} under ${policy}`, async () => {
        const w = workspaceOf(i, policy);
        const calls = w.calls;
        row.meddle(loop.coder, w.id);
        await (isCorrected ? expectCorrected(w, row, calls) : expectLeft(w, row, calls));
        settled.set(w, w.calls);
      });
    }
  }

  async function yielded(name: string): Promise<LoopWorkspace> {
    const w = await loop.applied(name, { running: true });
    loop.coder.autostop(w.id);
    await w.until((o) => has(o, 'Ready', 'True', 'YieldedToCoder'));
    return w;
  }

  it('yields until anybody starts it: then a stop by a user is set right', async () => {
    const w = await yielded('started');
    byOwner(loop.coder, w.id, 'start');
    await w.untilWell();
    byOwner(loop.coder, w.id, 'stop');
    await w.until((o) => has(o, 'Drifted', 'True', 'StoppedByUser'));
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create', 'start']);
  });

  it('yields until the wish is a new one, by its value or by a request', async () => {
    const w = await yielded('wished');
    await w.ask('again');
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create', 'start']);
    loop.coder.autostop(w.id);
    await w.until((o) => has(o, 'Ready', 'True', 'YieldedToCoder'));
    await w.patch({ running: false });
    await w.until((o) => has(o, 'Ready', 'True', 'Stopped'));
    await w.patch({ running: true });
    await w.until((o) => has(o, 'Ready', 'True', 'Running'));
    expect(w.calls).to.deep.equal(['create', 'start', 'start']);
  });

  it('has asked nothing else of Coder, when later drift was set right already', async () => {
    const w = await loop.applied('sentinel', { running: true });
    byOwner(loop.coder, w.id, 'stop');
    await w.until((o) => has(o, 'Drifted', 'True'));
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create', 'start']);
    for (const [other, calls] of settled) expect(other.calls, other.name).to.deep.equal(calls);
  });
});
