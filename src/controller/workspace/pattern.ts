/** Steps that a match may take at the worst: some ten milliseconds. */
const MOST_STEPS = 5_000_000;
const LONGEST_PATTERN = 512;

/** What may be repeated in RE2; beyond it Coder refuses the pattern. */
const MOST_REPEATS = 1_000;

/**
 * Whether Coder would certainly find no match of a pattern, which is RE2, in a value. False means that Coder decides.
 *
 * Both a pattern and a value are other people's, and JavaScript may take for ever over one. So a pattern counts only
 * where it means the same here as there (JavaScript's strict mode refuses most of what differs, and among printable
 * ASCII the rest is alike), and where its worst case, told from its form alone, is cheap.
 */
export function certainlyMisses(pattern: string, value: string): boolean {
  if (!/^[\x20-\x7e]*$/.test(value) || pattern.length > LONGEST_PATTERN) return false;
  const worst = worstCase(pattern, value.length);
  if (worst === undefined || worst > MOST_STEPS) return false;
  try {
    return !new RegExp(pattern, 'u').test(value);
  } catch {
    return false;
  }
}

/**
 * Steps that a backtracking match may take: each repetition may end at every character, each alternative doubles the
 * ways, the match may begin anywhere, and each way may be as long as the pattern. Undefined for what multiplies further,
 * such as a repeated group.
 */
function worstCase(pattern: string, length: number): number | undefined {
  const plain = pattern.replace(/\\[^]/g, 'x');
  // In RE2 such a class is not empty: the first ] belongs to it.
  if (/\[\^?\]/.test(plain)) return undefined;
  const form = plain.replace(/\[[^\]]*\]/g, 'x').replace(/\(\?(?::|<\w+>)/g, '(');
  if (/\(\?|\)[*+?{]/.test(form)) return undefined;
  const counts = [...form.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  if (/\{/.test(form) && counts.some((count) => count > MOST_REPEATS)) return undefined;
  const repetitions = form.match(/[*+?{]/g)?.length ?? 0;
  const alternatives = form.match(/\|/g)?.length ?? 0;
  return (length + 1) ** (repetitions + 1) * 2 ** alternatives * form.length;
}
