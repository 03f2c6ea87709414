import type { KubeClient } from '../../src/kube/client.ts';
import { workspaces, templates, type CoderTemplate, type CoderWorkspace } from '../../src/api/kinds.ts';
import type { ObjectMeta } from '../../src/api/meta.ts';

export const VIEW = '/apis/aggregation.coder.com/v1alpha1';
export const VIEW_WORKSPACES = 'aggregation.coder.com/v1alpha1/coderworkspaces';
export const OBJECT_WORKSPACES = 'coder.com/v1alpha1/coderworkspaces';

/** Path of a list, or of one object, in the endpoint. */
export function viewPath(namespace?: string, name?: string, plural = workspaces.plural): string {
  return [
    VIEW,
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    plural,
    ...(name === undefined ? [] : [name]),
  ].join('/');
}

/** What the controller would write of a workspace that runs. */
export const RUNNING: NonNullable<CoderWorkspace['status']> = {
  observedGeneration: 1,
  id: '6c0d0a3a-4f47-4f64-8d3f-4a4c8f1d6a01',
  ownerName: 'alice',
  organizationName: 'coder',
  templateName: 'docker',
  workspaceName: 'dev',
  origin: 'Mirrored',
  running: true,
  healthy: true,
  outdated: false,
  latestBuild: {
    id: '0b6a3f06-96a4-4e2c-9b59-5b4a1d8b2e11',
    number: 3,
    transition: 'start',
    status: 'running',
    templateVersionName: 'v7',
  },
  observed: { ttlMillis: 3_600_000 },
  conditions: [condition('Ready', 'True'), condition('Synced', 'True')],
};

export function condition(
  type: string,
  status: 'True' | 'False',
): NonNullable<NonNullable<CoderWorkspace['status']>['conditions']>[number] {
  const reason = status === 'True' ? 'Succeeded' : 'Progressing';
  return {
    type,
    status,
    reason,
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    observedGeneration: 1,
  };
}

export interface NewWorkspace {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec?: CoderWorkspace['spec'];
  readonly status?: CoderWorkspace['status'];
}

/** Makes a workspace object, with a status when one is given. No controller touches it. */
export async function createWorkspace(
  kube: KubeClient,
  namespace: string,
  name: string,
  { metadata, spec = {}, status }: NewWorkspace = {},
): Promise<CoderWorkspace> {
  const object = { metadata: { ...metadata, namespace, name }, spec };
  const created = await kube.create<CoderWorkspace>(workspaces, object);
  return status === undefined ? created : kube.putStatus<CoderWorkspace>(workspaces, created, status);
}

export function createTemplate(kube: KubeClient, namespace: string, name: string): Promise<CoderTemplate> {
  const object = { metadata: { namespace, name }, spec: {} };
  return kube.create<CoderTemplate>(templates, object);
}

/** Names and versions of all objects of a namespace, as the API server itself has them. */
export async function versionsOf(
  kube: KubeClient,
  namespace: string,
): Promise<Readonly<Record<string, string>>> {
  const { items } = await kube.list<CoderWorkspace>(workspaces, namespace);
  return Object.fromEntries(
    items.map(({ metadata }) => [`${namespace}/${metadata.name}`, metadata.resourceVersion ?? '']),
  );
}

/** Gives an object a label. */
export function label(
  kube: KubeClient,
  namespace: string,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<CoderWorkspace> {
  return kube.mergePatch<CoderWorkspace>(workspaces, namespace, name, { metadata: { labels } });
}
