import { expect } from 'chai';
import type { ConnectedFact, ConnectionFact } from '../../../../src/controller/facts.ts';
import {
  decideAppearance,
  decideMirror,
  type Appearance,
  type AppearanceInput,
  type MirrorInput,
  type MirrorStep,
  type Neighbour,
  type Thing,
} from '../../../../src/controller/mirror/decide.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import { unavailable } from '../../../support/controller-records.ts';
import { controlPlane } from '../../../support/workspace-rules.ts';

const NAME = 'acme.ann.dev';
const OTHER_NAME = 'acme.ann.other';
const WAIT_MS = 10_000;
const ORPHANED_MS = 30_000;

function thing(parts: Partial<Thing> = {}): Thing {
  return { id: 'w1', name: NAME, isForeign: false, ...parts };
}

function mirror(id: string | undefined, name = OTHER_NAME): Neighbour {
  return { name, isMirror: true, id };
}

function user(id: string | undefined, name = OTHER_NAME): Neighbour {
  return { name, isMirror: false, id };
}

/** Every way to take one of each. */
function* combinations<T extends object>(domain: { readonly [K in keyof T]: readonly T[K][] }): Generator<T> {
  const keys = Object.keys(domain) as (keyof T)[];
  const at = keys.map(() => 0);
  for (;;) {
    yield Object.fromEntries(keys.map((key, i) => [key, domain[key][at[i] ?? 0]])) as T;
    let i = 0;
    for (; i < keys.length; i++) {
      const size = domain[keys[i] as keyof T].length;
      at[i] = ((at[i] ?? 0) + 1) % size;
      if (at[i] !== 0) break;
    }
    if (i === keys.length) return;
  }
}

describe('decideAppearance', () => {
  const input = (parts: Partial<AppearanceInput> = {}): AppearanceInput => ({
    enabled: true,
    thing: thing(),
    claimants: [],
    namesake: undefined,
    freedForMs: undefined,
    ...parts,
  });
  const cases: [string, Partial<AppearanceInput>, Appearance['do']][] = [
    ['what no object stands for', {}, 'create'],
    ['what is not to be mirrored', { enabled: false }, 'nothing'],
    ["what is nobody's, or out of scope", { thing: thing({ isForeign: true }) }, 'nothing'],
    ["what a user's object of another name stands for", { claimants: [user('w1')] }, 'nothing'],
    [
      "what a user's object stands for, and whose name none can bear",
      { claimants: [user('w1')], thing: thing({ nameFault: 'bad' }) },
      'nothing',
    ],
    ['what only a mirror of its former name stands for', { claimants: [mirror('w1')] }, 'create'],
    ['what has a name that no object can bear', { thing: thing({ nameFault: 'bad' }) }, 'tell'],
    ['what has its mirror', { namesake: mirror('w1', NAME) }, 'nothing'],
    ['what has a mirror that does not say so yet', { namesake: mirror(undefined, NAME) }, 'nothing'],
    ['what has its name shown by a mirror of another one', { namesake: mirror('w2', NAME) }, 'nothing'],
    ["what a user's object of its name will find", { namesake: user(undefined, NAME) }, 'nothing'],
    ["whose name a user's object for another one has", { namesake: user('w2', NAME) }, 'tell'],
    ["whose name a user's object has just left", { freedForMs: 0 }, 'wait'],
    ["whose name a user's object left long ago", { freedForMs: WAIT_MS }, 'create'],
  ];
  for (const [name, parts, end] of cases) {
    it(`${name}: ${end}`, () => {
      expect(decideAppearance(input(parts)).do).to.equal(end);
    });
  }

  it('says why none can be shown', () => {
    expect(decideAppearance(input({ thing: thing({ nameFault: 'too long' }) }))).to.deep.equal({
      do: 'tell',
      why: 'too long',
    });
    const taken = decideAppearance(input({ namesake: user('w2', NAME) }));
    expect(taken.do === 'tell' && taken.why).to.contain(NAME);
  });

  it('waits for the rest of the time that a name is kept free', () => {
    expect(decideAppearance(input({ freedForMs: 3_000 }))).to.deep.equal({ do: 'wait', ms: 7_000 });
  });

  it('creates just what it must, whatever comes together', () => {
    const domain = {
      enabled: [true, false],
      thing: [thing(), thing({ isForeign: true }), thing({ nameFault: 'bad' })],
      claimants: [[], [mirror('w1')], [user('w1')], [mirror('w1'), user('w1', 'third')]],
      namesake: [undefined, ...[undefined, 'w1', 'w2'].flatMap((id) => [mirror(id, NAME), user(id, NAME)])],
      freedForMs: [undefined, 0, WAIT_MS - 1, WAIT_MS, 60_000],
    };
    const counts: Partial<Record<Appearance['do'], number>> = {};
    for (const given of combinations<AppearanceInput>(domain)) {
      const { enabled, claimants, namesake, freedForMs } = given;
      // An object that bears a name can bear it.
      if (given.thing.nameFault !== undefined && namesake !== undefined) continue;
      const isClaimed = [...claimants, ...(namesake === undefined ? [] : [namesake])].some(
        (one) => !one.isMirror && (one.id === given.thing.id || one.id === undefined),
      );
      const isShowable = enabled && !given.thing.isForeign && !isClaimed;
      const isFree = given.thing.nameFault === undefined && namesake === undefined;
      const isKept = freedForMs !== undefined && freedForMs < WAIT_MS;
      const step = decideAppearance(given);
      const about = JSON.stringify({ given, step });
      expect(step.do === 'create', about).to.equal(isShowable && isFree && !isKept);
      expect(step.do === 'wait', about).to.equal(isShowable && isFree && isKept);
      if (step.do === 'tell') expect(isShowable && !isFree, about).to.equal(true);
      counts[step.do] = (counts[step.do] ?? 0) + 1;
    }
    expect(counts).to.have.all.keys('nothing', 'create', 'wait', 'tell');
  });
});

