import { expect } from 'chai';
import fc from 'fast-check';
import { StatusError } from '../../../src/apiserver/http/status.ts';
import { parseTarget } from '../../../src/apiserver/http/requestinfo.ts';
import { parseFieldSelector } from '../../../src/apiserver/reading/fields.ts';
import { parseLabelSelector, type LabelRequirement } from '../../../src/apiserver/reading/labels.ts';
import { readIncludeObject, readListOptions } from '../../../src/apiserver/reading/options.ts';
import { readToken, writeToken } from '../../../src/apiserver/reading/token.ts';
import { workspaceView } from '../../../src/apiserver/view/workspace.ts';
import { bent, fuzz, fuzzLong, phrases, refusedOr } from '../../support/fuzzing.ts';

const labelKey = fc.constantFrom(
  'a',
  'b',
  'in',
  'notin',
  'example.com/c',
  'x'.repeat(63),
  'constructor',
  'A-b_c.d',
);
const labelValue = fc
  .constantFrom('', 'x', 'y', 'in', 'notin', '7', '-9', 'x'.repeat(63))
  .filter((v) => !v.startsWith('-'));
const labels = fc.dictionary(labelKey, labelValue);

describe('fuzzing: label selectors', () => {
  const blank = fc.constantFrom('', '', ' ', '\t ', '\r\n');
  const set = fc.tuple(
    fc.constantFrom('in' as const, 'notin' as const),
    fc.array(labelValue, { minLength: 1, maxLength: 4 }),
  );
  const requirement: fc.Arbitrary<LabelRequirement> = fc.oneof(
    labelKey.map((key) => ({ key, operator: 'exists' as const, values: [] })),
    labelKey.map((key) => ({ key, operator: 'absent' as const, values: [] })),
    fc.tuple(labelKey, set).map(([key, [operator, values]]) => ({ key, operator, values })),
    fc
      .tuple(labelKey, fc.constantFrom('greater' as const, 'less' as const), fc.integer({ min: 0, max: 20 }))
      .map(([key, operator, n]) => ({ key, operator, values: [String(n)] })),
  );

  /** One of the ways in which the grammar of Kubernetes lets a requirement be written. */
  function written({ key, operator, values }: LabelRequirement, space: string, isShort: boolean): string {
    const [first = '', ...more] = values;
    const list = `(${space}${values.join(`${space},${space}`)}${space})`;
    switch (operator) {
      case 'exists':
        return key;
      case 'absent':
        return `!${space}${key}`;
      case 'in':
        return isShort && more.length === 0 ? `${key}${space}=${space}${first}` : `${key} in${space}${list}`;
      case 'notin':
        return isShort && more.length === 0
          ? `${key}${space}!=${space}${first}`
          : `${key} notin${space}${list}`;
      case 'greater':
        return `${key}${space}>${space}${first}`;
      case 'less':
        return `${key}${space}<${space}${first}`;
    }
  }

  /** apimachinery/pkg/labels, Requirement.Matches, written down a second time. */
  function matches(
    { key, operator, values }: LabelRequirement,
    object: Readonly<Record<string, string>>,
  ): boolean {
    const value = new Map(Object.entries(object)).get(key);
    switch (operator) {
      case 'exists':
        return value !== undefined;
      case 'absent':
        return value === undefined;
      case 'in':
        return value !== undefined && values.includes(value);
      case 'notin':
        return value === undefined || !values.includes(value);
      case 'greater':
        return /^-?[0-9]+$/.test(value ?? '') && Number(value) > Number(values[0]);
      case 'less':
        return /^-?[0-9]+$/.test(value ?? '') && Number(value) < Number(values[0]);
    }
  }

  it('of the grammar mean what they say, however they are written', () => {
    const inputs = fc.record({
      requirements: fc.array(requirement, { maxLength: 5 }),
      space: blank,
      isShort: fc.boolean(),
      object: labels,
    });
    fuzz({ parser: 'label selectors', inputs, part: 3 }, ({ requirements, space, isShort, object }) => {
      const text = requirements.map((one) => written(one, space, isShort)).join(`${space},${space}`);
      const selector = parseLabelSelector(text);
      expect(selector.matches(object), text).to.equal(requirements.every((one) => matches(one, object)));
      const again = parseLabelSelector(selector.canonical);
      expect(again.canonical).to.equal(selector.canonical);
      expect(again.matches(object)).to.equal(selector.matches(object));
    });
  });

  const signs = [
    'a',
    'b',
    '=',
    '==',
    '!=',
    '!',
    '(',
    ')',
    ',',
    '<',
    '>',
    ' in ',
    ' notin ',
    ' ',
    '7',
    '/',
    '-',
    'é',
    '\n',
    '.',
  ];

  it('of any kind are parsed or refused, and their canonical form says the same', () => {
    const object = { a: '7', b: 'a', in: '' };
    fuzz({ parser: 'label selectors', inputs: phrases(signs), part: 3 }, (text) => {
      const selector = refusedOr(StatusError, () => parseLabelSelector(text));
      if (selector === undefined) return;
      const again = parseLabelSelector(selector.canonical);
      expect(again.canonical).to.equal(selector.canonical);
      expect(again.matches(object)).to.equal(selector.matches(object));
    });
  });

  it('of any length are read at once', () => {
    fuzzLong({ parser: 'label selectors', words: signs }, (text) => {
      refusedOr(StatusError, () => parseLabelSelector(text));
    });
  });
});

