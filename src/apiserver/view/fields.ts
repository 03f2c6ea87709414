import type { CoderTemplateStatus, CoderWorkspaceStatus } from '../../api/generated.ts';

/** One field of the view: where it comes from, and in what it differs from there. */
export interface Field {
  /** Path of the field in the object of coder.com. The schema of that one counts, but for what follows. */
  readonly from: string;
  /** Where the view tells it in another way. */
  readonly type?: 'boolean';
  /** Where the description of `from` would not be true of the view, or too little. */
  readonly description?: string;
  /** Whether every object shows it. */
  readonly always?: true;
}

/** What the view of a kind shows. The schemas and the reference page are generated from this and from crds/. */
export interface ViewFields {
  readonly description: string;
  readonly spec: Readonly<Record<string, Field>>;
  readonly status: Readonly<Record<string, Field>>;
}

/** Descriptions of the two halves. */
export const halves = {
  spec: 'What Coder has now. Before the object is bound to something in Coder, what is wished.',
  status: 'What the operator last saw of it in Coder, and what it says about it.',
} as const;

/**
 * Fields of a workspace's status that are shown as they are. Left out is what only the operator needs to do its work:
 * applied, parameters, refusals, driftedAt, corrections, power, failures, pendingOperation and lastHandledReconcileAt,
 * whose outcome the conditions tell; and running, which could be taken for the one in spec.
 */
export const workspaceStatusFields = [
  'observedGeneration',
  'deploymentID',
  'ownerName',
  'organizationName',
  'templateName',
  'workspaceName',
  'origin',
  'url',
  'healthy',
  'outdated',
  'latestBuild',
  'agents',
  'lastUsedAt',
  'dormantAt',
  'deletingAt',
  'observed',
  'conditions',
] as const satisfies readonly (keyof CoderWorkspaceStatus)[];

/** The same for a template; left out are also its hashes, by which new content is told. */
export const templateStatusFields = [
  'observedGeneration',
  'deploymentID',
  'organizationName',
  'templateName',
  'origin',
  'url',
  'activeVersion',
  'observed',
  'workspaces',
  'source',
  'pendingVersion',
  'conditions',
] as const satisfies readonly (keyof CoderTemplateStatus)[];

export const workspaceFields: ViewFields = {
  description:
    'A workspace of Coder, named <organization>.<user>.<workspace>: what Coder has, read only. To change it, change the CoderWorkspace of coder.com of the same name.',
  spec: {
    organization: { from: 'status.organizationName', always: true },
    templateName: { from: 'status.templateName' },
    templateVersionID: {
      from: 'status.latestBuild.templateVersionID',
      description: 'UUID of the template version that the newest build uses.',
    },
    running: {
      from: 'status.latestBuild',
      type: 'boolean',
      description:
        'Whether it runs or is about to: its newest build is a start that is pending, under way or done.',
      always: true,
    },
    ttlMillis: {
      from: 'status.observed.ttlMillis',
      description: 'Milliseconds after a start until Coder stops it. Left out when it never does.',
    },
    autostartSchedule: {
      from: 'status.observed.autostartSchedule',
      description: 'When Coder starts it. Left out when it never does.',
    },
  },
  status: {
    id: {
      from: 'status.id',
      description: 'UUID of the workspace in Coder; empty until it is known.',
      always: true,
    },
    latestBuildID: { from: 'status.latestBuild.id', description: 'UUID of the newest build.' },
    latestBuildStatus: {
      from: 'status.latestBuild.status',
      description:
        'State of the workspace in the words of Coder: pending, starting, running, stopping, stopped, failed, canceling, canceled, deleting or deleted.',
    },
    autoShutdown: { from: 'status.latestBuild.deadline' },
    ...asTheyAre(workspaceStatusFields),
  },
};

export const templateFields: ViewFields = {
  description:
    'A template of Coder, named <organization>.<template>: what Coder has, read only. To change it, change the CoderTemplate of coder.com of the same name.',
  spec: {
    organization: { from: 'status.organizationName', always: true },
    versionID: {
      from: 'status.activeVersion.id',
      description: 'UUID of the active version; empty until it is known.',
      always: true,
    },
    displayName: { from: 'status.observed.displayName', description: 'The name that people see in Coder.' },
    description: {
      from: 'status.observed.description',
      description: 'What the template is for, as people see it in Coder.',
    },
    icon: { from: 'status.observed.icon' },
    files: {
      from: 'spec.files',
      description: 'The content, path to text, where the object of coder.com holds it itself.',
    },
  },
  status: {
    id: {
      from: 'status.id',
      description: 'UUID of the template in Coder; empty until it is known.',
      always: true,
    },
    activeVersionID: { from: 'status.activeVersion.id', description: 'UUID of the active version.' },
    deprecated: {
      from: 'status.observed.deprecated',
      type: 'boolean',
      description: 'Whether Coder refuses new workspaces from it. Why is in observed.deprecated.',
    },
    ...asTheyAre(templateStatusFields),
  },
};

function asTheyAre(names: readonly string[]): Readonly<Record<string, Field>> {
  return Object.fromEntries(names.map((name) => [name, { from: `status.${name}` }]));
}
