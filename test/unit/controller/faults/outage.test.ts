import { expect } from 'chai';
import { findCondition } from '../../../../src/api/conditions.ts';
import { controlPlanes, workspaces } from '../../../../src/api/kinds.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import { secrets } from '../../../../src/controller/secrets.ts';
import { shown } from '../../../support/controller-records.ts';
import { Fleet } from '../../../support/fleet.ts';
import { has, isReady } from '../../../support/tenant.ts';

const MINUTE_MS = 60_000;
const OBJECTS = 1_000;
const CHANGED = 60;
const MOST_BUILDS = 10;

/** A Coder that is away, or does not know the token any more, on the whole operator in virtual time. */
describe('outages of Coder', function () {
  this.timeout(120_000);
  let fleet: Fleet;

  afterEach(async () => {
    await fleet.close();
  });

  async function open(count: number, spec: ConstructorParameters<typeof Fleet>[0] = {}): Promise<void> {
    const mirror = { workspaces: 'Disabled', templates: 'Disabled' } as const;
    fleet = new Fleet({ pollInterval: '60s', mirror, ...spec });
    fleet.coder.addTemplate('docker');
    await fleet.pass(5_000);
    for (let i = 0; i < count; i++) fleet.apply(nameOf(i), { templateName: 'docker', running: true });
    for (let i = 0; i < 30 && !fleet.workspaces.every(isReady); i++) await fleet.pass(MINUTE_MS);
    expect(fleet.workspaces.filter((o) => !isReady(o))).to.deep.equal([]);
  }

  const nameOf = (i: number): string => `acme.ann.w-${i}`;
  const statusWrites = (from: number, name: string): number =>
    fleet.writes.slice(from).filter((w) => w.verb === 'status' && w.name === name).length;

  it('F10. notices a refused token once, keeps what was true, and goes on soon after it is replaced', async () => {
    await open(20);
    const { coder } = fleet;
    const writes = fleet.writes.length;
    const calls = fleet.calls.length;
    const buildInfo = { version: 'v2.30.0', deployment_id: coder.deploymentID };
    // This needs no token.
    coder.buildInfo = () => Promise.resolve(buildInfo);
    coder.outage = new CoderError('Unauthorized', 'Coder refuses the token', { status: 401 });
    await fleet.pass(9 * MINUTE_MS);
    expect(shown(fleet.controlPlane.status)).to.deep.equal([
      'Ready=False/TokenRefused',
      'Synced=False/TokenRefused',
      'Reconciling=True/TokenRefused',
    ]);
    expect(statusWrites(writes, 'coder'), 'said once').to.equal(1);
    expect(fleet.writes.slice(writes).filter(({ resource }) => resource === workspaces)).to.deep.equal([]);
    expect(fleet.workspaces.every(isReady)).to.equal(true);
    const asked = fleet.calls.slice(calls).filter((call) => call !== 'buildInfo').length;
    expect(asked / 9, 'requests a minute with a token that is refused').to.be.at.most(2.5);

    fleet.kube.patch(secrets, 'coder', { data: { token: Buffer.from('another').toString('base64') } });
    coder.outage = undefined;
    await fleet.pass(5_500);
    expect(has(fleet.controlPlane, 'Ready', 'True', 'Connected')).to.equal(true);
    expect(fleet.writes.slice(writes).filter(({ resource }) => resource === workspaces)).to.deep.equal([]);
  });

  it('F17. bears a Coder that is down for a quarter of an hour with a thousand objects', async () => {
    await open(OBJECTS);
    fleet.configure({ maxConcurrentBuilds: MOST_BUILDS });
    await fleet.pass(MINUTE_MS);
    const { coder } = fleet;
    const [writes, before] = [fleet.writes.length, fleet.calls.length];
    coder.outage = new CoderError('Unreachable', 'connection refused');
    await fleet.pass(2 * MINUTE_MS);
    const calls = fleet.calls.length;
    expect(has(fleet.controlPlane, 'Synced', 'False', 'CoderUnreachable')).to.equal(true);
    await fleet.pass(7 * MINUTE_MS);
    const early = fleet.writes.slice(writes).filter(({ resource }) => resource === workspaces);
    expect(early, 'nothing is red, and nothing was written, for ten minutes').to.deep.equal([]);
    await fleet.pass(6 * MINUTE_MS);
    for (const { metadata, status } of fleet.workspaces) {
      const ready = findCondition(status?.conditions, 'Ready');
      expect([ready?.status, ready?.reason], metadata.name).to.deep.equal([
        'Unknown',
        'ControlPlaneNotReady',
      ]);
    }
    expect(fleet.calls.length - calls, 'requests of all but the first two minutes').to.be.at.most(2 * 13);
    expect(calls - before, 'requests of these').to.be.at.most(20);

    // Meanwhile some get another wish.
    for (let i = 0; i < CHANGED; i++) fleet.apply(nameOf(i), { running: false });
    await fleet.pass(1_000);
    const landed = coder.landed.length;
    let most = 0;
    coder.onRequest = () => {
      most = Math.max(
        most,
        coder.present.filter((w) => w.latest_build.job.completed_at === undefined).length,
      );
    };
    coder.outage = undefined;
    await fleet.pass(2 * MINUTE_MS);
    expect(fleet.workspaces.filter((o) => !isReady(o))).to.deep.equal([]);
    expect(coder.landed.slice(landed).map(({ what, detail }) => `${what} ${detail}`)).to.deep.equal(
      Array<string>(CHANGED).fill('createBuild stop'),
    );
    expect(most, 'builds at the same time').to.be.below(MOST_BUILDS);
    for (let i = CHANGED; i < OBJECTS; i++) {
      expect(statusWrites(writes, nameOf(i)), nameOf(i)).to.be.at.most(2);
    }
    expect(fleet.writes.filter(({ resource }) => resource === controlPlanes).length).to.be.below(20);
  });
});
