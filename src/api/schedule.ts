/** One field of a schedule that may vary; the names stand for numbers from `least` on. */
interface Field {
  readonly title: string;
  readonly least: number;
  readonly most: number;
  readonly names: readonly string[];
}

const minute: Field = { title: 'minute', least: 0, most: 59, names: [] };
const hour: Field = { title: 'hour', least: 0, most: 23, names: [] };
const day: Field = {
  title: 'day of the week',
  least: 0,
  most: 6,
  names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
};

const FORM =
  'it must be "[CRON_TZ=Area/City] minute hour * * days", such as "CRON_TZ=Europe/Berlin 30 9 * * 1-5"';

/**
 * What is wrong with an autostart schedule, as the part of a sentence; undefined when nothing is. The rules are those
 * of Coder (coderd/schedule/cron, robfig/cron), which tells a person less, and later. The empty text means never.
 */
export function scheduleProblem(text: string): string | undefined {
  if (text === '') return undefined;
  const zoned = /^CRON_TZ=(\S*) (.*)$/s.exec(text);
  const [minutes, hours, dayOfMonth, month, days, ...more] = (zoned?.[2] ?? text).trim().split(/\s+/);
  if (minutes === undefined || hours === undefined || days === undefined || more.length > 0) return FORM;
  if (dayOfMonth !== '*' || month !== '*') {
    return 'the day of the month and the month must be *: Coder repeats a schedule every week';
  }
  return (
    (zoned === null ? undefined : zoneProblem(zoned[1] ?? '')) ??
    fieldProblem(minute, minutes) ??
    fieldProblem(hour, hours) ??
    fieldProblem(day, days)
  );
}

/** Coder finds a time zone by the name of a file, so case counts there; here it does not by itself. */
function zoneProblem(zone: string): string | undefined {
  const unknown = `the time zone ${quoted(zone)} is not known: use a name such as Europe/Berlin, or UTC`;
  if (!/^[A-Za-z]/.test(zone)) return unknown;
  let found: string;
  try {
    found = new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return unknown;
  }
  const isOtherCase = found !== zone && found.toLowerCase() === zone.toLowerCase();
  return isOtherCase ? `the time zone ${quoted(zone)} is spelt ${found}` : undefined;
}

function fieldProblem(field: Field, text: string): string | undefined {
  const ranges = text.split(',').filter((range) => range !== '');
  // Coder takes this one and never starts anything by it.
  if (ranges.length === 0) return `the ${field.title} ${quoted(text)} names no time`;
  for (const range of ranges) {
    const problem = rangeProblem(field, range);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** `*`, `N`, `N-M`, each of them also with `/step`; `N/step` goes on to the end. */
function rangeProblem(field: Field, range: string): string | undefined {
  const [span = '', step, ...moreSteps] = range.split('/');
  const [low = '', high, ...moreBounds] = span.split('-');
  if (moreSteps.length > 0) return `the ${field.title} ${quoted(range)} has more than one /`;
  if (low !== '*' && low !== '?') {
    if (moreBounds.length > 0) return `the ${field.title} ${quoted(range)} has more than one -`;
    const problem =
      boundProblem(field, low, range) ?? (high === undefined ? undefined : boundProblem(field, high, range));
    if (problem !== undefined) return problem;
    const [begin, end] = [valueOf(field, low), high === undefined ? undefined : valueOf(field, high)];
    if (begin !== undefined && end !== undefined && begin > end) {
      return `the ${field.title} ${quoted(range)} begins after it ends`;
    }
  }
  if (step !== undefined && !((wholeNumber(step) ?? 0) > 0)) {
    return `the step ${quoted(step)} of the ${field.title} ${quoted(range)} is not a number above 0`;
  }
  return undefined;
}

function boundProblem(field: Field, text: string, range: string): string | undefined {
  const value = valueOf(field, text);
  if (value === undefined) {
    return `the ${field.title} ${quoted(text === '' ? range : text)} is not a number${field.names.length === 0 ? '' : ' or a name such as mon'}`;
  }
  if (value < field.least || value > field.most) {
    return `the ${field.title} ${value} is not between ${field.least} and ${field.most}`;
  }
  return undefined;
}

function valueOf(field: Field, text: string): number | undefined {
  const named = field.names.indexOf(text.toLowerCase());
  return named === -1 ? wholeNumber(text) : field.least + named;
}

/** Digits as Go's Atoi reads them, as far as a schedule may need them. */
function wholeNumber(text: string): number | undefined {
  return /^\+?[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

function quoted(text: string): string {
  return `"${text.slice(0, 64)}"`;
}
