import type { Clock } from '../../base/clock.ts';
import { silentLogger, type Logger } from '../../base/logger.ts';
import { apiVersionOf } from '../../kube/objects.ts';
import { negotiate } from '../http/negotiate.ts';
import { Pacer } from '../http/pacer.ts';
import { StatusError } from '../http/status.ts';
import type { Answer, ApiRequest, Handler } from '../http/types.ts';
import type { ViewStore } from '../store/types.ts';
import { LiveReads, type LiveRead } from './live.ts';
import type { ReadingMetrics } from './metrics.ts';
import { readListOptions, readVersion } from './options.ts';
import { notSynced, qualified } from './refusals.ts';
import { ResourceReader } from './resource.ts';
import { shapeOf } from './shapes.ts';
import { warningHeaders } from './warnings.ts';

export interface ReadingHandlerOptions {
  /** By plural. */
  readonly stores: ReadonlyMap<string, ViewStore>;
  readonly live: LiveRead;
  /** What a reader of a namespace, or of all, has to be warned of. */
  readonly warnings: (namespace: string | undefined, read: WarnedRead) => readonly string[];
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly metrics: ReadingMetrics;
  readonly logger?: Logger;
}

/** What else of a read warnings go by. */
export interface WarnedRead {
  readonly plural: string;
  /** Everything in the namespace, or of all, was asked for: no name and no selector. */
  readonly isWhole: boolean;
  /**
   * It stays within one namespace, by its path, or because it may read all and asks for that one. Not so with a name in all
   * namespaces: the right to that tells nothing of the others' objects.
   */
  readonly isWithinNamespace: boolean;
}

const READING = new Set(['get', 'list', 'watch']);

/** Answers get, list and watch of the resources from memory, and says of everything else how it can be done. */
export class ReadingHandler implements Handler {
  readonly #options: ReadingHandlerOptions;
  readonly #readers: ReadonlyMap<string, ResourceReader>;

  constructor(options: ReadingHandlerOptions) {
    this.#options = options;
    const { live: read, clock, random, metrics, logger = silentLogger } = options;
    const live = new LiveReads({ read, metrics });
    const pacer = new Pacer(clock);
    this.#readers = new Map(
      [...options.stores].map(([plural, store]) => [
        plural,
        new ResourceReader({ store, live, pacer, clock, random, metrics, logger }),
      ]),
    );
  }

  /** @throws StatusError */
  async handle(request: ApiRequest): Promise<Answer> {
    const { info, query, signal } = request;
    const { resource, name, namespace, verb } = info;
    const reader = this.#readers.get(resource);
    const store = this.#options.stores.get(resource);
    if (reader === undefined || store === undefined || !isOf(store, request)) throw unknownResource(request);
    if (!READING.has(verb)) throw onlyReading(store, request);
    // Every object is in a namespace: a name alone is none.
    if (info.subresource !== '' || (verb === 'get' && namespace === '')) throw unknownResource(request);
    if (!store.synced) throw notSynced(store.kind.resource);
    const shape = shapeOf(
      negotiate(request.accept, {
        userAgent: request.userAgent,
        pretty: query.get('pretty'),
        isList: verb === 'list',
        isWatch: verb === 'watch',
        allowTransforms: true,
      }),
      query,
    );
    if (verb === 'get') {
      const read = { plural: resource, isWhole: false, isWithinNamespace: true };
      const headers = this.#headers(namespace, read);
      const version = readVersion(query.get('resourceVersion') ?? '') ?? 0n;
      return { code: 200, headers, body: await reader.get({ namespace, name }, version, shape, signal) };
    }
    const options = readListOptions(query, info, store.kind);
    const { selection } = options;
    const isOfNamespace = selection.namespace !== undefined && selection.name === undefined;
    const read = {
      plural: resource,
      isWhole: selection.isWhole,
      isWithinNamespace: namespace !== '' || isOfNamespace,
    };
    const headers = this.#headers(selection.namespace, read);
    if (verb === 'list') return { code: 200, headers, body: await reader.list(options, shape, signal) };
    return { headers, start: (sink) => reader.watch(options, shape, sink) };
  }

  /** Ends all timers. Watches end with their streams. */
  close(): void {
    for (const reader of this.#readers.values()) reader.close();
  }

  #headers(namespace: string | undefined, read: WarnedRead): Record<string, readonly string[]> {
    const warnings = warningHeaders(this.#options.warnings(namespace, read));
    return warnings.length === 0 ? {} : { warning: warnings };
  }
}

function isOf({ kind: { resource } }: ViewStore, { info }: ApiRequest): boolean {
  return info.apiGroup === resource.group && info.apiVersion === resource.version;
}

function unknownResource({ info }: ApiRequest): StatusError {
  return new StatusError('NotFound', 'the server could not find the requested resource', {
    details: { ...(info.name === '' ? {} : { name: info.name }), group: info.apiGroup, kind: info.resource },
  });
}

/** Every change is made to the object of coder.com that is shown here: the answer says to which, and how. */
function onlyReading({ kind: { resource, source } }: ViewStore, { info, method }: ApiRequest): StatusError {
  const verb = info.verb === '' ? method : info.verb;
  const place = info.namespace === '' ? '' : ` -n ${info.namespace}`;
  const object = `${qualified(source)}${info.name === '' ? '' : ` ${info.name}`}${place}`;
  const how = {
    create: `kubectl create${place} -f FILE, with apiVersion ${apiVersionOf(source)}`,
    delete: `kubectl delete ${object}`,
    deletecollection: `kubectl delete ${object}`,
  }[verb];
  const message =
    `${verb} is not supported on resources of kind "${qualified(resource)}", which show those of ` +
    `${qualified(source)}; change these instead: ${how ?? `kubectl edit ${object}`}`;
  return new StatusError('MethodNotAllowed', message, {
    details: { group: resource.group, kind: resource.plural },
    headers: { allow: 'GET' },
  });
}
