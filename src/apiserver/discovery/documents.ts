import { PROGRAM_VERSION } from '../../base/version.ts';
import { AGGREGATION_GROUP, AGGREGATION_GROUP_VERSION, AGGREGATION_VERSION } from '../view/group.ts';
import type { ViewKind } from '../view/types.ts';

/**
 * All that works. This is a contract: controllers choose what they act upon by it. Without delete, the garbage collector
 * and the deletion of namespaces see each object once, in coder.com; without create, so do quotas and backups.
 */
const VERBS = ['get', 'list', 'watch'] as const;

const version = { groupVersion: AGGREGATION_GROUP_VERSION, version: AGGREGATION_VERSION } as const;
const group = { name: AGGREGATION_GROUP, versions: [version], preferredVersion: version } as const;

/** `/apis` for clients that do not know the aggregated form. */
export function groupList(): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] };
}

/** `/apis/GROUP`. */
export function groupDocument(): object {
  return { kind: 'APIGroup', apiVersion: 'v1', ...group };
}

/**
 * `/apis/GROUP/VERSION`. There are neither short names nor categories: those of coder.com belong to the objects that can
 * be changed, and what bears a name twice is chosen by chance or listed twice.
 */
export function resourceList(kinds: readonly ViewKind[]): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: AGGREGATION_GROUP_VERSION,
    resources: kinds.map(({ resource, singular }) => ({
      name: resource.plural,
      singularName: singular,
      namespaced: true,
      kind: resource.kind,
      verbs: VERBS,
    })),
  };
}

/** The kind of the aggregated form of `/apis`, as clients ask for it and as its Content-Type says. */
export const AGGREGATED_DISCOVERY = {
  g: 'apidiscovery.k8s.io',
  v: 'v2',
  as: 'APIGroupDiscoveryList',
} as const;

/** `/apis` in one document with all that the other two say (k8s.io/api/apidiscovery/v2). */
export function aggregatedDiscovery(kinds: readonly ViewKind[]): object {
  const { g, v, as } = AGGREGATED_DISCOVERY;
  const resources = kinds.map(({ resource, singular }) => ({
    resource: resource.plural,
    // Without it clients drop the resource.
    responseKind: { group: AGGREGATION_GROUP, version: AGGREGATION_VERSION, kind: resource.kind },
    scope: 'Namespaced',
    singularResource: singular,
    verbs: VERBS,
  }));
  return {
    kind: as,
    apiVersion: `${g}/${v}`,
    metadata: {},
    items: [
      {
        metadata: { name: AGGREGATION_GROUP },
        versions: [{ version: AGGREGATION_VERSION, resources, freshness: 'Current' }],
      },
    ],
  };
}

/** `/version`, in the form of Kubernetes (apimachinery/pkg/version). What Go's linker would know is empty. */
export function versionDocument(): object {
  const [major = '', minor = ''] = PROGRAM_VERSION.split('.');
  return {
    major,
    minor,
    gitVersion: `v${PROGRAM_VERSION}`,
    gitCommit: '',
    gitTreeState: '',
    buildDate: '',
    goVersion: '',
    compiler: '',
    platform: '',
  };
}
