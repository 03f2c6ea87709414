import { collectDefaultMetrics, Registry } from 'prom-client';
import { runApiServer } from '../apiserver/run.ts';
import { systemClock } from '../base/clock.ts';
import type { ApiServerConfig } from '../config/apiserver.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createKubeMetrics } from '../telemetry/metrics.ts';
import { withCluster } from './cluster.ts';
import { stopSignal } from './signals.ts';

/** `coder-operator apiserver`. @returns the exit code. */
export async function apiServer(config: ApiServerConfig): Promise<number> {
  const logger = createLogger({ level: config.logLevel, format: config.logFormat });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = createKubeMetrics(registry);
  const stop = stopSignal((signal) => logger.info('stopping', { signal }));
  try {
    await withCluster({ config, logger, metrics }, (kube) =>
      runApiServer({ ...config, kube, registry, clock: systemClock, logger }, stop),
    );
    return 0;
  } catch (error) {
    logger.error('the endpoint ended', { error });
    return 1;
  } finally {
    await logger.close();
  }
}
