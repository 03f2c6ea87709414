import type { CoderWorkspaceStatus } from '../../api/generated.ts';
import type { CoderWorkspace, PendingOperation } from '../../api/kinds.ts';
import type { WorkspaceName } from '../../api/names.ts';
import type { NameValue, Preset, RichParameter } from '../../coder/types.ts';
import type { ConnectedFact, ConnectionFact, TimedSighting } from '../facts.ts';
import type { BuildRecord, WorkspaceRecord } from '../observer/record.ts';
import type { Notes } from '../notes.ts';
import type { CommonInput } from '../report.ts';
import type { Settings } from '../settings.ts';
import type { Rest, Step, StepEvent } from '../step.ts';
import type { ValuesFact } from '../values.ts';

/** What can be asked of the world while deciding; each is read at most once a pass, and only when a rule needs it. */
export type WorkspaceFactName =
  | 'workspaceByName'
  | 'workspace'
  | 'freshWorkspace'
  | 'deletedWorkspace'
  | 'firstInitiator'
  | 'ownBuild'
  | 'owner'
  | 'template'
  | 'version'
  | 'definitions'
  | 'presets'
  | 'values'
  | 'buildParameters'
  | 'buildSlot'
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

/** A template version that a spec names. */
export interface PinnedVersion {
  readonly id: string;
  readonly name: string;
  readonly templateID: string | undefined;
  readonly jobStatus: string;
  readonly isArchived: boolean;
}

/** What a template version asks for, or why that is not known. */
export type DefinitionsFact =
  | { readonly state: 'known'; readonly versionID: string; readonly parameters: readonly RichParameter[] }
  | { readonly state: 'importing' | 'missing'; readonly versionID: string };

export interface WorkspaceFacts {
  readonly connection: ConnectionFact;
  /** Name of an older object that is bound to this UUID, if there is one. */
  readonly claimedBy: (workspaceID: string) => string | undefined;
  /** Whether any other object is bound to this UUID. */
  readonly isClaimedByAnother: (workspaceID: string) => boolean;
  /** Deletions that wait in the same control plane, when they are so many that this one is held. */
  readonly heldDeletions: () => number | undefined;
  /** The workspace that bears our name now. */
  readonly workspaceByName?: TimedSighting<WorkspaceRecord>;
  /** The workspace with the UUID of our status. */
  readonly workspace?: TimedSighting<WorkspaceRecord> | undefined;
  /** The last build of the workspace with the UUID of our status, which is deleted; undefined inside when it is not shown. */
  readonly deletedWorkspace?: { readonly build: BuildRecord | undefined };
  /** User id of whoever made build 1. */
  readonly firstInitiator?: string;
  /** The build of `status.power.build`; undefined inside when Coder has none of that number. */
  readonly ownBuild?: { readonly build: BuildRecord | undefined };
  /** The user named in our name; undefined inside when Coder knows no such user. */
  readonly owner?: { readonly user: OwnerRecord | undefined };
  readonly template?: { readonly template: TemplateSummary | undefined };
  /** The version that the spec names; undefined inside when Coder has none. */
  readonly version?: { readonly version: PinnedVersion | undefined };
  readonly definitions?: DefinitionsFact;
  readonly presets?: { readonly versionID: string; readonly presets: readonly Preset[] };
  /** The values of `spec.parameters`. */
  readonly values?: ValuesFact;
  /** The parameters of the newest build. */
  readonly buildParameters?: { readonly buildID: string; readonly values: readonly NameValue[] };
  /** Whether one more build may be under way; asking reserves the place for this pass. */
  readonly buildSlot?: 'granted' | 'none';
  readonly crdTerminating?: boolean;
}

export interface WorkspaceInput {
  readonly object: CoderWorkspace;
  readonly facts: WorkspaceFacts;
  /** How long this process has known of the status' open operation, in milliseconds. */
  readonly pendingForMs: number;
  /** Coder has answered the open operation with success in this very pass. */
  readonly isAnswered?: boolean;
  readonly now: Date;
  readonly settings: Settings;
  /** Why nothing in Coder may be changed now; the rules find it out. */
  readonly suspended?: CommonInput<WorkspaceDraft>['suspended'];
}

/** A field of the spec that Coder takes by a call of its own. */
export type SettingField = 'ttlMillis' | 'autostartSchedule' | 'automaticUpdates';

/** A call that changes something in Coder. */
export type WorkspaceOperation =
  | {
      readonly type: 'Create';
      readonly owner: string;
      readonly name: string;
      /** The version is given when the spec pins one, else the template. */
      readonly templateID: string;
      readonly templateVersionID?: string | undefined;
      readonly presetID?: string | undefined;
      /** May hold secrets: never to be logged or announced. */
      readonly parameters?: readonly NameValue[] | undefined;
      readonly ttlMillis?: number | undefined;
      readonly autostartSchedule?: string | undefined;
      readonly automaticUpdates?: 'Always' | 'Never' | undefined;
    }
  | {
      readonly type: 'Start' | 'Stop' | 'Delete';
      readonly workspaceID: string;
      readonly afterBuildNumber: number;
      /** Left out: that of the last build. */
      readonly templateVersionID?: string | undefined;
      /** May hold secrets. Left out: those of the last build. */
      readonly parameters?: readonly NameValue[] | undefined;
    }
  | {
      readonly type: 'Set';
      readonly workspaceID: string;
      readonly field: SettingField;
      /** As a text, which is how it is announced. */
      readonly value: string;
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

/** The input once the workspace is known too. */
export interface Found extends Bound {
  readonly record: WorkspaceRecord;
  /** Whether the record was read in this pass. */
  readonly fresh: boolean;
  /** What the rules so far have to say beside what the last one will decide. */
  readonly notes: Notes;
}

export type { PendingOperation, Rest, StepEvent };