describe('decideMirror', () => {
  /** A mirror of what has its name. */
  const input = (parts: Partial<MirrorInput> = {}): MirrorInput => ({
    id: 'w1',
    deploymentID: DEPLOYMENT,
    isDeleting: false,
    enabled: true,
    connection: controlPlane(),
    orphanedForMs: () => 0,
    isOutside: () => false,
    hasLooked: true,
    named: thing(),
    bound: thing(),
    absence: 'unchecked',
    claimants: [],
    namesake: mirror('w1', NAME),
    ...parts,
  });
  const lost = { named: undefined, bound: undefined, namesake: undefined };
  const renamed = { named: undefined, bound: thing({ name: OTHER_NAME }), namesake: undefined };
  const unbound = { id: undefined, deploymentID: undefined, bound: undefined };
  const elsewhere = { deploymentID: 'd2', ...lost };
  const accepted = controlPlane({ isAccepted: true });
  const long = (): number => ORPHANED_MS;
  const cases: [string, Partial<MirrorInput>, MirrorStep['do']][] = [
    ['of what has its name', {}, 'show'],
    ['that is bound to nothing yet, of what has its name', unbound, 'show'],
    ['that is being deleted', { isDeleting: true, connection: { state: 'none' } }, 'nothing'],
    ['without a control plane, which may come back', { connection: { state: 'none' } }, 'wait'],
    ['without a control plane for long', { connection: { state: 'none' }, orphanedForMs: long }, 'remove'],
    ['that is not wished', { enabled: false }, 'remove'],
    [
      'that is not wished, and Coder does not answer',
      { enabled: false, connection: unavailable() },
      'remove',
    ],
    ['while Coder does not answer', { ...lost, connection: unavailable(), absence: 'gone' }, 'show'],
    ['while nothing was said of Coder yet', { ...lost, connection: { state: 'connecting' } }, 'show'],
    ['of another Coder than is reached', elsewhere, 'show'],
    ['of another Coder than the accepted one', { ...elsewhere, connection: accepted }, 'remove'],
    [
      'of another Coder than the accepted one, which was not looked at yet',
      { ...elsewhere, connection: accepted, hasLooked: false },
      'nothing',
    ],
    ['whose name is out of scope', { isOutside: () => true }, 'remove'],
    ['whose name is out of scope, in another Coder', { ...elsewhere, isOutside: () => true }, 'show'],
    ['before everything was looked at', { ...lost, hasLooked: false, absence: 'gone' }, 'nothing'],
    ["of what is nobody's any more", { named: thing({ isForeign: true }) }, 'remove'],
    ["of what a user's object stands for", { claimants: [user('w1')] }, 'remove'],
    ['of what another mirror shows under its former name', { claimants: [mirror('w1')] }, 'show'],
    ['whose name another one has', { named: thing({ id: 'w2' }), bound: undefined }, 'remove'],
    [
      'whose name another one has, while its own has a new name',
      { ...renamed, named: thing({ id: 'w2' }) },
      'remove',
    ],
    ['that is bound to nothing, and nothing has its name', { ...unbound, named: undefined }, 'remove'],
    ['of what has a new name', renamed, 'succeed'],
    ['of what has a new name, shown by a mirror', { ...renamed, claimants: [mirror('w1')] }, 'remove'],
    ["of what has a new name, shown by a user's object", { ...renamed, claimants: [user('w1')] }, 'remove'],
    [
      "of what has a new name, which a user's object will find",
      { ...renamed, namesake: user(undefined) },
      'succeed',
    ],
    [
      "of what has a new name, which a user's object for another one has",
      { ...renamed, namesake: user('w2') },
      'remove',
    ],
    [
      'of what has a new name, which the mirror of another one still has',
      { ...renamed, namesake: mirror('w2') },
      'succeed',
    ],
    [
      'of what has a new name that no object can bear',
      { ...renamed, bound: thing({ name: 'x', nameFault: 'bad' }) },
      'remove',
    ],
    [
      'of what has a new name and is out of scope now',
      { ...renamed, bound: thing({ name: OTHER_NAME, isForeign: true }) },
      'remove',
    ],
    ['of what is gone for certain', { ...lost, absence: 'gone' }, 'remove'],
    ['of what is not seen', { ...lost, absence: 'unseen' }, 'show'],
    ['of what was not looked at by itself', { ...lost, absence: 'unchecked' }, 'nothing'],
  ];
  for (const [name, parts, end] of cases) {
    it(`one ${name}: ${end}`, () => {
      expect(decideMirror(input(parts)).do).to.equal(end);
    });
  }

  it('shows what it is bound to, or is to be', () => {
    expect(decideMirror(input(unbound))).to.deep.equal({ do: 'show', id: 'w1' });
    expect(decideMirror(input({ ...lost, absence: 'unseen' }))).to.deep.equal({ do: 'show', id: 'w1' });
    expect(decideMirror(input({ ...unbound, connection: unavailable() }))).to.deep.equal({
      do: 'show',
      id: undefined,
    });
    expect(decideMirror(input(renamed))).to.deep.equal({ do: 'succeed', id: 'w1' });
  });

  it('waits for the rest of the time in which a control plane may come back', () => {
    const given = input({ connection: { state: 'none' }, orphanedForMs: () => 12_000 });
    expect(decideMirror(given)).to.deep.equal({ do: 'wait', ms: 18_000 });
  });

  it('takes no time for one without a control plane as long as there is one', () => {
    const orphanedForMs = (): number => expect.fail('it has one');
    expect(decideMirror(input({ orphanedForMs })).do).to.equal('show');
  });

  it('asks the scope of the control plane that is connected', () => {
    const asked: ConnectedFact[] = [];
    const connection = controlPlane({ scope: { organizations: ['acme'], owners: [] } });
    decideMirror(input({ connection, isOutside: (coder) => asked.push(coder) > 1 }));
    expect(asked).to.deep.equal([connection]);
  });

  /** What may be known together: a thing has one name, and one that is known was not looked for by itself. */
  function isPossible(given: MirrorInput): boolean {
    const { id, named, bound, absence, namesake, claimants } = given;
    if (given.connection.state !== 'none' && given.orphanedForMs() > 0) return false;
    if (id === undefined) return bound === undefined && absence === 'unchecked' && claimants.length === 0;
    if (named?.id === id) return named === bound && namesake?.isMirror === true && namesake.id === id;
    if (bound?.name === NAME) return false;
    if (bound === undefined) return namesake === undefined;
    return true;
  }

  it('leaves one that never showed anything to whoever else has applied it', () => {
    const unbound = { id: undefined, named: undefined, bound: undefined };
    expect(decideMirror(input(unbound))).to.include({ do: 'remove', unlessApplied: true });
    expect(decideMirror(input({ enabled: false }))).not.to.have.property('unlessApplied');
  });

  it('removes just what is known to show nothing, whatever comes together', () => {
    const [same, foreign] = [thing(), thing({ isForeign: true })];
    const connections: ConnectionFact[] = [{ state: 'none' }, unavailable(), controlPlane(), accepted];
    const domain = {
      id: [undefined, 'w1'],
      deploymentID: [undefined, DEPLOYMENT, 'd2'],
      isDeleting: [false],
      enabled: [true, false],
      connection: connections,
      orphanedForMs: [(): number => 0, long],
      isOutside: [(): boolean => false, (): boolean => true],
      hasLooked: [true, false],
      named: [undefined, same, foreign, thing({ id: 'w2' })],
      bound: [
        undefined,
        same,
        foreign,
        thing({ name: OTHER_NAME }),
        thing({ name: OTHER_NAME, isForeign: true }),
        thing({ name: OTHER_NAME, nameFault: 'bad' }),
      ],
      absence: ['gone', 'unseen', 'unchecked'] as const,
      claimants: [[], [mirror('w1', 'third')], [user('w1', 'third')]],
      namesake: [undefined, mirror('w1', NAME), mirror('w2'), mirror(undefined), user('w2'), user(undefined)],
    };
    const counts: Partial<Record<MirrorStep['do'], number>> = {};
    for (const given of combinations<MirrorInput>(domain)) {
      if (!isPossible(given)) continue;
      const step = decideMirror(given);
      if (step.do === 'remove') expect(decideMirror({ ...given, isDeleting: true }).do).to.equal('nothing');
      counts[step.do] = (counts[step.do] ?? 0) + 1;
      const faults = faultsOf(given, step);
      if (faults.length > 0) expect.fail(`${faults.join(', ')}: ${JSON.stringify({ given, step })}`);
    }
    expect(counts).to.have.all.keys('nothing', 'wait', 'show', 'remove', 'succeed');
  });

  /** What is known of a mirror by what the control plane says. */
  function circumstances({ connection, ...given }: MirrorInput): {
    readonly isOrphaned: boolean;
    readonly isReady: boolean;
    readonly isElsewhere: boolean;
    readonly isAccepted: boolean;
    readonly isOutside: boolean;
  } {
    const isReady = connection.state === 'ready';
    return {
      isOrphaned: connection.state === 'none',
      isReady,
      isElsewhere: isReady && given.deploymentID !== undefined && given.deploymentID !== DEPLOYMENT,
      isAccepted: isReady && connection.isAccepted,
      isOutside: isReady && given.isOutside(connection),
    };
  }

  /** Coder, the right one, was looked at, and the control plane lets the mirror be. */
  function isKnown(given: MirrorInput): boolean {
    const { isReady, isElsewhere, isOutside } = circumstances(given);
    return isReady && !isElsewhere && !isOutside && given.hasLooked && given.enabled;
  }

  /** Why a mirror goes that is known to show nothing in Coder, by name. */
  function reasonsInCoder(given: MirrorInput): Readonly<Record<string, boolean>> {
    const { id, named, bound, claimants, namesake, absence } = given;
    const isRenamed = bound !== undefined && named === undefined;
    const isNew = id === undefined;
    return {
      'its name is that of another one': !isNew && named !== undefined && named.id !== id,
      "nobody's, or out of scope": named?.isForeign === true || bound?.isForeign === true,
      'a user has it': (named ?? bound) !== undefined && claimants.some((one) => !one.isMirror),
      'its new name is shown': isRenamed && claimants.length > 0,
      'its new name can be borne by none': isRenamed && bound.nameFault !== undefined,
      'its new name is taken': isRenamed && namesake?.isMirror === false && namesake.id !== undefined,
      'nothing has its name': isNew && named === undefined,
      gone: named === undefined && bound === undefined && absence === 'gone',
    };
  }

  /** Why a mirror goes for what the control plane says, by name. */
  function reasonsBefore(given: MirrorInput): Readonly<Record<string, boolean>> {
    const { isOrphaned, isElsewhere, isAccepted, isOutside } = circumstances(given);
    return {
      'no control plane': isOrphaned && given.orphanedForMs() >= ORPHANED_MS,
      disabled: !isOrphaned && !given.enabled,
      'its name is out of scope': isOutside && (!isElsewhere || isAccepted),
      'of another Coder than the accepted one': isElsewhere && isAccepted && given.hasLooked,
    };
  }

  /** What must not be, by name. */
  function faultsOf(given: MirrorInput, step: MirrorStep): readonly string[] {
    const { id, named, bound } = given;
    const { isOrphaned } = circumstances(given);
    const isIn = isKnown(given);
    const may = Object.values({ ...reasonsBefore(given), ...(isIn ? reasonsInCoder(given) : {}) }).includes(
      true,
    );
    const faults: Readonly<Record<string, boolean>> = {
      'removed without a reason': step.do === 'remove' && !may,
      'kept in spite of one': step.do !== 'remove' && may,
      'a word is missing': step.do === 'remove' && step.why === '',
      'waits for what it has': step.do === 'wait' && !isOrphaned,
      'shows what it is not bound to': step.do === 'show' && step.id !== id && step.id !== named?.id,
      'shows nothing though it is known what': step.do === 'show' && isIn && step.id === undefined,
      'has a successor made of nothing': step.do === 'succeed' && !(isIn && bound?.id === step.id),
      'is idle though it is known what to show':
        step.do === 'nothing' && isIn && (named ?? bound) !== undefined,
    };
    return Object.keys(faults).filter((name) => faults[name] === true);
  }
});
