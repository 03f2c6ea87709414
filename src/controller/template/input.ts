import type { CoderTemplateStatus } from '../../api/generated.ts';
import type { CoderTemplate } from '../../api/kinds.ts';
import type { TemplateName } from '../../api/names.ts';
import type { ArchiveFiles } from '../../coder/layout.ts';
import type { ConnectedFact, ConnectionFact, TimedSighting } from '../facts.ts';
import type { Notes } from '../notes.ts';
import type { CommonInput } from '../report.ts';
import type { Settings } from '../settings.ts';
import type { Step } from '../step.ts';
import type { ActiveContent } from './activecontent.ts';
import type { ContentFact, FilesContent } from './content.ts';
import type { SettingField, TemplateSettings } from '../../coder/templatesettings.ts';

/** What the operator remembers of a template in Coder. */
export interface TemplateRecord {
  readonly id: string;
  readonly name: string;
  readonly organizationID: string;
  readonly organizationName: string;
  readonly activeVersionID: string;
  readonly settings: TemplateSettings;
}

export interface VersionRecord {
  readonly id: string;
  readonly name: string;
  readonly templateID: string | undefined;
  readonly jobStatus: string;
  /** By Coder's clock. */
  readonly createdAt: string;
  readonly error: string | undefined;
  /** Coder's word for the error, where it has one. */
  readonly errorCode: string | undefined;
  /** Coder makes none of these the active one. */
  readonly isArchived: boolean;
  /** False when no provisioner is there that could do the import. */
  readonly hasProvisioner: boolean;
}

/** What an import has left behind besides its state. */
export interface ImportDetails {
  /** What Terraform said of its failure; empty for nothing. */
  readonly log?: string | undefined;
  /** Whether values went into it that the spec does not tell, so that nobody knows whether they are secret. */
  readonly hasOtherValues?: boolean | undefined;
  /** Names of the variables that the content declares; left out when Coder does not tell. */
  readonly variables?: readonly string[] | undefined;
}

/** What can be asked of the world while deciding; each is read at most once a pass, and only when a rule needs it. */
export type TemplateFactName =
  | 'templateByName'
  | 'template'
  | 'freshTemplate'
  | 'organization'
  /** The version with the UUID in `status.pendingVersion` or `spec.versionID`. */
  | 'version'
  /** The version of our template that bears the name of the wished content. */
  | 'versionByName'
  /** A version of no template that an announced request may have made, found through the provisioner jobs. */
  | 'unattachedVersion'
  | 'activeVersionName'
  /** What the spec says the template shall consist of. */
  | 'content'
  /** The same with the files themselves. */
  | 'files'
  /** What the active version consists of. */
  | 'activeContent'
  /** What Coder tells of the imports that ended, beyond that. */
  | 'importDetails'
  /** When content may be uploaded. */
  | 'upload'
  | 'workspaces'
  | 'crdTerminating';

export interface TemplateFacts {
  readonly connection: ConnectionFact;
  /** Name of an older object that is bound to this UUID, if there is one. */
  readonly claimedBy: (templateID: string) => string | undefined;
  /** Whether any other object is bound to this UUID. */
  readonly isClaimedByAnother: (templateID: string) => boolean;
  readonly templateByName?: TimedSighting<TemplateRecord> | undefined;
  readonly template?: TimedSighting<TemplateRecord> | undefined;
  /** The organization's UUID; undefined inside when Coder shows none of that name. */
  readonly organization?: { readonly id: string | undefined };
  readonly version?: { readonly id: string; readonly version: VersionRecord | undefined };
  readonly versionByName?: { readonly name: string; readonly version: VersionRecord | undefined };
  readonly unattachedVersion?: { readonly version: VersionRecord | undefined };
  /** Workspaces that use a template, at the last look at everything; undefined before the first. */
  readonly usersOf: (templateID: string) => number | undefined;
  readonly content?: ContentFact | undefined;
  readonly activeContent?: ActiveContent | undefined;
  /** By the UUID of the version. */
  readonly importDetails?: ReadonlyMap<string, ImportDetails>;
  /** Milliseconds until content may be uploaded; 0 for now. */
  readonly upload?: { readonly waitMs: number };
  readonly activeVersionName?: { readonly id: string; readonly name: string };
  /** Workspaces that use the template: how many, and the first few by name. */
  readonly workspaces?: { readonly count: number; readonly some: readonly string[] };
  readonly crdTerminating?: boolean;
}

export interface TemplateInput {
  /** Why nothing in Coder may be changed now; the rules find it out. */
  readonly suspended?: CommonInput<TemplateDraft>['suspended'];
  /** What is to be said of a template that is there, whatever else is decided. */
  readonly notes?: Notes | undefined;
  /** Coder has said yes to the settings that are announced; what it makes of them is to be read. */
  readonly isAnswered?: boolean;
  readonly object: CoderTemplate;
  readonly facts: TemplateFacts;
  /** How long this process has known of the status' open operation, in milliseconds. */
  readonly pendingForMs: number;
  readonly now: Date;
  readonly settings: Settings;
}

/** A call that changes something in Coder. */
export type TemplateOperation =
  | {
      readonly type: 'CreateVersion';
      readonly organizationID: string;
      readonly templateID: string | undefined;
      readonly name: string;
      readonly content: FilesContent & { readonly files: ArchiveFiles };
    }
  | {
      readonly type: 'CreateTemplate';
      readonly organizationID: string;
      readonly name: string;
      readonly versionID: string;
    }
  | {
      readonly type: 'SetSettings';
      readonly templateID: string;
      readonly fields: readonly SettingField[];
      /** All settings, since Coder resets what is left out. */
      readonly settings: TemplateSettings;
    }
  | { readonly type: 'Promote'; readonly templateID: string; readonly versionID: string }
  | { readonly type: 'Delete'; readonly templateID: string };

export type TemplateDraft = CoderTemplateStatus;
export type TemplateStep = Step<TemplateFactName, TemplateOperation, TemplateDraft>;

/** The input once a name and a usable connection are known. */
export interface Bound {
  readonly input: TemplateInput;
  readonly name: TemplateName;
  readonly coder: ConnectedFact;
  /** The status so far; rules hand on a changed copy. */
  readonly status: TemplateDraft;
}

/** The input once the template is known too. */
export interface Found extends Bound {
  readonly input: TemplateInput & { readonly notes: Notes };
  readonly record: TemplateRecord;
  /** Whether the record was read in this pass. */
  readonly fresh: boolean;
}
