import { expect } from 'chai';
import fc from 'fast-check';
import { certainlyMisses } from '../../../../src/controller/workspace/pattern.ts';

describe('certainlyMisses', () => {
  const misses: readonly (readonly [string, string])[] = [
    ['^[a-z]+$', 'ABC'],
    ['^[a-z0-9-]{3,32}$', 'ab'],
    ['^(?:eu|us)-[a-z]+$', 'asia-x'],
    [String.raw`^\d+$`, '12a'],
    [String.raw`^https://github\.com/`, 'http://github.com/a'],
    ['^(?<name>a)$', 'b'],
    ['b', 'a'.repeat(1000)],
  ];
  for (const [pattern, value] of misses) {
    it(`is certain that ${pattern} misses ${JSON.stringify(value.slice(0, 20))}`, () => {
      expect(certainlyMisses(pattern, value)).to.equal(true);
    });
  }

  const leaves: readonly (readonly [string, string, string])[] = [
    ['a match', '^[a-z]+$', 'abc'],
    ['a match in the middle, as Coder does not anchor', 'b', 'abc'],
    ['a flag of RE2', '(?i)^abc$', 'ABD'],
    ['a named group of RE2', '(?P<a>b)', 'c'],
    ['a class of POSIX', '^[[:alpha:]]+$', '1'],
    ['a class in which JavaScript sees something else', '^[]a]$', 'b'],
    ['another one', '[]* [a-z]', ' A'],
    ['an anchor of RE2', String.raw`\Aa\z`, 'b'],
    ['a quotation of RE2', String.raw`\Qa.b\E`, 'a'],
    ['what only JavaScript knows', '^(?=a)b', 'b'],
    ['a pattern that is none', '(', 'a'],
    ['a value with a line end, over which the two differ', '^a.b$', 'a\rb'],
    ['a value of other letters', String.raw`^\S+$`, 'a\u00a0b'],
    ['more repetitions than RE2 takes', '^a{2000}$', 'b'],
    ['a very long pattern', `^${'a'.repeat(600)}$`, 'b'],
  ];
  for (const [what, pattern, value] of leaves) {
    it(`leaves ${what} to Coder`, () => {
      expect(certainlyMisses(pattern, value)).to.equal(false);
    });
  }

  const slow: readonly (readonly [string, string])[] = [
    ['^(a+)+$', `${'a'.repeat(60)}!`],
    ['^(a|a)*$', `${'a'.repeat(60)}!`],
    ['^(?:a|aa)+$', `${'a'.repeat(60)}!`],
    ['^(?:a{1,9}){1,9}$', `${'a'.repeat(60)}!`],
    [`^${'a*'.repeat(30)}$`, `${'a'.repeat(60)}!`],
    [`^${'a?'.repeat(40)}$`, `${'a'.repeat(40)}!`],
    [`^${'(a|a)'.repeat(60)}$`, `${'a'.repeat(60)}!`],
    [`a*a*b`, 'a'.repeat(60_000)],
    [String.raw`^(\)+)+$`, `${')'.repeat(60)}!`],
    ['^([)]+)+$', `${')'.repeat(60)}!`],
    ['^(?<n>a+)+$', `${'a'.repeat(60)}!`],
  ];
  for (const [pattern, value] of slow) {
    it(`does not begin with ${pattern.slice(0, 30)}, over which JavaScript may take for ever`, () => {
      expect(certainlyMisses(pattern, value)).to.equal(false);
    });
  }

  it('comes to an end with whatever pattern, and is never certain of a match', () => {
    const piece = fc.constantFrom(
      ...['a', 'b', '.', '^', '$', '|', '(', '(?:', ')', '[ab]', '[^a]', String.raw`\d`, String.raw`\)`],
      ...['*', '+', '?', '{2}', '{1,9}', '{3,}', '*?', ')+', ')*'],
    );
    const pattern = fc.array(piece, { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join(''));
    const value = fc.string({ unit: fc.constantFrom('a', 'b', '1', ')'), maxLength: 200 });
    fc.assert(
      fc.property(pattern, value, (p, v) => {
        if (certainlyMisses(p, v)) expect(new RegExp(p, 'u').test(v)).to.equal(false);
      }),
      { numRuns: 2_000 },
    );
  });
});
