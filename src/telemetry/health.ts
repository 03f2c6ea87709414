import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';

/** One thing that must hold for the process to be ready. */
export interface ReadinessCheck {
  readonly name: string;
  readonly isReady: () => boolean;
}

export interface HealthServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly checks: readonly ReadinessCheck[];
  readonly registry: Registry;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * `/livez` answers while the event loop turns, `/readyz` when every check holds, `/metrics` in Prometheus' format. All
 * are plain HTTP and hold no secret.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const send = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type });
      response.end(text);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(405, 'only GET is served here\n');
      return;
    }
    switch (request.url?.split('?')[0]) {
      case '/livez':
      case '/healthz':
        send(200, 'ok\n');
        return;
      case '/readyz': {
        const lines = options.checks.map((c) => ({ ready: c.isReady(), name: c.name }));
        const ready = lines.every((l) => l.ready);
        send(ready ? 200 : 503, lines.map((l) => `[${l.ready ? '+' : '-'}] ${l.name}\n`).join(''));
        return;
      }
      case '/metrics':
        options.registry.metrics().then(
          (text) => send(200, text, options.registry.contentType),
          () => send(500, 'the metrics could not be collected\n'),
        );
        return;
      default:
        send(404, 'served here: /livez, /readyz, /metrics\n');
    }
  });
  await listen(server, options.host, options.port);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}
