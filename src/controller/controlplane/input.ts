import type { CoderControlPlaneStatus } from '../../api/generated.ts';
import type { CoderControlPlane } from '../../api/kinds.ts';
import type { CoderError } from '../../coder/errors.ts';
import type { TokenExpiry } from '../../coder/types.ts';
import type { CommonInput } from '../report.ts';
import type { Step } from '../step.ts';
import type { Counts } from './counts.ts';
import type { SecretFact } from './credentials.ts';

export type ControlPlaneFactName = 'secret' | 'handshake';

/** Coder knows us: what it is, and who we are. */
export interface ConnectedHandshake {
  readonly state: 'connected';
  readonly url: string;
  readonly version: string;
  readonly deploymentID: string;
  readonly user: { readonly id: string; readonly name: string };
  /** When the token ends, as far as Coder says it. */
  readonly token: TokenExpiry | undefined;
}

export type RefusedHandshake =
  | {
      readonly state: 'otherDeployment';
      readonly url: string;
      readonly version: string;
      readonly deploymentID: string;
    }
  | { readonly state: 'unusable'; readonly message: string }
  | { readonly state: 'failed'; readonly error: CoderError };

/** What came of talking to Coder: the unauthenticated part first, the token only to the right deployment. */
export type HandshakeFact =
  | ConnectedHandshake
  | RefusedHandshake
  /** What is in the Secret now does not work, but what was in use before still does. */
  | { readonly state: 'former'; readonly former: ConnectedHandshake; readonly refused: RefusedHandshake };

export interface ControlPlaneFacts {
  /** The oldest other control plane of the namespace, when it is older than this one. */
  readonly olderOne: string | undefined;
  /** Objects of the namespace that hold one of our finalizers. */
  readonly held: { readonly count: number; readonly some: readonly string[] };
  /** When the last deletion of a workspace of the namespace that is still pending was asked for. */
  readonly lastDeletion: string | undefined;
  /** What a person should know of how Coder is looked at, in sentences. */
  readonly remarks: readonly string[];
  /** What Coder holds within the scope; undefined until everything was looked at. */
  readonly counts: Counts | undefined;
  readonly secret?: SecretFact;
  readonly handshake?: HandshakeFact;
}

export interface ControlPlaneInput extends CommonInput<ControlPlaneDraft> {
  readonly object: CoderControlPlane;
  readonly facts: ControlPlaneFacts;
}

export type ControlPlaneDraft = CoderControlPlaneStatus;
export type ControlPlaneStep = Step<ControlPlaneFactName, never, ControlPlaneDraft>;
