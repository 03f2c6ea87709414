import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { USER_AGENT } from '../base/version.ts';
import type { ClusterConfig } from '../config/flags.ts';
import { KubeClient } from '../kube/client.ts';
import { openConnection } from '../kube/connection.ts';
import type { KubeMetrics } from '../telemetry/metrics.ts';

export interface ClusterOptions {
  readonly config: ClusterConfig;
  readonly logger: Logger;
  readonly metrics: KubeMetrics;
}

/**
 * Lets work be done with the API server, and closes the connection when it is over, whatever became of it.
 *
 * @throws OperatorError KUBE_CONFIG when the configuration cannot be read or used; what `work` throws.
 */
export async function withCluster(
  { config: { kubeconfig, serviceAccount }, logger, metrics: { kubeRequests } }: ClusterOptions,
  work: (kube: KubeClient) => Promise<void>,
): Promise<void> {
  const connection = await openConnection({ kubeconfig, serviceAccount, clock: systemClock, logger });
  try {
    await work(
      new KubeClient({
        connection,
        clock: systemClock,
        userAgent: USER_AGENT,
        onRequest: ({ verb, resource, code }) => kubeRequests.inc({ verb, resource, code }),
      }),
    );
  } finally {
    await connection.close();
  }
}
