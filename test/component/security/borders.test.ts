import { expect } from 'chai';
import { templates, workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { ORGANIZATION, OTHER_ORGANIZATION, OWNER, STRANGER } from '../../support/controller-coder.ts';
import { Loop } from '../../support/loop.ts';
import { LoopTemplate } from '../../support/loop-template.ts';
import { has } from '../../support/tenant.ts';

/** What a control plane lets its namespace do, however much the token could. */
describe('the borders that a control plane draws', function () {
  this.timeout(60_000);
  let loop: Loop;

  before(async () => {
    loop = await Loop.open({
      controlPlane: { scope: { organizations: [ORGANIZATION.name], owners: [OWNER.username] } },
      prepare: (coder) => {
        const template = coder.addTemplate();
        for (const owner of [OWNER, STRANGER]) coder.addWorkspace(owner.username, 'there', template);
        coder.addTemplate('kept');
        coder.playOut();
      },
    });
  });

  // Absent when `before` has failed.
  after(() => (loop as Loop | undefined)?.close());

  const create = (resource: ResourceType, name: string, spec: object): Promise<unknown> =>
    loop.kube.create(resource, { metadata: { name, namespace: loop.namespace }, ...{ spec } });

  /** Deletes an object, and waits until it is gone. */
  async function deleted(resource: ResourceType, name: string): Promise<void> {
    await loop.kubectl(['delete', `${resource.plural}.${resource.group}`, name, '--timeout=20s']);
  }

  const there = (owner: string, name: string): boolean =>
    loop.coder.present.some((w) => w.owner_name === owner && w.name === name);

  it('hold for workspaces of others: none is made, changed or deleted', async () => {
    const before = loop.server.changes.length;
    const names = [
      `${ORGANIZATION.name}.${STRANGER.username}.there`,
      `${ORGANIZATION.name}.${STRANGER.username}.another`,
    ];
    for (const name of names) {
      await create(workspaces, name, {
        templateName: 'docker',
        running: false,
        ttlMillis: 3_600_000,
        deletionPolicy: 'Delete',
      });
    }
    for (const name of names) {
      await loop.until(
        () => loop.workspace(name),
        (o: CoderWorkspace) => has(o, 'Stalled', 'True', 'OutOfScope'),
      );
      await deleted(workspaces, name);
    }
    expect(loop.server.changes.slice(before)).to.deep.equal([]);
    expect([there(STRANGER.username, 'there'), there(STRANGER.username, 'another')]).to.deep.equal([
      true,
      false,
    ]);
  });

  it('hold for templates of other organizations', async () => {
    const before = loop.server.changes.length;
    const name = `${OTHER_ORGANIZATION.name}.built`;
    await create(templates, name, { files: { 'main.tf': '' }, deletionPolicy: 'Delete' });
    await loop.until(
      () => loop.template(name),
      (o) => has(o, 'Stalled', 'True', 'OutOfScope'),
    );
    await deleted(templates, name);
    expect(loop.server.changes.slice(before)).to.deep.equal([]);
  });

  it('keep what others made from being deleted, until the control plane says otherwise as well', async () => {
    const adopted = await loop.applied('there', { deletionPolicy: 'Delete' });
    const kept = await LoopTemplate.apply(loop, 'kept', { deletionPolicy: 'Delete' });
    await kept.untilActive();
    expect([adopted.object.status?.origin, kept.object.status?.origin]).to.deep.equal(['Adopted', 'Adopted']);
    const before = loop.server.changes.length;
    await deleted(workspaces, adopted.objectName);
    await kept.delete();
    expect(loop.server.changes.slice(before)).to.deep.equal([]);
    expect(there(OWNER.username, 'there')).to.equal(true);

    await loop.patchControlPlane({ adoptedDeletion: 'Allow' });
    const again = await loop.applied('there', { deletionPolicy: 'Delete' });
    const other = await LoopTemplate.apply(loop, 'kept', { deletionPolicy: 'Delete' });
    // Before that is known to be allowed, deleting them would keep them still.
    const holds = ({ metadata }: KubeObject): boolean => (metadata.finalizers ?? []).length > 0;
    await again.until(holds);
    await other.until(holds);
    await deleted(workspaces, adopted.objectName);
    await other.delete();
    expect(there(OWNER.username, 'there')).to.equal(false);
    expect((await loop.coder.templates()).map(({ name }) => name)).to.not.include('kept');
  });
});
