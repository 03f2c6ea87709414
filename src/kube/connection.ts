import { Agent, ProxyAgent, type Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { configError, identityOf, type Access, type AccessSource } from './access.ts';
import { kubeconfigAccess } from './kubeconfig.ts';
import { serviceAccountAccess, type ServiceAccount } from './serviceaccount.ts';

/** How to reach one API server, and as whom. `headers` must be awaited before the other members are read. */
export interface KubeConnection {
  /** Scheme, host, port and path prefix, without a slash at the end. */
  readonly baseUrl: string;
  /** For calls: connections are kept alive, shared and bounded in number. */
  readonly dispatcher: Dispatcher;
  /** For watches: ends a stream that has been silent for too long. */
  readonly watchDispatcher: Dispatcher;
  /** Headers that say who we are. Re-reads token, certificates and kubeconfig when they may be stale. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** The credentials were refused: the next `headers` obtains fresh ones. */
  refresh(): void;
  /**
   * A call got no answer in time, or its connection broke. Whatever did that, such as a load balancer that was
   * replaced, may have done it to all connections: the next call makes a new one instead of trying each of them in
   * turn. What is under way may still end well.
   *
   * @param since when the call began, on the monotonic clock. Connections that are newer are not suspected.
   */
  suspect(since: number): void;
  /** Ends all connections, those in use as well. */
  close(): Promise<void>;
}

export interface ConnectionOptions {
  /** Path of a kubeconfig file. Left out: `serviceAccount`. */
  readonly kubeconfig?: string | undefined;
  /** Context of the kubeconfig; default its current one. */
  readonly context?: string | undefined;
  /** Of the pod that we run in. Left out, as is `kubeconfig`: there is no way to the API server. */
  readonly serviceAccount?: ServiceAccount | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Most connections for calls; default 16. More than 8 at once bring no more writes a second. */
  readonly connections?: number;
  /** Silence on a watch that means a dead peer, in milliseconds; default 110 s. Bookmarks come about every minute. */
  readonly watchInactivityMs?: number;
  /** Age at which files are read again, in milliseconds; default 30 s. Service account tokens rotate hourly. */
  readonly maxCredentialAgeMs?: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
const WATCH_HEADERS_TIMEOUT_MS = 30_000;
/** Below the idle time-out of kube-apiserver and of common load balancers, so that it is us who close. */
const KEEP_ALIVE_MS = 45_000;

/**
 * Loads the configuration and returns a connection. Proxy variables of the environment are not looked at; a proxy is
 * used when the kubeconfig names one (`proxy-url`, http or https).
 *
 * @throws OperatorError KUBE_CONFIG when the configuration cannot be read or used.
 */
export async function openConnection(options: ConnectionOptions): Promise<KubeConnection> {
  const connection = new ConfiguredConnection(options);
  await connection.headers();
  return connection;
}

interface Agents {
  /** Hash of all that went into them. */
  readonly identity: string;
  /** On the monotonic clock. */
  readonly madeAt: number;
  readonly calls: Dispatcher;
  readonly watches: Dispatcher;
}

class ConfiguredConnection implements KubeConnection {
  readonly #options: ConnectionOptions;
  readonly #source: AccessSource;
  #access: Access | undefined;
  #agents: Agents | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  readonly #retired = new Set<Dispatcher>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#source = sourceOf(options);
  }

  get baseUrl(): string {
    return loaded(this.#access).baseUrl;
  }

  get dispatcher(): Dispatcher {
    return loaded(this.#agents).calls;
  }

  get watchDispatcher(): Dispatcher {
    return loaded(this.#agents).watches;
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    const maxAge = this.#options.maxCredentialAgeMs ?? 30_000;
    if (this.#options.clock.monotonic() - this.#readAt >= maxAge) {
      this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
      await this.#reading;
    }
    return loaded(this.#access).headers;
  }

  refresh(): void {
    this.#readAt = Number.NEGATIVE_INFINITY;
    this.#source.forget();
  }

  suspect(since: number): void {
    const [agents, access] = [this.#agents, this.#access];
    if (agents === undefined || access === undefined || agents.madeAt > since) return;
    this.#replaceAgents(access, agents.identity);
  }

  async close(): Promise<void> {
    const agents = this.#agents;
    const all = [...this.#retired, ...(agents === undefined ? [] : [agents.calls, agents.watches])];
    await Promise.all(all.map((agent) => agent.destroy()));
  }

  /** A file caught half-written must not stop a running program: old credentials stay until new ones can be read. */
  async #read(): Promise<void> {
    try {
      const access = await this.#source.read();
      this.#useAgents(access);
      this.#access = access;
    } catch (error) {
      if (this.#access === undefined) throw error;
      this.#options.logger.warn('Kubernetes credentials could not be read again; the old ones stay in use', {
        error: errorText(error),
      });
    }
    this.#readAt = this.#options.clock.monotonic();
  }

  #useAgents(access: Access): void {
    const identity = identityOf(access);
    if (this.#agents?.identity !== identity) this.#replaceAgents(access, identity);
  }

  #replaceAgents(access: Access, identity: string): void {
    const old = this.#agents;
    const { clock, connections = 16, watchInactivityMs = 110_000 } = this.#options;
    this.#agents = {
      identity,
      madeAt: clock.monotonic(),
      calls: newAgent(access, { connections }),
      watches: newAgent(access, {
        headersTimeout: WATCH_HEADERS_TIMEOUT_MS,
        bodyTimeout: watchInactivityMs,
      }),
    };
    if (old === undefined) return;
    for (const agent of [old.calls, old.watches]) {
      // Calls and watches under way may finish on what they began with.
      this.#retired.add(agent);
      agent.close(() => this.#retired.delete(agent));
    }
  }
}

function loaded<T>(value: T | undefined): T {
  if (value === undefined) throw configError('the connection is used before its credentials were read');
  return value;
}

function sourceOf({ kubeconfig, context, serviceAccount }: ConnectionOptions): AccessSource {
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig, context);
  if (serviceAccount !== undefined) return serviceAccountAccess(serviceAccount);
  throw configError('not running in a pod (no KUBERNETES_SERVICE_HOST) and no kubeconfig was given');
}

/** HTTP/1.1 said outright: newer transports would switch to HTTP/2 and share one connection among all calls. */
function newAgent(access: Access, options: Agent.Options): Dispatcher {
  const common: Agent.Options = { keepAliveTimeout: KEEP_ALIVE_MS, allowH2: false, ...options };
  const connect = {
    ...access.tls,
    timeout: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  };
  if (access.proxy === undefined) return new Agent({ ...common, connect });
  const scheme = URL.canParse(access.proxy) ? new URL(access.proxy).protocol : '';
  if (scheme !== 'http:' && scheme !== 'https:') {
    throw configError(`the proxy-url must be http or https, not ${scheme === '' ? 'what it is' : scheme}`);
  }
  return new ProxyAgent({ ...common, uri: access.proxy, requestTls: connect });
}
