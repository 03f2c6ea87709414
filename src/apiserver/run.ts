import type { Registry } from 'prom-client';
import { controlPlanes, type CoderControlPlane } from '../api/kinds.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { untilAborted } from '../kube/deadline.ts';
import { isNotFound } from '../kube/errors.ts';
import { Reflector, type ReflectorSink } from '../kube/reflector.ts';
import { Store } from '../kube/store.ts';
import { DelegatedAuthenticator } from './auth/authenticate.ts';
import { DelegatedAuthorizer } from './auth/authorize.ts';
import { FrontProxy } from './auth/frontproxy.ts';
import { Tokens } from './auth/token.ts';
import { TrustWatch } from './auth/trustwatch.ts';
import { CertificateFiles } from './certificates.ts';
import { DiscoveryHandler } from './discovery/handler.ts';
import { createAuthMetrics } from './http/authmetrics.ts';
import { createHttpMetrics } from './http/metrics.ts';
import { ApiServer } from './http/server.ts';
import { ReadingHandler } from './reading/handler.ts';
import type { LiveRead } from './reading/live.ts';
import { createReadingMetrics } from './reading/metrics.ts';
import { Silence } from './silence.ts';
import { ObjectStore } from './store/store.ts';
import { registerSilenceMetric, registerStoreMetrics } from './storemetrics.ts';
import { unsyncedWarnings } from './unsynced.ts';
import { viewKinds } from './view/kinds.ts';

export interface RunApiServerOptions {
  readonly kube: KubeClient;
  readonly listen: { readonly host: string; readonly port: number };
  /** Folder with `tls.crt` and `tls.key`. */
  readonly certDir: string;
  /** How long to go on serving after the signal, in milliseconds, until nobody sends new requests. */
  readonly drainDelayMs: number;
  /** Requests at the same time, watches aside. */
  readonly maxRequests: number;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told the port once it listens. */
  readonly onListening?: (port: number) => void;
}

/** Readers see what a replica has: after a break it must not lag behind for half a minute. */
const MAX_BACKOFF_MS = 5_000;

/**
 * Runs one replica of the endpoint until the signal aborts, and then lets it leave without a failed request. It reads
 * the objects of coder.com and nothing else but whom to trust; it writes nothing.
 */
export async function runApiServer(options: RunApiServerOptions, signal: AbortSignal): Promise<void> {
  const { kube, clock, logger, registry, listen } = options;
  const ended = new AbortController();
  const stores = viewKinds.map((kind) => new ObjectStore({ kind, clock, logger }));
  const planes = new Store<CoderControlPlane>({
    indexers: { namespace: ({ metadata }) => [metadata.namespace ?? ''] },
    logger,
  });
  const reflectorOf = <T extends KubeObject, Item>(
    resource: ResourceType,
    store: ReflectorSink<T, Item>,
  ): Reflector<T, Item> =>
    new Reflector({ client: kube, resource, store, clock, logger, maxBackoffMs: MAX_BACKOFF_MS });
  const reflectors = new Map<string, Pick<Reflector<KubeObject>, 'run' | 'stats'>>([
    [controlPlanes.plural, reflectorOf(controlPlanes, planes)],
    ...stores.map((store) => [store.kind.resource.plural, reflectorOf(store.kind.source, store)] as const),
  ]);
  const silence = new Silence({ clock, followed: reflectors });
  const trust = new TrustWatch({ client: kube, clock, logger });
  const certificates = new CertificateFiles({ folder: options.certDir, clock, logger });
  const metrics = createAuthMetrics(registry);
  registerStoreMetrics(registry, stores);
  registerSilenceMetric(registry, silence);
  const resources = new ReadingHandler({
    stores: new Map(stores.map((store) => [store.kind.resource.plural, store])),
    live: liveFrom(kube),
    warnings: (namespace, { plural, isWhole, isWithinNamespace }) => {
      const read = namespace === undefined ? planes.list() : planes.byIndex('namespace', namespace);
      return [
        ...silence.warnings(plural),
        ...unsyncedWarnings(read, { named: isWhole || isWithinNamespace }),
      ];
    },
    clock,
    random: Math.random,
    metrics: createReadingMetrics(registry),
    logger,
  });
  const server = new ApiServer({
    authenticator: new DelegatedAuthenticator({
      frontProxy: new FrontProxy({ trust, clock, logger, metrics }),
      tokens: new Tokens({ client: kube, clock, logger, metrics }),
      clock,
      logger,
      metrics,
    }),
    authorizer: new DelegatedAuthorizer({ client: kube, clock, logger, metrics }),
    resources,
    discovery: new DiscoveryHandler(),
    checks: [
      { name: 'certificate', isReady: () => certificates.current() !== undefined },
      { name: 'front-proxy-trust', isReady: () => trust.isRead },
      ...stores.map((store) => ({ name: store.kind.resource.plural, isReady: () => store.synced })),
      { name: controlPlanes.plural, isReady: () => planes.synced },
    ],
    certificates,
    clock,
    logger,
    metrics: createHttpMetrics(registry),
    limits: { inFlight: options.maxRequests },
  });
  const running = [
    trust.run(ended.signal),
    certificates.run(ended.signal),
    ...[...reflectors.values()].map((reflector) => reflector.run(ended.signal)),
  ];
  try {
    const port = await server.listen(listen.host, listen.port);
    logger.info('serving the endpoint', { host: listen.host, port });
    options.onListening?.(port);
    await untilAborted(signal);
    await server.drain({ delayMs: options.drainDelayMs });
  } finally {
    ended.abort();
    resources.close();
    await server.close();
    await Promise.all(running);
  }
}

/** One object from the API server itself; undefined when there is none. */
function liveFrom(kube: KubeClient): LiveRead {
  return async (kind, namespace, name, signal) => {
    try {
      return await kube.get(kind.source, namespace, name, { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
}
