import { OperatorError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isForbidden, isNamespaceTerminating, isNotFound } from '../../kube/errors.ts';
import { readSecret, secrets, type Secret } from '../secrets.ts';
import type { KeyPair } from './authority.ts';
import { apiServices, base64, names, secretOf, type ApiService } from './objects.ts';

export interface ServingCallsOptions {
  readonly kube: Pick<KubeClient, 'get' | 'create' | 'replace' | 'mergePatch'>;
  /** Of the Secrets. */
  readonly namespace: string;
  /** Throws when the lease was lost. Asked before every write. */
  readonly assertLeading: () => void;
}

/** Both Secrets, each undefined when it is not there. */
export interface SecretPair {
  readonly authority: Secret | undefined;
  readonly serving: Secret | undefined;
}

/** A right that the controller needs and does not have. */
export class MissingRightError extends OperatorError {
  constructor(right: string, cause?: unknown) {
    super('MISSING_RIGHT', `the controller may not ${right}; config/apiserver gives it that right`, {
      cause,
    });
  }
}

const FIELD_MANAGER = 'coder-operator';

/**
 * The calls to the API server by which certificates are kept. Writes fail with a Conflict, or because the name is taken,
 * when the object is not what it was. All but `apiService` throw a MissingRightError for what is forbidden.
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

  /** @throws KubeError, MissingRightError */
  async secrets(signal: AbortSignal): Promise<SecretPair> {
    const { kube, namespace } = this.#options;
    const read = async (name: string): Promise<Secret | undefined> => {
      const secret = await readSecret(kube, namespace, name, { signal });
      if (secret === 'forbidden') throw new MissingRightError(`get the Secret ${namespace}/${name}`);
      return secret;
    };
    return { authority: await read(names.authoritySecret), serving: await read(names.servingSecret) };
  }

  /**
   * Creates the Secret, or replaces the pair in the one that was there before.
   *
   * @param authority the certificate that goes along for clients of the endpoint.
   * @throws KubeError, MissingRightError
   */
  async writePair(
    before: Secret | undefined,
    name: string,
    pair: KeyPair,
    signal: AbortSignal,
    authority?: string,
  ): Promise<Secret> {
    const { kube, namespace, assertLeading } = this.#options;
    const secret = secretOf(before, { namespace, name }, pair, authority);
    const options = { fieldManager: FIELD_MANAGER, signal };
    assertLeading();
    if (before === undefined) {
      return allowed(`create Secrets in ${namespace}`, kube.create<Secret>(secrets, secret, options));
    }
    return allowed(`update the Secret ${namespace}/${name}`, kube.replace<Secret>(secrets, secret, options));
  }

  /**
   * Writes the bundle and nothing else: whoever applies the manifest leaves it out, and so never touches it.
   *
   * @throws KubeError, MissingRightError
   */
  async writeBundle(
    before: ApiService | undefined,
    bundle: string,
    signal: AbortSignal,
  ): Promise<ApiService> {
    const { kube, assertLeading } = this.#options;
    const { resourceVersion } = before?.metadata ?? {};
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
    if (isForbidden(error) && !isNamespaceTerminating(error)) throw new MissingRightError(right, error);
    throw error;
  }
}