describe('fuzzing: field selectors', () => {
  const term = fc.record({
    field: fc.constantFrom('metadata.name' as const, 'metadata.namespace' as const),
    operator: fc.constantFrom('=', '==', '!='),
    value: fc.oneof(
      fc.constantFrom('', 'a', 'b', 'a,b', 'a=b', '\\', 'a\\,'),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
  });
  const object = fc.record({
    name: fc.constantFrom('a', 'b', 'a,b', '\\', ''),
    namespace: fc.constantFrom('a', 'b'),
  });

  it('of the grammar mean what they say', () => {
    const inputs = fc.record({ terms: fc.array(term, { maxLength: 4 }), object });
    fuzz({ parser: 'field selectors', inputs, part: 3 }, ({ terms, object: one }) => {
      const text = terms.map((t) => `${t.field}${t.operator}${t.value.replace(/[\\,=]/g, '\\$&')}`).join(',');
      const selector = parseFieldSelector(text);
      const expected = terms.every(({ field, operator, value }) => {
        const found = field === 'metadata.name' ? one.name : one.namespace;
        return (found === value) === (operator !== '!=');
      });
      expect(selector.matches(one), text).to.equal(expected);
      expect(parseFieldSelector(selector.canonical).canonical).to.equal(selector.canonical);
      expect(parseFieldSelector(selector.canonical).matches(one)).to.equal(expected);
      const exact = selector.exact('metadata.name');
      if (exact !== undefined) expect(terms.some(({ value }) => value === exact)).to.equal(true);
    });
  });

  const signs = [
    'metadata.name',
    'metadata.namespace',
    '=',
    '==',
    '!=',
    ',',
    '\\',
    '\\,',
    'a',
    ' ',
    'status.id',
    '\n',
  ];

  it('of any kind are parsed or refused, and their canonical form says the same', () => {
    fuzz({ parser: 'field selectors', inputs: fc.tuple(phrases(signs), object), part: 3 }, ([text, one]) => {
      const selector = refusedOr(StatusError, () => parseFieldSelector(text));
      if (selector === undefined) return;
      const again = parseFieldSelector(selector.canonical);
      expect(again.canonical).to.equal(selector.canonical);
      expect(again.matches(one)).to.equal(selector.matches(one));
    });
  });

  it('of any length are read at once', () => {
    fuzzLong({ parser: 'field selectors', words: signs }, (text) => {
      refusedOr(StatusError, () => parseFieldSelector(text));
    });
  });
});

describe('fuzzing: the query of a list or watch', () => {
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '1',
      'true',
      'false',
      'Exact',
      'NotOlderThan',
      '-1',
      '18446744073709551616',
      '1e3',
      'x',
      '٣',
    ),
    fc.integer().map(String),
    fc.string({ unit: 'binary', maxLength: 4 }),
  );
  const parameter = fc.constantFrom(
    ...[
      'limit',
      'timeoutSeconds',
      'labelSelector',
      'fieldSelector',
      'resourceVersion',
      'resourceVersionMatch',
    ],
    ...['continue', 'watch', 'sendInitialEvents', 'allowWatchBookmarks', 'includeObject', '__proto__'],
  );
  const token = fc.constantFrom(
    writeToken({ resourceVersion: 7n, since: 1, after: { namespace: 'a', name: 'b' }, hash: 'h' }),
    'metadata.name=a',
    'a=b',
  );
  const query = fc.array(fc.tuple(parameter, fc.oneof(value, token)), { maxLength: 6 });

  it('is read or refused, and what is read is within its bounds', () => {
    fuzz({ parser: 'query options', inputs: fc.tuple(query, fc.boolean()), part: 3 }, ([pairs, isWatch]) => {
      const search = new URLSearchParams([
        ...pairs,
        ...(isWatch ? [['watch', '1'] as [string, string]] : []),
      ]);
      const path = `/apis/aggregation.coder.com/v1alpha1/namespaces/n/coderworkspaces?${search.toString()}`;
      const { info, query: read } = parseTarget('GET', path);
      refusedOr(StatusError, () => readIncludeObject(read));
      const options = refusedOr(StatusError, () => readListOptions(read, info, workspaceView));
      if (options === undefined) return;
      expect(options.limit).to.be.at.least(0);
      expect(Number.isNaN(options.timeoutSeconds)).to.equal(false);
      expect(['', 'Exact', 'NotOlderThan']).to.include(options.match);
      expect(options.selection.namespace).to.equal('n');
      if (options.resourceVersion !== undefined) expect(options.resourceVersion < 2n ** 64n).to.equal(true);
    });
  });
});

