import { Gauge, type Registry } from 'prom-client';
import type { Silence } from './silence.ts';
import type { ObjectStore } from './store/store.ts';

/** For how long nothing was heard of what is followed, asked for when somebody looks. */
export function registerSilenceMetric(registry: Registry, silence: Silence): void {
  new Gauge({
    name: 'coder_operator_endpoint_silence_seconds',
    help: 'Time since the API server last said anything of a resource: a list, an event, or a bookmark, which comes about every minute.',
    labelNames: ['resource'],
    registers: [registry],
    collect() {
      for (const resource of silence.plurals) this.set({ resource }, silence.ms(resource) / 1000);
    },
  });
}

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
