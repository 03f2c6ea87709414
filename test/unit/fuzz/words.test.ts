import { expect } from 'chai';
import fc from 'fast-check';
import { parseDuration as parseFlag } from '../../../src/api/effective.ts';
import { InvalidNameError, parseTemplateName, parseWorkspaceName, sameName } from '../../../src/api/names.ts';
import { scheduleProblem } from '../../../src/api/schedule.ts';
import { parseDuration } from '../../../src/apiserver/http/duration.ts';
import { compareResourceVersions } from '../../../src/kube/objects.ts';
import { bent, fuzz, fuzzLong, phrases, refusedOr } from '../../support/fuzzing.ts';

describe('fuzzing: names', () => {
  const signs = [
    'a',
    'Z',
    '0',
    '-',
    '--',
    '.',
    'new',
    'create',
    'me',
    'default',
    '_',
    ' ',
    '\u212a',
    'x'.repeat(32),
  ];
  const part = fc.oneof(
    fc.stringMatching(/^[a-z0-9]{1,3}(-[a-z0-9]{1,3}){0,3}$/),
    fc.constantFrom('new', 'me', 'default'),
  );
  const names = fc.oneof(
    phrases(signs),
    bent(
      fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.')),
      signs,
    ),
  );

  /** Coder's rule (codersdk/name.go), written down a second time, with what our names add to it. */
  function isRight(name: string, wanted: number): boolean {
    const found = name.split('.');
    const isName = (text: string): boolean =>
      text.length <= 32 &&
      text !== 'new' &&
      text !== 'create' &&
      text
        .split('-')
        .every(
          (word) =>
            word !== '' && Array.from(word).every((c) => (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')),
        );
    return (
      found.length === wanted &&
      found.every(isName) &&
      found[0] !== 'default' &&
      !(wanted === 3 && found[1] === 'me')
    );
  }

  it('are taken and refused by Coder’s rule, and say again what they were', () => {
    fuzz({ parser: 'names', inputs: names, part: 4 }, (name) => {
      const template = refusedOr(InvalidNameError, () => parseTemplateName(name));
      const workspace = refusedOr(InvalidNameError, () => parseWorkspaceName(name));
      expect([template !== undefined, workspace !== undefined]).to.deep.equal([
        isRight(name, 2),
        isRight(name, 3),
      ]);
      if (template !== undefined) expect(`${template.organization}.${template.template}`).to.equal(name);
      if (workspace !== undefined) {
        const { organization, owner, workspace: own } = workspace;
        expect(`${organization}.${owner}.${own}`).to.equal(name);
        expect(sameName(name, name.toUpperCase())).to.equal(true);
      }
    });
  });

  it('of any length are read at once', () => {
    fuzzLong({ parser: 'names', words: signs }, (name) => {
      refusedOr(InvalidNameError, () => parseTemplateName(name));
      refusedOr(InvalidNameError, () => parseWorkspaceName(name));
    });
  });
});

describe('fuzzing: schedules', () => {
  const signs = [
    '*',
    '0',
    '9',
    '59',
    '60',
    '-',
    ',',
    '/',
    ' ',
    '?',
    'mon',
    'SUN',
    '+5',
    'CRON_TZ=',
    'Europe/Berlin ',
    '\t',
    '7',
  ];
  const number = (most: number): fc.Arbitrary<string> => fc.integer({ min: 0, max: most }).map(String);
  const field = (most: number): fc.Arbitrary<string> =>
    fc
      .array(
        fc.oneof(
          fc.constantFrom('*', '?', 'mon', 'Fri'),
          number(most),
          fc.tuple(number(most), number(most)).map(([low, high]) => `${low}-${high}`),
          fc.tuple(fc.constantFrom('*', '1', '0-5'), number(9)).map(([span, step]) => `${span}/${step}`),
        ),
        { minLength: 1, maxLength: 3 },
      )
      .map((ranges) => ranges.join(','));
  const likely = fc
    .tuple(
      fc.constantFrom('', 'CRON_TZ=UTC ', 'CRON_TZ=Europe/Berlin ', 'CRON_TZ=Nowhere '),
      field(61),
      field(25),
      fc.constantFrom('* *', '* *', '1 *', '* 5'),
      field(8),
    )
    .map(([zone, minute, hour, middle, day]) => `${zone}${minute} ${hour} ${middle} ${day}`);

  /** Whether robfig/cron takes a field (parser.go, getField and getRange), with the one that it never starts by left out. */
  function takesField(text: string, least: number, most: number, names: readonly string[]): boolean {
    const number = (word: string): number =>
      names.includes(word.toLowerCase())
        ? names.indexOf(word.toLowerCase()) + least
        : /^[+-]?[0-9]+$/.test(word)
          ? Number(word)
          : NaN;
    const ranges = text.split(',').filter((range) => range !== '');
    return (
      ranges.length > 0 &&
      ranges.every((range) => {
        const [span = '', step, tooMuch] = range.split('/');
        const [low = '', high, tooMany] = span.split('-');
        const isAny = low === '*' || low === '?';
        const start = isAny ? least : number(low);
        const end = isAny ? most : high === undefined ? (step === undefined ? start : most) : number(high);
        const every = step === undefined ? 1 : /^[+-]?[0-9]+$/.test(step) ? Number(step) : NaN;
        const isWhole = tooMuch === undefined && (isAny || tooMany === undefined);
        return isWhole && start >= least && end <= most && start <= end && every > 0;
      })
    );
  }

  it('are taken when Coder takes them', () => {
    const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
    fuzz({ parser: 'schedules', inputs: bent(likely, signs), part: 2 }, (text) => {
      const problem = scheduleProblem(text);
      const zone = /^CRON_TZ=([^ ]*) /.exec(text);
      const fields = text
        .slice(zone?.[0].length ?? 0)
        .trim()
        .split(/\s+/);
      const [minute = '', hour = '', dayOfMonth, month, day = '', ...more] = fields;
      // Whether a zone is known is asked of the machine, there and here; `\s` may not be in it.
      const isZone = zone === null || zone[1] === 'UTC' || zone[1] === 'Europe/Berlin';
      const isKnown = ['UTC', 'Europe/Berlin', undefined].includes(zone?.[1]);
      const isTaken =
        text === '' ||
        (isZone &&
          more.length === 0 &&
          dayOfMonth === '*' &&
          month === '*' &&
          takesField(minute, 0, 59, []) &&
          takesField(hour, 0, 23, []) &&
          takesField(day, 0, 6, days));
      if (isKnown || problem === undefined) expect(problem === undefined, problem).to.equal(isTaken);
      // It becomes part of a message.
      expect((problem ?? '').length).to.be.below(400);
    });
  });

  it('of any kind get an answer', () => {
    fuzz({ parser: 'schedules', inputs: phrases(signs) }, (text) => {
      expect(scheduleProblem(text)).to.satisfy(
        (problem: unknown) => problem === undefined || typeof problem === 'string',
      );
    });
  });

  it('of any length get it at once', () => {
    fuzzLong({ parser: 'schedules', words: signs }, scheduleProblem);
  });
});

describe('fuzzing: durations', () => {
  const signs = [
    '1',
    '0',
    '.5',
    '1.',
    'h',
    'm',
    's',
    'ms',
    'us',
    'µs',
    'ns',
    '-',
    '+',
    '.',
    '11',
    ' ',
    '9'.repeat(20),
  ];
  const unit = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
  type Unit = keyof typeof unit;
  const term = fc.record({
    amount: fc.oneof(
      fc.nat(100_000).map(String),
      fc.tuple(fc.nat(999), fc.nat(999)).map(([whole, rest]) => `${whole}.${rest}`),
    ),
    of: fc.constantFrom<Unit>('h', 'm', 's', 'ms'),
  });

  it('say what their parts add up to', () => {
    fuzz(
      { parser: 'durations', inputs: fc.array(term, { minLength: 1, maxLength: 5 }), part: 2 },
      (terms) => {
        const text = terms.map(({ amount, of }) => amount + of).join('');
        let ms = 0;
        for (const { amount, of } of terms) ms += Number(amount) * unit[of];
        expect(parseFlag(text)).to.equal(ms);
        expect(parseDuration(text)).to.equal(ms);
        expect(parseDuration(`-${text}`)).to.equal(-ms);
      },
    );
  });

  it('of any kind are a number or nothing, and those of flags a part of those of requests', () => {
    const inputs = fc.oneof(phrases(signs), bent(phrases(['1h', '2.5m', '30s', '100ms'], 4), signs));
    fuzz({ parser: 'durations', inputs, part: 2 }, (text) => {
      const [flag, request] = [parseFlag(text), parseDuration(text)];
      expect([flag, request].some(Number.isNaN)).to.equal(false);
      if (flag !== undefined) expect(flag).to.equal(request);
    });
  });

  it('of any length are read at once', () => {
    // Digits without a unit took the square of their length, for whoever could reach the endpoint.
    const examples = ['1'.repeat(50_000), `${'1'.repeat(50_000)}.`];
    fuzzLong({ parser: 'durations', words: signs, examples }, (text) => {
      parseDuration(text);
      parseFlag(text);
    });
  });
});

describe('fuzzing: resourceVersions', () => {
  it('compare as the numbers that they are', () => {
    const version = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 70n }).map(String),
      bent(fc.bigInt({ min: 0n, max: 2n ** 64n }).map(String), ['0', '-', 'x', '']),
    );
    fuzz({ parser: 'resourceVersions', inputs: fc.tuple(version, version), part: 2 }, ([a, b]) => {
      const isNumber = [a, b].every((text) => /^(0|[1-9][0-9]*)$/.test(text));
      const order = compareResourceVersions(a, b);
      if (!isNumber) expect(order).to.equal(undefined);
      else
        expect(Math.sign(order ?? NaN)).to.equal(BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0);
    });
  });
});
