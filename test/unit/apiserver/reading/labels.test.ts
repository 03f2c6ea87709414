import { expect } from 'chai';
import fc from 'fast-check';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { int64, parseLabelSelector } from '../../../../src/apiserver/reading/labels.ts';

const blue = { colour: 'blue', size: '7', empty: '', 'example.com/tier': 'web', in: 'in' };

const matching = [
  '',
  '  ',
  'colour',
  '!shape',
  ' ! shape ',
  'colour=blue',
  'colour==blue',
  'colour = blue , size',
  'colour!=red',
  'shape!=round',
  'colour in (red,blue)',
  'colour in(blue)',
  'colour notin (red, green)',
  'shape notin (round)',
  'example.com/tier=web',
  'empty=',
  'empty',
  'empty in ()',
  'empty in (,a)',
  'empty in (a,,b)',
  'colour notin ()',
  'size>6',
  'size<8',
  'size > 6,size < 8',
  'in',
  'in in (in)',
  'notin notin (in,notin)',
  'colour=blue,size=7,!shape,colour notin (red)',
];

const missing = [
  'shape',
  '!colour',
  'colour=red',
  'colour=',
  'colour!=blue',
  'shape=round',
  'colour in (red)',
  'shape in (round,square)',
  'colour notin (blue)',
  'colour in ()',
  'shape=',
  'size>7',
  'size<7',
  'shape>1',
  'colour>1',
  'constructor',
  'colour=blue,shape',
];

const wrong = [
  ',',
  'colour,',
  ',colour',
  'colour,,size',
  '=blue',
  '!',
  '!!colour',
  '!colour=blue',
  'colour=blue=red',
  'colour===blue',
  'colour in blue',
  'colour in (blue',
  'colour in blue)',
  'colour in (blue red)',
  'colour in (a=b)',
  'colour blue',
  'colour=blue size=7',
  'size>',
  'size>big',
  'size>99999999999999999999',
  'size in',
  'a/b/c',
  '/name',
  'Example.com/tier',
  'example.com/',
  'colour=-blue',
  'colour=blue!',
  `colour=${'x'.repeat(64)}`,
  'x'.repeat(64),
  `${'x'.repeat(254)}/name`,
  'größe',
];

describe('label selectors', () => {
  for (const selector of matching) {
    it(`33. label selectors: ${JSON.stringify(selector)} selects`, () => {
      expect(parseLabelSelector(selector).matches(blue)).to.equal(true);
    });
  }

  for (const selector of missing) {
    it(`33. label selectors: ${JSON.stringify(selector)} does not select`, () => {
      expect(parseLabelSelector(selector).matches(blue)).to.equal(false);
    });
  }

  for (const selector of wrong) {
    it(`33. label selectors: ${JSON.stringify(selector)} is refused`, () => {
      expect(() => parseLabelSelector(selector))
        .to.throw(StatusError, /^unable to parse requirement: /)
        .with.property('reason', 'BadRequest');
    });
  }

  it('says what is wrong with a value and with a key', () => {
    expect(() => parseLabelSelector('colour in (-a,b,c-)')).to.throw(
      /^unable to parse requirement: \[values\[0\]\[colour\]: Invalid value: "-a": .*, values\[2\]\[colour\]: Invalid value: "c-": /,
    );
    expect(() => parseLabelSelector('a b')).to.throw("found 'b', expected: in, notin, =, ==, !=, gt, lt");
    expect(() => parseLabelSelector('-a')).to.throw('Invalid value: "-a"');
  });

  it('compares whole integers of 64 bits only', () => {
    const selects = (value: string): boolean => parseLabelSelector('n>5').matches({ n: value });
    expect(['6', '9223372036854775807'].map(selects)).to.deep.equal([true, true]);
    expect(['5', '6.5', '9223372036854775808', 'six', ''].map(selects)).to.not.include(true);
    expect([int64('+7'), int64('-7'), int64('--7'), int64('')]).to.deep.equal([
      7n,
      -7n,
      undefined,
      undefined,
    ]);
  });

  const key = fc.constantFrom('a', 'b', 'in', 'example.com/c');
  const value = fc.constantFrom('', 'x', 'y', 'in');
  const labels = fc.dictionary(key, value);

  it('has one form for all ways to write the same', () => {
    expect(parseLabelSelector(' b in (y,x,x), !a').canonical).to.equal(
      parseLabelSelector('!a,b in (x, y)').canonical,
    );
    expect(parseLabelSelector('a==x').canonical).to.equal(parseLabelSelector('a in (x)').canonical);
    const part = fc.oneof(
      key,
      key.map((k) => `!${k}`),
      fc
        .tuple(key, fc.constantFrom('=', '!=', ' in ', ' notin '), fc.array(value, { minLength: 1 }))
        .map(([k, operator, values]) =>
          operator.endsWith(' ')
            ? `${k}${operator}(${values.join(',')})`
            : `${k}${operator}${values[0] ?? ''}`,
        ),
    );
    fc.assert(
      fc.property(fc.array(part), labels, (parts, object) => {
        const parsed = parseLabelSelector(parts.join(','));
        const again = parseLabelSelector(parsed.canonical);
        expect(again.canonical).to.equal(parsed.canonical);
        expect(again.matches(object)).to.equal(parsed.matches(object));
      }),
    );
  });

  it('takes in for the opposite of notin, and a key for the opposite of its absence', () => {
    fc.assert(
      fc.property(key, fc.array(value, { minLength: 1 }), labels, (k, values, object) => {
        const selects = (selector: string): boolean => parseLabelSelector(selector).matches(object);
        const set = `(${values.join(',')})`;
        expect(selects(`${k} notin ${set}`)).to.equal(!selects(`${k} in ${set}`));
        expect(selects(`!${k}`)).to.equal(!selects(k));
        expect(selects(`${k}!=${values[0] ?? ''}`)).to.equal(!selects(`${k}=${values[0] ?? ''}`));
      }),
    );
  });

  it('takes a comma for and', () => {
    const one = fc.tuple(key, value).map(([k, v]) => `${k}=${v}`);
    fc.assert(
      fc.property(one, one, labels, (left, right, object) => {
        const selects = (selector: string): boolean => parseLabelSelector(selector).matches(object);
        expect(selects(`${left},${right}`)).to.equal(selects(left) && selects(right));
      }),
    );
  });
});
