import { mirrorLabels } from '../../../src/api/mirrors.ts';
import type { KubeObject } from '../../../src/api/meta.ts';
import { errorText } from '../../../src/base/errors.ts';
import { SCRIPTED_TOKEN } from '../coder/server.ts';
import { assertConditions, kstatusOf, type ConditionedStatus } from '../conditions.ts';
import { GATEWAY_CANARY, type Call } from './wire.ts';
import type { World } from './world.ts';

/** A value from a Secret, in workloads that have one. */
export const VALUE_CANARY = 'canary-of-a-value-51c8';
/** A token that Coder does not know. */
export const TOKEN_CANARY = 'wrongtoken-canary0123456789abcdefghij';

const CANARIES = [GATEWAY_CANARY, VALUE_CANARY, TOKEN_CANARY, SCRIPTED_TOKEN];

interface Reported extends KubeObject {
  readonly spec?: object;
  readonly status?: ConditionedStatus & {
    readonly id?: string;
    readonly pendingOperation?: { readonly id?: string };
  };
}

/** Rules that hold at every moment of every run, whatever breaks; it is shown each request and keeps what breaks one. */
export class Oracles {
  readonly violations: string[] = [];
  /** Every object of ours as the API server last gave it to the operator, by kind and name. */
  readonly #objects = new Map<string, Reported>();
  /** How many builds each announcement has led to. */
  readonly #builds = new Map<string, number>();

  /** The server has acted on a request of the operator. */
  answered(call: Call): void {
    if (call.code === undefined || call.code >= 300) return;
    if (call.side === 'kube') this.#kube(call);
    else this.#coder(call);
  }

  /** What people can read of a run, when it is over. */
  read(world: World): void {
    const texts: readonly (readonly [string, string])[] = [
      ...world.kubeWire.calls.map((c) => [`the body of ${c.key}`, c.request.body.toString()] as const),
      ...world.log.map((line) => ['the log', line] as const),
      ...world.metrics.map((line) => ['a metric', line] as const),
    ];
    for (const [where, text] of texts) {
      const shown = CANARIES.find((canary) => text.includes(canary));
      if (shown !== undefined) this.#violated(`${where} shows ${shown}: ${text.slice(0, 500)}`);
    }
    for (const violation of world.coder.violations) this.#violated(`Coder was asked: ${violation}`);
    this.violations.push(...world.faults);
  }

  #kube(call: Call): void {
    const [, kind = '', name = '', subresource] =
      /^\w+-(ccp|ctpl|cws)\/([^/]+)(\/status)?$/.exec(call.key) ?? [];
    if (kind === '') return;
    const known = this.#objects.get(`${kind}/${name}`);
    if (call.request.method === 'DELETE') {
      this.#objects.delete(`${kind}/${name}`);
      if (known !== undefined && !isLabelled(known)) this.#violated(`${call.key} of a user's object`);
      return;
    }
    const object = call.answer as Reported;
    this.#objects.set(`${kind}/${name}`, object);
    if (subresource !== undefined) this.#status(call, object);
    else if (call.request.method !== 'POST') this.#metadata(call, object);
  }

  #status(call: Call, object: Reported): void {
    const { status, metadata } = object;
    try {
      assertConditions(status, metadata.generation ?? 0);
    } catch (error) {
      this.#violated(`${call.key} ${call.occurrence}: ${errorText(error)}`);
    }
    if (
      status?.pendingOperation !== undefined &&
      isCreatingOrBuilding(status) &&
      kstatusOf(object) === 'Current'
    ) {
      this.#violated(
        `${call.key} ${call.occurrence}: Current while an operation is open: ${JSON.stringify(status)}`,
      );
    }
  }

  /** Finalizers are ours, labels only on mirrors and on what was one. */
  #metadata(call: Call, object: Reported): void {
    const { metadata = {}, ...rest } = JSON.parse(call.request.body.toString()) as {
      readonly metadata?: Readonly<Record<string, unknown>>;
    };
    const others = Object.keys(metadata).filter(
      (key) => !['finalizers', 'resourceVersion', 'uid'].includes(key),
    );
    const labels = Object.entries((metadata['labels'] ?? {}) as Readonly<Record<string, string | null>>);
    const ours: readonly string[] = Object.values(mirrorLabels);
    const isAllowed = (key: string): boolean =>
      key === 'labels' &&
      labels.every(([name, value]) => ours.includes(name) && (value === null || isLabelled(object)));
    const isOnlyMetadata = Object.keys(rest).every((key) => key === 'apiVersion' || key === 'kind');
    if (!isOnlyMetadata || !others.every(isAllowed)) {
      this.#violated(`${call.key} writes what is the user's: ${call.request.body.toString()}`);
    }
  }

  #coder(call: Call): void {
    const isCreation = call.key.startsWith('POST-workspaces/');
    if (!isCreation && !call.key.startsWith('POST-builds/')) return;
    const { path, body } = call.request;
    const id = path.split('/').at(-2);
    const { name } = JSON.parse(body.toString()) as { readonly name?: string };
    const object = [...this.#objects.values()].find((o) =>
      isCreation ? o.metadata.name.endsWith(`.${name ?? ''}`) : o.status?.id === id,
    );
    const intent = object?.status?.pendingOperation?.id;
    if (intent === undefined) {
      this.#violated(`${call.key} ${call.occurrence} was not announced`);
      return;
    }
    const count = (this.#builds.get(intent) ?? 0) + 1;
    this.#builds.set(intent, count);
    if (count > 1) this.#violated(`${call.key} ${call.occurrence} is build ${count} of one announcement`);
  }

  #violated(what: string): void {
    this.violations.push(what);
  }
}

function isLabelled({ metadata }: KubeObject): boolean {
  return metadata.labels?.[mirrorLabels.mirror] === 'true';
}

/** Settings are sent while a workspace is as it was: it may be said to be Ready meanwhile. */
function isCreatingOrBuilding(status: object): boolean {
  const { type = '' } = (status as { readonly pendingOperation: { readonly type?: string } })
    .pendingOperation;
  return ['Create', 'Start', 'Stop', 'Delete'].includes(type);
}
