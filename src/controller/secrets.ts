import type { Cause } from '../api/conditions.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { StalledReason } from '../api/reasons.ts';
import type { CallOptions, KubeClient } from '../kube/client.ts';
import { isForbidden, isNotFound } from '../kube/errors.ts';
import { isPathSegment } from '../kube/objects.ts';

export interface Secret extends KubeObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export const secrets: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'secrets',
  kind: 'Secret',
  namespaced: true,
};

/** Reads one Secret, each time anew: Secrets are never listed, watched or kept. Undefined when there is none. */
export async function readSecret(
  kube: Pick<KubeClient, 'get'>,
  namespace: string,
  name: string,
  options: CallOptions = {},
): Promise<Secret | undefined | 'forbidden'> {
  // There is none of a name that none can have.
  if (!isPathSegment(name)) return undefined;
  try {
    return await kube.get<Secret>(secrets, namespace, name, options);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    if (isForbidden(error)) return 'forbidden';
    throw error;
  }
}

/** The operator was not given the namespace, or not this right in it. */
export function readingForbidden(what: string, namespace: string): Cause<StalledReason> {
  return {
    reason: 'SecretForbidden',
    message: `the operator may not read ${what} of the namespace ${namespace}. Allow it with: kubectl apply -n ${namespace} -k config/tenant`,
  };
}
