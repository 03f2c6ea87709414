import { expect } from 'chai';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations } from '../../../../src/api/kinds.ts';
import { tarOf } from '../../../support/coder/tar.ts';
import { STRANGER } from '../../../support/controller-coder.ts';
import { keyOf, messageOf, shown } from '../../../support/controller-records.ts';
import { templateReads, templateWorld, type TemplateWorld } from '../../../support/controller-world.ts';

const ONE = { 'main.tf': '# one' };
const TWO = { 'main.tf': '# two' };
const THREE = { 'main.tf': '# three' };
/** Longer than the time between two looks at everything. */
const LOOK_MS = 700_000;

describe('promotion of a template', () => {
  const worlds: TemplateWorld[] = [];
  const world = (spec?: CoderTemplateSpec): TemplateWorld => {
    const w = templateWorld(spec);
    worlds.push(w);
    return w;
  };
  afterEach(() => {
    for (const w of worlds.splice(0)) w.stop();
  });
  const ready = async (w: TemplateWorld): Promise<void> => {
    await w.settle();
    w.coder.finishImports('succeeded');
    await w.settle();
  };
  const apply = async (w: TemplateWorld, spec: Partial<CoderTemplateSpec>): Promise<void> => {
    w.kube.apply((before) => ({ ...before, ...spec }));
    await ready(w);
  };
  /** The observer looks at everything, and the object is woken. */
  const look = async (w: TemplateWorld): Promise<void> => {
    await w.clock.advance(LOOK_MS);
    await ready(w);
  };
  const statusOf = (w: TemplateWorld): CoderTemplateStatus => w.kube.object?.status ?? {};
  const landed = (w: TemplateWorld): readonly string[] => w.coder.landed.map((l) => l.what);
  const told = (w: TemplateWorld, reason: string): number =>
    w.events.filter((event) => event.reason === reason).length;
  /** Makes the version that waits the active one, as a person would in Coder. */
  const promotePending = (w: TemplateWorld): void => {
    const [template] = w.coder.presentTemplates;
    w.coder.promote(template?.id ?? '', statusOf(w).pendingVersion?.id ?? '');
  };

  describe('Manual', () => {
    const waiting = async (): Promise<TemplateWorld> => {
      const w = world({ files: ONE, promotion: 'Manual' });
      await ready(w);
      await apply(w, { files: TWO });
      return w;
    };
    const isWaiting = (w: TemplateWorld): void => {
      const resting = ['Ready=True/WaitingForPromotion', 'Synced=True/SyncSucceeded'];
      expect(shown(statusOf(w))).to.deep.equal(resting);
    };

    it('creates the template on the first version, and imports the second without promoting it', async () => {
      const w = await waiting();
      expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate', 'createVersion']);
      isWaiting(w);
      expect(statusOf(w).contentHash).to.equal(keyOf(ONE));
      expect(told(w, 'WaitingForPromotion')).to.equal(1);
    });

    it('rests while it waits: nothing is read, written or told again, also after a restart', async () => {
      const w = await waiting();
      await look(w);
      w.restart();
      await w.settle();
      const [writes, events] = [w.kube.writes, w.events.length];
      const reads = templateReads(w.coder);
      for (let i = 0; i < 5; i++) await look(w);
      expect(reads()).to.deep.equal([]);
      expect(w.kube.writes).to.equal(writes);
      expect(w.events).to.have.length(events);
      isWaiting(w);
    });

    it('keeps saying that it waits while Coder is away', async () => {
      const w = await waiting();
      w.restart();
      w.connections.failed('team', 'coder', { reason: 'CoderUnreachable', message: 'no answer' });
      const before = w.kube.writes;
      await w.settle();
      expect(w.kube.writes).to.equal(before);
      isWaiting(w);
    });

    it('remembers what somebody promoted, and tells it when that is changed again', async () => {
      const w = await waiting();
      promotePending(w);
      await look(w);
      expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(statusOf(w).contentHash).to.equal(keyOf(TWO));
      expect(statusOf(w).contentVersionID).to.equal(w.coder.presentTemplates[0]?.active_version_id);
      expect(statusOf(w).pendingVersion).to.equal(undefined);
      w.coder.promoteAnother();
      await look(w);
      expect(shown(statusOf(w))).to.include('Drifted=True/ActiveVersionChanged');
    });

    it('keeps waiting when somebody promotes another version', async () => {
      const w = await waiting();
      w.coder.promoteAnother();
      await look(w);
      isWaiting(w);
      expect(statusOf(w).activeVersion?.id).to.equal(w.coder.presentTemplates[0]?.active_version_id);
    });

    it('turned to Automatic promotes', async () => {
      const w = await waiting();
      await apply(w, { promotion: 'Automatic' });
      expect(landed(w).slice(3)).to.deep.equal(['promote']);
      expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(statusOf(w).contentHash).to.equal(keyOf(TWO));
    });

    it('imports content that changes while it waits, and tells of each', async () => {
      const w = await waiting();
      await apply(w, { files: THREE });
      expect(landed(w).slice(3)).to.deep.equal(['createVersion']);
      isWaiting(w);
      const { name } = statusOf(w).pendingVersion ?? { name: 'none' };
      expect(messageOf(statusOf(w))).to.contain(name);
      expect(told(w, 'WaitingForPromotion')).to.equal(2);
      await apply(w, { files: TWO });
      expect(landed(w).slice(4), 'it is there already').to.deep.equal([]);
      expect(told(w, 'WaitingForPromotion')).to.equal(3);
      promotePending(w);
      await look(w);
      expect(statusOf(w).contentHash).to.equal(keyOf(TWO));
    });

    it('goes back to what is active without a word to Coder', async () => {
      const w = await waiting();
      await apply(w, { files: ONE });
      expect(landed(w)).to.have.length(3);
      expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(statusOf(w).pendingVersion).to.equal(undefined);
    });

    it('promotes nothing when a person asks, and records that it was asked', async () => {
      const w = await waiting();
      w.kube.annotate(annotations.reconcileRequestedAt, 'now');
      await ready(w);
      expect(landed(w)).to.have.length(3);
      isWaiting(w);
      expect(statusOf(w).lastHandledReconcileAt).to.equal('now');
      expect(told(w, 'WaitingForPromotion')).to.equal(1);
    });
  });

  describe('Automatic', () => {
    it('promotes again only for a wish that changed', async () => {
      const w = world({ files: ONE });
      await ready(w);
      await apply(w, { files: TWO });
      w.coder.promoteAnother();
      const before = landed(w).length;
      await look(w);
      w.restart();
      await look(w);
      await apply(w, { displayName: undefined, driftPolicy: 'Enforce' });
      expect(landed(w)).to.have.length(before);
      expect(shown(statusOf(w))).to.include('Drifted=True/ActiveVersionChanged');
      await apply(w, { files: ONE });
      expect(landed(w).slice(before)).to.deep.equal(['promote']);
      expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
    });

    for (const fate of ['lost', 'answer lost', 'late'] as const) {
      it(`is carried out when the request has the fate "${fate}"`, async () => {
        const w = world({ files: ONE });
        await ready(w);
        w.kube.apply((s) => ({ ...s, files: TWO }));
        await w.settle();
        w.coder.finishImports('succeeded');
        w.coder.fate = fate;
        await w.settle();
        w.restart();
        await w.clock.advance(40_000);
        await w.settle();
        expect(statusOf(w).contentHash).to.equal(keyOf(TWO));
        expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      });
    }
  });

  describe('at adoption', () => {
    type Order = Parameters<TemplateWorld['coder']['addVersionOf']>[1];
    const VARIABLE = 'variable "image" {\n  type = string\n}\n';

    /** Somebody makes the template of these files by hand, then the object is applied. */
    const adopted = async (
      spec: CoderTemplateSpec,
      files: Readonly<Record<string, string>>,
      order: Order = {},
    ): Promise<TemplateWorld> => {
      const w = world(spec);
      w.coder.addProvisioner({ zone: 'a' });
      const { id } = w.coder.addTemplate();
      const file = w.coder.uploadBy(STRANGER, tarOf(files));
      w.coder.promote(id, w.coder.addVersionOf(file, { ...order, templateID: id, name: 'by-hand' }).id);
      w.restart();
      await ready(w);
      return w;
    };

    it('of equal content nothing is uploaded, and it is remembered', async () => {
      const w = await adopted({ files: ONE }, ONE);
      expect(landed(w)).to.deep.equal([]);
      expect(w.coder.uploads).to.deep.equal([]);
      expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(statusOf(w)).to.deep.include({
        origin: 'Adopted',
        contentHash: keyOf(ONE),
        contentVersionID: w.coder.presentTemplates[0]?.active_version_id,
      });
      expect(messageOf(statusOf(w))).to.contain('by-hand');
      const reads = templateReads(w.coder);
      await look(w);
      w.restart();
      await look(w);
      expect(reads(), 'it is read once').to.not.include('file');
      w.kube.annotate(annotations.reconcileRequestedAt, 'now');
      await ready(w);
      expect(landed(w), 'nor is it when a person asks').to.deep.equal([]);
    });

    it('of the same files that Coder leaves out some of nothing is uploaded', async () => {
      const w = await adopted({ files: { ...ONE, 'terraform.tfvars': 'x = 1' } }, ONE);
      expect(landed(w)).to.deep.equal([]);
    });

    it('of the same variables and tags nothing is uploaded', async () => {
      const files = { 'main.tf': VARIABLE };
      const variables = [{ name: 'image', value: 'ubuntu' }];
      const provisionerTags = { zone: 'a' };
      const w = await adopted({ files, variables, provisionerTags }, files, {
        values: variables,
        tags: provisionerTags,
      });
      expect(landed(w)).to.deep.equal([]);
    });

    const values = [{ name: 'image', value: 'ubuntu' }];
    const others: [string, CoderTemplateSpec, Readonly<Record<string, string>>, Order][] = [
      ['other files', { files: TWO }, ONE, {}],
      [
        'another value of a variable',
        { files: { 'main.tf': VARIABLE }, variables: [{ name: 'image', value: 'debian' }] },
        { 'main.tf': VARIABLE },
        { values },
      ],
      [
        'a sensitive variable',
        { files: { 'main.tf': VARIABLE.replace('}', '  sensitive = true\n}') }, variables: values },
        { 'main.tf': VARIABLE.replace('}', '  sensitive = true\n}') },
        { values },
      ],
      ['other tags', { files: ONE, provisionerTags: { zone: 'a' } }, ONE, {}],
    ];
    for (const [name, spec, files, order] of others) {
      it(`with ${name} it is imported, once`, async () => {
        const w = await adopted(spec, files, order);
        expect(landed(w)).to.deep.equal(['createVersion', 'promote']);
        expect(statusOf(w).origin).to.equal('Adopted');
        expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
        await look(w);
        expect(landed(w)).to.have.length(2);
      });
    }

    it('is compared once: later content is not', async () => {
      const w = await adopted({ files: ONE }, ONE);
      const reads = templateReads(w.coder);
      await apply(w, { files: TWO });
      expect(landed(w)).to.deep.equal(['createVersion', 'promote']);
      expect(reads()).to.not.include('file');
    });

    it('under Manual other content is imported and waits', async () => {
      const w = await adopted({ files: TWO, promotion: 'Manual' }, ONE);
      expect(landed(w)).to.deep.equal(['createVersion']);
      expect(shown(statusOf(w))).to.include('Ready=True/WaitingForPromotion');
    });
  });

  describe('of a restored object', () => {
    const restored = async (spec: CoderTemplateSpec): Promise<TemplateWorld> => {
      const w = world(spec);
      w.configMaps.set('code', { metadata: { name: 'code' }, data: ONE });
      await ready(w);
      w.coder.promoteAnother();
      w.kube.loseStatus();
      return w;
    };
    const source = { configMapRef: { name: 'code' } };

    it('happens neither while its content is lacking nor when that can be read', async () => {
      const w = await restored({ source });
      w.configMaps.delete('code');
      w.restart();
      await look(w);
      expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForDependency');
      expect(statusOf(w).contentHash).to.equal('lost:1');
      w.configMaps.set('code', { metadata: { name: 'code' }, data: TWO });
      await look(w);
      expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
      expect(shown(statusOf(w))).to.deep.equal(['Ready=True/UpToDate', 'Synced=True/SyncSucceeded']);
      expect(statusOf(w).contentHash).to.equal(keyOf(TWO));
      await apply(w, { source: undefined, files: THREE });
      expect(landed(w).slice(2), 'another wish counts').to.deep.equal(['createVersion', 'promote']);
    });

    it('happens when a person asks', async () => {
      const w = await restored({ source });
      w.restart();
      await look(w);
      expect(landed(w)).to.deep.equal(['createVersion', 'createTemplate']);
      w.kube.annotate(annotations.reconcileRequestedAt, 'now');
      await ready(w);
      expect(landed(w).slice(2), 'the version is there still').to.deep.equal(['promote']);
      expect(statusOf(w).contentVersionID).to.equal(w.coder.presentTemplates[0]?.active_version_id);
      expect(statusOf(w).lastHandledReconcileAt).to.equal('now');
    });
  });
});
