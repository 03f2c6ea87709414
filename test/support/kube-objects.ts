import type { KubeObject, ResourceType } from '../../src/api/meta.ts';

/** A kind of no meaning, for tests of the machinery. */
export interface Widget extends KubeObject {
  readonly spec?: { readonly colour?: string };
  readonly status?: { readonly phase?: string };
}

export const widgets: ResourceType = {
  group: 'test.coder.com',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
};

export interface WidgetParts {
  readonly uid?: string;
  readonly rv?: string | number;
  readonly colour?: string;
  readonly finalizers?: readonly string[];
  readonly deletionTimestamp?: string;
}

export function widget(name: string, parts: WidgetParts = {}): Widget {
  const { uid = `uid-${name}`, rv = 1, colour, ...metadata } = parts;
  return {
    apiVersion: 'test.coder.com/v1',
    kind: 'Widget',
    metadata: { name, namespace: 'default', uid, resourceVersion: String(rv), ...metadata },
    spec: colour === undefined ? {} : { colour },
  };
}
