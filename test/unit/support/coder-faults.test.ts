import { expect } from 'chai';
import { CoderError, isInvalid } from '../../../src/coder/errors.ts';
import type { Workspace } from '../../../src/coder/types.ts';
import { FakeClock } from '../../support/clock.ts';
import { OWNER, PREBUILDS, SimulatedCoder } from '../../support/controller-coder.ts';

const HOUR_MS = 3_600_000;

/** What the scripted Coder has beyond the contract: ways to go wrong, and what the real one does with a licence only. */
describe('The scripted Coder', () => {
  let clock: FakeClock;
  let coder: SimulatedCoder;
  let id: string;

  beforeEach(() => {
    clock = new FakeClock();
    coder = new SimulatedCoder(clock);
    id = coder.addWorkspace(OWNER.username, 'dev', coder.addTemplate())?.id ?? '';
    coder.finishBuilds('succeeded');
  });

  const only = (): Workspace => {
    const [workspace] = coder.present;
    if (workspace === undefined) throw new Error('There is no workspace');
    return workspace;
  };

  const settings: Readonly<Record<string, readonly [() => Promise<void>, keyof Workspace, unknown]>> = {
    setTTL: [() => coder.setTTL(id, HOUR_MS), 'ttl_ms', HOUR_MS],
    setAutostart: [() => coder.setAutostart(id, '0 9 * * *'), 'autostart_schedule', '0 9 * * *'],
    setAutomaticUpdates: [() => coder.setAutomaticUpdates(id, 'always'), 'automatic_updates', 'always'],
  };
  const outcome = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'answered',
      (e: unknown) => e,
    );

  for (const [what, [call, field, value]] of Object.entries(settings)) {
    it(`loses a ${what}, on its way there or back, or carries it out late`, async () => {
      const before = only()[field];
      coder.fate = 'lost';
      expect(await outcome(call())).to.include({ kind: 'Timeout', unclear: true });
      expect([only()[field], coder.landed.length]).to.deep.equal([before, 0]);
      coder.fate = 'late';
      expect(await outcome(call())).to.include({ kind: 'Timeout', unclear: true });
      expect(only()[field]).to.equal(before);
      await clock.advance(31_000);
      expect(only()[field]).to.equal(value);
      coder.fate = 'answer lost';
      expect(await outcome(call())).to.include({ kind: 'Timeout', unclear: true });
      expect(coder.landed.map((l) => l.what)).to.deep.equal([what, what]);
      coder.fate = 'refused';
      expect(isInvalid(await outcome(call()))).to.equal(true);
      coder.fate = 'limited';
      expect(await outcome(call())).to.include({ kind: 'RateLimited', retryAfterMs: 60_000 });
      expect(coder.landed).to.have.length(2);
      coder.fate = 'failed';
      expect(await outcome(call())).to.include({ kind: 'ServerError', status: 500, unclear: true });
      coder.fate = 'cut';
      expect(await outcome(call())).to.include({ kind: 'Unreachable', unclear: true });
      expect(coder.landed).to.have.length(4);
      expect(await outcome(call())).to.equal('answered');
    });
  }

  it('takes a setting without effect, or refuses it for ever', async () => {
    coder.ignoredSettings.add('ttl').add('autostart').add('automaticUpdates');
    for (const [call, field, value] of Object.values(settings)) {
      expect(await outcome(call())).to.equal('answered');
      expect(only()[field]).to.not.equal(value);
    }
    coder.refusedSettings.add('ttl').add('autostart').add('automaticUpdates');
    for (const [call] of Object.values(settings)) expect(isInvalid(await outcome(call()))).to.equal(true);
  });

  it('tells the loser of a close race for a name what its database says, and makes nothing', async () => {
    const [template = coder.addTemplate()] = coder.presentTemplates;
    coder.lostRace = 'duplicate key';
    const lost = await outcome(
      coder.createWorkspace(OWNER.username, { name: 'DEV', template_id: template.id }),
    );
    expect(lost).to.include({ kind: 'Conflict', status: 500 });
    expect(coder.present).to.have.length(1);
    coder.lostRace = 'taken';
    const taken = await outcome(
      coder.createWorkspace(OWNER.username, { name: 'DEV', template_id: template.id }),
    );
    expect(taken).to.include({ kind: 'Conflict', status: 409 });
  });

  it('lets a build fail for a quota that is used up', () => {
    coder.build('stop');
    coder.exceedQuota();
    const { latest_build } = only();
    expect(latest_build).to.include({ transition: 'stop', status: 'failed' });
    expect(latest_build.job).to.include({ status: 'failed', error: 'insufficient quota' });
  });

  it('ends what has lived for too long with the reason of an autostop', () => {
    coder.limitLifetime(HOUR_MS);
    coder.build('start');
    coder.finishBuilds('succeeded');
    expect(only().latest_build.max_deadline).to.equal(only().latest_build.deadline);
    coder.endLifetime();
    expect(only().latest_build).to.include({
      transition: 'stop',
      reason: 'autostop',
      initiator_id: OWNER.id,
    });
  });

  it('gives a prebuild to whoever asks', () => {
    const [template = coder.addTemplate()] = coder.presentTemplates;
    const prebuild = coder.addPrebuild(template);
    coder.finishBuilds('succeeded');
    expect(prebuild).to.include({ owner_name: PREBUILDS.username, is_prebuild: true });
    coder.claimPrebuilds(OWNER, 'claimed');
    const claimed = coder.present.find((w) => w.id === prebuild?.id);
    expect(claimed).to.include({ owner_name: OWNER.username, name: 'claimed', is_prebuild: false });
    expect(claimed?.latest_build).to.include({ build_number: 2, transition: 'start' });
  });

  it('makes no act of others where Coder would refuse it', () => {
    coder.build('stop');
    coder.build('start');
    coder.autostop();
    coder.autostart();
    coder.autodelete();
    expect(only().latest_build).to.include({ build_number: 2, transition: 'stop' });
    coder.finishBuilds('succeeded');
    coder.autostop();
    coder.autodelete();
    expect(only().latest_build.build_number).to.equal(2);
  });

  it('answers a whole list late with what was there when it was asked for, and others at once', async () => {
    const held = coder.holdNextList();
    const late = coder.workspaces();
    await held.arrived;
    coder.build('delete');
    coder.finishBuilds('succeeded');
    expect((await coder.workspaces({ query: `id:${id}` })).workspaces).to.deep.equal([]);
    expect((await coder.workspaces()).workspaces).to.deep.equal([]);
    held.release();
    expect((await late).workspaces.map((w) => w.id)).to.deep.equal([id]);
  });

  it('loses and doubles rows of whole lists, which it counts once each', async () => {
    coder.ofList = () => [];
    expect(await coder.workspaces()).to.deep.equal({ workspaces: [], count: 1 });
    coder.ofList = (rows) => [...rows, ...rows];
    const { workspaces, count } = await coder.workspaces();
    expect([workspaces.map((w) => w.id), count]).to.deep.equal([[id, id], 1]);
    expect((await coder.workspaces({ query: `id:${id}` })).workspaces).to.have.length(1);
  });

  it('fails every call in an outage', async () => {
    coder.outage = new CoderError('Unreachable', 'down');
    for (const [call] of Object.values(settings)) {
      expect(await outcome(call())).to.include({ kind: 'Unreachable' });
    }
  });
});
