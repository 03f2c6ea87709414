import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { KubeClient } from '../../src/kube/client.ts';

/** Weighs some megabytes, which the API server likes better than one answer of all. */
const PAGE = 1_000;

/** All objects of a namespace. @throws KubeError */
export async function list<T extends KubeObject>(
  kube: KubeClient,
  resource: ResourceType,
  namespace: string,
): Promise<readonly T[]> {
  const items: T[] = [];
  let token: string | undefined;
  do {
    const page = await kube.list<T>(resource, namespace, { limit: PAGE, continue: token });
    items.push(...page.items);
    token = page.metadata.continue;
  } while (token !== undefined && token !== '');
  return items;
}
