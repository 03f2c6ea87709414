import { annotations, controlPlanes, finalizers, type CoderControlPlane } from '../../api/kinds.ts';
import { pollIntervalOf } from '../../api/effective.ts';
import type { ResourceType } from '../../api/meta.ts';
import { OperatorError } from '../../base/errors.ts';
import { CoderClient, type CoderClientOptions } from '../../coder/client.ts';
import { CoderError } from '../../coder/errors.ts';
import { isForbidden, isNotFound } from '../../kube/errors.ts';
import { passContext, type Context } from '../context.ts';
import { runPass } from '../pass.ts';
import type { Rest } from '../step.ts';
import { credentialsIn, forbidden, type Credentials, type Secret, type SecretFact } from './credentials.ts';
import { decideControlPlane } from './decide.ts';
import type {
  ControlPlaneDraft,
  ControlPlaneFactName,
  ControlPlaneFacts,
  ControlPlaneInput,
  HandshakeFact,
} from './input.ts';

export interface ControlPlaneReconcilerOptions {
  readonly context: Context;
  /** What every Coder client is made with; the rest comes from the Secret. */
  readonly coder: Pick<CoderClientOptions, 'policy' | 'timeoutMs' | 'onRequest' | 'userAgent'>;
  /** Name of an older control plane of the same namespace. */
  readonly olderOne: (object: CoderControlPlane) => string | undefined;
  /** Whether this very object is still there. */
  readonly isThere: (object: CoderControlPlane) => boolean;
  /** Objects of the namespace that hold one of our finalizers. */
  readonly held: (namespace: string) => ControlPlaneFacts['held'];
}

const secrets: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'secrets',
  kind: 'Secret',
  namespaced: true,
};

interface KnownHandshake {
  readonly credentials: Credentials;
  readonly fact: Extract<HandshakeFact, { state: 'connected' }>;
  /** By the monotonic clock. */
  readonly at: number;
}

/**
 * For so long a handshake counts: many things may ask for a look at the control plane within a second, and Coder limits
 * how often it says who we are.
 */
const HANDSHAKE_COUNTS_MS = 3_000;

interface KnownClient {
  readonly credentials: Credentials;
  readonly client: CoderClient;
}

/** Keeps the connection of a namespace: reads the Secret, makes itself known to Coder, and tells everybody else. */
export class ControlPlaneReconciler {
  readonly #options: ControlPlaneReconcilerOptions;
  /** By namespace: a client lives as long as its credentials do not change. */
  readonly #clients = new Map<string, KnownClient>();
  /** The last one that worked, by namespace. */
  readonly #handshakes = new Map<string, KnownHandshake>();

  constructor(options: ControlPlaneReconcilerOptions) {
    this.#options = options;
  }

