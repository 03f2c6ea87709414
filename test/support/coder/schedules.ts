import { invalid } from './refusals.ts';

const MINUTE_MS = 60_000;
const LONGEST_TTL_MS = 30 * 24 * 60 * MINUTE_MS;

/**
 * Coder cuts a TTL to whole minutes. Undefined stands for "never".
 * @throws CoderError 400
 */
export function checkedTTL(ms: number | undefined, message: string): number | undefined {
  if (ms === undefined || ms === 0) return undefined;
  const cut = Math.trunc(ms / MINUTE_MS) * MINUTE_MS;
  const detail =
    cut < MINUTE_MS
      ? 'time until shutdown must be at least one minute'
      : cut > LONGEST_TTL_MS
        ? 'time until shutdown must be less than 30 days'
        : undefined;
  if (detail !== undefined) throw invalid(message, [{ field: 'ttl_ms', detail }]);
  return cut;
}

/**
 * Coder keeps a schedule as it stands. Undefined stands for "never".
 * @throws CoderError 400
 */
export function checkedSchedule(schedule: string | undefined, message: string): string | undefined {
  if (schedule === undefined || schedule === '') return undefined;
  const detail = scheduleFault(schedule);
  if (detail !== undefined) throw invalid(message, [{ field: 'schedule', detail }]);
  return schedule;
}

function scheduleFault(schedule: string): string | undefined {
  const zone = /^CRON_TZ=(\S+)\s+/.exec(schedule);
  const fields = schedule
    .slice(zone?.[0].length ?? 0)
    .trim()
    .split(/\s+/);
  const [minute = '', hour = '', day, month, weekday = ''] = fields;
  if (fields.length !== 5) return 'expected schedule to consist of 5 fields';
  if (day !== '*' || month !== '*') return 'expected day-of-month and month to be *';
  if (zone?.[1] !== undefined && !isZone(zone[1])) return `provided bad location ${zone[1]}`;
  const days = weekday
    .toLowerCase()
    .replace(/sun|mon|tue|wed|thu|fri|sat/g, (name) =>
      String(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].indexOf(name)),
    );
  const isFine = isField(minute, 59) && isField(hour, 23) && isField(days, 6);
  return isFine ? undefined : 'failed to parse the schedule';
}

/** A cron field: `*`, numbers, ranges and steps, several of them with commas. */
function isField(field: string, max: number): boolean {
  return field.split(',').every((part) => {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null) return false;
    const [from = '0', to = from, step = '1'] = match.slice(1) as (string | undefined)[];
    return Number(from) <= Number(to) && Number(to) <= max && Number(step) > 0;
  });
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone !== 'Local';
  } catch {
    return false;
  }
}
