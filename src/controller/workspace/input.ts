import type { CoderWorkspaceStatus } from '../../api/generated.ts';
import type { CoderWorkspace, PendingOperation } from '../../api/kinds.ts';
import type { WorkspaceName } from '../../api/names.ts';
import type { ConnectedFact, ConnectionFact, TimedSighting } from '../facts.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import type { Settings } from '../settings.ts';
import type { Rest, Step, StepEvent } from '../step.ts';

/** What can be asked of the world while deciding; each is read at most once a pass, and only when a rule needs it. */
export type WorkspaceFactName =
  | 'workspaceByName'
  | 'workspace'
  | 'freshWorkspace'
  | 'firstInitiator'
  | 'owner'
  | 'template'
  | 'crdTerminating';

export interface OwnerRecord {
  readonly id: string;
  readonly organizationIDs: readonly string[];
}

export interface TemplateSummary {
  readonly id: string;
  readonly organizationID: string;
  readonly activeVersionID: string;
}

export interface WorkspaceFacts {
  readonly connection: ConnectionFact;
  /** Name of an older object that is bound to this UUID, if there is one. */
  readonly claimedBy: (workspaceID: string) => string | undefined;
  /** Whether any other object is bound to this UUID. */
  readonly isClaimedByAnother: (workspaceID: string) => boolean;
  /** The workspace that bears our name now. */
  readonly workspaceByName?: TimedSighting<WorkspaceRecord>;
  /** The workspace with the UUID of our status. */
  readonly workspace?: TimedSighting<WorkspaceRecord>;
  /** User id of whoever made build 1. */
  readonly firstInitiator?: string;
  /** The user named in our name; undefined inside when Coder knows no such user. */
  readonly owner?: { readonly user: OwnerRecord | undefined };
  readonly template?: { readonly template: TemplateSummary | undefined };
  readonly crdTerminating?: boolean;
}

export interface WorkspaceInput {
  readonly object: CoderWorkspace;
  readonly facts: WorkspaceFacts;
  /** How long this process has known of the status' open operation, in milliseconds. */
  readonly pendingForMs: number;
  readonly now: Date;
  readonly settings: Settings;
}

/** A call that changes something in Coder. */
export type WorkspaceOperation =
  | { readonly type: 'Create'; readonly owner: string; readonly name: string; readonly templateID: string }
  | {
      readonly type: 'Start' | 'Stop' | 'Delete';
      readonly workspaceID: string;
      readonly afterBuildNumber: number;
      /** Left out: that of the last build. */
      readonly templateVersionID?: string | undefined;
    };

export type WorkspaceStep = Step<WorkspaceFactName, WorkspaceOperation, WorkspaceDraft>;

/** A status as rules build it; the pass adds what only it knows (the operation's id and epoch). */
export type WorkspaceDraft = CoderWorkspaceStatus;

/** The input once a name and a usable connection are known. */
export interface Bound {
  readonly input: WorkspaceInput;
  readonly name: WorkspaceName;
  readonly coder: ConnectedFact;
  /** The status so far; rules hand on a changed copy. */
  readonly status: WorkspaceDraft;
}

export type { PendingOperation, Rest, StepEvent };
