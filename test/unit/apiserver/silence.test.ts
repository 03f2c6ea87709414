import { expect } from 'chai';
import { Silence } from '../../../src/apiserver/silence.ts';
import { FakeClock } from '../../support/clock.ts';

describe('Silence', () => {
  let clock: FakeClock;
  let heardAt: number | undefined;
  let silence: Silence;

  beforeEach(() => {
    clock = new FakeClock(new Date('2026-01-02T03:04:05.678Z'));
    heardAt = undefined;
    const stats = (): { lastEventAgeMs: number | undefined } => ({
      lastEventAgeMs: heardAt === undefined ? undefined : clock.monotonic() - heardAt,
    });
    silence = new Silence({ clock, followed: new Map([['widgets', { stats }]]) });
  });

  it('counts from the beginning until something was heard, and then from that', async () => {
    await clock.advance(5_000);
    expect(silence.ms('widgets')).to.equal(5_000);
    heardAt = clock.monotonic();
    await clock.advance(1_000);
    expect(silence.ms('widgets')).to.equal(1_000);
  });

  it('warns after two minutes, in words that stay the same for as long as it lasts', async () => {
    heardAt = 0;
    await clock.advance(120_000);
    expect(silence.warnings('widgets')).to.deep.equal([]);
    await clock.advance(1);
    const text =
      'this replica has heard nothing of widgets from the Kubernetes API server since 2026-01-02T03:04:05Z: what is shown may be old';
    expect(silence.warnings('widgets')).to.deep.equal([text]);
    await clock.advance(3_600_000);
    expect(silence.warnings('widgets')).to.deep.equal([text]);
    heardAt = clock.monotonic();
    expect(silence.warnings('widgets')).to.deep.equal([]);
  });
});
