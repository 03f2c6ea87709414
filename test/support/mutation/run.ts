import PQueue from 'p-queue';
import { controlPlanes, templates, workspaces } from '../../../src/api/kinds.ts';
import { errorText } from '../../../src/base/errors.ts';
import { mutationsOf, pairsOf, randomOf, type Mutation } from './mutations.ts';
import { Realm } from './realm.ts';
import { NO_FACTS, type Facts } from './seeds.ts';
import { ControlPlaneSubject, KINDS, TemplateSubject, WorkspaceSubject, type Subject } from './subject.ts';
import { tryMutation, type Outcome } from './trial.ts';
import { MutationWorld } from './world.ts';

/** Mutations that one object goes through, one after the other. */
export interface Group {
  readonly kind: string;
  readonly seed: string;
  /** What they have in common, such as `spec.ttlMillis`. */
  readonly title: string;
  readonly ids: readonly string[];
}

export interface GroupResult {
  readonly outcomes: readonly Outcome[];
  readonly failures: readonly string[];
}

/** Two places are changed at once, so often of each kind. */
const PAIRS: Readonly<Record<string, number>> = {
  [workspaces.kind]: 30,
  [templates.kind]: 22,
  [controlPlanes.kind]: 8,
};
/** Others are drawn with `MUTATION_SEED`. */
const PAIR_SEED = Number(process.env['MUTATION_SEED'] ?? 8);
const MOST_PAIRS = 4;
/** Namespaces that workspaces and templates share: Coder takes few uploads at once. */
const REALMS = 4;
/** Objects that are mutated side by side. */
const SIDE_BY_SIDE = 12;

/** Every mutation of a kind, the pairs last. The ids are the same whatever the facts are. */
export function allMutations(kind: string, facts: Facts = NO_FACTS): readonly Mutation[] {
  const found = KINDS.find(({ resource }) => resource.kind === kind);
  if (found === undefined) throw new TypeError(`Nothing is known of ${kind}`);
  const { resource } = found;
  const options = { resource, seeds: found.seeds(facts), meanings: found.meanings(facts) };
  const single = mutationsOf(options);
  const pairs = pairsOf(options, single, { count: PAIRS[kind] ?? 0, random: randomOf(PAIR_SEED) });
  return [...single, ...pairs];
}

/**
 * All mutations in groups: of each place together, and of pairs a few.
 *
 * @param isChosen which of them are played.
 */
export function groupsOf(isChosen: (id: string) => boolean): readonly Group[] {
  const groups = new Map<string, { readonly group: Omit<Group, 'ids'>; readonly ids: string[] }>();
  for (const { resource } of KINDS) {
    let pairs = 0;
    for (const { id, seed, path, changes } of allMutations(resource.kind)) {
      if (!isChosen(id)) continue;
      const isPair = changes.length > 1;
      const title = isPair ? `pairs of seed ${seed}` : path === '' ? 'spec' : `spec.${path}`;
      const key = `${resource.kind} ${seed} ${title} ${isPair ? Math.floor(pairs++ / MOST_PAIRS) : ''}`;
      const entry = groups.get(key) ?? { group: { kind: resource.kind, seed, title }, ids: [] };
      entry.ids.push(id);
      groups.set(key, entry);
    }
  }
  return [...groups.values()].map(({ group, ids }) => ({ ...group, ids }));
}

/** Plays groups side by side on one operator. */
export class MutationRun {
  readonly world: MutationWorld;
  readonly #realms: readonly Realm[];
  readonly #own = new Set<Realm>();
  readonly #queue = new PQueue({ concurrency: SIDE_BY_SIDE });
  readonly #results = new Map<Group, Promise<GroupResult>>();

  private constructor(world: MutationWorld, realms: readonly Realm[]) {
    this.world = world;
    this.#realms = realms;
  }

  static async start(groups: readonly Group[]): Promise<MutationRun> {
    const world = await MutationWorld.open();
    const realms = await Promise.all(Array.from({ length: REALMS }, () => Realm.open(world)));
    const run = new MutationRun(world, realms);
    for (const [i, group] of groups.entries()) {
      run.#results.set(
        group,
        run.#queue.add(() => run.#play(group, i)),
      );
    }
    return run;
  }

  async resultOf(group: Group): Promise<GroupResult> {
    const result = await this.#results.get(group);
    if (result === undefined) throw new TypeError(`${group.title} was not played`);
    return result;
  }

  async close(): Promise<void> {
    this.#queue.clear();
    await this.#queue.onIdle();
    await this.world.close();
    await Promise.all([...this.#realms, ...this.#own].map((realm) => realm.close()));
  }

  async #play(group: Group, i: number): Promise<GroupResult> {
    const outcomes: Outcome[] = [];
    const failures: string[] = [];
    let subject: Subject | undefined;
    let mutations = new Map<string, Mutation>();
    for (const [turn, id] of group.ids.entries()) {
      try {
        if (subject === undefined) {
          subject = await this.#subject(group, `m${i}-${turn}`, i);
          mutations = new Map(allMutations(group.kind, subject.facts).map((m) => [m.id, m]));
        }
        const mutation = mutations.get(id);
        if (mutation === undefined) throw new TypeError(`There is no mutation ${id}`);
        outcomes.push(await tryMutation(subject, mutation));
      } catch (error) {
        failures.push(errorText(error));
        // The next one gets an object that nothing happened to.
        await this.#retire(subject);
        subject = undefined;
      }
    }
    await this.#retire(subject);
    return { outcomes, failures };
  }

  async #subject({ kind, seed }: Group, name: string, i: number): Promise<Subject> {
    const realm = this.#realms[i % this.#realms.length];
    if (realm === undefined) throw new TypeError('There is no realm');
    switch (kind) {
      case workspaces.kind:
        return WorkspaceSubject.open(realm, name, seed);
      case templates.kind:
        return TemplateSubject.open(realm, name, seed);
      default: {
        const own = await Realm.furnished(this.world);
        this.#own.add(own);
        return ControlPlaneSubject.open(own, seed);
      }
    }
  }

  /** A namespace of its own goes with its control plane. */
  async #retire(subject: Subject | undefined): Promise<void> {
    if (!(subject instanceof ControlPlaneSubject)) return;
    await this.world.empty(subject.realm.namespace);
    await subject.realm.close();
    this.#own.delete(subject.realm);
  }
}
