import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { systemClock } from '../../src/base/clock.ts';

/** A replica behind a balancer. */
export interface Target {
  /** Of 127.0.0.1. */
  readonly port: number;
  /** One look whether it takes new connections. Must come back by itself. */
  readonly isReady: () => Promise<boolean>;
}

interface Member extends Target {
  ready: boolean;
}

/** So often each target is asked. The kubelet does it more seldom; tests have less time. */
const LOOK_EVERY_MS = 100;

/**
 * What a Service and the kubelet do together: hands new connections to the targets that say that they are ready, one after
 * the other in turn, and leaves those that exist alone. Bytes pass as they are, so TLS is between the ends.
 */
export class Balancer {
  readonly #server: Server;
  readonly #members: readonly Member[];
  readonly #sockets = new Set<Socket>();
  readonly #ended = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #turn = 0;
  #isCut = false;

  private constructor(targets: readonly Target[]) {
    this.#members = targets.map((target) => ({ ...target, ready: false }));
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#pass(socket));
  }

  /** Listens at this port of 127.0.0.1, or at any. */
  static async open(targets: readonly Target[], port = 0): Promise<Balancer> {
    const balancer = new Balancer(targets);
    await new Promise<void>((resolve, reject) => {
      balancer.#server.once('error', reject);
      balancer.#server.listen(port, '127.0.0.1', resolve);
    });
    await balancer.#look();
    balancer.#looking = balancer.#goOnLooking();
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ports of those that get new connections. */
  get ready(): readonly number[] {
    return this.#members.filter((m) => m.ready).map((m) => m.port);
  }

  /** Breaks all connections and every new one. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Takes connections again. */
  mend(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([closed, this.#looking]);
  }

  async #goOnLooking(): Promise<void> {
    const { signal } = this.#ended;
    const ended = (): boolean => signal.aborted;
    while (!ended()) {
      await systemClock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
      if (!ended()) await this.#look();
    }
  }

  async #look(): Promise<void> {
    await Promise.all(this.#members.map(async (m) => (m.ready = await m.isReady())));
  }

  #pass(incoming: Socket): void {
    const ready = this.#members.filter((m) => m.ready);
    const target = ready[this.#turn++ % Math.max(1, ready.length)];
    if (target === undefined || this.#isCut) {
      incoming.resetAndDestroy();
      return;
    }
    const outgoing = connect({ host: '127.0.0.1', port: target.port, noDelay: true, allowHalfOpen: true });
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      this.#sockets.add(socket);
      // An end is passed on by pipe; anything else ends both.
      socket.once('error', () => other.destroy());
      socket.once('close', () => {
        this.#sockets.delete(socket);
        other.destroySoon();
      });
      socket.pipe(other);
    }
  }
}
