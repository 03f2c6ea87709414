import type { Duplex } from 'node:stream';
import type { Exchange } from './exchange.ts';
import type { StreamSink } from './watchsink.ts';

/** All that is going on: what has to end before the process may. */
export class Traffic {
  readonly exchanges = new Set<Exchange>();
  readonly sinks = new Set<StreamSink>();
  #waiters: (() => void)[] = [];

  begin(exchange: Exchange): void {
    this.exchanges.add(exchange);
  }

  end(exchange: Exchange): void {
    this.exchanges.delete(exchange);
    if (this.exchanges.size > 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** Whether a request of this connection is being answered. */
  isOn(socket: Duplex): boolean {
    return [...this.exchanges].some(({ request }) => request.socket === socket);
  }

  /** Kept until its stream has ended. */
  watch(sink: StreamSink): void {
    this.sinks.add(sink);
    sink.signal.addEventListener('abort', () => this.sinks.delete(sink), { once: true });
  }

  /** Resolves when no request is being answered, watches included. */
  idle(): Promise<void> {
    if (this.exchanges.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}
