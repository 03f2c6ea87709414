/** Aborts when the process is asked to end, the first time. A second time ends it at once. */
export function stopSignal(onStop?: (signal: NodeJS.Signals) => void): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      onStop?.(signal);
      stop.abort(new Error(`stopped by ${signal}`));
    });
  }
  return stop.signal;
}
