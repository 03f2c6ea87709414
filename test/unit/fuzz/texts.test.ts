import { expect } from 'chai';
import fc from 'fast-check';
import sinon from 'sinon';
import { parse, parseDocument } from 'yaml';
import { OperatorError } from '../../../src/base/errors.ts';
import {
  checkBaseUrl,
  checkDownloadUrl,
  checkedLookup,
  type HostPolicy,
} from '../../../src/coder/address.ts';
import { AddressRefusedError } from '../../../src/coder/errors.ts';
import { cleanText, MAX_QUOTED_BYTES, redact, REDACTED } from '../../../src/coder/redact.ts';
import { urlOf } from '../../../src/coder/route.ts';
import { printManifest, printYaml } from '../../../src/export/yaml.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { bent, fuzz, fuzzLong, phrases, refusedOr } from '../../support/fuzzing.ts';

const TERMINAL = [
  '\u001b[31m',
  '\u001b]0;title\u0007',
  '\u009b1m',
  '\u001b',
  '\r',
  '\n',
  '\0',
  '\u007f',
  '\u2028',
  '\u202e',
  '\u200b',
  ';',
  '#',
  '?',
  '1',
  '\ud800',
  '"',
  '\\',
];

describe('fuzzing: texts of Coder that are shown', () => {
  it('are one line of what can be seen, no longer than they may be, and stay so', () => {
    const inputs = fc.tuple(
      fc.oneof(phrases(TERMINAL, 30), fc.string({ unit: 'binary' })),
      fc.integer({ min: 4, max: 80 }),
    );
    fuzz({ parser: 'texts of Coder', inputs, part: 3 }, ([text, maxBytes]) => {
      const shown = cleanText(text, maxBytes);
      expect(Buffer.byteLength(shown)).to.be.at.most(maxBytes);
      expect(shown).to.not.match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      expect(cleanText(shown, maxBytes)).to.equal(shown);
    });
  });

  it('hold no secret in any of its forms', () => {
    const secret = fc.string({ unit: 'grapheme', minLength: 8, maxLength: 20 });
    const inputs = fc.tuple(
      secret,
      fc.constantFrom<(s: string) => string>(
        (s) => s,
        (s) => JSON.stringify(s),
        encodeURIComponent,
      ),
      phrases(TERMINAL),
    );
    fuzz({ parser: 'redaction', inputs, part: 2 }, ([value, form, around]) => {
      const shown = redact(`${around}${form(value)}${around}`, [value, '']);
      expect(shown).to.include(REDACTED).and.not.include(value);
    });
  });

  it('of any length are cleaned at once', () => {
    fuzzLong({ parser: 'texts of Coder', words: TERMINAL, part: 0.1 }, (text) => {
      cleanText(redact(text, ['a-secret-value']), MAX_QUOTED_BYTES);
    });
  });
});

describe('fuzzing: lines of the log', () => {
  for (const format of ['json', 'text'] as const) {
    it(`stay one line that no terminal obeys, whatever they tell of (${format})`, async () => {
      const logger = createLogger({ level: 'debug', format });
      const lines: string[] = [];
      const write = sinon.stub(process.stderr, 'write').callsFake((chunk) => {
        lines.push(String(chunk));
        return true;
      });
      try {
        fuzz({ parser: 'lines of the log', inputs: phrases(TERMINAL, 20) }, (text) => {
          lines.length = 0;
          logger.debug('failed', { said: text, list: [text], error: new OperatorError('CODE', text) });
          const line = lines.join('');
          expect(line).to.match(/^[^\p{Cc}\u2028\u2029]+\n$/u);
          if (format === 'json') expect(JSON.parse(line)).to.deep.include({ said: text, list: [text] });
        });
        await logger.close();
      } finally {
        write.restore();
      }
    });
  }
});

