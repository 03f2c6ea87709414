import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { isConflict, isInvalid, isNotFound } from '../../../src/coder/errors.ts';
import type { Template, WorkspaceBuild } from '../../../src/coder/types.ts';
import { expectFailure, faults, type Contract } from './contract.ts';
import { PREBUILDS } from './people.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** How long after its end a build lets the workspace run, to the minute: Coder takes the two times one after the other. */
function lifetimeOf({ deadline, job }: WorkspaceBuild): number {
  const ms = Date.parse(deadline ?? '') - Date.parse(job.completed_at ?? '');
  return Math.round(ms / MINUTE_MS) * MINUTE_MS;
}

export function settingsContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  it('may be given at creation', async () => {
    const workspace = await c.newWorkspace(template, {
      ttl_ms: HOUR_MS + 59_999,
      autostart_schedule: 'CRON_TZ=Europe/Berlin 0 9 * * 1-5',
      automatic_updates: 'always',
    });
    expect(workspace).to.include({
      ttl_ms: HOUR_MS,
      autostart_schedule: 'CRON_TZ=Europe/Berlin 0 9 * * 1-5',
      automatic_updates: 'always',
    });
    const { latest_build } = await c.newWorkspace(template, { ttl_ms: HOUR_MS });
    expect(lifetimeOf(latest_build)).to.equal(HOUR_MS);
  });

  it('at creation, a TTL that is left out or 0 is the one of the template, which is not cut', async () => {
    const stopping = await c.newTemplate({}, { default_ttl_ms: HOUR_MS + 1 });
    expect(await c.newWorkspace(stopping)).to.include({ ttl_ms: HOUR_MS + 1 });
    const { id } = await c.newWorkspace(stopping, { ttl_ms: 0 });
    expect(await c.client.workspace(id)).to.include({ ttl_ms: HOUR_MS + 1 });
    await c.client.setTTL(id, 0);
    expect(await c.client.workspace(id), 'never stopped, as its owner wishes').not.to.have.property('ttl_ms');
  });

  it('a TTL is set, cut to whole minutes, and cleared', async () => {
    const { id } = await c.newWorkspace(template);
    await c.client.setTTL(id, 2 * HOUR_MS + 59_999);
    expect(await c.client.workspace(id)).to.include({ ttl_ms: 2 * HOUR_MS });
    await c.client.setTTL(id, MINUTE_MS);
    expect(await c.client.workspace(id)).to.include({ ttl_ms: MINUTE_MS });
    await c.client.setTTL(id, 30 * 24 * HOUR_MS + 59_999);
    expect(await c.client.workspace(id)).to.include({ ttl_ms: 30 * 24 * HOUR_MS });
    await c.client.setTTL(id, 0);
    expect(await c.client.workspace(id)).not.to.have.property('ttl_ms');
  });

  for (const ms of [MINUTE_MS - 1, -1, 30 * 24 * HOUR_MS + MINUTE_MS]) {
    it(`a TTL of ${ms} ms is refused`, async () => {
      const { id } = await c.newWorkspace(template, { ttl_ms: HOUR_MS });
      const error = await expectFailure(c.client.setTTL(id, ms), isInvalid);
      expect(error.status).to.equal(400);
      expect(faults(error)).to.deep.equal(['ttl_ms']);
      expect(await c.client.workspace(id)).to.include({ ttl_ms: HOUR_MS });
    });
  }

  it('a TTL that is set counts from the next build on, one that is cleared at once', async () => {
    const { id, latest_build: first } = await c.newWorkspace(template, { ttl_ms: HOUR_MS });
    await c.client.setTTL(id, 2 * HOUR_MS);
    expect((await c.client.workspace(id)).latest_build.deadline).to.equal(first.deadline);
    expect(lifetimeOf(await c.build(id, 'start'))).to.equal(2 * HOUR_MS);
    await c.client.setTTL(id, 0);
    expect((await c.client.workspace(id)).latest_build).not.to.have.property('deadline');
    await c.client.setTTL(id, HOUR_MS);
    expect((await c.client.workspace(id)).latest_build).not.to.have.property('deadline');
  });

  it('a TTL gives a stopped workspace a deadline too, which means nothing', async () => {
    const { id } = await c.newWorkspace(template, { ttl_ms: HOUR_MS });
    expect(lifetimeOf(await c.build(id, 'stop'))).to.equal(HOUR_MS);
    await c.client.setTTL(id, 0);
    expect((await c.client.workspace(id)).latest_build).to.have.property('deadline');
  });

  it('a maximum lifetime is a deadline too, and stays when the TTL is cleared', async () => {
    const { id } = await c.newWorkspace(template, { ttl_ms: 5 * HOUR_MS });
    await c.harness.limitLifetime(id, 2 * HOUR_MS);
    const { latest_build: limited } = await c.client.workspace(id);
    expect(limited.max_deadline).to.be.a('string');
    expect(limited.deadline).to.equal(limited.max_deadline);
    await c.client.setTTL(id, 0);
    expect((await c.client.workspace(id)).latest_build).to.include({
      deadline: limited.deadline,
      max_deadline: limited.max_deadline,
    });
  });

  it('a TTL that the template does not leave to its users is taken and not shown', async () => {
    const fixed = await c.newTemplate();
    const { id } = await c.newWorkspace(fixed, { ttl_ms: HOUR_MS });
    await c.harness.fixTTL(fixed.id, 5 * HOUR_MS);
    await c.client.setTTL(id, 2 * HOUR_MS);
    expect(await c.client.workspace(id)).to.include({ ttl_ms: 5 * HOUR_MS });
    await c.harness.fixTTL(fixed.id, 0);
    expect(await c.client.workspace(id)).to.include({ ttl_ms: 0 });
  });

  const schedules = [
    '0 9 * * *',
    '30 9 * * 1-5',
    'CRON_TZ=US/Central 30 9 * * MON-FRI',
    '0,30 8-10 * * mon,wed',
    '*/15 9 * * 0',
  ];
  for (const schedule of schedules) {
    it(`the schedule "${schedule}" is kept as it stands, and cleared`, async () => {
      const { id } = await c.newWorkspace(template);
      await c.client.setAutostart(id, schedule);
      expect(await c.client.workspace(id)).to.include({ autostart_schedule: schedule });
      await c.client.setAutostart(id, '');
      expect(await c.client.workspace(id)).not.to.have.property('autostart_schedule');
    });
  }

  const wrong = {
    'too few fields': '0 9 * *',
    'too many fields': '0 0 9 * * *',
    'a day of the month': '0 9 1 * *',
    'a month': '0 9 * 1 *',
    'an hour too late': '0 24 * * *',
    'a minute too many': '60 9 * * *',
    'Sunday as 7': '0 9 * * 7',
    'an unknown time zone': 'CRON_TZ=Mars/Olympus 0 9 * * *',
    'a zone by another name': 'TZ=UTC 0 9 * * *',
    'a nickname': '@daily',
    words: 'every morning at nine o clock',
  };
  for (const [what, schedule] of Object.entries(wrong)) {
    it(`a schedule with ${what} is refused`, async () => {
      const { id } = await c.newWorkspace(template, { autostart_schedule: '0 9 * * *' });
      const error = await expectFailure(c.client.setAutostart(id, schedule), isInvalid);
      expect(error.status).to.equal(400);
      expect(faults(error)).to.deep.equal(['schedule']);
      expect(await c.client.workspace(id)).to.include({ autostart_schedule: '0 9 * * *' });
    });
  }

  it('automatic updates are set and taken back', async () => {
    const { id } = await c.newWorkspace(template);
    await c.client.setAutomaticUpdates(id, 'always');
    expect(await c.client.workspace(id)).to.include({ automatic_updates: 'always' });
    await c.client.setAutomaticUpdates(id, 'never');
    expect(await c.client.workspace(id)).to.include({ automatic_updates: 'never' });
    const wrong = 'sometimes' as 'never';
    const error = await expectFailure(c.client.setAutomaticUpdates(id, wrong), isInvalid);
    expect(faults(error)).to.deep.equal(['automatic_updates']);
  });

  it('are set while a build is under way', async () => {
    const { id } = await c.create(await c.newTemplate({ builds: 'hang' }));
    await c.client.setTTL(id, HOUR_MS);
    await c.client.setAutostart(id, '0 9 * * *');
    await c.client.setAutomaticUpdates(id, 'always');
    expect(await c.client.workspace(id)).to.include({
      ttl_ms: HOUR_MS,
      autostart_schedule: '0 9 * * *',
      automatic_updates: 'always',
    });
    await c.harness.cancel(id);
    await c.settled(id);
  });

  it("of a prebuild are its template's matter, but for the updates", async () => {
    const { id } = await c.newWorkspace(template);
    await c.harness.changeOwner(id, PREBUILDS.username);
    expect(await c.client.workspace(id)).to.include({ is_prebuild: true, owner_id: PREBUILDS.id });
    await expectFailure(c.client.setTTL(id, HOUR_MS), isConflict);
    await expectFailure(c.client.setAutostart(id, '0 9 * * *'), isConflict);
    await c.client.setAutomaticUpdates(id, 'always');
  });

  it('make no build', async () => {
    const { id } = await c.newWorkspace(template);
    await c.client.setTTL(id, HOUR_MS);
    await c.client.setAutostart(id, '0 9 * * *');
    await c.client.setAutomaticUpdates(id, 'always');
    expect((await c.client.workspace(id)).latest_build.build_number).to.equal(1);
  });

  it('are refused for what does not exist', async () => {
    await expectFailure(c.client.setTTL(randomUUID(), HOUR_MS), isNotFound);
    await expectFailure(c.client.setAutostart(randomUUID(), ''), isNotFound);
    await expectFailure(c.client.setAutomaticUpdates(randomUUID(), 'never'), isNotFound);
  });
}
