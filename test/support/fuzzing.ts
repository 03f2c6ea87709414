import { appendFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';

/** Inputs that each parser gets; `npm run test:fuzz` tries many more, others in every run. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 100);
/** File that is told how many inputs each parser got. */
const REPORT = process.env['FUZZ_REPORT'];
/** A machine that is slow or busy tries fewer inputs, rather than for longer. */
const LONGEST_MS = 120_000;

export interface FuzzOptions<T> {
  /** What is tried, for the counts. */
  readonly parser: string;
  readonly inputs: fc.Arbitrary<T>;
  /** Of the number of inputs that all parsers get: more than 1 for quick ones, less for slow ones. Default 1. */
  readonly part?: number | undefined;
  /** Inputs that once broke something; tried first, in every run. */
  readonly examples?: readonly T[] | undefined;
}

/** Tries a parser with many inputs. The error of a failure holds the input, and the seed that leads to it again. */
export function fuzz<T>(options: FuzzOptions<T>, check: (input: T) => void): void {
  settle(options, fc.check(fc.property(options.inputs, check), parameters(options)));
}

/** The same for one that takes its time. */
export async function fuzzLater<T>(
  options: FuzzOptions<T>,
  check: (input: T) => Promise<void>,
): Promise<void> {
  settle(options, await fc.check(fc.asyncProperty(options.inputs, check), parameters(options)));
}

export interface LongOptions extends Omit<FuzzOptions<string>, 'inputs'> {
  /** What the texts say over and over. */
  readonly words: readonly string[];
}

/** Tries a parser with long texts: `use` must not take more time than their length allows. */
export function fuzzLong(
  { parser, words, part = 0.05, examples }: LongOptions,
  use: (text: string) => void,
): void {
  const options = { parser: `${parser} (long)`, inputs: pumped(words), part, examples };
  const check = (text: string): void => assertQuick(() => use(text));
  // A failure is told as it was found: to make it smaller would take long.
  const details = fc.check(fc.property(options.inputs, check), {
    ...parameters(options),
    endOnFailure: true,
  });
  settle(options, details);
}

function parameters<T>({ part = 1, examples = [] }: FuzzOptions<T>): fc.Parameters<[T]> {
  return {
    numRuns: Math.ceil(RUNS * part) + examples.length,
    examples: examples.map((input) => [input]),
    // It works for whatever is tried, but is declared for what is not known.
    plugins: [fc.interruptAfterTimeLimit(LONGEST_MS) as fc.Plugin<[T]>],
  };
}

function settle<T>({ parser }: FuzzOptions<T>, details: fc.RunDetails<[T]>): void {
  if (REPORT !== undefined)
    appendFileSync(REPORT, `${JSON.stringify({ parser, inputs: details.numRuns })}\n`);
  if (details.failed) {
    const { errorInstance: cause } = details;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${parser}: ${why}\n${fc.defaultReportMessage(details)}`, { cause });
  }
}

/** Calls a parser; undefined when it refuses with an error of the class that it declares. Others are thrown on. */
export function refusedOr<T>(
  refusal: abstract new (...args: never[]) => Error,
  parse: () => T,
): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof refusal) return undefined;
    throw error;
  }
}

/** Texts of a parser's own words and signs, in any order, and now and then of anything. */
export function phrases(words: readonly string[], maxWords = 12): fc.Arbitrary<string> {
  const word = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...words) },
    { weight: 1, arbitrary: fc.string({ maxLength: 4 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
  );
  return fc.array(word, { maxLength: maxWords }).map((parts) => parts.join(''));
}

/** A text with a few characters of it changed, left out or put in. */
export function bent(texts: fc.Arbitrary<string>, signs: readonly string[]): fc.Arbitrary<string> {
  const change = fc.record({ at: fc.nat(), gone: fc.nat(2), put: fc.constantFrom('', ...signs) });
  return fc.tuple(texts, fc.array(change, { maxLength: 3 })).map(([text, changes]) => {
    let bentText = text;
    for (const { at, gone, put } of changes) {
      const where = at % (bentText.length + 1);
      bentText = bentText.slice(0, where) + put + bentText.slice(where + gone);
    }
    return bentText;
  });
}

/** Bytes with some of them changed, and cut at their end. */
export function damaged(bytes: Buffer, changes: readonly Damage[], keep: number | undefined): Buffer {
  const copy = Buffer.from(bytes);
  for (const { at, to } of changes) {
    if (copy.length > 0) copy[at % copy.length] = to;
  }
  return keep === undefined ? copy : copy.subarray(0, keep % (copy.length + 1));
}

export interface Damage {
  readonly at: number;
  readonly to: number;
}

export const damages = fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { maxLength: 6 });
/** How many bytes of them are kept; undefined for all. */
export const keeps = fc.option(fc.nat(), { nil: undefined });
/** Where `pieces` cuts. */
export const cuts = fc.array(fc.nat(), { maxLength: 8 });

/** Cuts bytes into pieces, anywhere. */
export function pieces(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

/** As long as the header of a request may be by far, and too long for whatever takes the square of its length. */
const LONG = 50_000;
/** Of the processor's time; what takes time in proportion to the length of its input needs a tenth of it. */
const QUICK_MS = 400;

/** Long texts that say the same few words over and over: what makes a parser slow, if anything does. */
function pumped(words: readonly string[]): fc.Arbitrary<string> {
  const some = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...words), { minLength, maxLength }).map((parts) => parts.join(''));
  return fc
    .tuple(some(0, 3), some(1, 3), some(0, 2))
    .map(([before, unit, after]) => before + unit.repeat(Math.ceil(LONG / Math.max(1, unit.length))) + after);
}

/** Fails when `use` needs more of the processor's time than a long input may. The best of three counts. */
function assertQuick(use: () => void): void {
  let least = Infinity;
  for (let attempt = 0; attempt < 3 && least > QUICK_MS; attempt++) {
    const before = process.cpuUsage();
    use();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  expect(least, 'milliseconds of the processor for one input').to.be.at.most(QUICK_MS);
}