describe('fuzzing: addresses', () => {
  const strict: HostPolicy = { httpHosts: [], allowLoopback: false };
  const byte = fc.nat(255);
  const refused = fc.oneof(
    fc.tuple(fc.constant(127), byte, byte, byte),
    fc.tuple(fc.constant(169), fc.constant(254), byte, byte),
    fc.tuple(fc.integer({ min: 224, max: 239 }), byte, byte, byte),
    fc.constantFrom(
      [0, 0, 0, 0],
      [255, 255, 255, 255],
      [100, 100, 100, 200],
      [168, 63, 129, 16],
      [192, 0, 0, 192],
    ),
  ) as fc.Arbitrary<readonly number[]>;

  const hex = (n: number): string => n.toString(16);
  const group = (high: number, low: number): string => hex(high * 256 + low);
  /** Ways to write an IPv4 address, or one of IPv6 that leads to it. */
  const FORMS: readonly ((b: readonly number[]) => string)[] = [
    (b) => b.join('.'),
    (b) => `${b.join('.')}.`,
    (b) => b.map((n) => `0x${hex(n)}`).join('.'),
    (b) => b.map((n) => `0${n.toString(8)}`).join('.'),
    (b) => String(whole(b)),
    (b) => `0x${hex(whole(b))}`,
    (b) => `0${whole(b).toString(8)}`,
    (b) => `${b[0] ?? 0}.${whole(b) % 2 ** 24}`,
    (b) => `${b[0] ?? 0}.${b[1] ?? 0}.${whole(b) % 2 ** 16}`,
    (b) => b.join('.').replace(/\d/g, (d) => String.fromCodePoint(0xff10 + Number(d))),
    (b) => b.join('\u3002'),
    (b) => b.join('.').replace(/\d/g, (d) => `%3${d}`),
    (b) => `[::ffff:${b.join('.')}]`,
    (b) => `[0:0:0:0:0:FFFF:${group(b[0] ?? 0, b[1] ?? 0)}:${group(b[2] ?? 0, b[3] ?? 0)}]`,
    (b) => `[::ffff:0:${b.join('.')}]`,
    (b) => `[64:ff9b::${b.join('.')}]`,
    (b) => `[2002:${group(b[0] ?? 0, b[1] ?? 0)}:${group(b[2] ?? 0, b[3] ?? 0)}::1]`,
    (b) => `[::${b.join('.')}]`,
  ];

  function whole(b: readonly number[]): number {
    return b.reduce((sum, n) => sum * 256 + n, 0);
  }

  it('that may not be connected to are refused in every way to write them', () => {
    fuzz(
      { parser: 'addresses', inputs: fc.tuple(refused, fc.constantFrom(...FORMS)), part: 3 },
      ([bytes, form]) => {
        const host = form(bytes);
        for (const check of [checkBaseUrl, checkDownloadUrl]) {
          expect(
            refusedOr(OperatorError, () => check(`https://${host}/`, strict)),
            host,
          ).to.equal(undefined);
        }
      },
    );
  });

  it('that a name resolves to are refused in every way to write them, beside any others', () => {
    const good = fc.constantFrom<string>('203.0.113.7', '10.0.0.1', '2001:db8:1::1');
    const inputs = fc.tuple(
      refused,
      fc.constantFrom(...FORMS.slice(12), (b: readonly number[]) => b.join('.')),
      fc.array(good, { maxLength: 2 }),
      fc.nat(2),
    );
    fuzz({ parser: 'addresses', inputs, part: 2 }, ([bytes, form, others, at]) => {
      const found = [...others];
      found.splice(at, 0, form(bytes).replace(/^\[|\]$/g, ''));
      const entries = found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      const resolve = ((_: string, __: object, done: (e: null, a: object[]) => void) =>
        done(null, entries)) as never;
      let error: unknown;
      checkedLookup(strict, resolve)('coder.example.com', { all: true }, (e) => (error = e));
      expect(error, found.join()).to.be.instanceOf(AddressRefusedError);
    });
  });

  it('of any kind are refused, or are what they seem', () => {
    const signs = [
      'https://',
      'http://',
      'coder',
      '.',
      'svc',
      'cluster.local',
      '@',
      ':',
      '/',
      '#',
      '?',
      '%',
      '[',
      ']',
      '127.0.0.1',
      '\\',
      ' ',
      '::1',
      '\u3002',
      '443',
    ];
    const inputs = fc.oneof(
      phrases(signs),
      bent(
        fc.constantFrom('https://coder.example.com/x', 'http://coder.ns.svc', 'https://[2001:db8::1]:8443'),
        signs,
      ),
    );
    fuzz({ parser: 'URLs', inputs, part: 3 }, (text) => {
      const url = refusedOr(OperatorError, () => checkBaseUrl(text, strict));
      if (url === undefined) return;
      expect([url.username, url.password, url.search, url.hash].join('')).to.equal('');
      if (url.protocol !== 'https:') expect(url.hostname).to.match(/\.svc(\.cluster\.local)?\.?$/);
      const user = refusedOr(OperatorError, () => urlOf(url, '/users/{user}/x', { user: text }));
      if (user !== undefined) expect(user.origin).to.equal(url.origin);
    });
  });

  it('of any length are checked at once', () => {
    const words = ['a', '.', 'svc', '[', ':', '%', '@', '/', '1', '#'];
    fuzzLong({ parser: 'URLs', words }, (text) => {
      refusedOr(OperatorError, () => checkBaseUrl(`https://${text}`, strict));
    });
  });
});

