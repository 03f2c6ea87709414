import { OperatorError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isForbidden, isNotFound } from '../../kube/errors.ts';
import { readSecret, secrets, type Secret } from '../secrets.ts';
import type { KeyPair } from './authority.ts';
import { apiServices, base64, names, withPair, type ApiService, type SecretPair } from './objects.ts';

export interface ServingCallsOptions {
  readonly kube: Pick<KubeClient, 'get' | 'replace' | 'mergePatch'>;
  /** Of the Secrets. */
  readonly namespace: string;
  /** Throws when the lease was lost. Asked before every write. */
  readonly assertLeading: () => void;
}

/** Something of `config/apiserver` that the controller needs and that is not there. */
export class IncompleteError extends OperatorError {
  constructor(message: string, cause?: unknown) {
    super('ENDPOINT_INCOMPLETE', message, { cause });
  }
}

const FIELD_MANAGER = 'coder-operator';

/**
 * The calls to the API server by which certificates are kept. Nothing is created: who may create Secrets could make a token
 * of any service account of the namespace. Writes fail with a Conflict when the object is not what it was. All but
 * `apiService` throw an IncompleteError for what is forbidden.
 */
export class ServingCalls {
  readonly #options: ServingCallsOptions;

  constructor(options: ServingCallsOptions) {
    this.#options = options;
  }

  /** @throws KubeError */
  async apiService(signal: AbortSignal): Promise<ApiService | undefined | 'forbidden'> {
    try {
      return await this.#options.kube.get<ApiService>(apiServices, undefined, names.apiService, { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (isForbidden(error)) return 'forbidden';
      throw error;
    }
  }

  /** @throws KubeError, IncompleteError also when one of them is not there. */
  async secrets(signal: AbortSignal): Promise<SecretPair> {
    const { kube, namespace } = this.#options;
    const read = async (name: string): Promise<Secret> => {
      const secret = await readSecret(kube, namespace, name, { signal });
      if (secret === 'forbidden') throw missingRight(`get the Secret ${namespace}/${name}`);
      if (secret === undefined)
        throw new IncompleteError(
          `there is no Secret ${namespace}/${name}; config/apiserver brings it, empty`,
        );
      return secret;
    };
    return { authority: await read(names.authoritySecret), serving: await read(names.servingSecret) };
  }

  /**
   * Puts the pair into the Secret, in the place of the one that was there before.
   *
   * @param authority the certificate that goes along for clients of the endpoint.
   * @throws KubeError, IncompleteError
   */
  async writePair(before: Secret, pair: KeyPair, signal: AbortSignal, authority?: string): Promise<Secret> {
    const { kube, namespace, assertLeading } = this.#options;
    const options = { fieldManager: FIELD_MANAGER, signal };
    assertLeading();
    return allowed(
      `update the Secret ${namespace}/${before.metadata.name}`,
      kube.replace<Secret>(secrets, withPair(before, pair, authority), options),
    );
  }

  /**
   * Writes the bundle and nothing else: whoever applies the manifest leaves it out, and so never touches it.
   *
   * @throws KubeError, IncompleteError
   */
  async writeBundle(before: ApiService, bundle: string, signal: AbortSignal): Promise<ApiService> {
    const { kube, assertLeading } = this.#options;
    const { resourceVersion } = before.metadata;
    const patch = { metadata: { resourceVersion }, spec: { caBundle: base64(bundle) } };
    const options = { fieldManager: FIELD_MANAGER, signal };
    assertLeading();
    return allowed(
      `patch the APIService ${names.apiService}`,
      kube.mergePatch<ApiService>(apiServices, undefined, names.apiService, patch, options),
    );
  }
}

async function allowed<T>(right: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isForbidden(error)) throw missingRight(right, error);
    throw error;
  }
}

function missingRight(right: string, cause?: unknown): IncompleteError {
  return new IncompleteError(`the controller may not ${right}; config/apiserver gives it that right`, cause);
}
