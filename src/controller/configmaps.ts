import type { KubeObject, ResourceType } from '../api/meta.ts';
import { KubeError } from '../kube/errors.ts';
import { ReferredObjects, type ReferredObjectsOptions } from './referred.ts';

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

export const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

export type ConfigMapsOptions = Pick<
  ReferredObjectsOptions<ConfigMap>,
  'kube' | 'clock' | 'logger' | 'signal' | 'onChange'
>;

/** What came of reading one; undefined when there is none of that name. */
export type ConfigMapAnswer = ConfigMap | undefined | 'forbidden';

/**
 * Reads ConfigMaps, and watches those of a namespace as long as an object there refers to one.
 *
 * The watch tells only which of them changed: their data may be large, and is read for those that are referred to.
 */
export class ConfigMaps {
  readonly #objects: ReferredObjects<ConfigMap>;

  constructor(options: ConfigMapsOptions) {
    this.#objects = new ReferredObjects<ConfigMap>({
      ...options,
      resource: configMaps,
      keep: withoutData,
      answers: 'whole',
    });
  }

  /** The names that an object refers to now; none when it is gone. */
  refer(namespace: string, referrer: string, names: readonly string[]): void {
    this.#objects.refer(namespace, referrer, names);
  }

  /** From memory where its version is the one that the watch told. @throws KubeError */
  async read(namespace: string, name: string): Promise<ConfigMapAnswer> {
    const answer = await this.#objects.read(namespace, name);
    if (answer !== 'unknownKind') return answer;
    // Every API server knows ConfigMaps: something else answered, which proves nothing.
    const message = `Kubernetes answered 404 to a call for the ConfigMaps of the namespace ${namespace}`;
    throw new KubeError('KUBE_BAD_ANSWER', message, { status: 404, retryable: true });
  }

  /** Ends every watch. */
  close(): void {
    this.#objects.close();
  }
}

/** What the watch is for: names and versions. */
function withoutData({ metadata }: ConfigMap): ConfigMap {
  return { metadata: { ...metadata, labels: {}, annotations: {} } };
}
