import { Gauge, type Registry } from 'prom-client';
import type { ObjectStore } from './store/store.ts';

/** What the stores hold, asked for when somebody looks. */
export function registerStoreMetrics(registry: Registry, stores: readonly ObjectStore[]): void {
  const gauge = (name: string, help: string, value: (store: ObjectStore) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['resource'],
      registers: [registry],
      collect() {
        for (const store of stores) this.set({ resource: store.kind.resource.plural }, value(store));
      },
    });
  };
  gauge('coder_operator_endpoint_objects', 'Objects in memory.', (store) => store.stats().objects);
  gauge(
    'coder_operator_endpoint_history_events',
    'Changes that a watch can resume from.',
    (store) => store.stats().historyEvents,
  );
  gauge(
    'coder_operator_endpoint_history_bytes',
    'Bytes of outdated objects that are kept for that.',
    (store) => store.stats().historyBytes,
  );
}
