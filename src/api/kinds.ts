import type {
  CoderControlPlaneSpec,
  CoderControlPlaneStatus,
  CoderTemplateSpec,
  CoderTemplateStatus,
  CoderWorkspaceSpec,
  CoderWorkspaceStatus,
} from './generated.ts';
import type { KubeObject, ResourceType } from './meta.ts';

export interface CoderControlPlane extends KubeObject {
  readonly spec: CoderControlPlaneSpec;
  readonly status?: CoderControlPlaneStatus;
}

export interface CoderTemplate extends KubeObject {
  readonly spec: CoderTemplateSpec;
  readonly status?: CoderTemplateStatus;
}

export interface CoderWorkspace extends KubeObject {
  readonly spec: CoderWorkspaceSpec;
  readonly status?: CoderWorkspaceStatus;
}

export type PendingOperation = NonNullable<CoderWorkspaceStatus['pendingOperation']>;
export type Origin = NonNullable<CoderWorkspaceStatus['origin']>;

export const GROUP = 'coder.com';
export const VERSION = 'v1alpha1';

export const controlPlanes: ResourceType = {
  group: GROUP,
  version: VERSION,
  plural: 'codercontrolplanes',
  kind: 'CoderControlPlane',
  namespaced: true,
};

export const templates: ResourceType = {
  group: GROUP,
  version: VERSION,
  plural: 'codertemplates',
  kind: 'CoderTemplate',
  namespaced: true,
};

export const workspaces: ResourceType = {
  group: GROUP,
  version: VERSION,
  plural: 'coderworkspaces',
  kind: 'CoderWorkspace',
  namespaced: true,
};

/** Present while deleting the object must delete something in Coder, or while an operation is open. */
export const finalizers = {
  controlPlane: 'coder.com/control-plane',
  template: 'coder.com/template',
  workspace: 'coder.com/workspace',
} as const;

export const annotations = {
  /** A new value means: look now, forget failures, carry the wish out again. Compared for equality only. */
  reconcileRequestedAt: 'coder.com/reconcile-requested-at',
  /** On a control plane: the deployment id behind the URL that a person has accepted. */
  acceptDeployment: 'coder.com/accept-deployment',
  /** On an object that is being deleted: its own uid lets go of it without Coder. */
  forceRelease: 'coder.com/force-release',
} as const;

/** Label that tells our CRDs from another project's of the same name. */
export const partOf = { key: 'app.kubernetes.io/part-of', value: 'coder-operator' } as const;

/** The only type of Secret from which values are read: whoever writes a workspace must not get at Coder's token. */
export const VALUES_SECRET_TYPE = 'coder.com/values';

/** The only type of Secret from which a URL and token are read. */
export const CREDENTIALS_SECRET_TYPE = 'coder.com/credentials';
