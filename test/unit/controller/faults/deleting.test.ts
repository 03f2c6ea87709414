import { expect } from 'chai';
import { annotations, controlPlanes, templates, workspaces } from '../../../../src/api/kinds.ts';
import type { ResourceType } from '../../../../src/api/meta.ts';
import { secrets } from '../../../../src/controller/secrets.ts';
import { templateWorld, workspaceWorld } from '../../../support/controller-world.ts';
import { Fleet } from '../../../support/fleet.ts';
import { has, isReady, messageOf } from '../../../support/tenant.ts';

const MINUTE_MS = 60_000;
const DEV = 'acme.ann.dev';
const DOCKER = 'acme.docker';
const WITHOUT_MIRRORS = { mirror: { workspaces: 'Disabled', templates: 'Disabled' } } as const;

/** What is deleted in an order that nobody planned, on the whole operator in virtual time. */
describe('deletions in any order', function () {
  this.timeout(60_000);
  const fleets: Fleet[] = [];

  afterEach(async () => {
    for (const fleet of fleets.splice(0)) await fleet.close();
  });

  /** A template and a workspace of it, both made by the operator. */
  async function opened(): Promise<Fleet> {
    const fleet = new Fleet(WITHOUT_MIRRORS);
    fleets.push(fleet);
    const metadata = { name: DOCKER, namespace: 'team' };
    fleet.kube.create(templates, { metadata, ...{ spec: { files: { 'main.tf': '# one' } } } });
    fleet.apply(DEV, { templateName: 'docker', running: true });
    await fleet.looks(6);
    for (const object of [...fleet.workspaces, ...fleet.templates]) {
      expect(isReady(object), JSON.stringify(object.status)).to.equal(true);
    }
    return fleet;
  }

  const left = (fleet: Fleet): readonly string[] =>
    [controlPlanes, templates, workspaces].flatMap((kind) =>
      fleet.kube.all(kind).map(({ metadata }) => metadata.name),
    );
  const deletes = (fleet: Fleet): number =>
    fleet.coder.history.filter(({ build }) => build.transition === 'delete').length;

  it('F24. holds a control plane that is deleted first until its objects have gone through it', async () => {
    const fleet = await opened();
    fleet.delete('coder', controlPlanes);
    await fleet.looks(3);
    expect(has(fleet.controlPlane, 'Reconciling', 'True', 'InUse')).to.equal(true);
    expect(messageOf(fleet.controlPlane, 'Ready')).to.contain(DEV);
    expect(deletes(fleet), 'deleting a control plane deletes nothing else').to.equal(0);
    fleet.delete(DEV);
    fleet.delete(DOCKER, templates);
    await fleet.pass(2 * MINUTE_MS);
    expect(left(fleet)).to.deep.equal([]);
    expect(fleet.coder.present).to.deep.equal([]);
    expect(fleet.coder.presentTemplates).to.deep.equal([]);
    expect(deletes(fleet)).to.equal(1);
  });

  it('F25. says what to do where control plane and Secret are gone for good, and lets go at the word of a person', async () => {
    const fleet = await opened();
    fleet.kube.delete(secrets, 'coder');
    fleet.delete('coder', controlPlanes);
    fleet.kube.patch(controlPlanes, 'coder', { metadata: { finalizers: [] } });
    await fleet.restart();
    fleet.delete(DEV);
    await fleet.pass(10 * MINUTE_MS);
    const [stuck] = fleet.workspaces;
    expect(
      stuck === undefined ? undefined : has(stuck, 'Reconciling', 'True', 'ControlPlaneNotReady'),
    ).to.equal(true);
    expect(stuck === undefined ? '' : messageOf(stuck, 'Ready'))
      .to.contain('there is no CoderControlPlane in the namespace')
      .and.contain('Retain')
      .and.contain(annotations.forceRelease);
    const annotate = (value: string): unknown =>
      fleet.kube.patch(workspaces, DEV, { metadata: { annotations: { [annotations.forceRelease]: value } } });
    annotate('true');
    await fleet.pass(10 * MINUTE_MS);
    expect(left(fleet)).to.include(DEV);
    annotate(stuck?.metadata.uid ?? '');
    await fleet.pass(MINUTE_MS);
    expect(left(fleet)).not.to.include(DEV);
    expect(
      fleet.coder.present.map(({ name }) => name),
      'it stays in Coder',
    ).to.deep.equal(['dev']);
    expect(fleet.events.filter((e) => e.startsWith('ForceReleased'))).to.have.length(1);
  });

  const names = new Map<ResourceType, string>([
    [controlPlanes, 'coder'],
    [templates, DOCKER],
    [workspaces, DEV],
    [secrets, 'coder'],
  ]);
  const orders = permutations([controlPlanes, templates, workspaces]).flatMap((kinds) => [
    [secrets, ...kinds],
    [...kinds, secrets],
  ]);

  it(`F26. leaves nothing of a namespace that is deleted, in any of ${orders.length} orders`, async () => {
    for (const order of orders) {
      const told = order.map(({ plural }) => plural).join(', ');
      const fleet = await opened();
      fleet.kube.isTerminating = true;
      for (const kind of order) {
        fleet.kube.delete(kind, names.get(kind) ?? '');
        await fleet.pass(20);
      }
      await fleet.pass(2 * MINUTE_MS);
      expect(left(fleet), told).to.deep.equal([]);
      expect(fleet.coder.present, told).to.deep.equal([]);
      expect(fleet.coder.presentTemplates, told).to.deep.equal([]);
      expect(deletes(fleet), told).to.equal(1);
    }
  });

  it('F27. deletes nothing in Coder because the CRDs are removed', async () => {
    for (const world of [workspaceWorld(), templateWorld()]) {
      for (let i = 0; i < 3; i++) {
        await world.settle();
        world.coder.playOut();
        await world.clock.advance(2_000);
      }
      await world.settle();
      expect(world.kube.object?.metadata.finalizers).to.have.length(1);
      const before = world.coder.landed.length;
      world.kube.crdTerminating = true;
      world.kube.delete();
      await world.settle();
      world.stop();
      expect(world.kube.object, 'the object').to.equal(undefined);
      expect(world.coder.landed.slice(before)).to.deep.equal([]);
      expect(world.coder.presentTemplates).to.have.length(1);
      expect(world.events.at(-1)).to.include({ reason: 'Retained' });
    }
  });
});

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length <= 1) return [items];
  return items.flatMap((item, i) =>
    permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]),
  );
}
