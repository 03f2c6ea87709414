import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { apiVersionOf, resourcePath } from '../../src/kube/objects.ts';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { Kubernetes } from '../stack/kubernetes.ts';
import { StackError } from '../stack/errors.ts';
import { eachOf } from './seed.ts';

export interface BareLoop {
  readonly kubernetes: Kubernetes;
  /** Where the objects are made anew. */
  readonly namespace: string;
  readonly resource: ResourceType;
  /** As they are in another namespace. */
  readonly objects: readonly (KubeObject & { readonly status?: unknown })[];
  readonly atOnce: number;
  readonly signal: AbortSignal;
}

/**
 * Makes objects and writes their status in the plainest way there is, and tells how many milliseconds that took: what
 * the API server itself needs. They are deleted again afterwards.
 * @throws StackError TOOL_FAILED with what the API server said.
 */
export async function bareLoop(options: BareLoop): Promise<number> {
  const { kubernetes, namespace, resource, objects, atOnce, signal } = options;
  const { ca, admin } = kubernetes.pki;
  const [cert, key] = [readFileSync(admin.certificate), readFileSync(admin.key)];
  const pool = new Pool(kubernetes.url, {
    connections: atOnce,
    connect: { ca: readFileSync(ca.certificate), cert, key },
  });
  const send = async (method: 'POST' | 'PUT' | 'DELETE', path: string, body: object): Promise<KubeObject> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await pool.request({ method, path, headers, body: JSON.stringify(body), signal });
    const text = await answer.body.text();
    if (answer.statusCode < 300) return JSON.parse(text) as KubeObject;
    throw new StackError('TOOL_FAILED', `The API server refused ${method} ${path}: ${text}`);
  };
  const type = { apiVersion: apiVersionOf(resource), kind: resource.kind };
  const pathOf = (name: string): string => resourcePath(resource, { namespace, name });
  try {
    const start = performance.now();
    await eachOf(objects, atOnce, async ({ metadata: { name, labels }, status }) => {
      const object = { ...type, metadata: { namespace, name, labels }, spec: {} };
      const made = await send('POST', resourcePath(resource, { namespace }), object);
      const { uid, resourceVersion } = made.metadata;
      const metadata = { namespace, name, uid, resourceVersion };
      await send('PUT', `${pathOf(name)}/status`, { ...type, metadata, status });
    });
    const tookMs = performance.now() - start;
    // One by one: the API server gives up a deletion of all of them after a minute.
    await eachOf(objects, atOnce, ({ metadata: { name } }) => send('DELETE', pathOf(name), {}));
    return tookMs;
  } finally {
    await pool.close();
  }
}
