import { expect } from 'chai';
import sinon from 'sinon';
import { annotations } from '../../../../src/api/kinds.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import { OWNER } from '../../../support/controller-coder.ts';
import { shown } from '../../../support/controller-records.ts';
import { SETTINGS, templateWorld, type TemplateWorld } from '../../../support/controller-world.ts';

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
