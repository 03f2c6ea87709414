import { expect } from 'chai';
import { controlPlanes, workspaces } from '../../../src/api/kinds.ts';
import { isAlreadyExists } from '../../../src/kube/errors.ts';
import {
  DEPLOYMENT,
  ORGANIZATION,
  OTHER_ORGANIZATION,
  OWNER,
  STRANGER,
} from '../../support/controller-coder.ts';
import { LoopMirrors } from '../../support/loop-mirrors.ts';
import { nameOf } from '../../support/mirror-rules.ts';
import { has, isReady } from '../../support/tenant.ts';

describe('mirrors, through the running loop', function () {
  this.timeout(60_000);
  let m: LoopMirrors;

  afterEach(async () => {
    // Absent when the test has failed before it was there.
    await (m as LoopMirrors | undefined)?.loop.close();
  });

  describe('of everything in Coder', () => {
    it('bear its names and what to select them by, and wish and hold nothing', async () => {
      m = await LoopMirrors.open();
      const { id } = await m.added('Dev');
      const { metadata, spec, status } = await m.until('acme.ann.dev', (o) => isReady(o));
      expect(metadata.labels).to.deep.equal({
        'coder.com/mirror': 'true',
        'coder.com/organization': ORGANIZATION.name,
        'coder.com/owner': OWNER.username,
        'coder.com/template': 'docker',
      });
      expect(metadata).not.to.have.any.keys('finalizers', 'ownerReferences', 'annotations');
      expect(spec).to.deep.equal({});
      expect(status).to.include({ id, origin: 'Mirrored', deploymentID: DEPLOYMENT, running: true });
      expect(status?.latestBuild).to.include({ number: 1, status: 'running' });
      const template = m.loop.template('acme.docker');
      expect(template?.metadata.labels).to.deep.equal({
        'coder.com/mirror': 'true',
        'coder.com/organization': ORGANIZATION.name,
        'coder.com/template': 'docker',
      });
      expect(template?.spec).to.deep.equal({});
      expect(template?.status).to.include({ origin: 'Mirrored', deploymentID: DEPLOYMENT });
      expect(m.loop.server.changes).to.deep.equal([]);
    });

    it('leave out prebuilds, what is outside of the scope, and names that no object has, which are told', async () => {
      m = await LoopMirrors.open({
        controlPlane: { scope: { organizations: [ORGANIZATION.name, 'nowhere'] } },
        prepare: (coder) => {
          const elsewhere = coder.addTemplate('elsewhere', OTHER_ORGANIZATION);
          coder.addWorkspace(OWNER.username, 'elsewhere', elsewhere);
          coder.addPrebuild(coder.addTemplate());
          const odd = coder.addWorkspace(OWNER.username, 'odd', coder.addTemplate());
          coder.forceName(odd?.id ?? '', 'a--b');
        },
      });
      await m.added('dev');
      await m.untilTold('Unmirrored', 'acme.ann.a--b');
      // It is counted seldom, and anew when the scope is another one.
      await m.scope({ organizations: [ORGANIZATION.name] });
      const { status } = await m.loop.untilControlPlane((c) => c.status?.counts?.unmirrored === 1);
      expect(status?.counts).to.deep.equal({ workspaces: 2, templates: 1, mirrored: 2, unmirrored: 1 });
      expect(m.names).to.deep.equal(['acme.ann.dev']);

      const odd = m.coder.present.find(({ name }) => name === 'a--b');
      m.coder.rename('even', odd?.id);
      m.coder.claimPrebuilds(STRANGER, 'claimed');
      await m.untilRight();
      expect(m.names).to.deep.equal(['acme.ann.dev', 'acme.ann.even', 'acme.bob.claimed']);
    });

    it('come and go with the scope', async () => {
      m = await LoopMirrors.open();
      await m.added('dev', OWNER.username);
      await m.added('dev', STRANGER.username);
      await m.scope({ owners: [OWNER.username] });
      await m.untilRight();
      expect(m.names).to.deep.equal(['acme.ann.dev']);
      await m.scope();
      await m.untilRight();
      expect(m.names).to.deep.equal(['acme.ann.dev', 'acme.bob.dev']);
      expect(m.loop.server.changes).to.deep.equal([]);
    });

    it('come and go with the wish to have them, each kind by itself', async () => {
      m = await LoopMirrors.open();
      await m.added('dev');
      await m.loop.patchControlPlane({ mirror: { workspaces: 'Disabled' } });
      await m.untilGone('acme.ann.dev');
      expect(m.loop.template('acme.docker')).not.to.equal(undefined);
      await m.loop.patchControlPlane({ mirror: { workspaces: 'Observe' } });
      await m.untilRight();
      expect(m.names).to.deep.equal(['acme.ann.dev']);
    });

    it('stay when their control plane is replaced, as by `kubectl replace --force`', async () => {
      m = await LoopMirrors.open();
      const workspace = await m.added('dev');
      const { uid } = m.objectOf(workspace).metadata;
      const { spec, metadata: former } = await m.loop.untilControlPlane(() => true);
      await m.loop.kube.delete(controlPlanes, m.loop.namespace, 'coder');
      const metadata = { name: 'coder', namespace: m.loop.namespace };
      await m.loop.kube.create(controlPlanes, { metadata, ...{ spec } });
      await m.loop.untilControlPlane((c) => c.metadata.uid !== former.uid && isReady(c));
      await m.loop.looks(5);
      await m.untilRight();
      expect(m.objectOf(workspace).metadata.uid).to.equal(uid);
      expect(m.removals).to.equal(0);
      expect(m.loop.server.changes).to.deep.equal([]);
    });

    it('that somebody deletes come back, and nothing happens in Coder', async () => {
      m = await LoopMirrors.open();
      const workspace = await m.added('dev');
      const { uid } = m.objectOf(workspace).metadata;
      await m.loop.kubectl(['delete', 'coderworkspaces,codertemplates', '--all', '--wait=false']);
      await m.until('acme.ann.dev', (o) => o.metadata.uid !== uid && isReady(o));
      await m.untilRight();
      expect(m.loop.server.changes).to.deep.equal([]);
      expect(m.coder.present[0]?.latest_build.build_number).to.equal(1);
    });
  });

  describe('of what is changed in Coder', () => {
    it('F31. follow a new name: the new mirror comes first, and then the old one goes', async () => {
      m = await LoopMirrors.open();
      const workspace = await m.added('dev');
      const before = m.loop.kubeRequests.length;
      m.coder.rename('renamed', workspace.id);
      await m.untilGone('acme.ann.dev');
      await m.untilRight();
      expect(m.object('acme.ann.renamed')?.status?.id).to.equal(workspace.id);
      const verbs = m.loop.kubeRequests
        .slice(before)
        .filter(({ verb, resource }) => resource === workspaces.plural && ['create', 'delete'].includes(verb))
        .map(({ verb }) => verb);
      expect(verbs).to.deep.equal(['create', 'delete']);
    });

    it('F31. follow another owner, the owner who has another name, and the template that has', async () => {
      m = await LoopMirrors.open();
      const [given, kept] = [await m.added('given'), await m.added('kept')];
      m.coder.changeOwner(STRANGER.username, given.id);
      await m.untilRight();
      expect(m.names).to.deep.equal(['acme.ann.kept', 'acme.bob.given']);
      m.coder.renameUser(OWNER.username, 'Anna');
      m.coder.renameTemplate(given.template_id, 'podman');
      await m.untilRight();
      expect(m.names).to.deep.equal(['acme.anna.kept', 'acme.bob.given']);
      const { labels } = m.object('acme.anna.kept')?.metadata ?? {};
      expect(labels).to.include({ 'coder.com/owner': 'anna', 'coder.com/template': 'podman' });
      expect(m.loop.templates.map(({ metadata }) => metadata.name)).to.deep.equal(['acme.podman']);
      expect(m.object('acme.anna.kept')?.status?.id).to.equal(kept.id);
      expect(m.loop.server.changes).to.deep.equal([]);
    });

    it('change places when their names do', async () => {
      m = await LoopMirrors.open();
      const [one, other] = [await m.added('one'), await m.added('other')];
      m.coder.rename('third', one.id);
      m.coder.rename('one', other.id);
      m.coder.rename('other', one.id);
      await m.untilRight();
      expect(m.object('acme.ann.one')?.status?.id).to.equal(other.id);
      expect(m.object('acme.ann.other')?.status?.id).to.equal(one.id);
    });

    it('go when it is deleted there, and show every build with one write', async () => {
      m = await LoopMirrors.open();
      const workspace = await m.added('dev');
      await m.until('acme.ann.dev', (o) => o.status?.latestBuild?.status === 'running');
      // The template says how many workspaces it has.
      await m.loop.looks(3);
      const before = m.writes.length;
      m.loop.pauseBuilds();
      m.coder.build('stop', OWNER.id, 'dashboard', { workspaceID: workspace.id });
      await m.until('acme.ann.dev', (o) => o.status?.latestBuild?.status === 'stopping');
      m.loop.resumeBuilds();
      await m.until('acme.ann.dev', (o) => o.status?.latestBuild?.status === 'stopped');
      await m.loop.looks(3);
      expect(m.writes.slice(before)).to.deep.equal([
        'update coderworkspaces/status',
        'update coderworkspaces/status',
      ]);
      m.coder.build('delete', STRANGER.id, 'dashboard', { workspaceID: workspace.id });
      await m.untilGone('acme.ann.dev');
      expect(m.loop.server.changes).to.deep.equal([]);
    });
  });

  describe('at rest', () => {
    it('cause no write, and no question beside the looks at everything and at the jobs', async () => {
      m = await LoopMirrors.open();
      for (const name of ['a', 'b', 'c']) m.add(name);
      await m.untilRight();
      for (const name of m.names) await m.until(name, (o) => isReady(o));
      await m.loop.looks(10);
      const [writes, asked] = [m.writes.length, m.loop.server.requests.length];
      await m.loop.looks(20);
      expect(m.writes.slice(writes)).to.deep.equal([]);
      const paths = new Set(
        m.loop.server.requests.slice(asked).map(({ path }) => path.replace(/[0-9a-f-]{36}/, '*')),
      );
      expect([...paths]).to.have.members(
        ['buildinfo', 'workspaces', 'templates', 'organizations/*/provisionerjobs'].map(inAPI),
      );
    });

    it('stay as they are when the operator starts again', async () => {
      m = await LoopMirrors.open();
      await m.added('dev');
      await m.until('acme.ann.dev', (o) => isReady(o) && o.status?.running === true);
      // Then all is counted, and nothing is left to be written.
      await m.scope({ organizations: [ORGANIZATION.name] });
      await m.loop.untilControlPlane((c) => c.status?.counts?.mirrored === 2);
      const before = m.writes.length;
      await m.loop.restart();
      await m.loop.looks(10);
      expect(m.writes.slice(before).filter((write) => write.includes('coder'))).to.deep.equal([]);
    });
  });

  describe('and users', () => {
    it('who are first keep what they made, and who come a moment later find a mirror to adopt', async () => {
      m = await LoopMirrors.open();
      const names = Array.from({ length: 8 }, (_, i) => `race-${i}`);
      const made = names.map((name) => m.add(name));
      await Promise.all(
        made.map(async (workspace) => {
          const metadata = { name: nameOf(workspace), namespace: m.loop.namespace };
          const spec = { templateName: 'docker', automaticUpdates: 'Never' };
          try {
            await m.loop.kube.create(workspaces, { metadata, ...{ spec } });
          } catch (error) {
            if (!isAlreadyExists(error)) throw error;
            await m.wish(metadata.name, spec);
          }
        }),
      );
      for (const workspace of made) {
        const { metadata, status } = await m.until(nameOf(workspace), (o) => isReady(o) && !isLabelled(o));
        expect(status).to.include({ id: workspace.id, origin: 'Adopted' });
        expect(metadata.labels ?? {}).to.deep.equal({});
      }
      await m.untilRight();
      expect(m.loop.workspaces).to.have.length(names.length);
      expect(m.loop.server.changes).to.deep.equal([]);
    });

    it('whose object has the name of another workspace are told that this one has no mirror', async () => {
      m = await LoopMirrors.open();
      const bound = await m.added('bound');
      await m.wish('acme.ann.bound', { automaticUpdates: 'Never' });
      await m.until('acme.ann.bound', (o) => o.status?.origin === 'Adopted');
      m.coder.rename('elsewhere', bound.id);
      await m.until('acme.ann.bound', (o) => has(o, 'Drifted', 'True', 'RenamedInCoder'));
      m.add('bound');
      await m.untilTold('Unmirrored', 'acme.ann.bound');
      await m.untilRight();
      expect(m.names).to.deep.equal([]);
    });

    it('who delete the whole namespace see no mirror come back', async () => {
      m = await LoopMirrors.open();
      await m.added('dev');
      await m.loop.kubectl(['delete', 'namespace', m.loop.namespace, '--wait=false']);
      await m.loop.kubectl(['delete', 'coderworkspaces', '--all', '--wait=false']);
      await m.untilGone('acme.ann.dev');
      m.add('late');
      await m.loop.looks(20);
      expect(m.names).to.deep.equal([]);
      const refused = m.loop.kubeRequests.filter(
        ({ verb, resource }) => verb === 'create' && resource === workspaces.plural,
      );
      expect(refused.length, 'attempts').to.be.below(6);
      expect(m.loop.server.changes).to.deep.equal([]);
    });
  });

  function inAPI(path: string): string {
    return `/api/v2/${path}`;
  }

  function isLabelled({ metadata }: { readonly metadata: { readonly labels?: object } }): boolean {
    return Object.keys(metadata.labels ?? {}).some((key) => key.startsWith('coder.com/'));
  }
});
