import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../src/api/generated.ts';
import { annotations, finalizers } from '../../src/api/kinds.ts';
import type { NameValue, RichParameter } from '../../src/coder/types.ts';
import type { ConnectedFact, ConnectionFact } from '../../src/controller/facts.ts';
import type { BuildRecord, WorkspaceRecord } from '../../src/controller/observer/record.ts';
import type { Settings } from '../../src/controller/settings.ts';
import type { ValuesFact } from '../../src/controller/values.ts';
import { decideWorkspace } from '../../src/controller/workspace/decide.ts';
import type { WorkspaceFacts, WorkspaceInput, WorkspaceStep } from '../../src/controller/workspace/input.ts';
import { DEPLOYMENT, OPERATOR } from './controller-coder.ts';
import {
  allowing,
  build,
  NOW,
  seen,
  VERSION_ID,
  WORKSPACE_ID,
  workspaceInput,
  workspaceRecord,
} from './controller-records.ts';

/** A control plane that works, and what it allows. */
export function controlPlane(parts: Partial<ConnectedFact> = {}): ConnectionFact {
  return {
    state: 'ready',
    deploymentID: DEPLOYMENT,
    userID: OPERATOR.id,
    url: 'https://coder.example.com',
    ...allowing(),
    ...parts,
  };
}

/** A workspace that the operator created, that is bound and that is there. */
export interface BoundCase {
  /** Beside `templateName`. */
  readonly spec?: CoderWorkspaceSpec;
  readonly status?: Partial<CoderWorkspaceStatus>;
  readonly build?: Partial<BuildRecord>;
  readonly record?: Partial<WorkspaceRecord>;
  readonly facts?: Partial<WorkspaceFacts>;
  /** Value of the annotation by which a person asks. */
  readonly asked?: string;
  /** Default true. */
  readonly fresh?: boolean;
  /** Milliseconds after NOW. Default 0. */
  readonly atMs?: number;
  readonly pendingForMs?: number;
  readonly isAnswered?: boolean;
  readonly settings?: Partial<Settings>;
}

export function boundInput(given: BoundCase = {}): WorkspaceInput {
  const { asked, fresh = true, atMs = 0, isAnswered } = given;
  const input = workspaceInput(
    {
      spec: { templateName: 'docker', ...given.spec },
      status: { id: WORKSPACE_ID, origin: 'Created', deploymentID: DEPLOYMENT, ...given.status },
      metadata: {
        finalizers: [finalizers.workspace],
        ...(asked === undefined ? {} : { annotations: { [annotations.reconcileRequestedAt]: asked } }),
      },
    },
    {
      workspace: seen(workspaceRecord({ build: build(given.build), ...given.record }), fresh),
      ...given.facts,
    },
    given.pendingForMs,
  );
  return {
    ...input,
    now: new Date(NOW.getTime() + atMs),
    settings: { ...input.settings, ...given.settings },
    ...(isAnswered === undefined ? {} : { isAnswered }),
  };
}

export function decideBound(given: BoundCase = {}): WorkspaceStep {
  return decideWorkspace(boundInput(given));
}

/** Everything in Coder is left alone; in each of the ways of saying so. */
export const SUSPENSIONS: readonly [string, string, Pick<BoundCase, 'spec' | 'facts'>][] = [
  ['the spec', 'SuspendedBySpec', { spec: { suspend: true } }],
  [
    'the control plane',
    'SuspendedByControlPlane',
    { facts: { connection: controlPlane({ suspended: true }) } },
  ],
];

export const RUNNING: Partial<BuildRecord> = { transition: 'start', jobStatus: 'succeeded' };
export const STOPPED: Partial<BuildRecord> = { transition: 'stop', jobStatus: 'succeeded' };

/** The wish was reached once, with build 1. */
export function satisfied(running: boolean): Partial<CoderWorkspaceStatus> {
  return { power: { running, state: 'Satisfied', build: 1 } };
}

/** What the values of `spec.parameters` were found to be. */
export function resolved(values: Readonly<Record<string, string>>, hash = 'wish-1'): ValuesFact {
  const pairs = Object.entries(values).map(([name, value]) => ({ name, value, isSecret: false }));
  return { state: 'resolved', values: pairs, hash };
}

/** The parameters of the newest build. */
export function built(values: Readonly<Record<string, string>>): Partial<WorkspaceFacts> {
  const pairs: NameValue[] = Object.entries(values).map(([name, value]) => ({ name, value }));
  return { buildParameters: { buildID: build().id, values: pairs } };
}

export function asks(parameters: readonly RichParameter[], versionID = VERSION_ID): Partial<WorkspaceFacts> {
  return { definitions: { state: 'known', versionID, parameters } };
}
