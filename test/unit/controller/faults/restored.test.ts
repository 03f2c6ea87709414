import { expect } from 'chai';
import { workspaces } from '../../../../src/api/kinds.ts';
import type { Clock } from '../../../../src/base/clock.ts';
import { secrets } from '../../../../src/controller/secrets.ts';
import { OPERATOR, OWNER, SimulatedCoder, STRANGER } from '../../../support/controller-coder.ts';
import { shown } from '../../../support/controller-records.ts';
import { Fleet } from '../../../support/fleet.ts';
import { has, isReady } from '../../../support/tenant.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const COUNT = 30;
const MOST_BUILDS = 4;
const DEV = 'acme.ann.dev';
const WITHOUT_MIRRORS = { mirror: { workspaces: 'Disabled', templates: 'Disabled' } } as const;

/** What is known is lost, or wrong, on the whole operator in virtual time. */
describe('what cannot be relied on', function () {
  this.timeout(60_000);
  const fleets: Fleet[] = [];

  afterEach(async () => {
    for (const fleet of fleets.splice(0)) await fleet.close();
  });

  function opened(spec: ConstructorParameters<typeof Fleet>[0] = {}): Fleet {
    const fleet = new Fleet({ ...WITHOUT_MIRRORS, ...spec });
    fleets.push(fleet);
    fleet.coder.addTemplate('docker');
    return fleet;
  }

  /** The same things in Coder, wherever its clock stands. */
  async function lived(skewMs: number): Promise<readonly unknown[]> {
    const fleet = opened();
    fleet.replaceCoder(new SimulatedCoder(skewed(fleet.clock, skewMs)));
    const { coder } = fleet;
    coder.addTemplate('docker');
    const said: unknown[] = [];
    const after = async (ms = MINUTE_MS): Promise<void> => {
      await fleet.pass(ms);
      const [object] = fleet.workspaces;
      said.push([shown(object?.status), object?.status?.origin, object?.status?.corrections?.length]);
    };
    await fleet.looks(1);
    coder.fate = 'answer lost';
    fleet.apply(DEV, { templateName: 'docker', running: true });
    await after();
    coder.fate = 'answer lost';
    fleet.apply(DEV, { running: false });
    await after();
    coder.fate = 'lost';
    fleet.apply(DEV, { running: true });
    await after();
    coder.build('stop', OWNER.id);
    await after();
    await after(6 * MINUTE_MS);
    coder.becomeDormant(HOUR_MS);
    await after(HOUR_MS);
    fleet.apply(DEV, { running: false });
    await after();
    fleet.apply(DEV, { running: true });
    await after();
    fleet.isBuilding = false;
    fleet.delete(DEV);
    await fleet.pass(5_000);
    coder.finishBuilds('failed', 'no');
    fleet.isBuilding = true;
    await after(HOUR_MS);
    said.push(
      fleet.workspaces.length,
      coder.history.map(({ build }) => `${build.transition} ${build.reason} ${build.initiator_id}`),
    );
    return said;
  }

  it('F22. does the same whatever Coder takes for the time', async () => {
    const plain = await lived(0);
    expect(plain.at(-2), 'objects left').to.equal(0);
    const operator = (transition: string): string => `${transition} initiator ${OPERATOR.id}`;
    expect(plain.at(-1)).to.deep.equal([
      operator('start'),
      operator('stop'),
      operator('start'),
      `stop dashboard ${OWNER.id}`,
      operator('start'),
      `stop dormancy ${OWNER.id}`,
      operator('start'),
      operator('delete'),
      operator('delete'),
    ]);
    for (const skewMs of [-HOUR_MS, HOUR_MS])
      expect(await lived(skewMs), `${skewMs} ms`).to.deep.equal(plain);
  });

  for (const other of [false, true]) {
    it(`F23. makes a workspace once when the token changes meanwhile, ${other ? 'and with it its user' : 'of the same user'}`, async () => {
      const fleet = opened();
      await fleet.looks(1);
      fleet.coder.fate = 'late';
      fleet.apply(DEV, { templateName: 'docker', running: true });
      await fleet.pass(1_000);
      fleet.kube.patch(secrets, 'coder', { data: { token: Buffer.from('another').toString('base64') } });
      if (other) fleet.coder.me = () => fleet.coder.user(STRANGER.id);
      await fleet.pass(5 * MINUTE_MS);
      expect(fleet.controlPlane.status?.user?.id).to.equal(other ? STRANGER.id : OPERATOR.id);
      const [object] = fleet.workspaces;
      expect(object === undefined ? undefined : isReady(object)).to.equal(true);
      expect(fleet.calls.filter((c) => c === 'createWorkspace')).to.have.length(1);
      expect(fleet.coder.present).to.have.length(1);
      // What another user has made is not this one's to delete.
      expect(object?.status).to.include({
        id: fleet.coder.present[0]?.id,
        origin: other ? 'Adopted' : 'Created',
      });
      expect(object?.metadata.finalizers ?? []).to.have.length(other ? 0 : 1);
    });
  }

  it('F28. takes restored objects without a status for adopted, and starts no more at once than it may', async () => {
    const fleet = opened({ maxConcurrentBuilds: MOST_BUILDS });
    const names = Array.from({ length: COUNT }, (_, i) => `acme.ann.w-${i}`);
    for (const name of names) fleet.apply(name, { templateName: 'docker', running: true });
    await fleet.pass(5 * MINUTE_MS);
    const ids = new Map(fleet.workspaces.map(({ metadata, status }) => [metadata.name, status?.id]));
    expect(fleet.workspaces.every(isReady)).to.equal(true);

    // The namespace is made anew while control plane and workspaces rest: `suspend` is the way to look first.
    fleet.configure({ suspend: true });
    for (const name of names) {
      fleet.delete(name);
      fleet.kube.patch(workspaces, name, { metadata: { finalizers: [] } });
    }
    expect(fleet.workspaces).to.deep.equal([]);
    fleet.coder.build('stop', OWNER.id);
    await fleet.looks(2);
    const landed = fleet.coder.landed.length;
    for (const name of names) fleet.apply(name, { templateName: 'docker', running: true });
    await fleet.looks(3);
    expect(fleet.coder.landed.slice(landed), 'while it is suspended').to.deep.equal([]);
    for (const object of fleet.workspaces) {
      expect(object.status).to.include({ id: ids.get(object.metadata.name), origin: 'Adopted' });
      expect(object.metadata.finalizers ?? []).to.deep.equal([]);
      expect(has(object, 'Suspended', 'True')).to.equal(true);
    }

    let most = 0;
    fleet.coder.onRequest = () => {
      const active = fleet.coder.present.filter((w) => w.latest_build.job.completed_at === undefined);
      most = Math.max(most, active.length + 1);
    };
    fleet.configure({ suspend: false });
    await fleet.pass(5 * MINUTE_MS);
    expect(fleet.workspaces.filter((o) => !isReady(o))).to.deep.equal([]);
    expect(most).to.equal(MOST_BUILDS);
    expect(fleet.coder.landed.slice(landed).map(({ detail }) => detail)).to.deep.equal(
      Array<string>(COUNT).fill('start'),
    );
    for (const name of names) fleet.delete(name);
    await fleet.looks(3);
    expect(fleet.workspaces).to.deep.equal([]);
    expect(fleet.coder.present, 'what was adopted stays').to.have.length(COUNT);
  });
});

function skewed(clock: Clock, ms: number): Clock {
  return {
    now: () => clock.now() + ms,
    monotonic: () => clock.monotonic(),
    after: (afterMs, fn) => clock.after(afterMs, fn),
    sleep: (forMs, signal) => clock.sleep(forMs, signal),
    breathe: () => clock.breathe(),
  };
}