describe('fuzzing: exported YAML', () => {
  const words = [
    'a',
    'yes',
    'null',
    '~',
    '1',
    '0x1',
    '1_0',
    ':',
    ': ',
    '#',
    ' #',
    '- ',
    '\n',
    '\r\n',
    '\t',
    ' ',
    '"',
    "'",
    '|',
    '>',
    '%',
    '@',
    '&',
    '*',
    '!',
    '{',
    '[',
    '---',
    '...',
    '\u0085',
    '\ufeff',
    '\u2028',
    '💥',
  ];
  const text = fc.oneof(phrases(words, 15), fc.string({ unit: 'binary' }));
  const key = fc.oneof(
    fc.stringMatching(/^[A-Za-z0-9_.@+-]{1,20}$/),
    fc.constantFrom('__proto__', 'constructor', 'yes', '1', 'null'),
  );
  // As they come from JSON: `__proto__` is a key like others.
  const value = fc
    .record({
      text,
      count: fc.integer(),
      flag: fc.boolean(),
      files: fc.dictionary(key, text),
      list: fc.array(fc.record({ name: text, value: text }), { maxLength: 3 }),
    })
    .map((made) => JSON.stringify(made));

  it('is read back as it was, by readers old and new', () => {
    fuzz({ parser: 'exported YAML', inputs: value, part: 0.5 }, (made) => {
      const printed = printYaml(JSON.parse(made) as object);
      for (const version of ['1.1', '1.2'] as const) {
        const document = parseDocument(printed, {
          version,
          ...(version === '1.1' ? { schema: 'yaml-1.1' } : {}),
        });
        expect(document.errors).to.deep.equal([]);
        expect(JSON.stringify(document.toJS())).to.equal(JSON.stringify(JSON.parse(made)));
      }
      expect(printYaml(parse(printed) as object)).to.equal(printed);
    });
  });

  it('holds what is remarked in comments, whatever it says', () => {
    fuzz(
      { parser: 'exported YAML', inputs: fc.tuple(fc.array(text, { maxLength: 3 }), text), part: 0.5 },
      ([notes, said]) => {
        const exported = { manifest: { kind: 'CoderTemplate', said }, notes } as never;
        expect(parse(printManifest(exported))).to.deep.equal({ kind: 'CoderTemplate', said });
      },
    );
  });
});
