import { expect } from 'chai';
import { findCondition } from '../../../../src/api/conditions.ts';
import { DRIFT_WINDOW_MS } from '../../../../src/controller/settings.ts';
import { SETTINGS, workspaceWorld, type WorkspaceWorld } from '../../../support/controller-world.ts';
import { messageOf, shown } from '../../../support/controller-records.ts';

const STOPS = 100;
const { driftBudget: BUDGET, driftCooldownMs: COOLDOWN_MS } = SETTINGS;
/** The observer sees a build that it follows move on. */
const SEEN_MS = 2_000;
const SPENT = /as often as is allowed in an hour, and is again at/;

/** Somebody who stops the workspace as soon as it runs, again and again. */
class Fight {
  readonly world: WorkspaceWorld;
  /** When the operator asked for each start, by the clock. */
  readonly starts: number[] = [];
  /** What the object said whenever the operator held back since the budget was spent. */
  readonly held: (readonly string[])[] = [];
  stops = 0;

  constructor(world: WorkspaceWorld) {
    this.world = world;
    world.coder.onRequest = (what, detail) => {
      expect(what === 'createWorkspace' || detail === 'start', `${what} ${detail}`).to.equal(true);
      this.starts.push(world.clock.now());
    };
  }

  async play(stops: number, onStop: () => void = () => undefined): Promise<void> {
    const { coder, clock } = this.world;
    while (this.stops < stops) {
      const rest = await this.world.settle();
      const build = coder.present[0]?.latest_build;
      if (build?.job.completed_at === undefined) {
        coder.finishBuilds('succeeded');
        if (build?.transition === 'start') {
          coder.build('stop');
          this.stops++;
          onStop();
        }
        await clock.advance(SEEN_MS);
      } else {
        this.#look();
        if (rest?.until !== 'time') return expect.fail(`it waits for nothing: ${JSON.stringify(rest)}`);
        await clock.advance(rest.afterMs);
      }
    }
  }

  #look(): void {
    const status = this.world.kube.object?.status;
    expect(shown(status)).to.include.members([
      'Reconciling=True/CorrectingDrift',
      'Drifted=True/StoppedByUser',
    ]);
    if (SPENT.test(messageOf(status, 'Drifted'))) this.held.push(shown(status));
  }
}

/** The most of these times within any window of this length. */
function mostWithin(times: readonly number[], windowMs: number): number {
  return Math.max(...times.map((end) => times.filter((t) => t > end - windowMs && t <= end).length));
}

describe('a fight over a workspace', () => {
  for (const restarts of [false, true]) {
    it(`F35. is lost within the budget${restarts ? ', also when the process dies at each stop' : ''}`, async () => {
      const world = workspaceWorld({ templateName: 'docker', running: true });
      const fight = new Fight(world);
      await fight.play(STOPS, restarts ? () => world.restart() : undefined);
      world.stop();

      // The first one is its creation, which sets nothing right.
      const [, ...corrections] = fight.starts;
      expect(corrections).to.have.length(STOPS - 1);
      expect(mostWithin(corrections, DRIFT_WINDOW_MS)).to.equal(BUDGET);
      const gaps = corrections.map((at, i) => at - (fight.starts[i] ?? 0));
      expect(Math.min(...gaps), 'a cooldown before each').to.be.at.least(COOLDOWN_MS);
      expect(world.coder.present).to.have.length(1);
      expect(world.coder.history.map(({ build }) => build.build_number)).to.have.length(2 * STOPS);
      expect(world.coder.violations).to.deep.equal([]);
    });
  }

  it('is told: what was changed, that it is set right, and a Warning when the budget is spent', async () => {
    const world = workspaceWorld({ templateName: 'docker', running: true });
    const fight = new Fight(world);
    await fight.play(STOPS);
    world.stop();
    expect(fight.held, 'once an hour').to.have.length(Math.floor((STOPS - 2) / BUDGET));
    const warnings = world.events.filter(({ message }) => SPENT.test(message));
    expect(warnings).to.have.length(fight.held.length);
    for (const { type, reason, message } of warnings) {
      expect([type, reason]).to.deep.equal(['Warning', 'StoppedByUser']);
      expect(message).to.include('by its owner stopped the workspace, and spec.running is true');
    }
    const status = world.kube.object?.status;
    expect(status?.corrections).to.have.length.at.most(BUDGET);
    expect(findCondition(status?.conditions, 'Stalled')).to.equal(undefined);
    expect(JSON.stringify(world.kube.object).length, 'the object stays small').to.be.below(4096);
  });
});
