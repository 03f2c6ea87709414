import { collectDefaultMetrics, Registry } from 'prom-client';
import { runApiServer } from '../apiserver/run.ts';
import { systemClock } from '../base/clock.ts';
import { USER_AGENT } from '../base/version.ts';
import type { ApiServerConfig } from '../config/apiserver.ts';
import { KubeClient } from '../kube/client.ts';
import { openConnection, type KubeConnection } from '../kube/connection.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createKubeMetrics } from '../telemetry/metrics.ts';
import { stopSignal } from './signals.ts';

/** `coder-operator apiserver`. @returns the exit code. */
export async function apiServer(config: ApiServerConfig): Promise<number> {
  const { kubeconfig, serviceAccount } = config;
  const logger = createLogger({ level: config.logLevel, format: config.logFormat });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { kubeRequests } = createKubeMetrics(registry);
  const stop = stopSignal((signal) => logger.info('stopping', { signal }));
  let connection: KubeConnection | undefined;
  try {
    connection = await openConnection({ kubeconfig, serviceAccount, clock: systemClock, logger });
    const kube = new KubeClient({
      connection,
      clock: systemClock,
      userAgent: USER_AGENT,
      onRequest: ({ verb, resource, code }) => kubeRequests.inc({ verb, resource, code }),
    });
    await runApiServer({ ...config, kube, registry, clock: systemClock, logger }, stop);
    return 0;
  } catch (error) {
    logger.error('the endpoint ended', { error });
    return 1;
  } finally {
    await connection?.close();
    await logger.close();
  }
}
