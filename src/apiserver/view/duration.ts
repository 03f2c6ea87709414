const SECONDS_OF_MINUTE = 60;
const MINUTES_OF_HOUR = 60;
const HOURS_OF_DAY = 24;
const DAYS_OF_YEAR = 365;

/**
 * A length of time in two figures at most, as kubectl tells ages (apimachinery/pkg/util/duration, HumanDuration): `90s`,
 * `5m10s`, `3h`, `2d3h`, `8y`.
 *
 * @param ms milliseconds. Less than two seconds into the future count as now, since clocks differ.
 */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 2 * SECONDS_OF_MINUTE) return `${Math.max(0, seconds)}s`;
  const minutes = Math.trunc(seconds / SECONDS_OF_MINUTE);
  if (minutes < 10) return both(minutes, 'm', seconds % SECONDS_OF_MINUTE, 's');
  if (minutes < 3 * MINUTES_OF_HOUR) return `${minutes}m`;
  const hours = Math.trunc(minutes / MINUTES_OF_HOUR);
  if (hours < 8) return both(hours, 'h', minutes % MINUTES_OF_HOUR, 'm');
  if (hours < 2 * HOURS_OF_DAY) return `${hours}h`;
  const days = Math.trunc(hours / HOURS_OF_DAY);
  if (days < 8) return both(days, 'd', hours % HOURS_OF_DAY, 'h');
  if (days < 2 * DAYS_OF_YEAR) return `${days}d`;
  const years = Math.trunc(days / DAYS_OF_YEAR);
  return years < 8 ? both(years, 'y', days % DAYS_OF_YEAR, 'd') : `${years}y`;
}

/** The finer unit is left out where it is nothing. */
function both(coarse: number, coarseUnit: string, fine: number, fineUnit: string): string {
  return fine === 0 ? `${coarse}${coarseUnit}` : `${coarse}${coarseUnit}${fine}${fineUnit}`;
}
