import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { StackError } from './errors.ts';

/**
 * Below the range from which Linux and macOS take the local ports of outgoing connections, so that a server that is
 * stopped for a moment finds its port free when it comes back.
 */
const lowest = 20_000;
const highest = 32_000;

/** Hands out loopback ports, none of them twice. */
export class Ports {
  readonly #given = new Set<number>();

  /** A port of 127.0.0.1 on which nobody listens; `preferred` when that one is free. */
  async free(preferred?: number): Promise<number> {
    if (preferred !== undefined && !this.#given.has(preferred) && (await isFree(preferred))) {
      this.#given.add(preferred);
      return preferred;
    }
    for (let tries = 0; tries < 200; tries++) {
      const port = randomInt(lowest, highest);
      if (this.#given.has(port)) continue;
      this.#given.add(port);
      if (await isFree(port)) return port;
    }
    throw new StackError('PORT_TAKEN', `No free loopback port was found between ${lowest} and ${highest}.`);
  }
}

/** Whether a server could listen on this port of 127.0.0.1 now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
