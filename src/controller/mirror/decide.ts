import type { ConnectedFact, ConnectionFact } from '../facts.ts';

/** An object of the namespace, as far as mirrors have to do with it. */
export interface Neighbour {
  readonly name: string;
  readonly isMirror: boolean;
  /** The UUID that it is bound to. */
  readonly id: string | undefined;
}

/** A thing in Coder, as far as mirrors have to do with it. */
export interface Thing {
  readonly id: string;
  /** The name that its object has to bear, in lower case. */
  readonly name: string;
  /** Why no object can bear that name, if that is so. */
  readonly nameFault?: string | undefined;
  /** Nobody's yet (a prebuilt workspace), or outside of the control plane's scope. */
  readonly isForeign: boolean;
}

export interface AppearanceInput {
  /** Whether things of this kind are mirrored through the namespace's control plane. */
  readonly enabled: boolean;
  readonly thing: Thing;
  /** Objects of the namespace that are bound to the thing. */
  readonly claimants: readonly Neighbour[];
  /** The object of the namespace that bears the thing's name. */
  readonly namesake: Neighbour | undefined;
  /** Milliseconds since an object of a user of that name went away, if that is not long ago. */
  readonly freedForMs: number | undefined;
}

export type Appearance =
  | { readonly do: 'nothing' }
  | { readonly do: 'create' }
  | { readonly do: 'wait'; readonly ms: number }
  /** It can be shown by no object. */
  | { readonly do: 'tell'; readonly why: string };

/**
 * A name that a user's object has left stays free for so long: a tool that deletes an object and creates it again, as
 * `kubectl replace --force` does, must not find it taken.
 */
const FREE_MS = 10_000;

/** For so long mirrors outlive their control plane. */
const ORPHANED_MS = 30_000;

const OUTSIDE = "it is nobody's workspace, or outside of the control plane's scope";

const nothing: Appearance = { do: 'nothing' };

/** Whether a thing in Coder needs a mirror, read from top to bottom. Pure. */
export function decideAppearance(input: AppearanceInput): Appearance {
  const { enabled, thing, claimants, namesake, freedForMs } = input;
  if (!enabled || thing.isForeign) return nothing;
  if (claimants.some((c) => !c.isMirror)) return nothing;
  if (thing.nameFault !== undefined) return { do: 'tell', why: thing.nameFault };
  if (namesake !== undefined) {
    // One that is bound to nothing yet will find the thing by its name.
    if (namesake.isMirror || namesake.id === undefined || namesake.id === thing.id) return nothing;
    return { do: 'tell', why: `the object ${namesake.name} stands for another one` };
  }
  if (freedForMs !== undefined && freedForMs < FREE_MS) return { do: 'wait', ms: FREE_MS - freedForMs };
  return { do: 'create' };
}

export interface MirrorInput {
  /** The UUID that it is bound to, and in which deployment. */
  readonly id: string | undefined;
  readonly deploymentID: string | undefined;
  readonly isDeleting: boolean;
  readonly enabled: boolean;
  readonly connection: ConnectionFact;
  /** How long it has been known that the namespace has no control plane. */
  readonly orphanedForMs: () => number;
  /** Whether the control plane's scope leaves the mirror's name out. */
  readonly isOutside: (coder: ConnectedFact) => boolean;
  /** Whether everything in Coder was looked at once. */
  readonly hasLooked: boolean;
  /** The thing that bears the mirror's name now. */
  readonly named: Thing | undefined;
  /** The thing that the mirror is bound to, if it is known under whatever name. */
  readonly bound: Thing | undefined;
  /** What is known of a thing that is not: `gone` is a proof. */
  readonly absence: 'gone' | 'unseen' | 'unchecked';
  /** Other objects of the namespace that are bound to the same thing. */
  readonly claimants: readonly Neighbour[];
  /** The object of the namespace that bears the name which the bound thing has now. */
  readonly namesake: Neighbour | undefined;
}

