import { expect } from 'chai';
import fc from 'fast-check';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { nameSelector, parseFieldSelector } from '../../../../src/apiserver/reading/fields.ts';

const object = { namespace: 'team', name: 'acme.web' };

describe('field selectors', () => {
  for (const [selector, selects] of [
    ['', true],
    [',', true],
    ['metadata.name=acme.web', true],
    ['metadata.name==acme.web', true],
    ['metadata.name!=acme.web', false],
    ['metadata.name!=other', true],
    ['metadata.name=other', false],
    ['metadata.name=', false],
    ['metadata.namespace=team', true],
    ['metadata.namespace!=team', false],
    ['metadata.name=acme.web,metadata.namespace=team', true],
    ['metadata.name=acme.web,metadata.namespace=other', false],
    ['metadata.name=acme.web,metadata.name=other', false],
    ['metadata.name= acme.web', false],
    [String.raw`metadata.name=acme\,web`, false],
    [',metadata.name=acme.web,,', true],
  ] as const) {
    it(`33. field selectors: ${JSON.stringify(selector)} ${selects ? 'selects' : 'does not select'}`, () => {
      expect(parseFieldSelector(selector).matches(object)).to.equal(selects);
    });
  }

  for (const [selector, message] of [
    ['status.phase=Running', 'field label not supported: status.phase'],
    ['spec.running!=true', 'field label not supported: spec.running'],
    ['metadata.uid=1', 'field label not supported: metadata.uid'],
    ['=a', 'field label not supported: '],
    [' metadata.name=a', 'field label not supported:  metadata.name'],
    ['metadata.name', "invalid selector: 'metadata.name'; can't understand 'metadata.name'"],
    ['metadata.name=a=b', 'invalid field selector: unescaped character in value: ='],
    [String.raw`metadata.name=a\b`, String.raw`invalid field selector: invalid escape sequence: \b`],
    ['metadata.name=a\\', 'invalid field selector: invalid escape sequence: \\'],
  ] as const) {
    it(`33. field selectors: ${JSON.stringify(selector)} is refused`, () => {
      expect(() => parseFieldSelector(selector))
        .to.throw(StatusError)
        .that.includes({ reason: 'BadRequest', message });
    });
  }

  it('33. field selectors: a backslash takes a comma, an equals sign or a backslash as it is', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const escaped = name.replace(/[\\,=]/g, '\\$&');
        const selector = parseFieldSelector(`metadata.name=${escaped}`);
        expect(selector.exact('metadata.name')).to.equal(name);
        expect(selector.matches({ namespace: '', name })).to.equal(true);
        expect(selector.canonical).to.equal(nameSelector(name).canonical);
      }),
    );
  });

  it('knows the one name that can be meant, if there is one', () => {
    const exact = (text: string): string | undefined => parseFieldSelector(text).exact('metadata.name');
    expect(exact('metadata.namespace=a,metadata.name=b')).to.equal('b');
    expect(exact('metadata.name!=b')).to.equal(undefined);
    expect(exact('')).to.equal(undefined);
  });

  it('has one form for all ways to write the same', () => {
    const { canonical } = parseFieldSelector('metadata.namespace==a,metadata.name!=b,metadata.name!=b');
    expect(canonical).to.equal(parseFieldSelector('metadata.name!=b,metadata.namespace=a').canonical);
  });
});
