import { expect } from 'chai';
import fc from 'fast-check';
import {
  decideAppearance,
  decideMirror,
  type MirrorInput,
  type Neighbour,
  type Thing,
} from '../../../../src/controller/mirror/decide.ts';
import { runs } from '../../../support/histories.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import { controlPlane } from '../../../support/workspace-rules.ts';

/** Names in Coder. Of the last one nothing may be shown, and the one before it can be borne by no object. */
const NAMES = ['a', 'b', 'c', 'd', 'unbearable', 'foreign'] as const;
type Name = (typeof NAMES)[number];
const BEARABLE: readonly Name[] = ['a', 'b', 'c', 'd', 'foreign'];
/** What happens to a whole namespace comes to rest within so many rounds. */
const MOST_ROUNDS = 6;

/** What people do, by numbers that pick a thing or an object among those that are there. */
type Act =
  /** Things take each other's names in turn: of one it is a rename, of two a swap, of more a chain. */
  | {
      readonly do: 'rename';
      readonly things: readonly number[];
      readonly last: Name;
      readonly isCycle: boolean;
    }
  | { readonly do: 'create'; readonly name: Name }
  | { readonly do: 'delete'; readonly thing: number }
  | { readonly do: 'apply'; readonly name: Name }
  | { readonly do: 'remove'; readonly object: number }
  /** A mirror as a process leaves it that dies before the status is written, or before a former one is removed. */
  | { readonly do: 'leave'; readonly name: Name; readonly thing: number | undefined };

/** One namespace and one Coder: all that the two rules see. */
class Namespace {
  readonly things = new Map<string, Name>();
  readonly objects = new Map<string, Neighbour>();
  /** Ids that were looked for by themselves, and are gone. */
  readonly #proven = new Set<string>();
  /** Names that users have left in this round. */
  readonly #freed = new Set<string>();
  #lastID = 0;
  /** Mirrors that were removed, oldest first. */
  readonly removed: Neighbour[] = [];

  act(act: Act): void {
    switch (act.do) {
      case 'create':
        if (this.#named(act.name) === undefined) this.things.set(`w${++this.#lastID}`, act.name);
        return;
      case 'delete':
        this.things.delete(at([...this.things.keys()], act.thing) ?? '');
        return;
      case 'apply': {
        const before = this.objects.get(act.name);
        if (!BEARABLE.includes(act.name)) return;
        this.objects.set(act.name, { name: act.name, isMirror: false, id: before?.id });
        return;
      }
      case 'remove': {
        const object = at([...this.objects.values()], act.object);
        if (object === undefined) return;
        this.objects.delete(object.name);
        if (!object.isMirror) this.#freed.add(object.name);
        return;
      }
      case 'leave': {
        if (this.objects.has(act.name) || !BEARABLE.includes(act.name)) return;
        const id = act.thing === undefined ? undefined : at([...this.things.keys()], act.thing);
        this.objects.set(act.name, { name: act.name, isMirror: true, id });
        return;
      }
      case 'rename':
        this.#rename(act);
    }
  }

  #rename({ things, last, isCycle }: Extract<Act, { do: 'rename' }>): void {
    const ids = [...new Set(things.map((one) => at([...this.things.keys()], one)))].filter(
      (id) => id !== undefined,
    );
    const first = ids[0] === undefined ? undefined : this.things.get(ids[0]);
    const end = isCycle ? first : last;
    const holder = end === undefined ? undefined : this.#named(end);
    if (end === undefined || (holder !== undefined && !ids.includes(holder))) return;
    if (!isCycle && holder !== undefined) return;
    const names = [...ids.slice(1).map((id) => this.things.get(id)), end];
    ids.forEach((id, i) => this.things.set(id, names[i] ?? end));
  }

