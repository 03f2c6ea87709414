import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, ProxyAgent, type Dispatcher } from 'undici';
import { parse } from 'yaml';
import type { Clock } from '../base/clock.ts';
import { errorText, OperatorError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';

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
  /** Path of a kubeconfig file. Left out: the service account of the pod we run in. */
  readonly kubeconfig?: string | undefined;
  /** Context of the kubeconfig; default its current one. */
  readonly context?: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Most connections for calls; default 16. More than 8 at once bring no more writes a second. */
  readonly connections?: number;
  /** Silence on a watch that means a dead peer, in milliseconds; default 110 s. Bookmarks come about every minute. */
  readonly watchInactivityMs?: number;
  /** Age at which files are read again, in milliseconds; default 30 s. Service account tokens rotate hourly. */
  readonly maxCredentialAgeMs?: number;
  /** Put before the paths of the service account's files; for tests. */
  readonly inClusterRoot?: string;
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

type TlsOptions = Pick<
  RequestOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'rejectUnauthorized'
> & {
  readonly servername?: string;
};

interface Access {
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions;
  readonly proxy: string | undefined;
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
  #config: { readonly source: string; readonly kubeConfig: KubeConfig } | undefined;
  #access: Access | undefined;
  #agents: Agents | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  readonly #retired = new Set<Dispatcher>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
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
    // A new KubeConfig also forgets the credential that an exec plugin gave us.
    this.#config = undefined;
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
      const access = await accessOf(await this.#loadConfig());
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

  async #loadConfig(): Promise<KubeConfig> {
    const { kubeconfig, context, inClusterRoot } = this.#options;
    if (kubeconfig === undefined) {
      this.#config ??= { source: '', kubeConfig: inClusterConfig(inClusterRoot) };
      return this.#config.kubeConfig;
    }
    const source = await readFile(kubeconfig, 'utf8').catch((error: unknown) => {
      throw configError(`kubeconfig ${kubeconfig} cannot be read: ${errorText(error)}`, error);
    });
    if (this.#config?.source !== source) {
      this.#config = { source, kubeConfig: parseKubeconfig(source, kubeconfig, context) };
    }
    return this.#config.kubeConfig;
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

function configError(message: string, cause?: unknown): OperatorError {
  return new OperatorError('KUBE_CONFIG', `Kubernetes configuration: ${message}`, { cause });
}

function inClusterConfig(root: string | undefined): KubeConfig {
  const config = new KubeConfig();
  config.loadFromCluster(root);
  if (!URL.canParse(config.getCurrentCluster()?.server ?? '')) {
    throw configError('not running in a pod (no KUBERNETES_SERVICE_HOST) and no kubeconfig was given');
  }
  return config;
}

function parseKubeconfig(source: string, path: string, context: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromString(source);
    config.makePathsAbsolute(dirname(path));
    addTokenFiles(config, source, dirname(path));
  } catch (error) {
    throw configError(`kubeconfig ${path} is not valid: ${errorText(error)}`, error);
  }
  if (context !== undefined) config.setCurrentContext(context);
  if (config.getCurrentCluster() === null) {
    throw configError(`kubeconfig ${path} has no cluster for the context ${config.getCurrentContext()}`);
  }
  return config;
}

/** The library does not know the field `tokenFile` of a user, though it can re-read such a file. */
function addTokenFiles(config: KubeConfig, source: string, folder: string): void {
  const raw = parse(source) as {
    readonly users?: readonly { readonly name: string; readonly user?: { readonly tokenFile?: string } }[];
  } | null;
  config.users = config.users.map((user) => {
    const tokenFile = raw?.users?.find((candidate) => candidate.name === user.name)?.user?.tokenFile;
    if (tokenFile === undefined) return user;
    const authProvider = { name: 'tokenFile', config: { tokenFile: resolve(folder, tokenFile) } };
    return { ...user, authProvider };
  });
}

async function accessOf(config: KubeConfig): Promise<Access> {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw configError('no cluster is selected');
  if (!URL.canParse(cluster.server)) throw configError(`the server ${cluster.server} is not a URL`);
  const applied: RequestOptions & { servername?: string } = {};
  try {
    await config.applyToHTTPSOptions(applied);
  } catch (error) {
    throw configError(`no credentials for ${cluster.server}: ${errorText(error)}`, error);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(applied.headers ?? {})) {
    // Token files end with a newline more often than not, and no header may hold one.
    headers[name.toLowerCase()] = String(value).trim();
  }
  if (typeof applied.auth === 'string') {
    headers['authorization'] = `Basic ${Buffer.from(applied.auth).toString('base64')}`;
  }
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = applied;
  const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
  return {
    baseUrl: cluster.server.replace(/\/+$/, ''),
    headers,
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
    proxy: cluster.proxyUrl,
  };
}

function identityOf(access: Access): string {
  const parts = [access.baseUrl, access.proxy, access.tls];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
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
