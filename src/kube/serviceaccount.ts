import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '../base/errors.ts';
import { configError, type Access, type AccessSource } from './access.ts';

/** What the kubelet gives a pod to reach the API server with. */
export interface ServiceAccount {
  /** `KUBERNETES_SERVICE_HOST`: a name or an address. */
  readonly host: string;
  /** `KUBERNETES_SERVICE_PORT`. */
  readonly port: string;
  /** Folder with the files `token` and `ca.crt`. The kubelet replaces both from time to time. */
  readonly folder: string;
}

/** Access as the service account of the pod that we run in. */
export function serviceAccountAccess({ host, port, folder }: ServiceAccount): AccessSource {
  const baseUrl = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const read = async (name: string): Promise<string> => {
    const path = join(folder, name);
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw configError(`${path} of the service account cannot be read: ${errorText(error)}`, error);
    });
    if (text.trim() === '') throw configError(`${path} of the service account is empty`);
    return text;
  };
  return {
    read: async (): Promise<Access> => {
      if (!URL.canParse(baseUrl)) throw configError(`the server ${baseUrl} is not a URL`);
      const [token, ca] = await Promise.all([read('token'), read('ca.crt')]);
      return {
        baseUrl,
        headers: { authorization: `Bearer ${token.trim()}` },
        tls: { ca },
        proxy: undefined,
      };
    },
    // Each reading reads the files.
    forget: () => undefined,
  };
}
