import { stringify } from 'yaml';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import { systemClock } from '../../src/base/clock.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { ApiServer } from './apiserver.ts';

/** A kind of no meaning that a real API server knows, for tests that break the way to it. */
export interface Gadget extends KubeObject {
  readonly spec?: { readonly value?: string };
  readonly status?: { readonly phase?: string };
}

export const gadgets: ResourceType = {
  group: 'faults.coder.com',
  version: 'v1',
  plural: 'gadgets',
  kind: 'Gadget',
  namespaced: true,
};

const SERVED_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 50;

const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const name = `${gadgets.plural}.${gadgets.group}`;
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name },
  spec: {
    group: gadgets.group,
    scope: 'Namespaced',
    names: { plural: gadgets.plural, kind: gadgets.kind },
    versions: [
      {
        name: gadgets.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: open, status: open } } },
      },
    ],
  },
};

/** Makes the kind known, and a namespace of a suite's own for them. The kind stays as long as the server does. */
export async function installGadgets(server: ApiServer, namespace: string): Promise<void> {
  await server.kubectl(['apply', '-f', '-'], stringify(definition));
  await server.kubectl(['wait', '--for=condition=Established', `crd/${name}`, '--timeout=30s']);
  await server.kubectl(['create', 'namespace', namespace]);
  // Established, and still the API server may answer that its storage is initializing.
  const end = systemClock.monotonic() + SERVED_WITHIN_MS;
  for (;;) {
    try {
      await server.client.list(gadgets, namespace);
      return;
    } catch (error) {
      if (!(error instanceof KubeError && error.retryable) || systemClock.monotonic() > end) throw error;
    }
    await systemClock.sleep(LOOK_EVERY_MS);
  }
}