export type MirrorStep =
  | { readonly do: 'nothing' }
  /** Look again after this time. */
  | { readonly do: 'wait'; readonly ms: number }
  /** The mirror's time is over. */
  | {
      readonly do: 'remove';
      readonly why: string;
      /** Not if somebody else has applied it: then it is shown as an object that is bound to nothing. */
      readonly unlessApplied?: true;
    }
  /** Show what Coder says of the thing. */
  | { readonly do: 'show'; readonly id: string | undefined }
  /** The thing has another name now: its new mirror comes first. */
  | { readonly do: 'succeed'; readonly id: string };

/**
 * What becomes of a mirror, read from top to bottom. Pure.
 *
 * A mirror is removed when it is known that it shows nothing: by what the control plane says, by what stands in its
 * place, or by a proof that the thing is gone. That Coder does not list a thing is none.
 */
export function decideMirror(input: MirrorInput): MirrorStep {
  const step = decide(input);
  // A manifest that looks like a mirror, exported and kept in git, would be applied again and again.
  return step.do === 'remove' && input.id === undefined ? { ...step, unlessApplied: true } : step;
}

function decide(input: MirrorInput): MirrorStep {
  const { connection, bound, named, id } = input;
  if (input.isDeleting) return { do: 'nothing' };
  if (connection.state === 'none') return decideOrphaned(input.orphanedForMs());
  if (!input.enabled) return remove('the control plane does not mirror things of this kind');
  if (connection.state !== 'ready') return { do: 'show', id };
  const isElsewhere = isOfAnotherCoder(input, connection);
  if (isElsewhere && !connection.isAccepted) return { do: 'show', id };
  if (input.isOutside(connection)) return remove(OUTSIDE);
  if (!input.hasLooked) return { do: 'nothing' };
  if (isElsewhere) return remove('it showed something of another Coder than the accepted one');

  if (named !== undefined && (id === undefined || named.id === id)) return decideNamed(input, named);
  if (named !== undefined) return remove('its name is that of another one in Coder now');
  if (id === undefined) return remove('Coder has nothing of that name');
  if (bound !== undefined) return decideRenamed(input, bound);
  switch (input.absence) {
    case 'gone':
      return remove('it is gone from Coder');
    case 'unseen':
      return { do: 'show', id };
    case 'unchecked':
      return { do: 'nothing' };
  }
}

/** A control plane that is replaced, as `kubectl replace --force` does, must not take all mirrors along. */
function decideOrphaned(forMs: number): MirrorStep {
  return forMs < ORPHANED_MS
    ? { do: 'wait', ms: ORPHANED_MS - forMs }
    : remove('there is no control plane in the namespace any more');
}

/** It bears the name of the thing that it is bound to, or is to be. */
function decideNamed({ claimants }: MirrorInput, thing: Thing): MirrorStep {
  if (thing.isForeign) return remove(OUTSIDE);
  const user = claimants.find((c) => !c.isMirror);
  if (user !== undefined) return remove(`the object ${user.name} stands for the same one`);
  return { do: 'show', id: thing.id };
}

/** The thing has another name than the mirror. */
function decideRenamed({ claimants, namesake }: MirrorInput, thing: Thing): MirrorStep {
  if (thing.isForeign) return remove(OUTSIDE);
  if (claimants.length > 0) return remove('another object stands for the same one');
  if (thing.nameFault !== undefined) return remove('its new name is none that an object can have');
  if (namesake !== undefined && !namesake.isMirror && namesake.id !== undefined)
    return remove('an object for another one has its new name');
  // A mirror of that name shows another thing, and makes room by itself.
  return { do: 'succeed', id: thing.id };
}

function isOfAnotherCoder({ deploymentID }: MirrorInput, coder: ConnectedFact): boolean {
  return deploymentID !== undefined && deploymentID !== coder.deploymentID;
}

function remove(why: string): MirrorStep {
  return { do: 'remove', why };
}