  /** Every thing and every object has one pass, in the given order. True when something changed. */
  round(order: (count: number) => readonly number[]): boolean {
    const before = this.shown();
    const users = [...this.objects.values()].filter(({ isMirror }) => !isMirror);
    for (const user of users) this.#bind(user);
    const passes = [
      ...[...this.things.keys()].map((id) => () => this.#appear(id)),
      ...[...this.objects.keys()].map((name) => () => this.#pass(name)),
    ];
    for (const i of order(passes.length)) passes[i]?.();
    this.#freed.clear();
    for (const { id } of this.objects.values()) {
      if (id !== undefined && !this.things.has(id)) this.#proven.add(id);
    }
    return before !== this.shown();
  }

  /** All objects, each with what it stands for. */
  shown(): string {
    return JSON.stringify(
      [...this.objects.values()]
        .map(({ name, isMirror, id }) => `${isMirror ? 'mirror' : 'user'} ${name}=${id ?? '?'}`)
        .sort(),
    );
  }

  /** The same as it is to be: users' objects as they are, and a mirror of each thing that none of them stands for. */
  wished(): string {
    const users = [...this.objects.values()].filter(({ isMirror }) => !isMirror);
    const mirrored = [...this.things].filter(
      ([id, name]) =>
        name !== 'unbearable' &&
        name !== 'foreign' &&
        !users.some((user) => user.id === id || user.name === name),
    );
    return JSON.stringify(
      [
        ...users.map(({ name, id }) => `user ${name}=${id ?? '?'}`),
        ...mirrored.map(([id, name]) => `mirror ${name}=${id}`),
      ].sort(),
    );
  }

  /** An object of a user finds what bears its name, unless another one has it. */
  #bind(user: Neighbour): void {
    const id = user.id ?? this.#named(user.name);
    if (id === undefined || this.#claimants(id).some((one) => !one.isMirror)) return;
    this.objects.set(user.name, { ...user, id });
  }

  #appear(id: string): void {
    const thing = this.#thing(id);
    if (thing === undefined) return;
    const appearance = decideAppearance({
      enabled: true,
      thing,
      claimants: this.#claimants(id),
      namesake: this.objects.get(thing.name),
      freedForMs: this.#freed.has(thing.name) ? 0 : undefined,
    });
    if (appearance.do === 'create') this.objects.set(thing.name, { name: thing.name, isMirror: true, id });
  }

  #pass(name: string): void {
    const mirror = this.objects.get(name);
    if (mirror?.isMirror !== true) return;
    const { id } = mirror;
    const bound = this.#thing(id);
    const named = this.#thing(this.#named(name));
    const input: MirrorInput = {
      id,
      deploymentID: id === undefined ? undefined : DEPLOYMENT,
      isDeleting: false,
      enabled: true,
      connection: controlPlane(),
      orphanedForMs: () => 0,
      isOutside: () => name === 'foreign',
      hasLooked: true,
      named,
      bound,
      absence: id !== undefined && this.#proven.has(id) ? 'gone' : 'unchecked',
      claimants: id === undefined ? [] : this.#claimants(id).filter((one) => one.name !== name),
      namesake: bound === undefined ? undefined : this.objects.get(bound.name),
    };
    const step = decideMirror(input);
    if (step.do === 'show') this.objects.set(name, { ...mirror, id: step.id });
    if (step.do === 'succeed') this.#appear(step.id);
    if (step.do !== 'remove') return;
    this.objects.delete(name);
    this.removed.push(mirror);
  }

  #thing(id: string | undefined): Thing | undefined {
    const name = id === undefined ? undefined : this.things.get(id);
    if (id === undefined || name === undefined) return undefined;
    const fault = name === 'unbearable' ? { nameFault: 'no object can bear it' } : {};
    return { id, name, isForeign: name === 'foreign', ...fault };
  }

  #named(name: string): string | undefined {
    return [...this.things].find(([, its]) => its === name)?.[0];
  }

  #claimants(id: string): readonly Neighbour[] {
    return [...this.objects.values()].filter((object) => object.id === id);
  }
}

function at<T>(list: readonly T[], index: number): T | undefined {
  return list[index % Math.max(1, list.length)];
}

