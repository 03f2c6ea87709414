import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../../../src/base/errors.ts';
import { differences } from '../differences.ts';
import type { Mutation, Spec } from './mutations.ts';
import { refusalFault, restOf } from './oracles.ts';
import type { Made, Subject } from './subject.ts';

/** What came of a mutation: `refused`, or how the object rested. */
export interface Outcome {
  readonly id: string;
  readonly rest: string;
}

/** So long an object has to stay as it is until it counts as resting, in milliseconds; two seconds of the hastened clock. */
const QUIET_MS = 100;
/** A stop and a start. */
const MOST_BUILDS = 2;
/** As often a build that fails is tried again. */
const MOST_FAILED_BUILDS = 6;
/** One version for another content, and as often an import that fails is tried again. */
const MOST_VERSIONS = 3;

/** Of a spec that is told, in characters. */
const LONGEST_SPEC = 4_000;

/** What a mutation did that it must not. */
export class MutationFailure extends Error {
  constructor(what: string, mutation: Mutation, subject: Subject) {
    const { id, mutated } = mutation;
    const past = subject.past.filter((before) => before !== id);
    super(
      [
        `${id}: ${what}`,
        `Again: MUTATION='${id}' npm run test:component -- --grep mutations`,
        `The spec: ${mutated === undefined ? 'none' : JSON.stringify(mutated).slice(0, LONGEST_SPEC)}`,
        ...(past.length === 0 ? [] : [`The object was changed, and back, before: ${past.join(' ')}`]),
        subject.tell(),
      ].join('\n'),
    );
    this.name = 'MutationFailure';
  }
}

/**
 * Mutates an object that is as its seed wishes, and takes the mutation back.
 *
 * - It is refused in words that help, and nothing has changed; or the object speaks of the new generation and says why it
 *   is not as wished; or all that is wished has its effect.
 * - Applied once more it changes nothing.
 * - After the seed all is as it was before, without help, and with as few builds and versions as it takes.
 * - No pass ends with an exception, and no status breaks a rule.
 *
 * @throws MutationFailure
 */
export async function tryMutation(subject: Subject, mutation: Mutation): Promise<Outcome> {
  const fail = (what: string): never => {
    throw new MutationFailure(what, mutation, subject);
  };
  const faults = subject.faults.length;
  subject.past.push(mutation.id);
  const rest = await carriedOut(subject, mutation, fail).catch((error: unknown) => {
    if (error instanceof MutationFailure) throw error;
    return fail(errorText(error));
  });
  const [fault] = subject.faults.slice(faults);
  if (fault !== undefined) fail(fault);
  return { id: mutation.id, rest };
}

async function carriedOut(
  subject: Subject,
  mutation: Mutation,
  fail: (what: string) => never,
): Promise<string> {
  const { fault, mutated } = mutation;
  const { realm, resource, name, seed } = subject;
  const { world, namespace } = realm;
  // Server-side apply takes a keyed list that is emptied for none at first, and for an empty one when it comes again.
  const apply = (spec: Spec | undefined): ReturnType<typeof world.apply> =>
    mutation.emptiesKeyedList && spec === mutated
      ? world.replace(resource, namespace, name, spec)
      : world.apply(resource, namespace, name, spec);
  const [before, madeBefore, generation] = [subject.snapshot(), subject.made(), generationOf(subject)];

  const applied = await apply(mutated);
  if (applied.then === 'refused') {
    const { code, status } = applied;
    const answer = `${code} ${status.message ?? ''}`;
    const unhelpful = refusalFault(mutation, status);
    if (unhelpful !== undefined) fail(`${unhelpful}: ${answer}`);
    const isStill = generationOf(subject) === generation;
    return isStill ? 'refused' : fail(`Refused, and changed all the same: ${answer}`);
  }
  if (fault !== undefined) fail(`The API server takes what the schema forbids: ${fault}`);
  const again = await apply(mutated);
  if (again.then === 'refused' || again.object.metadata.generation !== applied.object.metadata.generation) {
    fail('Applied a second time, the same manifest changes the object');
  }

  const rest = await untilRest(subject, applied.object.metadata.generation ?? 0);
  if (rest === 'ready' || rest.startsWith('Drifted')) await untilHonoured(subject, mutated ?? {});
  const madeThere = subject.made();
  const problem = tooMany(madeBefore, madeThere, rest);
  if (problem !== undefined) fail(problem);

  const reverted = await apply(seed.spec);
  if (reverted.then === 'refused') return fail(`The good spec is refused: ${reverted.status.message ?? ''}`);
  await realm.world.until(
    'all is as before the mutation',
    () =>
      subject.object?.metadata.generation === reverted.object.metadata.generation &&
      restOf(subject.object) === 'ready' &&
      differences(subject.snapshot(), before).length === 0
        ? true
        : undefined,
    () => [`It rested as: ${rest}`, ...differences(subject.snapshot(), before)].join('\n'),
  );
  await sleep(QUIET_MS);
  const back = subject.made();
  const more = tooMany(madeThere, back, 'ready');
  if (more !== undefined) fail(`Taking it back: ${more}`);
  if (back.versions > madeThere.versions) fail('Taking it back makes a version, although there is one');
  const left = differences(subject.snapshot(), before);
  if (left.length > 0) fail(`It does not stay as before:\n${left.join('\n')}`);
  return rest;
}

/** Waits until an object has come to rest and has stayed so for a while; answers how. */
async function untilRest(subject: Subject, generation: number): Promise<string> {
  let [version, since] = ['', 0];
  return subject.realm.world.until(
    `the object says what became of generation ${generation}`,
    () => {
      const { object } = subject;
      const rest = (object?.metadata.generation ?? 0) < generation ? undefined : restOf(object);
      const now = object?.metadata.resourceVersion ?? '';
      if (now !== version || rest === undefined) [version, since] = [now, performance.now()];
      return performance.now() - since < QUIET_MS ? undefined : rest;
    },
    () => '',
  );
}

async function untilHonoured(subject: Subject, spec: Spec): Promise<void> {
  await subject.realm.world.until(
    'what is wished has its effect, or the object says why not',
    async () => {
      const rest = restOf(subject.object);
      const isSaid = rest !== undefined && rest !== 'ready' && !rest.startsWith('Drifted');
      return isSaid || (await subject.ignored(spec)).length === 0 ? true : undefined;
    },
    async () => (await subject.ignored(spec)).join('\n'),
    10_000,
  );
}

function tooMany(before: Made, after: Made, rest: string): string | undefined {
  const isFailing = rest.includes('BuildRetriesExhausted');
  const builds = after.builds - before.builds;
  const versions = after.versions - before.versions;
  if (builds > MOST_BUILDS + (isFailing ? MOST_FAILED_BUILDS : 0)) return `It took ${builds} builds`;
  const mostVersions = rest.includes('ImportFailed') ? MOST_VERSIONS : 1;
  return versions > mostVersions ? `It took ${versions} versions` : undefined;
}

function generationOf({ object }: Subject): number | undefined {
  return object?.metadata.generation;
}
