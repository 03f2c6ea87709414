import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { PeerConnection } from '../auth/authenticate.ts';

/** Nobody needs a longer one; whoever sends more is not listened to beyond this. */
const LONGEST_CHAIN = 10;

/** What the client of each TLS connection has shown. */
export class Connections {
  readonly #known = new WeakMap<Socket, PeerConnection>();

  /** The same object for every request of a connection, so that what was found out about it can be kept with it. */
  of(socket: Socket): PeerConnection {
    const known = this.#known.get(socket);
    if (known !== undefined) return known;
    const connection = { peerChain: peerChainOf(socket) };
    this.#known.set(socket, connection);
    return connection;
  }
}

/**
 * The certificates that the client sent, in its order, its own first, in DER. TLS has proved that the client holds the
 * key of the first one; that the others vouch for it nobody has checked yet.
 */
function peerChainOf(socket: Socket): readonly Buffer[] {
  const chain: Buffer[] = [];
  let certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  while (certificate !== undefined && chain.length < LONGEST_CHAIN) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
