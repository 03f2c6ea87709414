/** A time at which something happened: Coder writes the year 1 where nothing has, which is left out. */
export function pastTime(time: string | undefined): string | undefined {
  return millisOf(time) === undefined ? undefined : time;
}

/** Milliseconds since the epoch; undefined for what is no time after it. */
export function millisOf(time: string | undefined): number | undefined {
  const ms = Date.parse(time ?? '');
  return ms > 0 ? ms : undefined;
}
