import { expect } from 'chai';
import sinon from 'sinon';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations } from '../../../../src/api/kinds.ts';
import type { CoderClient } from '../../../../src/coder/client.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import { OWNER } from '../../../support/controller-coder.ts';
import { fetched, fluxSource, messageOf, shown, valuesSecret } from '../../../support/controller-records.ts';
import {
  SETTINGS,
  templateReads,
  templateWorld,
  type TemplateWorld,
} from '../../../support/controller-world.ts';

describe('TemplateReconciler', () => {
  const worlds: TemplateWorld[] = [];
  const world = (...parts: Parameters<typeof templateWorld>): TemplateWorld => {
    const w = templateWorld(...parts);
    worlds.push(w);
    return w;
  };
  const ready = async (w: TemplateWorld): Promise<void> => {
    await w.settle();
    w.coder.finishImports('succeeded');
    await w.settle();
  };
  const landed = (w: TemplateWorld): readonly string[] => w.coder.landed.map((l) => l.what);
  afterEach(() => {
    for (const w of worlds.splice(0)) w.stop();
  });

  it('imports the files, then creates the template on them', async () => {
    const w = world();
    await ready(w);
    expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
    expect(shown(w.kube.object?.status)).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
    expect(w.kube.object?.status?.origin).to.equal('Created');
  });

  it('imports changed files and promotes them', async () => {
    const w = world();
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: { 'main.tf': '# two' } }));
    await ready(w);
    expect(landed(w).slice(2)).to.deep.equal(['createVersion', 'promote']);
    const { activeVersion, contentVersionID } = w.kube.object?.status ?? {};
    expect(activeVersion?.id).to.equal(contentVersionID);
    expect(activeVersion?.name).to.match(/^k8s-[0-9a-f]{12}$/);
  });

  it('goes back to files that were there before without importing them again', async () => {
    const w = world();
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: { 'main.tf': '# two' } }));
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: { 'main.tf': '# one' } }));
    await ready(w);
    expect(landed(w).slice(4)).to.deep.equal(['promote']);
  });

  it('finds the first version through the jobs after its answer was lost', async () => {
    const w = world();
    w.coder.fate = 'answer lost';
    await w.pass();
    w.restart();
    await ready(w);
    expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
  });

  it('lives without the right to read jobs: makes the version again after a while', async () => {
    const w = world();
    w.coder.provisionerJobs = () => Promise.reject(new CoderError('NotFound', 'not for you'));
    w.coder.fate = 'lost';
    await w.pass();
    for (let i = 0; i < 20; i++) {
      await w.pass();
      await w.clock.advance(2_000);
    }
    await ready(w);
    expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
    // Nobody can tell what became of the first one, so it is counted.
    expect(w.versionsLeft).to.equal(1);
  });

  it('follows a change of the content that comes while an answer is missing', async () => {
    const w = world();
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: { 'main.tf': '# two' } }));
    w.coder.fate = 'lost';
    await w.pass();
    w.kube.apply(() => ({ versionID: w.coder.allVersions[0]?.id }));
    await ready(w);
    expect(w.kube.object?.status?.pendingOperation).to.equal(undefined);
    expect(shown(w.kube.object?.status)).to.include('Ready=True/UpToDate');
  });

  it('takes over, when a person asks, a template that was made anew under its name', async () => {
    const w = world();
    await ready(w);
    w.coder.removeTemplates();
    w.coder.addTemplate();
    w.restart();
    await w.settle();
    expect(shown(w.kube.object?.status)).to.include('Stalled=True/DeletedInCoder');
    w.kube.annotate(annotations.reconcileRequestedAt, 'now');
    await ready(w);
    expect(w.kube.object?.status?.origin).to.equal('Adopted');
    expect(shown(w.kube.object?.status)).to.include('Ready=True/UpToDate');
  });

  it('is deleted with its object, after its last workspace', async () => {
    const w = world();
    await ready(w);
    const template = w.coder.presentTemplates[0];
    if (template !== undefined) w.coder.addWorkspace(OWNER.username, 'dev', template);
    w.coder.finishBuilds('succeeded');
    w.kube.delete();
    expect(await w.settle()).to.deep.equal({ until: 'time', afterMs: 30_000 });
    expect(shown(w.kube.object?.status)).to.include('Reconciling=True/WorkspacesExist');
    w.coder.build('delete');
    w.coder.finishBuilds('succeeded');
    await w.settle();
    expect(w.kube.object).to.equal(undefined);
    expect(w.coder.presentTemplates).to.deep.equal([]);
  });

  it('counts files that Coder refuses outright, and gives up on them', async () => {
    const w = world();
    for (let i = 0; i < 3; i++) {
      w.coder.fate = 'refused';
      await w.settle();
      await w.clock.advance(SETTINGS.retryBaseMs * 4);
    }
    await w.settle();
    expect(shown(w.kube.object?.status)).to.include('Stalled=True/ImportFailed');
    expect(landed(w)).to.deep.equal([]);
    w.kube.apply((spec) => ({ ...spec, files: { 'main.tf': '# mended' } }));
    await ready(w);
    expect(shown(w.kube.object?.status)).to.include('Ready=True/UpToDate');
  });

  it('promotes nothing after its status was lost, and says what is active instead', async () => {
    const w = world();
    await ready(w);
    w.coder.promoteAnother();
    w.kube.loseStatus();
    w.restart();
    await w.settle();
    expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
    expect(w.kube.object?.status?.origin).to.equal('Adopted');
    expect(w.kube.object?.metadata.finalizers ?? []).to.deep.equal([]);
    expect(shown(w.kube.object?.status)).to.include('Ready=True/UpToDate');
  });

  it('sends nothing that was decided on once the control plane is suspended', async () => {
    const w = world();
    await ready(w);
    const before = landed(w).length;
    w.kube.apply((spec) => ({ ...spec, files: { 'main.tf': '# two' } }));
    const create = w.coder.client.createTemplateVersion.bind(w.coder);
    w.coder.client.createTemplateVersion = async (organizationID, body, options) => {
      w.suspended = true;
      // The real client looks right before it sends.
      options?.beforeSend?.();
      return create(organizationID, body, options);
    };
    await w.pass();
    expect(w.suspended, 'it was decided on').to.equal(true);
    expect(landed(w)).to.have.length(before);
    expect(w.kube.object?.status?.pendingOperation, 'it is taken back').to.equal(undefined);
    w.suspended = false;
    w.coder.client.createTemplateVersion = create;
    await ready(w);
    expect(landed(w).slice(before)).to.deep.equal(['createVersion', 'promote']);
  });

  describe('settings', () => {
    const spec = { files: { 'main.tf': '# one' }, displayName: 'Docker', defaultTTLMillis: 60_000 };

    it('are set once the template is there, and not again', async () => {
      const w = world(spec);
      await ready(w);
      expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate', 'updateTemplate']);
      expect(w.coder.presentTemplates[0]).to.include({ display_name: 'Docker', default_ttl_ms: 60_000 });
      expect(shown(w.kube.object?.status)).to.deep.equal([
        'Ready=True/UpToDate',
        'Synced=True/SyncSucceeded',
      ]);
      w.restart();
      await w.clock.advance(3_600_000);
      await w.settle();
      expect(landed(w)).to.have.length(3);
    });

    it('cost no request while nothing changes', async () => {
      const w = world(spec);
      await ready(w);
      // The whole look of a new process.
      w.restart();
      await w.pass();
      const reading = sinon.spy(w.coder, 'template');
      await w.pass();
      expect(reading.callCount).to.equal(0);
    });

    it('leave those of somebody else as they are', async () => {
      const w = world(spec);
      await ready(w);
      w.coder.changeTemplates({ description: 'theirs', activity_bump_ms: 120_000, icon: '/theirs.png' });
      w.kube.apply((s) => ({ ...s, displayName: 'Podman' }));
      await w.settle();
      expect(w.coder.presentTemplates[0]).to.include({
        display_name: 'Podman',
        description: 'theirs',
        activity_bump_ms: 120_000,
        icon: '/theirs.png',
        default_ttl_ms: 60_000,
        allow_user_autostart: true,
      });
    });

    it('without a licence are told and not sent again; with one, when a person asks', async () => {
      const w = world({ ...spec, deprecated: 'use podman', allowUserAutostop: false });
      await ready(w);
      expect(w.kube.object?.status?.applied?.notHonoured).to.deep.equal(['deprecated', 'allowUserAutostop']);
      expect(shown(w.kube.object?.status)).to.deep.equal([
        'Ready=True/UpToDate',
        'Synced=True/SyncSucceeded',
        'Drifted=True/SettingsNotHonoured',
      ]);
      for (let i = 0; i < 10; i++) {
        await w.clock.advance(600_000);
        await w.settle();
      }
      expect(landed(w)).to.have.length(3);
      w.coder.license();
      w.kube.annotate(annotations.reconcileRequestedAt, 'licensed');
      await w.settle();
      expect(w.coder.presentTemplates[0]).to.include({
        deprecated: true,
        deprecation_message: 'use podman',
        allow_user_autostop: false,
      });
      expect(shown(w.kube.object?.status)).to.not.include('Drifted=True/SettingsNotHonoured');
      w.kube.apply((s) => ({ ...s, deprecated: '' }));
      await w.settle();
      expect(w.coder.presentTemplates[0]).to.include({ deprecated: false, deprecation_message: '' });
    });

    it('that Coder refuses keep neither the others nor the content back', async () => {
      const w = world({ ...spec, maxPortShareLevel: 'Owner' });
      await ready(w);
      expect(w.coder.presentTemplates[0]).to.include({
        display_name: 'Docker',
        max_port_share_level: 'public',
      });
      expect(shown(w.kube.object?.status)).to.include('Stalled=True/RefusedByCoder');
      expect(w.kube.object?.status?.refusals?.map(({ field }) => field)).to.deep.equal(['maxPortShareLevel']);
      w.kube.apply((s) => ({ ...s, files: { 'main.tf': '# two' } }));
      await ready(w);
      expect(landed(w).slice(-2)).to.deep.equal(['createVersion', 'promote']);
    });

    it('are set while an import is under way', async () => {
      const w = world(spec);
      await ready(w);
      w.kube.apply((s) => ({ ...s, files: { 'main.tf': '# two' } }));
      await w.settle();
      w.kube.apply((s) => ({ ...s, displayName: 'Podman' }));
      await w.settle();
      expect(w.coder.presentTemplates[0]).to.include({ display_name: 'Podman' });
      expect(shown(w.kube.object?.status)).to.include('Reconciling=True/WaitingForImport');
    });

    describe('that fail again and again', () => {
      const failing = async (error: CoderError): Promise<TemplateWorld> => {
        const w = world();
        await ready(w);
        w.coder.onRequest = (what) => {
          if (what === 'updateTemplate') throw error;
        };
        w.kube.apply(() => ({ ...spec, files: { 'main.tf': '# two' } }));
        return w;
      };
      /** Passes for so many minutes; every import ends so. */
      const play = async (w: TemplateWorld, minutes: number, end: 'succeeded' | 'failed'): Promise<void> => {
        for (let s = 0; s < minutes * 60; s += 2) {
          await w.pass();
          w.coder.finishImports(end);
          await w.clock.advance(2_000);
        }
      };
      const tries = (w: TemplateWorld): number =>
        w.kube.statuses.filter((s) => s.pendingOperation?.type === 'SetSettings').length;
      const errors = {
        'for certain': new CoderError('ServerError', 'status 503'),
        'with an open end': new CoderError('ServerError', 'status 500', { mayHaveChanged: true }),
      };

      for (const [how, error] of Object.entries(errors)) {
        it(`${how}, keep no content from being imported and promoted`, async () => {
          const w = await failing(error);
          await play(w, 3, 'succeeded');
          expect(landed(w).slice(2)).to.deep.equal(['createVersion', 'promote']);
          expect(tries(w)).to.be.above(1);
          expect(w.kube.object?.status?.observed?.displayName).to.equal('');
          expect(w.events.filter(({ reason }) => reason === 'UpToDate')).to.have.length(2);
        });

        it(`${how}, keep no import that failed from being tried again`, async () => {
          const w = await failing(error);
          await play(w, 6, 'failed');
          expect(landed(w).slice(2)).to.deep.equal(['createVersion', 'createVersion', 'createVersion']);
        });

        it(`${how}, have no content promoted anew that was the active one once`, async () => {
          const w = await failing(error);
          await play(w, 3, 'succeeded');
          w.coder.promoteAnother();
          const before = landed(w).length;
          await play(w, 3, 'succeeded');
          expect(landed(w).slice(before)).to.deep.equal([]);
        });
      }
    });

    it('that somebody changed are set right after the cooldown, within the budget', async () => {
      const w = world(spec);
      await ready(w);
      for (let i = 0; i < 5; i++) {
        w.coder.changeTemplates({ display_name: `Theirs ${i}` });
        w.restart();
        await w.settle();
        expect(shown(w.kube.object?.status)).to.include('Drifted=True/SettingsChanged');
        await w.clock.advance(SETTINGS.driftCooldownMs);
        await w.settle();
      }
      expect(landed(w).filter((what) => what === 'updateTemplate')).to.have.length(1 + SETTINGS.driftBudget);
      expect(w.events.map(({ type, reason }) => `${type} ${reason}`)).to.include('Warning SettingsChanged');
    });

    for (const fate of ['lost', 'answer lost', 'late'] as const) {
      it(`are brought there when the request has the fate "${fate}"`, async () => {
        const w = world();
        await ready(w);
        w.kube.apply(() => spec);
        w.coder.fate = fate;
        await w.settle();
        await w.clock.advance(40_000);
        w.restart();
        await w.settle();
        await w.clock.advance(40_000);
        await w.settle();
        expect(w.coder.presentTemplates[0]).to.include({ display_name: 'Docker', default_ttl_ms: 60_000 });
        expect(shown(w.kube.object?.status)).to.deep.equal([
          'Ready=True/UpToDate',
          'Synced=True/SyncSucceeded',
        ]);
      });
    }

    it('count as carried out when the status is lost', async () => {
      const w = world({ ...spec, driftPolicy: 'OnChange' });
      await ready(w);
      w.coder.changeTemplates({ display_name: 'Theirs' });
      w.kube.loseStatus();
      w.restart();
      await w.settle();
      expect(landed(w)).to.have.length(3);
      expect(shown(w.kube.object?.status)).to.include('Drifted=True/SettingsChanged');
    });

    it('of a template that is taken over are set, and its content is left', async () => {
      const w = world({ displayName: 'Docker' });
      w.coder.addTemplate();
      await w.settle();
      expect(landed(w)).to.deep.equal(['updateTemplate']);
      expect(w.kube.object?.status?.origin).to.equal('Adopted');
    });

    it('are left while the object is suspended, and so is everything', async () => {
      const w = world({ ...spec, suspend: true });
      await ready(w);
      expect(landed(w)).to.deep.equal([]);
      expect(w.kube.object?.metadata.finalizers ?? []).to.deep.equal([]);
      expect(shown(w.kube.object?.status)).to.include.members([
        'Ready=False/Suspended',
        'Suspended=True/SuspendedBySpec',
      ]);
      w.kube.apply((s) => ({ ...s, suspend: false }));
      await ready(w);
      expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate', 'updateTemplate']);
    });
  });

  describe('content', () => {
    const ONE = { 'main.tf': '# one' };
    const TWO = { 'main.tf': '# two' };
    const [FIRST, SECOND] = ['a'.repeat(64), 'b'.repeat(64)];
    const sourceRef = { kind: 'GitRepository', name: 'code' } as const;
    const git = { source: { sourceRef, path: 'docker' } };
    const statusOf = (w: TemplateWorld): CoderTemplateStatus => w.kube.object?.status ?? {};
    /** A repository of Flux with the first files. */
    const repository = (spec: CoderTemplateSpec = git): TemplateWorld => {
      const w = world(spec);
      w.flux.set('GitRepository/code', fluxSource('main@sha1:1', FIRST));
      w.archives.set(FIRST, fetched(ONE));
      return w;
    };
    const password = {
      name: 'password',
      valueFrom: { secretKeyRef: { name: 'values', key: 'password' } },
    };
    const CANARY = 'canary-3f9a';
    const declared = {
      'main.tf': 'variable "password" {\n  type = string\n  sensitive = true\n}\n',
    };

    const kinds: [string, CoderTemplateSpec][] = [
      ['spec.files', { files: ONE }],
      ['a ConfigMap', { source: { configMapRef: { name: 'code' } } }],
      ['an archive', { source: { archive: { url: 'https://example.com/a.tgz', sha256: FIRST } } }],
      ['a source of Flux', git],
      ['spec.files with a Secret', { files: declared, variables: [password] }],
    ];
    for (const [name, spec] of kinds) {
      it(`from ${name} is imported, and then rests`, async () => {
        const w = repository(spec);
        w.configMaps.set('code', { metadata: { name: 'code' }, data: ONE });
        w.secrets.set('values', valuesSecret({ password: CANARY }));
        await ready(w);
        expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
        w.restart();
        const rest = await w.settle();
        const isSecret = spec.variables !== undefined;
        expect(rest).to.deep.equal(isSecret ? { until: 'time', afterMs: 60_000 } : { until: 'woken' });
        const [writes, fetches] = [w.kube.writes, w.fetched.length];
        const reads = templateReads(w.coder);
        for (let i = 0; i < 5; i++) {
          await w.clock.advance(700_000);
          await w.settle();
        }
        expect(w.kube.writes).to.equal(writes);
        expect(w.fetched).to.have.length(fetches);
        expect(reads()).to.deep.equal([]);
      });
    }

    it('is the same wherever it is', async () => {
      const w = repository({ files: ONE });
      await ready(w);
      const { contentHash } = statusOf(w);
      w.kube.apply(() => git);
      await ready(w);
      expect(landed(w)).to.have.length(2);
      expect(statusOf(w).contentHash).to.equal(contentHash);
      expect(statusOf(w).source).to.deep.include({ revision: 'main@sha1:1', digest: `sha256:${FIRST}` });
      w.kube.apply(() => ({ files: ONE }));
      await ready(w);
      expect(landed(w)).to.have.length(2);
      expect(statusOf(w).source, 'it comes from no archive any more').to.equal(undefined);
    });

    it('of an archive is noted with the announcement, and the archive fetched for the upload alone', async () => {
      const w = repository();
      w.coder.onRequest = (what) => {
        if (what !== 'createVersion') return;
        expect(statusOf(w).pendingOperation?.type).to.equal('CreateVersion');
        expect(statusOf(w).source?.digest).to.equal(`sha256:${FIRST}`);
      };
      await w.settle();
      const asked = w.fetched.length;
      w.restart();
      await ready(w);
      expect(w.fetched).to.have.length(asked);
      expect(w.fetched.map(({ path }) => path)).to.include('docker');
    });

    it('of another revision with the same files makes no version', async () => {
      const w = repository();
      await ready(w);
      w.flux.set('GitRepository/code', fluxSource('main@sha1:2', SECOND));
      w.archives.set(SECOND, fetched(ONE));
      const writes = w.kube.writes;
      const events = w.events.length;
      await ready(w);
      expect(landed(w)).to.have.length(2);
      expect(statusOf(w).source).to.deep.include({ revision: 'main@sha1:2', digest: `sha256:${SECOND}` });
      expect(w.kube.writes).to.equal(writes + 1);
      expect(w.events).to.have.length(events);
    });

    it('of another revision with other files makes one', async () => {
      const w = repository();
      await ready(w);
      w.flux.set('GitRepository/code', fluxSource('main@sha1:2', SECOND));
      w.archives.set(SECOND, { state: 'fetching' });
      await ready(w);
      expect(shown(statusOf(w))).to.include('Reconciling=True/Progressing');
      expect(statusOf(w).source?.digest, 'of what is there').to.equal(`sha256:${FIRST}`);
      w.archives.set(SECOND, fetched(TWO));
      await ready(w);
      expect(landed(w).slice(2)).to.deep.equal(['createVersion', 'promote']);
    });

    it('that cannot be fetched for its upload is waited for', async () => {
      const w = repository();
      const live = w.connections.live('team');
      for (const other of ['a', 'b', 'c']) live?.uploads.waitMs(other);
      await w.settle();
      expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForUpload');
      w.archives.set(FIRST, { state: 'failed', message: 'no answer', retryAfterMs: 5_000 });
      await w.clock.advance(60_000);
      expect(await w.settle()).to.deep.equal({ until: 'time', afterMs: 5_000 });
      expect(shown(statusOf(w))).to.include('Reconciling=True/SourceUnavailable');
      expect(statusOf(w).pendingOperation).to.equal(undefined);
      w.archives.set(FIRST, fetched(ONE));
      await ready(w);
      expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
    });

    it('waits for its turn, and nothing is announced meanwhile', async () => {
      const w = world();
      const live = w.connections.live('team');
      for (const other of ['a', 'b', 'c', 'd']) live?.uploads.waitMs(other);
      const rest = await w.settle();
      expect(shown(statusOf(w))).to.deep.equal([
        'Ready=False/Importing',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/WaitingForUpload',
      ]);
      expect(rest).to.deep.equal({ until: 'time', afterMs: 14_000 });
      expect(w.kube.statuses.every((s) => s.pendingOperation === undefined)).to.equal(true);
      await w.clock.advance(14_000);
      await ready(w);
      expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
    });

    it('takes no turn while it is suspended', async () => {
      const w = world({ files: ONE, suspend: true });
      await w.settle();
      const live = w.connections.live('team');
      const waits = ['a', 'b', 'c'].map((other) => live?.uploads.waitMs(other));
      expect(waits).to.deep.equal([0, 0, 0]);
    });

    it('goes to Coder with its variables, tags and provisioner, and with what must not be repeated', async () => {
      const w = world({
        files: { 'main.tf': `${declared['main.tf']}variable "image" {\n}\n` },
        variables: [{ name: 'image', value: 'ubuntu' }, password],
        provisionerTags: { zone: 'a' },
        provisioner: 'Terraform',
      });
      w.coder.addProvisioner({ zone: 'a' });
      w.secrets.set('values', valuesSecret({ password: CANARY }));
      const sent = sinon.spy(w.coder, 'createTemplateVersion');
      await ready(w);
      const [, body, options] = sent.firstCall.args as Parameters<CoderClient['createTemplateVersion']>;
      expect(body).to.deep.include({
        provisioner: 'terraform',
        tags: { zone: 'a' },
        user_variable_values: [
          { name: 'image', value: 'ubuntu' },
          { name: 'password', value: CANARY },
        ],
      });
      expect(body).to.not.have.property('template_id');
      expect(options?.secrets).to.deep.equal([CANARY]);
      expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');
    });

    it('of the echo provisioner needs no Terraform, and names no tags or variables unasked', async () => {
      const w = world({ files: { 'a.protobuf': 'x' }, provisioner: 'Echo' });
      const sent = sinon.spy(w.coder, 'createTemplateVersion');
      await w.settle();
      expect(sent.firstCall.args[1]).to.deep.include({ provisioner: 'echo' });
      expect(sent.firstCall.args[1]).to.not.have.any.keys('tags', 'user_variable_values', 'template_id');
    });

    it('with a Secret that changes is imported anew, without a word from anybody', async () => {
      const w = world({ files: declared, variables: [password] });
      w.secrets.set('values', valuesSecret({ password: CANARY }));
      await ready(w);
      w.secrets.set('values', valuesSecret({ password: 'another' }, '2'));
      await ready(w);
      expect(landed(w).slice(2)).to.deep.equal(['createVersion', 'promote']);
      w.secrets.delete('values');
      expect(await w.settle()).to.deep.equal({ until: 'time', afterMs: 10_000 });
      expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForDependency');
    });

    describe('that fails', () => {
      const fail = async (w: TemplateWorld, error: string): Promise<void> => {
        await w.settle();
        sinon.stub(w.coder, 'templateVersion').callsFake((id) => {
          const version = w.coder.allVersions.find((v) => v.id === id);
          if (version === undefined) throw new CoderError('NotFound', 'no such version');
          return Promise.resolve({ ...version, job: { ...version.job, status: 'failed', error } });
        });
        await w.settle();
      };
      const everything = (w: TemplateWorld): string => JSON.stringify([w.kube.statuses, w.events]);

      it('is quoted', async () => {
        const w = world();
        await fail(w, `the value ${CANARY} is wrong`);
        expect(everything(w)).to.contain(CANARY);
      });

      it('is not quoted while a variable comes from a Secret, nor afterwards', async () => {
        const w = world({ files: declared, variables: [password] });
        w.secrets.set('values', valuesSecret({ password: CANARY }));
        await fail(w, `the value ${CANARY} is wrong`);
        const { name = '', id } = statusOf(w).pendingVersion ?? {};
        expect(shown(statusOf(w))).to.include('Reconciling=True/ImportFailed');
        expect(messageOf(statusOf(w))).to.contain(`the log of the version ${name}`);
        w.secrets.set('values', valuesSecret({ password: 'another' }, '2'));
        await w.settle();
        w.kube.apply(() => ({ versionID: id }));
        await w.settle();
        expect(shown(statusOf(w))).to.include('Stalled=True/ImportFailed');
        expect(everything(w)).to.not.contain(CANARY);
      });

      it('is tried three times, however often one goes to other content and back', async () => {
        const w = world();
        await ready(w);
        const play = async (): Promise<void> => {
          for (let i = 0; i < 8; i++) {
            await w.settle();
            w.coder.finishImports('failed');
            await w.clock.advance(SETTINGS.retryBaseMs * 2);
          }
          await w.settle();
        };
        for (let i = 0; i < 2; i++) {
          w.kube.apply((s) => ({ ...s, files: TWO }));
          await play();
          expect(shown(statusOf(w))).to.include('Stalled=True/ImportFailed');
          w.kube.apply((s) => ({ ...s, files: ONE }));
          await play();
          expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');
        }
        expect(w.coder.allVersions).to.have.length(1 + 3);
      });

      it('is told with what Terraform says', async () => {
        const w = world({ files: { 'main.tf': 'resource {' } });
        await ready(w);
        expect(shown(statusOf(w))).to.include('Reconciling=True/ImportFailed');
        expect(messageOf(statusOf(w))).to.contain('Argument or block definition required');
      });

      it('since a variable is not there needs a person, under Manual too', async () => {
        const w = world();
        await ready(w);
        const variables = [{ name: 'imgae', value: 'ubuntu' }];
        const files = { 'main.tf': 'variable "image" {\n  default = "x"\n}\n' };
        for (const promotion of ['Automatic', 'Manual'] as const) {
          w.kube.apply((s) => ({ ...s, files, variables, promotion }));
          await ready(w);
          w.restart();
          await w.clock.advance(700_000);
          await w.settle();
          expect(shown(statusOf(w))).to.include('Stalled=True/InvalidContent');
          expect(messageOf(statusOf(w)))
            .to.contain('imgae')
            .and.to.contain('image');
        }
        expect(landed(w).slice(2), 'imported once, and not promoted').to.deep.equal(['createVersion']);
        w.kube.apply((s) => ({
          ...s,
          variables: [{ name: 'image', value: 'ubuntu' }],
          promotion: undefined,
        }));
        await ready(w);
        expect(landed(w).slice(3)).to.deep.equal(['createVersion', 'promote']);
        expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      });

      it('for want of a variable is tried once, until a person gives it or asks', async () => {
        const w = world({ files: { 'main.tf': 'variable "region" {\n  type = string\n}\n' } });
        const play = async (): Promise<void> => {
          for (let i = 0; i < 5; i++) {
            await ready(w);
            await w.clock.advance(SETTINGS.retryBaseMs * 8);
          }
        };
        await play();
        expect(shown(statusOf(w))).to.include('Stalled=True/ImportFailed');
        expect(messageOf(statusOf(w)))
          .to.contain('region')
          .and.to.contain('spec.variables');
        expect(landed(w)).to.deep.equal(['createVersion']);
        w.kube.annotate(annotations.reconcileRequestedAt, 'now');
        await play();
        expect(landed(w)).to.deep.equal(['createVersion', 'createVersion']);
        expect(shown(statusOf(w))).to.include('Stalled=True/ImportFailed');
        w.kube.apply((s) => ({ ...s, variables: [{ name: 'region', value: 'eu' }] }));
        await play();
        expect(landed(w).slice(2)).to.deep.equal(['createVersion', 'createTemplate']);
        expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');
      });
    });

    describe('that is lacking', () => {
      const configMap = { source: { configMapRef: { name: 'code' } } };
      const held = { metadata: { name: 'code' }, data: ONE };

      it('does not hold up a deletion', async () => {
        const w = world(configMap);
        w.configMaps.set('code', held);
        await ready(w);
        w.configMaps.delete('code');
        await w.settle();
        expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForDependency');
        w.kube.delete();
        await w.settle();
        expect(w.kube.object).to.equal(undefined);
        expect(w.coder.presentTemplates).to.deep.equal([]);
      });

      it('does not hold up settings', async () => {
        const w = world(configMap);
        w.configMaps.set('code', held);
        await ready(w);
        w.configMaps.delete('code');
        w.kube.apply((s) => ({ ...s, displayName: 'Docker' }));
        await w.settle();
        expect(w.coder.presentTemplates[0]).to.include({ display_name: 'Docker' });
        expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForDependency');
        expect(messageOf(statusOf(w))).to.contain('no ConfigMap code');
      });

      for (const isFirst of [true, false]) {
        for (const fate of ['answer lost', 'late', 'lost'] as const) {
          const which = isFirst ? 'the first version' : 'a later version';
          it(`neither loses nor repeats ${which} with the fate "${fate}"`, async () => {
            const w = world(configMap);
            w.configMaps.set('code', held);
            if (!isFirst) {
              await ready(w);
              w.configMaps.set('code', { ...held, data: TWO });
            }
            w.coder.fate = fate;
            await w.pass();
            expect(statusOf(w).pendingOperation?.type).to.equal('CreateVersion');
            w.configMaps.delete('code');
            w.restart();
            await w.settle();
            const isFound = statusOf(w).pendingVersion?.id !== undefined;
            expect(isFound, 'by its announced name').to.equal(fate === 'answer lost');
            await w.clock.advance(40_000);
            await w.settle();
            expect(statusOf(w).pendingOperation, 'it is settled').to.equal(undefined);
            expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForDependency');
            w.configMaps.set('code', { ...held, data: isFirst ? ONE : TWO });
            await ready(w);
            expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');
            expect(w.coder.allVersions).to.have.length(isFirst ? 1 : 2);
          });
        }
      }
    });

    it('that waits to be promoted is told of, also when settings are sent with that', async () => {
      const w = world({ files: ONE, promotion: 'Manual' });
      await ready(w);
      w.kube.apply((s) => ({ ...s, files: TWO }));
      await w.settle();
      w.coder.finishImports('succeeded');
      w.kube.apply((s) => ({ ...s, displayName: 'Docker' }));
      await w.settle();
      expect(shown(statusOf(w))).to.include('Ready=True/WaitingForPromotion');
      expect(w.events.filter(({ reason }) => reason === 'WaitingForPromotion')).to.have.length(1);
    });
  });

  it('says how many workspaces use the template, as of the last look at everything', async () => {
    const w = world();
    await ready(w);
    const template = w.coder.presentTemplates[0];
    expect(w.kube.object?.status?.workspaces).to.equal(0);
    for (const name of ['dev', 'test']) {
      if (template !== undefined) w.coder.addWorkspace(OWNER.username, name, template);
    }
    await w.clock.advance(700_000);
    await w.settle();
    expect(w.kube.object?.status?.workspaces).to.equal(2);
    w.restart();
    w.coder.outage = new CoderError('Unreachable', 'no answer');
    await w.settle();
    expect(w.kube.object?.status?.workspaces, 'as long as it is not known otherwise').to.equal(2);
  });

  it('at rest keeps saying what was true while Coder cannot be read', async () => {
    const w = world();
    await ready(w);
    w.restart();
    w.coder.outage = new CoderError('Unreachable', 'no answer');
    const before = w.kube.writes;
    await w.pass();
    expect(w.kube.writes).to.equal(before);
  });
});