const small = fc.nat({ max: 7 });
const name = fc.constantFrom(...NAMES);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), name }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('rename' as const),
      things: fc.array(small, { minLength: 1, maxLength: 4 }),
      last: name,
      isCycle: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), thing: small }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('apply' as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), object: small }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('leave' as const),
      name,
      thing: fc.option(small, { nil: undefined }),
    }),
  },
);

describe('the two rules of mirrors together', () => {
  it('come to rest with one mirror of each thing that no user has, whatever people do', () => {
    const order = fc.infiniteStream(fc.nat());
    fc.assert(
      fc.property(
        fc.array(fc.array(act, { maxLength: 4 }), { minLength: 1, maxLength: 8 }),
        order,
        (turns, numbers) => {
          const namespace = new Namespace();
          const shuffled = (count: number): readonly number[] => {
            const keys = [...numbers.take(count)];
            return keys.map((_, i) => i).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
          };
          for (const acts of turns) {
            for (const one of acts) namespace.act(one);
            // What comes of it need not be over when the next things happen.
            namespace.round(shuffled);
          }
          let rounds = 0;
          while (namespace.round(shuffled) || namespace.shown() !== namespace.wished()) {
            if (++rounds > MOST_ROUNDS) {
              expect.fail(`it is ${namespace.shown()}, and is to be ${namespace.wished()}`);
            }
          }
        },
      ),
      { numRuns: runs(5) },
    );
  });

  /** The mirrors of two or three things, before anybody renames them. */
  function begun(...names: readonly Name[]): Namespace {
    const namespace = new Namespace();
    for (const one of names) namespace.act({ do: 'create', name: one });
    namespace.round(inTurn);
    expect(namespace.shown()).to.equal(namespace.wished());
    return namespace;
  }
  const inTurn = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
  const backwards = (count: number): readonly number[] => [...inTurn(count)].reverse();

  const histories: [string, Name[], Act][] = [
    ['a rename', ['a'], { do: 'rename', things: [0], last: 'b', isCycle: false }],
    ['two that swap their names', ['a', 'b'], { do: 'rename', things: [0, 1], last: 'a', isCycle: true }],
    ['three that swap them', ['a', 'b', 'c'], { do: 'rename', things: [0, 1, 2], last: 'a', isCycle: true }],
    ['a chain of renames', ['a', 'b', 'c'], { do: 'rename', things: [0, 1, 2], last: 'd', isCycle: false }],
  ];
  for (const [name_, names, rename] of histories) {
    it(`follow ${name_} within three rounds, in whatever order`, () => {
      for (const order of [inTurn, backwards]) {
        const namespace = begun(...names);
        namespace.act(rename);
        expect(namespace.shown()).to.not.equal(namespace.wished());
        for (let i = 0; i < 3; i++) namespace.round(order);
        expect(namespace.shown()).to.equal(namespace.wished());
        expect(namespace.round(order), 'and rest').to.equal(false);
      }
    });
  }

  it('keep the mirror of what is renamed until there is another one', () => {
    const namespace = begun('a');
    namespace.act({ do: 'rename', things: [0], last: 'b', isCycle: false });
    const shown: string[] = [];
    for (let i = 0; i < 3; i++) {
      namespace.round(backwards);
      shown.push(namespace.shown());
    }
    expect(shown.every((one) => one.includes('w1'))).to.equal(true);
    expect(namespace.removed.map((mirror) => mirror.name)).to.deep.equal(['a']);
  });

  it('never touch a mirror whose thing is only not to be seen', () => {
    const namespace = begun('a', 'b');
    namespace.act({ do: 'delete', thing: 0 });
    namespace.round(() => [0, 1, 2]);
    expect(namespace.removed, 'nothing has proven it yet').to.deep.equal([]);
    namespace.round(inTurn);
    expect(namespace.removed.map((mirror) => mirror.id)).to.deep.equal(['w1']);
  });
});