  /** One pass. @throws KubeError when our copy of the object was stale. */
  async reconcile(object: CoderControlPlane): Promise<Rest | undefined> {
    const { context, olderOne, held } = this.#options;
    const namespace = object.metadata.namespace ?? '';
    const older = olderOne(object);
    let last: ControlPlaneInput = {
      object,
      facts: { olderOne: older, held: held(namespace) },
      now: new Date(context.clock.now()),
    };
    const rest = await runPass<ControlPlaneInput, ControlPlaneFactName, never, ControlPlaneDraft>(last, {
      resource: controlPlanes,
      finalizer: finalizers.controlPlane,
      decide: (input) => {
        last = input;
        return decideControlPlane(input);
      },
      read: async (input, fact) => ({
        ...input,
        facts: { ...input.facts, ...(await this.#read(input, fact)) },
      }),
      perform: (input) => Promise.resolve(input),
      announce: () => ({ type: 'None' }),
      onFailure: (input) => ({ do: 'report', status: input.object.status ?? {}, rest: { until: 'backoff' } }),
      ...passContext(context),
    });
    this.#tell(namespace, last);
    return rest;
  }

  /** The control plane is gone: so is the connection. */
  forget(object: CoderControlPlane): void {
    const namespace = object.metadata.namespace ?? '';
    this.#clients.delete(namespace);
    this.#handshakes.delete(namespace);
    this.#options.context.connections.drop(namespace);
  }

  /** What was learnt of the connection, for all objects of the namespace. */
  #tell(namespace: string, { object, facts }: ControlPlaneInput): void {
    const { connections } = this.#options.context;
    const name = object.metadata.name;
    const { secret, handshake } = facts;
    // It may have been deleted while Coder was asked.
    if (!this.#options.isThere(object) || facts.olderOne !== undefined || secret === undefined) return;
    if (secret.state !== 'read') {
      connections.failed(namespace, name, secret.cause);
      return;
    }
    if (handshake === undefined) return;
    switch (handshake.state) {
      case 'connected': {
        const client = this.#clients.get(namespace)?.client;
        if (client === undefined) throw new TypeError('There is no handshake without a client');
        connections.connected(namespace, name, {
          client,
          fact: { deploymentID: handshake.deploymentID, userID: handshake.user.id, url: handshake.url },
          pollIntervalMs: pollIntervalOf(object.spec),
        });
        break;
      }
      case 'otherDeployment':
        connections.failed(namespace, name, {
          reason: 'DeploymentMismatch',
          message: `${handshake.url} is another Coder deployment (${handshake.deploymentID}) than before`,
        });
        break;
      case 'unusable':
        connections.failed(namespace, name, { reason: 'InvalidCredentials', message: handshake.message });
        break;
      case 'failed':
        connections.failed(namespace, name, {
          reason: 'CoderUnreachable',
          message: handshake.error.message,
        });
        break;
    }
  }

  async #read(input: ControlPlaneInput, fact: ControlPlaneFactName): Promise<Partial<ControlPlaneFacts>> {
    if (fact === 'secret') return { secret: await this.#readSecret(input.object) };
    const { secret } = input.facts;
    if (secret?.state !== 'read') throw new TypeError('There is no handshake without credentials');
    return { handshake: await this.#shakeHands(input.object, secret.credentials) };
  }

  async #readSecret(object: CoderControlPlane): Promise<SecretFact> {
    const namespace = object.metadata.namespace ?? '';
    const name = object.spec.credentialsSecretRef.name;
    try {
      return credentialsIn(await this.#options.context.kube.get<Secret>(secrets, namespace, name), name);
    } catch (error) {
      if (isNotFound(error)) return credentialsIn(undefined, name);
      if (isForbidden(error)) return forbidden(name, namespace);
      throw error;
    }
  }

  /** The part that needs no token first: the token goes to the deployment that it was meant for and to no other. */
  async #shakeHands(object: CoderControlPlane, credentials: Credentials): Promise<HandshakeFact> {
    const { signal } = this.#options.context;
    const expected = object.status?.deploymentID;
    const accepted = object.metadata.annotations?.[annotations.acceptDeployment];
    const namespace = object.metadata.namespace ?? '';
    const known = this.#handshakes.get(namespace);
    const now = this.#options.context.clock.monotonic();
    const isRecent = known !== undefined && now - known.at < HANDSHAKE_COUNTS_MS;
    if (isRecent && sameCredentials(known.credentials, credentials) && known.fact.deploymentID === expected) {
      return known.fact;
    }
    try {
      const client = this.#client(namespace, credentials);
      const url = credentials.url.replace(/\/+$/, '');
      const info = await client.buildInfo({ signal, counted: false });
      const deploymentID = info.deployment_id;
      const { version } = info;
      if (expected !== undefined && expected !== deploymentID && accepted !== deploymentID) {
        return { state: 'otherDeployment', url, version, deploymentID };
      }
      const me = await client.me({ signal, counted: false });
      const user = { id: me.id, name: me.username };
      const fact = { state: 'connected' as const, url, version, deploymentID, user };
      this.#handshakes.set(namespace, { credentials, fact, at: now });
      return fact;
    } catch (error) {
      this.#handshakes.delete(namespace);
      // It is this process that ends: nothing was learnt of Coder.
      if (error instanceof CoderError && error.kind === 'Aborted') throw error;
      if (error instanceof CoderError) return { state: 'failed', error };
      // An address, token or certificate that cannot be used at all.
      if (error instanceof OperatorError) return { state: 'unusable', message: error.message };
      throw error;
    }
  }

  #client(namespace: string, credentials: Credentials): CoderClient {
    const known = this.#clients.get(namespace);
    if (known !== undefined && sameCredentials(known.credentials, credentials)) return known.client;
    const { url, token, caCertificates } = credentials;
    const client = new CoderClient({
      ...this.#options.coder,
      url,
      token,
      ...(caCertificates === undefined ? {} : { caCertificates }),
      clock: this.#options.context.clock,
    });
    this.#clients.set(namespace, { credentials, client });
    return client;
  }
}

function sameCredentials(a: Credentials, b: Credentials): boolean {
  return a.url === b.url && a.token === b.token && a.caCertificates === b.caCertificates;
}
