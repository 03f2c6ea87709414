import { expect } from 'chai';
import fc from 'fast-check';
import { parse, parseAllDocuments } from 'yaml';
import { manifestOf } from '../../../src/export/manifest.ts';
import { printManifest, printManifests, printYaml } from '../../../src/export/yaml.ts';

/** As readers of either version of YAML see it. */
function readBack(text: string): unknown[] {
  return [parse(text, { version: '1.2' }), parse(text, { version: '1.1' })];
}

describe('printYaml', () => {
  const texts = [
    '',
    ' ',
    '\n',
    '\n\n',
    'a\nb\n',
    'a\nb',
    'a\nb\n\n\n',
    '\n\na\n',
    ' a\nb\n',
    '\ta\n',
    'a\r\nb\r\n',
    'a\rb',
    'a\n\tb\n',
    'a\n  \nb\n',
    'a\n b \n',
    'a\nb\n ',
    'a\nb\n\t\n',
    '---\na\n',
    '...\na\n',
    'a\n---\nb\n',
    '# not a comment\n',
    '"quoted"\n\\n\n',
    'é\nü 💻\n',
    'a\u2028b\nc',
    '\ufeffa\nb\n',
    'a\x85b\nc',
    '\u0000\u0007\x7f',
    'yes',
    'null',
    'Off',
    '~',
    '1',
    '0x1f',
    '1_000',
    '60:30',
    '2024-01-01',
    '.inf',
    'a: b',
    'a #b',
    '- a',
    '@a',
    '*a',
    '!a',
    'a b ',
  ];
  for (const text of texts) {
    it(`gives ${JSON.stringify(text)} back as it is`, () => {
      const value = { spec: { files: { 'main.tf': text }, list: [{ name: 'n', value: text }] } };
      for (const read of readBack(printYaml(value))) expect(read).to.deep.equal(value);
    });
  }

  it('gives any text back as it is, at any depth', () => {
    const lines = fc
      .array(
        fc.constantFrom('', ' ', '\t', 'a', ' b', 'c ', '\n', '\n', '\r\n', '#', '- ', ': ', '"', '---'),
        {
          maxLength: 12,
        },
      )
      .map((parts) => parts.join(''));
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), lines);
    const key = fc.stringMatching(/^[A-Za-z0-9_.@+-]{1,20}$/);
    const value = fc.record({
      text,
      files: fc.dictionary(key, text, { noNullPrototype: true }),
      list: fc.array(fc.record({ name: text, value: text })),
    });
    fc.assert(
      fc.property(value, (made) => {
        for (const read of readBack(printYaml(made))) expect(read).to.deep.equal(made);
      }),
      { numRuns: 500 },
    );
  });

  it('writes lines as people would', () => {
    const value = {
      kind: 'CoderTemplate',
      files: { 'main.tf': 'a {\n\n  b = "c"\n}\n', y: 'no end', '1.0': 'x\r\n' },
      days: ['Monday'],
      none: [],
      count: 0,
      flag: false,
    };
    expect(printYaml(value)).to.equal(`kind: CoderTemplate
files:
  main.tf: |
    a {

      b = "c"
    }
  "y": no end
  "1.0": "x\\r\\n"
days:
  - Monday
none: []
count: 0
flag: false
`);
  });

  it('never folds a long line', () => {
    const text = 'word '.repeat(200).trim();
    expect(printYaml({ text }).split('\n')).to.have.length(2);
    expect(printYaml({ text: `${text}"\r\n${text}` }).split('\n')).to.have.length(2);
  });
});

describe('printManifest', () => {
  const manifest = manifestOf('CoderWorkspace', 'acme.ann.dev', undefined, { templateName: 'docker' });

  it('puts the notes before it, as comments of one line', () => {
    expect(printManifest({ manifest, notes: ['running is left out: so', 'two\nlines'] })).to
      .equal(`# running is left out: so
# two lines
apiVersion: coder.com/v1alpha1
kind: CoderWorkspace
metadata:
  name: acme.ann.dev
spec:
  templateName: docker
`);
  });

  it('names a namespace where one is wished', () => {
    const named = manifestOf('CoderWorkspace', 'acme.ann.dev', 'coder', {});
    expect(parse(printManifest({ manifest: named, notes: [] }))).to.deep.equal({
      apiVersion: 'coder.com/v1alpha1',
      kind: 'CoderWorkspace',
      metadata: { name: 'acme.ann.dev', namespace: 'coder' },
      spec: {},
    });
  });

  it('keeps the objects of one file apart', () => {
    const text = [
      ...printManifests([
        { manifest, notes: ['a'] },
        { manifest, notes: [] },
      ]),
    ].join('');
    expect(parseAllDocuments(text).map((document) => document.toJS() as unknown)).to.deep.equal([
      manifest,
      manifest,
    ]);
  });
});
