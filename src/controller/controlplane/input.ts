import type { CoderControlPlaneStatus } from '../../api/generated.ts';
import type { CoderControlPlane } from '../../api/kinds.ts';
import type { CoderError } from '../../coder/errors.ts';
import type { Step } from '../step.ts';
import type { SecretFact } from './credentials.ts';

export type ControlPlaneFactName = 'secret' | 'handshake';

/** What came of talking to Coder: the unauthenticated part first, the token only to the right deployment. */
export type HandshakeFact =
  | {
      readonly state: 'connected';
      readonly url: string;
      readonly version: string;
      readonly deploymentID: string;
      readonly user: { readonly id: string; readonly name: string };
    }
  | {
      readonly state: 'otherDeployment';
      readonly url: string;
      readonly version: string;
      readonly deploymentID: string;
    }
  | { readonly state: 'unusable'; readonly message: string }
  | { readonly state: 'failed'; readonly error: CoderError };

export interface ControlPlaneFacts {
  /** The oldest other control plane of the namespace, when it is older than this one. */
  readonly olderOne: string | undefined;
  /** Objects of the namespace that hold one of our finalizers. */
  readonly held: { readonly count: number; readonly some: readonly string[] };
  readonly secret?: SecretFact;
  readonly handshake?: HandshakeFact;
}

export interface ControlPlaneInput {
  readonly object: CoderControlPlane;
  readonly facts: ControlPlaneFacts;
  readonly now: Date;
}

export type ControlPlaneDraft = CoderControlPlaneStatus;
export type ControlPlaneStep = Step<ControlPlaneFactName, never, ControlPlaneDraft>;