describe('fuzzing: continue tokens', () => {
  const position = fc.record({
    namespace: fc.string({ unit: 'grapheme' }),
    name: fc.string({ unit: 'grapheme' }),
  });
  const tokens = fc.record({
    resourceVersion: fc.option(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), { nil: undefined }),
    since: fc.maxSafeInteger(),
    after: position,
    hash: fc.string({ unit: 'grapheme' }),
  });

  it('say again what was written into them', () => {
    fuzz({ parser: 'continue tokens', inputs: tokens, part: 3 }, (token) => {
      const text = writeToken(token);
      expect(text).to.match(/^[\w-]+$/);
      expect(readToken(text)).to.deep.equal(token);
    });
  });

  it('of anything else are refused', () => {
    const almost = fc
      .tuple(
        fc.jsonValue(),
        fc.constantFrom(1, 2, '1', null),
        fc.constantFrom('', '7', '-7', '07', '9'.repeat(21), 7),
      )
      .map(([any, format, version]) => JSON.stringify([format, version, any, 'h', 'n', any]));
    const inputs = fc.oneof(
      phrases(['A', '-', '_', '=', '+', '/', '%', ' ']),
      fc.oneof(almost, fc.json()).map((text) => Buffer.from(text).toString('base64url')),
      bent(tokens.map(writeToken), ['A', '=', '+', 'é']),
    );
    fuzz({ parser: 'continue tokens', inputs, part: 3 }, (text) => {
      const token = refusedOr(StatusError, () => readToken(text));
      if (token === undefined) return;
      expect(readToken(writeToken(token))).to.deep.equal(token);
      for (const part of [token.hash, token.after.name, token.after.namespace])
        expect(part).to.be.a('string');
    });
  });

  it('of any length are read at once', () => {
    fuzzLong({ parser: 'continue tokens', words: ['W', 'WzE', '1', '_', '=', 'é'] }, (text) => {
      refusedOr(StatusError, () => readToken(text));
    });
  });
});
