// Loaded before the operator: the histogram of its event loop ticks every millisecond here instead of every ten. In
// production that would cost more than the rest of an idle operator; here a hold is told to the millisecond.
import perf from 'node:perf_hooks';
import { syncBuiltinESMExports } from 'node:module';

const { monitorEventLoopDelay } = perf;
perf.monitorEventLoopDelay = () => monitorEventLoopDelay({ resolution: 1 });
syncBuiltinESMExports();
