import type { ProxiedRequest } from '../fault-proxy.ts';
import type { Plan } from './plans.ts';
import { transients } from './transients.ts';
import type { Call, Fate } from './wire.ts';
import type { Meddler, World } from './world.ts';

/** Until a process that came after a crash leads, and then some: so long its API server shows what was. */
const STALE_AFTER_CRASH_MS = 100_000;
const STALE_MS = 20_000;
/** A request waits at most so long for a list that is to overtake it. */
const LIST_WITHIN_MS = 30_000;
const LIST_AFTER_MS = 500;

/** What carries a plan out. */
export interface PlannedMeddler extends Meddler {
  /** It has met what it waited for. */
  readonly hasMet: boolean;
  /** There was nothing to do: the run says nothing. */
  readonly isVoid: boolean;
}

export function meddlerOf(plan: Plan): PlannedMeddler {
  switch (plan.mode) {
    case 'stale-restart':
      return new StaleRestart(plan);
    case 'stale-reconnect':
      return new StaleReconnect(plan);
    case 'stale-list':
      return new StaleList(plan);
    case 'unobserved':
      return new Unobserved(plan);
    default:
      return new Failing(plan, plan.mode);
  }
}

abstract class OnCall implements PlannedMeddler {
  readonly #plan: Plan;
  hasMet = false;
  readonly isVoid: boolean = false;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  onCall(call: Call, world: World): Promise<Fate> | Fate {
    const { side, key, occurrence } = this.#plan;
    if (call.side !== side || call.key !== key || call.occurrence !== occurrence) return 'passed';
    this.hasMet = true;
    return this.meet(call, world);
  }

  protected abstract meet(call: Call, world: World): Promise<Fate> | Fate;
}

class Failing extends OnCall {
  readonly #fate: Fate;

  constructor(plan: Plan, fate: Fate) {
    super(plan);
    this.#fate = fate;
  }

  protected meet(): Fate {
    return this.#fate;
  }
}

/** The operator dies after the write, and the next one is shown by its API server what was there before it. */
class StaleRestart extends OnCall {
  #revision: string | undefined;

  protected async meet(_: Call, world: World): Promise<Fate> {
    this.#revision = await world.revision();
    const release = world.holdWatches();
    world.clock.after(STALE_AFTER_CRASH_MS, () => {
      this.#revision = undefined;
      release();
    });
    return 'applied-crash';
  }

  pathOf({ path, isList, isWatch }: ProxiedRequest): string | undefined {
    const isOurs = path.startsWith('/apis/coder.com/');
    if (this.#revision === undefined || !isOurs || !isList || isWatch) return undefined;
    return `${path}&resourceVersion=${this.#revision}&resourceVersionMatch=Exact`;
  }
}

/** The watches fall silent before the write, and break after a while. */
class StaleReconnect extends OnCall {
  protected meet(_: Call, world: World): Fate {
    const release = world.holdWatches();
    world.clock.after(STALE_MS, () => {
      world.kubeWire.cutWatches();
      release();
    });
    return 'passed';
  }
}

/** A list of everything in Coder that was made before the write is answered after it. */
class StaleList extends OnCall {
  #isArmed = false;
  #listArrived: () => void = () => undefined;
  #letListGo: () => void = () => undefined;

  protected async meet(_: Call, world: World): Promise<Fate> {
    this.#isArmed = true;
    const arrived = new Promise<void>((resolve) => (this.#listArrived = resolve));
    const tooLate = world.clock.after(LIST_WITHIN_MS, () => this.#listArrived());
    await world.coderWire.park(arrived, true);
    tooLate();
    this.#isArmed = false;
    return 'passed';
  }

  onAnswered({ fate, side, at }: Call, world: World): void {
    if (this.hasMet && side === 'coder' && fate === 'passed' && at <= world.clock.monotonic()) {
      world.clock.after(LIST_AFTER_MS, () => this.#letListGo());
    }
  }

  insteadOf({ method, path, query }: ProxiedRequest, world: World): Promise<Buffer | undefined> | undefined {
    const isWhole = method === 'GET' && /\/api\/v2\/workspaces\?/.test(path) && (query.get('q') ?? '') === '';
    if (!this.#isArmed || !isWhole) return undefined;
    this.#isArmed = false;
    const { workspaces } = world.coder.listed;
    const list = Buffer.from(JSON.stringify({ workspaces, count: workspaces.length }));
    const letGo = new Promise<void>((resolve) => (this.#letListGo = resolve));
    this.#listArrived();
    return world.coderWire.park(letGo, false).then(() => list);
  }
}

/** Something comes and goes while the operator is not there, or while its watches are late. */
class Unobserved implements PlannedMeddler {
  readonly #plan: Plan;
  hasMet = false;
  isVoid = false;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  async onCheckpoint(index: number, world: World): Promise<void> {
    const { key, occurrence } = this.#plan;
    const act = transients[key];
    if (act === undefined)
      throw new Error(`there is no transient ${key}: ${Object.keys(transients).join(', ')}`);
    if (index !== occurrence) return;
    this.hasMet = true;
    const isAway = (occurrence + Object.keys(transients).indexOf(key)) % 2 === 0;
    if (isAway) {
      await world.stop();
      this.isVoid = !(await act(world));
      world.start();
    } else {
      const release = world.holdWatches();
      this.isVoid = !(await act(world));
      release();
    }
    await world.idle();
  }
}
