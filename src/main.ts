import { systemClock } from './base/clock.ts';
import { errorText } from './base/errors.ts';
import { USER_AGENT } from './base/version.ts';
import { controllerHelp, parseControllerConfig, type ControllerConfig } from './config/controller.ts';
import { exportHelp, parseExportConfig, type ExportConfig } from './config/export.ts';
import { UsageError } from './config/flags.ts';
import { runOperator } from './controller/run.ts';
import { runExport } from './export/run.ts';
import { KubeClient } from './kube/client.ts';
import { openConnection, type KubeConnection } from './kube/connection.ts';
import { createLogger } from './telemetry/logger.ts';
import { startHealthServer } from './telemetry/health.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';

const HELP = `Usage: coder-operator <command> [flags]

Commands:
  controller    drive Coder from CoderControlPlane, CoderTemplate and CoderWorkspace objects
  export        print manifests for what a Coder server holds

Flags of a command: coder-operator <command> --help
Exit codes: 0 ended as asked, 1 failed, 2 wrong usage, 3 not everything could be exported
`;

/** @returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command === undefined || command === '--help' || command === 'help') {
    process.stdout.write(HELP);
    return command === undefined ? 2 : 0;
  }
  if (command === 'export') {
    const config = parseExportConfig(rest, process.env);
    if (config !== 'help') return exportFrom(config);
    process.stdout.write(exportHelp());
    return 0;
  }
  if (command !== 'controller') throw new UsageError(`There is no command "${command}"`);
  const config = parseControllerConfig(rest, process.env);
  if (config === 'help') {
    process.stdout.write(controllerHelp());
    return 0;
  }
  return controller(config);
}

async function controller(config: ControllerConfig): Promise<number> {
  const logger = createLogger({ level: config.logLevel, format: config.logFormat });
  const metrics = createMetrics();
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      logger.info('stopping', { signal });
      stop.abort(new Error(`stopped by ${signal}`));
    });
  }
  let isSynced = false;
  const health = await startHealthServer({
    ...config.listen,
    registry: metrics.registry,
    checks: [{ name: 'caches', isReady: () => isSynced }],
  });
  logger.info('serving health and metrics', { host: config.listen.host, port: health.port });
  let connection: KubeConnection | undefined;
  try {
    connection = await openConnection({
      kubeconfig: config.kubeconfig,
      serviceAccount: config.serviceAccount,
      clock: systemClock,
      logger,
    });
    await runOperator(
      {
        kube: new KubeClient({
          connection,
          clock: systemClock,
          userAgent: USER_AGENT,
          onRequest: ({ verb, resource, code }) => metrics.kubeRequests.inc({ verb, resource, code }),
        }),
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
      stop.signal,
    );
    return 0;
  } catch (error) {
    logger.error('the controller ended', { error });
    return 1;
  } finally {
    await connection?.close();
    await health.close();
    await logger.close();
  }
}

async function exportFrom(config: ExportConfig): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const { stdout, stderr } = process;
  return runExport(config, { clock: systemClock, stdout, stderr, signal: stop.signal });
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

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`coder-operator: ${errorText(error)}\n`);
  if (error instanceof UsageError) process.stderr.write('Try: coder-operator --help\n');
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
// Everything that was to be finished is. After a lost lease nothing that still waits may go on.
process.exit();
