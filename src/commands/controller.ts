import { systemClock } from '../base/clock.ts';
import type { ControllerConfig } from '../config/controller.ts';
import { runOperator } from '../controller/run.ts';
import { createLogger } from '../telemetry/logger.ts';
import { startHealthServer } from '../telemetry/health.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import { withCluster } from './cluster.ts';
import { stopSignal } from './signals.ts';

/** `coder-operator controller`. @returns the exit code. */
export async function controller(config: ControllerConfig): Promise<number> {
  const logger = createLogger({ level: config.logLevel, format: config.logFormat });
  const metrics = createMetrics();
  const stop = stopSignal((signal) => logger.info('stopping', { signal }));
  let isSynced = false;
  const health = await startHealthServer({
    ...config.listen,
    registry: metrics.registry,
    checks: [{ name: 'caches', isReady: () => isSynced }],
  });
  logger.info('serving health and metrics', { host: config.listen.host, port: health.port });
  try {
    await withCluster({ config, logger, metrics }, (kube) =>
      runOperator(
        {
          kube,
          namespace: config.namespace,
          identity: config.identity,
          leaseDurationMs: config.leaseDurationMs,
          workers: config.workers,
          settings: {
            retryBaseMs: config.retryBaseMs,
            requestTimeoutMs: config.requestTimeoutMs,
            stalenessMs: 600_000,
            driftCooldownMs: config.driftCooldownMs,
            driftBudget: config.driftBudget,
            deletionBudget: config.deletionBudget,
          },
          hosts: { httpHosts: config.httpHosts, allowLoopback: config.allowLoopback },
          clock: systemClock,
          logger,
          ...hooks(metrics),
          onSynced: () => {
            isSynced = true;
          },
        },
        stop,
      ),
    );
    return 0;
  } catch (error) {
    logger.error('the controller ended', { error });
    return 1;
  } finally {
    await health.close();
    await logger.close();
  }
}

/** What is counted, as hooks: no part of the program knows the metrics library but this one. */
function hooks(
  metrics: Metrics,
): Pick<
  Parameters<typeof runOperator>[0],
  'onCoderRequest' | 'onResult' | 'onLeading' | 'onVersionLeft' | 'queueMetrics'
> {
  return {
    onCoderRequest: ({ method, route, code, durationMs }) => {
      metrics.coderRequests.inc({ method, route, code });
      metrics.coderDuration.observe({ method, route }, durationMs / 1000);
    },
    onResult: ({ outcome, durationMs }) => {
      metrics.reconciles.inc({ result: outcome });
      metrics.reconcileDuration.observe(durationMs / 1000);
    },
    onVersionLeft: () => metrics.versionsLeft.inc(),
    onLeading: (leading) => metrics.leading.set(leading ? 1 : 0),
    queueMetrics: {
      depth: (keys) => metrics.queueDepth.set(keys),
      added: () => metrics.queueAdds.inc(),
      retried: () => metrics.queueRetries.inc(),
      queueDuration: (seconds) => metrics.queueLatency.observe(seconds),
      workDuration: (seconds) => metrics.queueWork.observe(seconds),
    },
  };
}
