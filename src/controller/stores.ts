import {
  controlPlanes,
  finalizers,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../api/kinds.ts';
import { findCondition } from '../api/conditions.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import { isMirror } from '../api/mirrors.ts';
import type { Logger } from '../base/logger.ts';
import { Store } from '../kube/store.ts';
import { contentConfigMaps, contentSources } from './template/content.ts';
import { referredConfigMaps } from './values.ts';

/** What the API server holds of our kinds. */
export interface Stores {
  readonly controlPlanes: Store<CoderControlPlane>;
  readonly templates: Store<CoderTemplate>;
  readonly workspaces: Store<CoderWorkspace>;
  /** Takes in the answer to a write of ours before the watch brings it. */
  assume(resource: ResourceType, object: KubeObject): void;
}

export function createStores(logger: Logger): Stores {
  const namespace = (object: KubeObject): readonly string[] => [object.metadata.namespace ?? ''];
  const id = (object: { readonly status?: { readonly id?: string | undefined } }): readonly string[] =>
    object.status?.id === undefined ? [] : [object.status.id];
  const deleting = (object: KubeObject): readonly string[] =>
    object.metadata.deletionTimestamp === undefined ? [] : namespace(object);
  const mirror = (object: CoderTemplate | CoderWorkspace): readonly string[] =>
    isMirror(object) ? namespace(object) : [];
  const stalled = ({ status }: CoderTemplate | CoderWorkspace): readonly string[] => {
    const reason = findCondition(status?.conditions, 'Stalled')?.reason;
    return reason === undefined ? [] : [reason];
  };
  /** The template, as its object is called, without which a workspace cannot go on. */
  const awaits = ({ metadata, spec, status }: CoderWorkspace): readonly string[] => {
    if (status?.id !== undefined && status.failures === undefined) return [];
    const [organization = ''] = metadata.name.split('.');
    return spec.templateName === undefined
      ? []
      : [`${metadata.namespace ?? ''}/${organization}.${spec.templateName}`];
  };
  const configMap = ({ metadata, spec }: CoderWorkspace): readonly string[] =>
    referredConfigMaps(spec.parameters).map((name) => `${metadata.namespace ?? ''}/${name}`);
  const contentConfigMap = ({ metadata, spec }: CoderTemplate): readonly string[] =>
    contentConfigMaps(spec).map((name) => `${metadata.namespace ?? ''}/${name}`);
  const source = ({ metadata, spec }: CoderTemplate): readonly string[] =>
    contentSources(spec).map(({ kind, name }) => `${metadata.namespace ?? ''}/${kind}/${name}`);
  const stores = {
    controlPlanes: new Store<CoderControlPlane>({ logger, indexers: { namespace } }),
    templates: new Store<CoderTemplate>({
      logger,
      indexers: { namespace, id, mirror, deleting, stalled, configMap: contentConfigMap, source },
    }),
    workspaces: new Store<CoderWorkspace>({
      logger,
      indexers: { namespace, id, mirror, deleting, stalled, awaits, configMap },
    }),
  };
  return {
    ...stores,
    assume(resource, object) {
      switch (resource.plural) {
        case controlPlanes.plural:
          stores.controlPlanes.assume(object as CoderControlPlane);
          break;
        case templates.plural:
          stores.templates.assume(object as CoderTemplate);
          break;
        case workspaces.plural:
          stores.workspaces.assume(object as CoderWorkspace);
          break;
      }
    },
  };
}

/** The objects of a namespace that hold one of our finalizers: their deletion needs the connection. */
export function held(
  stores: Stores,
  namespace: string,
): { readonly count: number; readonly some: readonly string[] } {
  const holders = [
    ...stores.templates
      .byIndex('namespace', namespace)
      .filter((t) => t.metadata.finalizers?.includes(finalizers.template) === true)
      .map((t) => `CoderTemplate ${t.metadata.name}`),
    ...stores.workspaces
      .byIndex('namespace', namespace)
      .filter((w) => w.metadata.finalizers?.includes(finalizers.workspace) === true)
      .map((w) => `CoderWorkspace ${w.metadata.name}`),
  ];
  return { count: holders.length, some: holders.slice(0, 3) };
}
