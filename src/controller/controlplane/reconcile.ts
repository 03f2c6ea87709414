import type { Cause } from '../../api/conditions.ts';
import { pollIntervalOf } from '../../api/effective.ts';
import { controlPlanes, finalizers, type CoderControlPlane } from '../../api/kinds.ts';
import { CoderClient, type CoderClientOptions } from '../../coder/client.ts';
import { passContext, type Context } from '../context.ts';
import { failureOf } from '../failure.ts';
import { runPass } from '../pass.ts';
import { readSecret } from '../secrets.ts';
import { settleMs } from '../settings.ts';
import type { Rest } from '../step.ts';
import { Counting, type Counts } from './counts.ts';
import { credentialsIn, forbidden, type SecretFact } from './credentials.ts';
import { decideControlPlane } from './decide.ts';
import { Handshakes } from './handshake.ts';
import type {
  ConnectedHandshake,
  ControlPlaneDraft,
  ControlPlaneFactName,
  ControlPlaneFacts,
  ControlPlaneInput,
} from './input.ts';
import { connectedFact, permissionsOf } from './permissions.ts';

export interface ControlPlaneReconcilerOptions {
  readonly context: Context;
  /** What every Coder client is made with; the rest comes from the Secret and the spec. */
  readonly coder: Pick<CoderClientOptions, 'policy' | 'timeoutMs' | 'onRequest' | 'userAgent'>;
  /** Makes a client. Default: a real one. */
  readonly makeClient?: (options: CoderClientOptions) => CoderClient;
  /** Name of an older control plane of the same namespace. */
  readonly olderOne: (object: CoderControlPlane) => string | undefined;
  /** Whether this very object is still there. */
  readonly isThere: (object: CoderControlPlane) => boolean;
  /** Objects of the namespace that hold one of our finalizers. */
  readonly held: (namespace: string) => ControlPlaneFacts['held'];
  /** How much of Coder objects of the operator's own show, and how much none can. */
  readonly mirrored: (namespace: string) => Required<Pick<Counts, 'mirrored' | 'unmirrored'>> | undefined;
  /** What a person should know of how Coder is looked at, in sentences. */
  readonly remarks: (object: CoderControlPlane) => readonly string[];
}

/** Keeps the connection of a namespace: reads the Secret, makes itself known to Coder, and tells everybody else. */
export class ControlPlaneReconciler {
  readonly #options: ControlPlaneReconcilerOptions;
  readonly #handshakes: Handshakes;
  readonly #counting: Counting;

  constructor(options: ControlPlaneReconcilerOptions) {
    this.#options = options;
    const { clock, signal, settings } = options.context;
    const makeClient =
      options.makeClient ?? ((made: CoderClientOptions): CoderClient => new CoderClient(made));
    this.#counting = new Counting(clock);
    this.#handshakes = new Handshakes({
      clock,
      signal,
      makeClient: ({ caCertificates, ...wish }) =>
        makeClient({
          ...options.coder,
          ...wish,
          ...(caCertificates === undefined ? {} : { caCertificates }),
          clock,
        }),
      graceMs: settleMs(settings),
    });
  }

  /** One pass. @throws KubeError when our copy of the object was stale. */
  async reconcile(object: CoderControlPlane): Promise<Rest | undefined> {
    const { context, olderOne, held } = this.#options;
    const namespace = object.metadata.namespace ?? '';
    let last: ControlPlaneInput = {
      object,
      facts: {
        olderOne: olderOne(object),
        held: held(namespace),
        lastDeletion: context.deletions.lastAskedFor(namespace),
        counts: this.#counts(object),
        remarks: this.#options.remarks(object),
      },
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
    this.#options.context.connections.drop(namespace);
    this.#handshakes.forget(namespace);
    this.#counting.forget(namespace);
  }

  /** Ends every client that was made, when nothing works on any more. */
  close(): void {
    this.#handshakes.close();
  }

  /** What was learnt of the connection, for all objects of the namespace. */
  #tell(namespace: string, { object, facts }: ControlPlaneInput): void {
    const { secret, handshake } = facts;
    // It may have been deleted while Coder was asked.
    if (!this.#options.isThere(object) || facts.olderOne !== undefined || secret === undefined) return;
    const failed = (cause: Cause, isReached = false): void =>
      connections.failed(namespace, object.metadata.name, cause, {
        permissions: permissionsOf(object.spec),
        isReached,
      });
    const { connections } = this.#options.context;
    if (secret.state !== 'read') {
      failed(secret.cause);
      return;
    }
    switch (handshake?.state) {
      case 'connected':
        this.#tellConnected(object, handshake);
        break;
      case 'former':
        this.#tellConnected(object, handshake.former);
        break;
      case 'otherDeployment':
        failed({
          reason: 'DeploymentMismatch',
          message: `${handshake.url} is another Coder deployment (${handshake.deploymentID}) than before`,
        });
        break;
      case 'unusable':
        failed({ reason: 'InvalidCredentials', message: handshake.message });
        break;
      case 'failed':
        failed(
          { reason: 'CoderUnreachable', message: handshake.error.message },
          !failureOf(handshake.error).isOfConnection,
        );
        break;
      case undefined:
        break;
    }
  }

  #tellConnected(object: CoderControlPlane, handshake: ConnectedHandshake): void {
    const { name, namespace = '' } = object.metadata;
    const client = this.#handshakes.client(namespace);
    if (client === undefined) throw new TypeError('There is no handshake without a client');
    this.#options.context.connections.connected(namespace, name, {
      client,
      fact: connectedFact(object, handshake),
      pollIntervalMs: pollIntervalOf(object.spec),
      maxConcurrentBuilds: object.spec.maxConcurrentBuilds,
    });
  }

  #counts({ metadata, spec }: CoderControlPlane): ControlPlaneFacts['counts'] {
    const { namespace = '' } = metadata;
    const everything = this.#options.context.connections.live(namespace)?.observer.everything;
    const { scope } = permissionsOf(spec);
    return this.#counting.count(namespace, scope, everything, pollIntervalOf(spec), () =>
      this.#options.mirrored(namespace),
    );
  }

  async #read(input: ControlPlaneInput, fact: ControlPlaneFactName): Promise<Partial<ControlPlaneFacts>> {
    if (fact === 'secret') return { secret: await this.#readSecret(input.object) };
    const { secret } = input.facts;
    if (secret?.state !== 'read') throw new TypeError('There is no handshake without credentials');
    return { handshake: await this.#handshakes.shake(input.object, secret.credentials) };
  }

  async #readSecret(object: CoderControlPlane): Promise<SecretFact> {
    const namespace = object.metadata.namespace ?? '';
    const { name } = object.spec.credentialsSecretRef;
    const { kube, signal } = this.#options.context;
    const secret = await readSecret(kube, namespace, name, { signal });
    return secret === 'forbidden' ? forbidden(name, namespace) : credentialsIn(secret, name);
  }
}
