import type { SimulatedCoder } from '../controller-coder.ts';
import type { ProxiedRequest } from '../fault-proxy.ts';

/** Names of resources as kubectl knows them in short. */
const SHORT: Readonly<Record<string, string>> = {
  codercontrolplanes: 'ccp',
  codertemplates: 'ctpl',
  coderworkspaces: 'cws',
};

interface Named {
  readonly name?: string;
  readonly reason?: string;
  readonly transition?: string;
  readonly metadata?: { readonly name?: string };
  readonly involvedObject?: { readonly name?: string };
}

/** The namespace of a world is all there is for its operator. */
export function withinNamespace({ path, method }: ProxiedRequest, namespace: string): string {
  if (method !== 'GET') return path;
  return path.replace(
    /^(\/apis\/coder\.com\/v1alpha1|\/api\/v1)\/(coder\w+|configmaps)(\?|$)/,
    `$1/namespaces/${namespace}/$2$3`,
  );
}

/** Verb and object of a request to Kubernetes: `PUT-cws/acme.ann.web/status`. */
export function kubeKey({ method, path, body }: ProxiedRequest): string {
  const parts = new URL(path, 'http://proxy').pathname.split('/').slice(1);
  const [plural = '', name = '', subresource] = parts.slice(parts.indexOf('namespaces') + 2);
  const { metadata = {}, reason = '', involvedObject = {} } = bodyOf(body);
  if (plural === 'events') {
    // The name of an event is drawn by lot; it begins with that of its object.
    const about = involvedObject.name ?? name.split('.').slice(0, -1).join('.');
    return [`${method}-events`, about, ...(reason === '' ? [] : [reason])].join('/');
  }
  const what = [SHORT[plural] ?? plural, name === '' ? (metadata.name ?? '') : name, subresource];
  return `${method}-${what.filter((part) => part !== undefined && part !== '').join('/')}`;
}

/** The same for Coder, with names in place of UUIDs: `POST-builds/web/start`. */
export function coderKey({ method, path, body }: ProxiedRequest, coder: SimulatedCoder): string {
  const parts = new URL(path, 'http://proxy').pathname.replace('/api/v2/', '').split('/');
  const [root = '', id = ''] = parts;
  const what = parts.at(-1) ?? '';
  const workspace = coder.present.find((w) => w.id === id)?.name;
  const template = coder.presentTemplates.find((t) => t.id === id)?.name;
  const isFile = root === 'files';
  const { name = '', transition = '' } = isFile ? {} : bodyOf(body);
  if (what === 'builds') return `${method}-builds/${workspace ?? 'gone'}/${transition}`;
  if (what === 'workspaces' || (what === 'templates' && method === 'POST'))
    return `${method}-${what}/${name}`;
  if (what === 'templateversions' || isFile) return `${method}-${what}`;
  if (root === 'templates') return `${method}-${what === id ? 'templates' : what}/${template ?? 'gone'}`;
  return `${method}-${what}/${workspace ?? 'gone'}`;
}

function bodyOf(body: Buffer): Named {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString()) as Named;
  } catch {
    return {};
  }
}
