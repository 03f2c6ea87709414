import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isNotFound } from '../../src/kube/errors.ts';

/** Deletes an object whoever holds it, since a namespace never goes away where no controller empties it. */
export async function takeAway(
  kube: KubeClient,
  resource: ResourceType,
  { metadata: { namespace, name } }: KubeObject,
): Promise<void> {
  try {
    await kube.mergePatch(resource, namespace, name, { metadata: { finalizers: [] } });
    await kube.delete(resource, namespace, name);
  } catch (error) {
    // The operator may take away its own, and what was only held goes with its finalizers.
    if (!isNotFound(error)) throw error;
  }
}
