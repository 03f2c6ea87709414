/** Aborts when the process is asked to end, the first time. A second time ends it at once. */
export function stopSignal(onStop?: (signal: NodeJS.Signals) => void): AbortSignal {
  const stop = new AbortController();
  const signals = ['SIGTERM', 'SIGINT'] as const;
  const end = (signal: NodeJS.Signals): void => {
    for (const each of signals) process.off(each, end);
    onStop?.(signal);
    stop.abort(new Error(`stopped by ${signal}`));
  };
  for (const signal of signals) process.on(signal, end);
  return stop.signal;
}
