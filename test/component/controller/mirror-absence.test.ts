import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import { annotations } from '../../../src/api/kinds.ts';
import type { Workspace } from '../../../src/coder/types.ts';
import { DEPLOYMENT, ORGANIZATION, OWNER, SimulatedCoder, STRANGER } from '../../support/controller-coder.ts';
import { LoopMirrors } from '../../support/loop-mirrors.ts';
import { nameOf } from '../../support/mirror-rules.ts';
import { has, isReady } from '../../support/tenant.ts';

/** Enough looks for whatever would go wrong to do so. */
const MANY = 10;
const OTHER_DEPLOYMENT = '0d000000-0000-4000-8000-000000000002';

describe('what Coder does not show, through the running loop', function () {
  this.timeout(90_000);
  let m: LoopMirrors;
  /** Workspaces with a mirror, in the order of their names. */
  let mirrored: readonly Workspace[];
  /** The object of a user's: the only one that may cause anything in Coder. */
  const own = 'acme.ann.own';

  async function open(count: number): Promise<void> {
    m = await LoopMirrors.open({
      prepare: (coder) => {
        const template = coder.addTemplate('docker');
        for (let i = 0; i < count; i++) {
          coder.addWorkspace(i % 2 === 0 ? OWNER.username : STRANGER.username, `w-${i}`, template);
        }
      },
    });
    await m.loop.applied('own', { running: true });
    mirrored = m.coder.present.filter(({ name }) => name !== 'own');
    await m.untilRight();
    for (const name of m.names) await m.until(name, (o) => isReady(o) && o.status?.running === true);
    expect(creations(), 'made in Coder').to.deep.equal(['own']);
  }

  afterEach(async () => {
    // Absent when the test has failed before it was there.
    await (m as LoopMirrors | undefined)?.loop.close();
  });

  /** Names of all workspaces that the operator asked Coder to make. */
  function creations(): readonly string[] {
    return m.loop.server.changes
      .filter(({ path }) => path.endsWith('/workspaces'))
      .map(({ body }) => (JSON.parse(body) as { readonly name: string }).name);
  }

  /** While this is so, all mirrors stay the very objects that they are, and nothing is made in Coder. */
  async function staysWhile(looks = MANY): Promise<void> {
    const uids = new Map(mirrored.map((w) => [nameOf(w), m.objectOf(w).metadata.uid]));
    const { removals } = m;
    await m.loop.looks(looks);
    await m.loop.restart();
    await m.loop.looks(looks);
    for (const [name, uid] of uids) expect(m.object(name)?.metadata.uid, name).to.equal(uid);
    expect(m.removals).to.equal(removals);
    expect(creations()).to.deep.equal(['own']);
  }

  it('F38. is not believed to be gone because of rows that lists lack', async () => {
    await open(6);
    let turn = 0;
    m.coder.ofList = (rows) => rows.filter((_, i) => (i + turn++) % 3 !== 0);
    await staysWhile();
    m.coder.ofList = () => [];
    await staysWhile();
    m.coder.ofList = (rows) => rows;
    await m.untilRight();
    for (const w of mirrored) await m.until(nameOf(w), (o) => isReady(o));
  });

  it('is not made twice because of rows that lists have twice', async () => {
    await open(4);
    m.coder.ofList = (rows) => [...rows, ...rows].reverse();
    const twice = m.add('twice');
    await m.untilRight();
    await staysWhile();
    expect(m.loop.workspaces.filter((o) => o.status?.id === twice.id)).to.have.length(1);
  });

  it('F8. is gone as soon as that is proven, and not sooner', async () => {
    await open(4);
    const [hidden, deleted, both] = mirrored as [Workspace, Workspace, Workspace];
    m.coder.hide(hidden.id);
    m.coder.hide(both.id);
    for (const { id } of [deleted, both]) {
      m.coder.build('delete', STRANGER.id, 'dashboard', { workspaceID: id });
    }
    await m.untilGone(nameOf(deleted));
    await m.loop.looks(MANY);
    for (const w of [hidden, both]) expect(m.objectOf(w).status?.id).to.equal(w.id);
    await m.until(nameOf(hidden), (o) => has(o, 'Ready', 'Unknown') || has(o, 'Ready', 'False'));
    m.coder.show(hidden.id);
    m.coder.show(both.id);
    await m.untilGone(nameOf(both));
    await m.until(nameOf(hidden), (o) => isReady(o));
    expect(creations()).to.deep.equal(['own']);
  });

  it('stays when its template is out of sight, which Coder counts and does not list', async () => {
    await open(4);
    const [{ template_id }] = mirrored as [Workspace];
    m.coder.hide(template_id);
    await staysWhile();
    expect(m.loop.template('acme.docker')).not.to.equal(undefined);
    m.coder.show(template_id);
    await m.untilRight();
    for (const w of mirrored) await m.until(nameOf(w), (o) => isReady(o));
  });

  it('F9. stays, all of it, when the token has lost its role', async () => {
    await open(25);
    m.coder.loseRole();
    await staysWhile();
    m.coder.regainRole();
    await m.untilRight();
    for (const w of mirrored) await m.until(nameOf(w), (o) => isReady(o));
    expect(m.coder.history.every(({ build }) => build.build_number === 1)).to.equal(true);
  });

  it('goes in the end when it is really gone, however much it is at once', async () => {
    await open(25);
    for (const { id } of mirrored) m.coder.build('delete', STRANGER.id, 'dashboard', { workspaceID: id });
    m.coder.finishBuilds('succeeded');
    for (const w of mirrored) await m.untilGone(nameOf(w));
    await m.untilRight();
    expect(m.object(own)?.status?.origin).to.equal('Created');
    expect(creations()).to.deep.equal(['own']);
  });

  it('is told to people while so much is missing at once that it is not believed', async () => {
    await open(25);
    for (const { id } of mirrored) m.coder.hide(id);
    await m.untilControlPlane((c) => JSON.stringify(c.status).includes('25 mirrored workspaces are missing'));
    await staysWhile();
  });

  it('F29. stays when an empty Coder with the same identity answers, as one that was restored', async () => {
    await open(12);
    const before = m.coder;
    const empty = new SimulatedCoder(systemClock);
    m.loop.server.replaceBy(empty);
    await staysWhile();
    expect(empty.present).to.deep.equal([]);
    m.loop.server.replaceBy(before);
    await m.untilRight();
    expect(creations()).to.deep.equal(['own']);
  });

  it('F30. stays while another Coder answers, and gives way to what that one has once it is accepted', async () => {
    await open(12);
    const other = new SimulatedCoder(systemClock);
    other.deploymentID = OTHER_DEPLOYMENT;
    const theirs = other.addWorkspace(OWNER.username, 'theirs', other.addTemplate());
    // The same name, and another thing.
    const namesake = other.addWorkspace(OWNER.username, 'w-0', other.addTemplate());
    const before = m.coder;
    m.loop.server.replaceBy(other);
    await m.untilControlPlane((c) => has(c, 'Stalled', 'True', 'DeploymentMismatch'));
    const { removals } = m;
    for (const w of mirrored) expect(m.objectOf(w).status).to.include({ id: w.id, deploymentID: DEPLOYMENT });
    expect(m.object('acme.ann.theirs')).to.equal(undefined);
    expect(m.removals).to.equal(removals);
    expect(other.landed).to.deep.equal([]);

    await m.annotate({ [annotations.acceptDeployment]: OTHER_DEPLOYMENT });
    await m.until('acme.ann.theirs', (o) => o.status?.id === theirs?.id);
    await m.until('acme.ann.w-0', (o) => o.status?.id === namesake?.id);
    await m.loop.until(
      () => m.names,
      (names) => names.length === 2,
    );
    for (const name of m.names) expect(m.object(name)?.status?.deploymentID).to.equal(OTHER_DEPLOYMENT);
    expect(before.present).to.have.length(mirrored.length + 1);
    // A user's object makes anew what it wishes, and nobody else's does.
    await m.until(own, (o) => isReady(o) && o.status?.deploymentID === OTHER_DEPLOYMENT);
    expect(other.landed.map(({ what, detail }) => `${what} ${detail}`)).to.deep.equal([
      'createWorkspace ann/own',
    ]);
  });

  it('of another Coder that answered for a while leaves nothing behind', async () => {
    await open(3);
    const [before, other] = [m.coder, new SimulatedCoder(systemClock)];
    other.deploymentID = OTHER_DEPLOYMENT;
    other.addWorkspace(OWNER.username, 'theirs', other.addTemplate('their-template'));
    m.loop.server.replaceBy(other);
    await m.untilControlPlane((c) => has(c, 'Stalled', 'True', 'DeploymentMismatch'));
    m.loop.server.replaceBy(before);
    await m.untilControlPlane((c) => has(c, 'Ready', 'True', 'Connected'));
    await m.loop.looks(MANY);
    expect(m.object('acme.ann.theirs')).to.equal(undefined);
    expect(m.loop.template('acme.their-template')).to.equal(undefined);
    await m.untilRight();
    expect(other.landed).to.deep.equal([]);
  });

  it('does not come back as a ghost by a list that is older than our own deletion', async () => {
    await open(2);
    const w = m.object(own)?.status?.id ?? '';
    const held = m.coder.holdNextList();
    await held.arrived;
    await m.loop.kubectl(['delete', 'coderworkspace', own]);
    expect(m.coder.present.map(({ id }) => id)).not.to.include(w);
    held.release();
    const made = m.loop.kubeRequests.length;
    await m.loop.looks(MANY);
    const created = m.loop.kubeRequests
      .slice(made)
      .filter(({ verb, resource }) => verb === 'create' && resource === 'coderworkspaces');
    expect(created).to.deep.equal([]);
    expect(m.object(own)).to.equal(undefined);
    expect(creations()).to.deep.equal(['own']);
  });

  it('of templates stays until the list of deleted ones has it', async () => {
    await open(1);
    const [kept, gone] = [m.coder.addTemplate('kept'), m.coder.addTemplate('gone')];
    await m.untilRight();
    m.coder.hide(kept.id);
    await m.loop.looks(MANY);
    expect(m.loop.template('acme.kept')?.status?.id).to.equal(kept.id);
    m.coder.removeTemplate(gone.id);
    m.coder.removeTemplate(kept.id);
    await m.loop.until(
      () => ({ object: m.loop.template('acme.gone') }),
      ({ object }) => object === undefined,
    );
    await m.loop.looks(MANY);
    expect(m.loop.template('acme.kept')?.status?.id).to.equal(kept.id);
    m.coder.show(kept.id);
    await m.untilRight();
    expect(m.loop.templates.map(({ metadata }) => metadata.name)).to.deep.equal([
      `${ORGANIZATION.name}.docker`,
    ]);
  });
});
