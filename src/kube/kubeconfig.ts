import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { parse, parseDocument } from 'yaml';
import { errorText } from '../base/errors.ts';
import { configError, type Access, type AccessSource } from './access.ts';

/**
 * Access as a kubeconfig tells it, with all that kubectl knows: tokens, certificates, exec plugins, OIDC.
 *
 * @param path of the file.
 * @param context default its current one.
 */
export function kubeconfigAccess(path: string, context: string | undefined): AccessSource {
  let last: { readonly source: string; readonly config: KubeConfig } | undefined;
  return {
    read: async () => {
      const source = await readFile(path, 'utf8').catch((error: unknown) => {
        throw configError(`kubeconfig ${path} cannot be read: ${errorText(error)}`, error);
      });
      if (last?.source !== source) last = { source, config: await parseKubeconfig(source, path, context) };
      return accessOf(last.config);
    },
    forget: () => {
      // A new KubeConfig also forgets the credential that an exec plugin gave us.
      last = undefined;
    },
  };
}

async function parseKubeconfig(
  source: string,
  path: string,
  context: string | undefined,
): Promise<KubeConfig> {
  // The library brings the whole API of Kubernetes along, 80 MB and a second of it. In a pod it is not needed.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromString(source);
    config.makePathsAbsolute(dirname(path));
    addTokenFiles(config, source, dirname(path));
  } catch {
    // What the parser says quotes the lines around the fault, and a token may be in them.
    throw configError(`kubeconfig ${path} is not valid${whereIsFault(source)}`);
  }
  if (context !== undefined) config.setCurrentContext(context);
  if (config.getCurrentCluster() === null) {
    throw configError(`kubeconfig ${path} has no cluster for the context ${config.getCurrentContext()}`);
  }
  return config;
}

/** The line of a fault of YAML, without what stands there. */
function whereIsFault(source: string): string {
  const [error] = parseDocument(source, { prettyErrors: false }).errors;
  if (error === undefined) return ': it is YAML, but no kubeconfig';
  const line = source.slice(0, error.pos[0]).split('\n').length;
  return `: YAML is broken at line ${line} (${error.code})`;
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
