import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';

/** What a client makes of a server with this pair: it asks for `name`, and trusts `ca` and nothing else. */
export async function handshake(
  pair: { readonly cert: string; readonly key: string },
  { ca, name }: { readonly ca: string; readonly name: string },
): Promise<'trusted' | Error> {
  const server = createServer(pair);
  const { port } = await listening(server);
  try {
    const socket = await handshakeWith(port, { ca, name });
    if (socket instanceof Error) return socket;
    socket.destroy();
    return 'trusted';
  } finally {
    server.close();
  }
}

/** A connection, or why there is none. */
export function handshakeWith(
  port: number,
  { ca, name }: { readonly ca: string; readonly name: string },
): Promise<TLSSocket | Error> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, ca, servername: name });
    // Stays, for what may come after the handshake.
    socket.on('error', resolve);
    socket.once('secureConnect', () => resolve(socket));
  });
}

export function listening(server: Pick<Server, 'listen' | 'address' | 'once'>): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server.address() as AddressInfo));
  });
}
