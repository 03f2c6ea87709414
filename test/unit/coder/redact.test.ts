import { expect } from 'chai';
import fc from 'fast-check';
import { cleanText, redact } from '../../../src/coder/redact.ts';

describe('redact', () => {
  it('replaces every occurrence of every secret', () => {
    expect(redact('a=s3cret b=s3cret c=other', ['s3cret', 'other'])).to.equal(
      'a=[redacted] b=[redacted] c=[redacted]',
    );
  });

  it('replaces the longer of two secrets that contain each other', () => {
    expect(redact('token-with-tail', ['token', 'token-with-tail'])).to.equal('[redacted]');
  });

  it('does not eat into its own replacements', () => {
    expect(redact('password e', ['password', 'e'])).to.equal('[redacted] [redacted]');
  });

  it('finds secrets that were encoded for a URL or a JSON text', () => {
    expect(redact('?v=a%2Fb%20c', ['a/b c'])).to.equal('?v=[redacted]');
    expect(redact(String.raw`{"v":"a\"b"}`, ['a"b'])).to.equal('{"v":"[redacted]"}');
  });

  it('takes the characters of a secret literally and passes over empty ones', () => {
    expect(redact('a.c abc $& [x', ['a.c', '', '$&', '[x'])).to.equal('[redacted] abc [redacted] [redacted]');
    expect(redact('unchanged', [''])).to.equal('unchanged');
  });

  it('leaves no secret of more than a few characters in any text', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string({ minLength: 12, unit: 'grapheme' }),
        fc.string(),
        (before, secret, after) => {
          fc.pre(!'[redacted]'.includes(secret));
          expect(redact(before + secret + after, [secret])).not.to.include(secret);
        },
      ),
    );
  });
});

describe('cleanText', () => {
  it('takes out terminal sequences, control characters and invisible ones', () => {
    expect(cleanText('\u001b[31mError\u001b[0m:\u0007 no\u202Ething\u200B here')).to.equal(
      'Error: nothing here',
    );
  });

  it('folds white space and line breaks', () => {
    expect(cleanText('  line one\r\n\n\t line   two\u2028three \n')).to.equal('line one line two three');
  });

  it('cuts between two characters and says so', () => {
    expect(cleanText('ääääää', 8)).to.equal('ää…');
    expect(cleanText('12345678', 8)).to.equal('12345678');
    expect(cleanText('123456789', 8)).to.equal('12345…');
    expect(cleanText('a😀😀', 8)).to.equal('a😀…');
  });

  it('never gives more than it may, nor half a character, nor a control character', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 4000 }),
        fc.integer({ min: 8, max: 200 }),
        (text, max) => {
          const clean = cleanText(text, max);
          expect(Buffer.byteLength(clean)).to.be.at.most(max);
          expect(clean).not.to.match(/[\p{Cc}\p{Cf}\p{Cs}]/u);
        },
      ),
    );
  });

  it('does not take long over long hostile texts', () => {
    const started = performance.now();
    cleanText('\u001b['.repeat(2_000_000));
    cleanText('\u001b]'.repeat(2_000_000));
    cleanText('1;'.repeat(2_000_000));
    expect(performance.now() - started).to.be.below(1000);
  });
});
