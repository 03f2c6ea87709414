import { expect } from 'chai';
import fc from 'fast-check';
import type { NameValue, RichParameter } from '../../../../src/coder/types.ts';
import {
  differingParameters,
  parameterProblems,
  type ParameterCheck,
  type WishedParameter,
} from '../../../../src/controller/workspace/parameters.ts';

function definition(parts: Partial<RichParameter> = {}): RichParameter {
  return {
    name: 'p',
    type: 'string',
    mutable: true,
    required: false,
    default_value: '',
    options: [],
    ...parts,
  };
}

const options = (...values: readonly string[]): RichParameter['options'] =>
  values.map((value) => ({ name: `The ${value}`, value }));
const wish = (value: string, more: Partial<WishedParameter> = {}): WishedParameter => ({
  name: 'p',
  value,
  isSecret: false,
  ...more,
});
const has = (value: string, name = 'p'): readonly NameValue[] => [{ name, value }];

/** The problems of one wished value of one parameter. */
function problems(
  parts: Partial<RichParameter>,
  value: string,
  more: Partial<ParameterCheck> = {},
): readonly string[] {
  return parameterProblems({
    wished: [wish(value)],
    definitions: [definition(parts)],
    current: undefined,
    ...more,
  });
}

describe('parameterProblems', () => {
  const number = { type: 'number' } as const;
  const list = { type: 'list(string)' } as const;

  const good: readonly (readonly [string, Partial<RichParameter>, readonly string[]])[] = [
    ['text', {}, ['a', ' ', 'ä\n', 'x'.repeat(5000)]],
    ['bool', { type: 'bool' }, ['true', 'false']],
    [
      'number without limits',
      number,
      ['4', '-4', '+4', '004', '2.5', '.5', '5.', '1e3', '1E-3', '1_000', '-Inf', '0x1p-2'],
    ],
    ['number with limits', { ...number, validation_min: -2, validation_max: 8 }, ['-2', '8', '+3', '007']],
    ['number of 64 bits', { ...number, validation_min: 0 }, ['9223372036854775807']],
    ['list', list, ['[]', '["a"]', ' [ "a" , "b" ] ', 'null', '[null]']],
    ['option', { options: options('eu', 'us') }, ['eu', 'us']],
    ['list of options', { ...list, options: options('a', 'b') }, ['["b","a"]', '[]']],
    ['list that is an option', { ...list, options: options('["a","b"]', '["c"]') }, ['["a","b"]']],
    ['text by a pattern', { validation_regex: '^[a-z]+$' }, ['abc']],
    ['text by a pattern that only Coder can judge', { validation_regex: '(?i)^a$' }, ['b']],
    [
      'empty value, for which the default counts',
      { ...number, validation_min: 1, options: options('1') },
      [''],
    ],
    ['type that a newer Coder has', { type: 'map(string)' }, ['{}']],
    ['limit that is none for a text', { validation_min: 5 }, ['1']],
  ];
  for (const [what, parts, values] of good) {
    it(`takes a ${what}`, () => {
      for (const value of values) expect(problems(parts, value), value).to.deep.equal([]);
    });
  }

  const bad: readonly (readonly [string, Partial<RichParameter>, string, string])[] = [
    ['bool', { type: 'bool' }, 'True', 'must be true or false, and is "True"'],
    ['number', number, 'four', 'must be a number, and is "four"'],
    ['number with space', number, ' 4', 'must be a number, and is "4"'],
    ['hexadecimal number', number, '0x10', 'must be a number, and is "0x10"'],
    ['number without end', number, '1e999', 'must be a number, and is "1e999"'],
    ['fraction', { ...number, validation_max: 8 }, '2.5', 'must be a whole number, and is "2.5"'],
    ['number of 65 bits', { ...number, validation_min: 0 }, '9223372036854775808', 'must be a whole number'],
    ['small number', { ...number, validation_min: 1 }, '0', 'must not be below 1, and is "0"'],
    ['large number', { ...number, validation_max: 8 }, '9', 'must not be above 8, and is "9"'],
    ['limit of zero', { ...number, validation_max: 0 }, '1', 'must not be above 0, and is "1"'],
    ['list that is none', list, 'a,b', 'must be a JSON list of texts such as ["a","b"], and is "a,b"'],
    ['list of numbers', list, '[1]', 'must be a JSON list of texts'],
    ['object', list, '{"a":1}', 'must be a JSON list of texts'],
    [
      'option',
      { options: options('eu', 'us') },
      'asia',
      'must be one of the options eu, us, and asia is none of them',
    ],
    ['option of other case', { options: options('eu') }, 'EU', 'must be one of the options eu'],
    [
      'item',
      { ...list, options: options('a', 'b') },
      '["a","c"]',
      'must be one of the options a, b, and c is none of them',
    ],
    ['pattern', { validation_regex: '^[a-z]+$' }, 'A1', 'must match ^[a-z]+$, and is "A1"'],
    [
      'pattern with a saying',
      { validation_regex: '^[a-z]+$', validation_error: 'lower case only' },
      'A1',
      'must match ^[a-z]+$ (lower case only), and is "A1"',
    ],
    ['empty value of a required', { required: true }, '', 'must not be empty'],
  ];
  for (const [what, parts, value, problem] of bad) {
    it(`refuses a wrong ${what}`, () => {
      const found = problems(parts, value);
      expect(found).to.have.length(1);
      expect(found[0]?.startsWith(`"p" ${problem}`), found[0]).to.equal(true);
    });
  }

  it('names what there is beside what is unknown, ten at most', () => {
    const definitions = Array.from({ length: 12 }, (_, i) => definition({ name: `p${i}` }));
    const wished = [wish('1', { name: 'P0' })];
    expect(parameterProblems({ wished, definitions, current: undefined })).to.deep.equal([
      '"P0" is unknown: the template version asks for p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more',
    ]);
    expect(parameterProblems({ wished, definitions: [], current: undefined })).to.deep.equal([
      '"P0" is unknown: the template version asks for no parameters',
    ]);
  });

  it('names every parameter at fault', () => {
    const found = parameterProblems({
      wished: [wish('x', { name: 'a' }), wish('1', { name: 'b' }), wish('x', { name: 'c' })],
      definitions: [
        definition({ name: 'a', type: 'bool' }),
        definition({ name: 'b', type: 'number' }),
        definition({ name: 'd', required: true }),
      ],
      current: undefined,
    });
    expect(found.map((problem) => problem.slice(0, 3))).to.deep.equal(['"a"', '"c"', '"d"']);
  });

  describe('of a workspace that exists', () => {
    const immutable = { mutable: false };
    const increasing = { ...number, validation_monotonic: 'increasing' } as const;
    const decreasing = { ...number, validation_monotonic: 'decreasing' } as const;

    const changes: readonly (readonly [
      string,
      Partial<RichParameter>,
      string,
      string,
      string | undefined,
    ])[] = [
      ['an immutable one stays', immutable, 'a', 'a', undefined],
      ['an immutable one changes', immutable, 'a', 'b', 'cannot be changed any more'],
      ['a growing one stays', increasing, '5', '5', undefined],
      ['a growing one grows', increasing, '9', '10', undefined],
      ['a growing one shrinks', increasing, '10', '9', 'must not become smaller'],
      ['a shrinking one shrinks', decreasing, '10', '9', undefined],
      ['a shrinking one grows', decreasing, '9', '10', 'must not become larger'],
      ['what it was is no number', increasing, 'x', '1', undefined],
      [
        'the rule is one of a newer Coder',
        { ...number, validation_monotonic: 'stable' },
        '1',
        '2',
        undefined,
      ],
    ];
    for (const [what, parts, current, value, problem] of changes) {
      it(`${problem === undefined ? 'finds nothing wrong' : 'refuses'} when ${what}`, () => {
        const found = problems(parts, value, { current: has(current) });
        if (problem === undefined) expect(found).to.deep.equal([]);
        else expect(found[0]).to.include(problem);
      });
    }

    it('lets what the last build did not have be set once more', () => {
      expect(problems(immutable, 'b', { current: [] })).to.deep.equal([]);
      expect(problems(increasing, '1', { current: [] })).to.deep.equal([]);
    });
  });

  describe('of a required parameter', () => {
    const definitions = [definition({ required: true })];
    const check = (more: Partial<ParameterCheck>): readonly string[] =>
      parameterProblems({ wished: [], definitions, current: undefined, ...more });

    it('misses it when nobody gives it', () => {
      expect(check({})).to.deep.equal(['"p" is missing: the template has no default for it']);
      expect(check({ current: [] }), 'a new version asks for it').to.have.length(1);
    });

    it('has it from the wish, the preset or the last build', () => {
      expect(check({ wished: [wish('a')] })).to.deep.equal([]);
      expect(check({ presetValues: has('a') })).to.deep.equal([]);
      expect(check({ current: has('a') })).to.deep.equal([]);
    });
  });

  it('refuses a wish that a preset overrules for ever', () => {
    const preset = { presetValues: has('a') };
    expect(problems({ mutable: false }, 'b', preset)[0]).to.include('another value by the preset');
    expect(problems({ mutable: false }, 'a', preset)).to.deep.equal([]);
    expect(problems({ mutable: true }, 'b', preset), 'it can be changed later').to.deep.equal([]);
    expect(problems({ mutable: false }, 'a', { ...preset, current: has('a') })).to.deep.equal([]);
  });

  it('shows foreign texts shortened and on one line', () => {
    const [found] = problems({ type: 'bool' }, `${'long '.repeat(1000)}\n\u001b[31m`);
    expect(found?.length).to.be.below(150);
    const many = options(...Array.from({ length: 50 }, (_, i) => `option-${i}${'x'.repeat(100)}`));
    const [other] = problems({ options: many }, 'a\nb');
    expect(other?.length).to.be.below(1000);
    expect(`${found ?? ''}${other ?? ''}`).to.not.match(/\p{Cc}/u);
    expect(other).to.include('and 40 more');
  });

  const anyDefinition = fc.record({
    type: fc.constantFrom('string', 'number', 'bool', 'list(string)'),
    mutable: fc.boolean(),
    required: fc.boolean(),
    options: fc.constantFrom(options(), options('a', 'b'), options('1', '2'), options('["a"]')),
    validation_regex: fc.constantFrom(undefined, '^[a-z]+$', '(', '^(a+)+$'),
    validation_error: fc.constantFrom(undefined, 'no'),
    validation_min: fc.constantFrom(undefined, -1, 0, 5),
    validation_max: fc.constantFrom(undefined, 0, 7),
    validation_monotonic: fc.constantFrom(undefined, 'increasing', 'decreasing'),
  });

  it('tells nothing of a secret value, nor of the one that it replaces', () => {
    const secrets = fc.constantFrom('s3cr3t', '424242', '["s3cr3t"]', '["a","s3cr3t"]', '424242.5', 'S3CR3T');
    fc.assert(
      fc.property(
        anyDefinition,
        secrets,
        fc.option(secrets),
        fc.option(secrets),
        (parts, value, before, preset) => {
          const found = parameterProblems({
            wished: [wish(value, { isSecret: true })],
            // What is left out must be absent, as the readers leave it out.
            definitions: [definition(JSON.parse(JSON.stringify(parts)) as Partial<RichParameter>)],
            current: before === null ? undefined : has(before),
            presetValues: preset === null ? [] : has(preset),
          });
          expect(found.join()).to.not.match(/s3cr3t|424242/i);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('tells the same of a secret value as of another', () => {
    const values = fc.constantFrom('a', 'A', '1', '-3', '9', 'true', '["a"]', '["c"]', '', '1.5', 'x');
    fc.assert(
      fc.property(anyDefinition, values, fc.option(values), (parts, value, before) => {
        const definitions = [definition(JSON.parse(JSON.stringify(parts)) as Partial<RichParameter>)];
        const current = before === null ? undefined : has(before);
        const [open, secret] = [false, true].map((isSecret) =>
          parameterProblems({ wished: [wish(value, { isSecret })], definitions, current }),
        );
        expect(secret).to.have.length(open?.length ?? -1);
        for (const [i, text] of secret?.entries() ?? []) expect(open?.[i]?.startsWith(text)).to.equal(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('differingParameters', () => {
  it('names those that have another value, or none yet', () => {
    const names = ['same', 'other', 'new'];
    const wished = names.map((name) => wish('1', { name }));
    const current = [...has('1', 'same'), ...has('2', 'other'), ...has('3', 'unwished')];
    const definitions = [...names, 'unwished'].map((name) => definition({ name }));
    expect(differingParameters(wished, current, definitions)).to.deep.equal(['other', 'new']);
  });

  it('compares texts, as Coder keeps them', () => {
    const differs = (type: string, a: string, b: string): boolean =>
      differingParameters([wish(a)], has(b), [definition({ type })]).length > 0;
    expect(differs('number', '1', '1.0')).to.equal(true);
    expect(differs('list(string)', '["a"]', '[ "a" ]')).to.equal(true);
    expect(differs('string', '', '')).to.equal(false);
  });

  it('passes over what counts for one build only, and what the version does not know', () => {
    expect(differingParameters([wish('1')], has('2'), [definition({ ephemeral: true })])).to.deep.equal([]);
    expect(differingParameters([wish('1')], [], [])).to.deep.equal([]);
  });
});
