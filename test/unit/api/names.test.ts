import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { InvalidNameError, parseTemplateName, parseWorkspaceName, sameName } from '../../../src/api/names.ts';

/** What the rules of a CRD say about `metadata.name`, with the regular expressions that stand in the file. */
function crdRule(file: string, parts: number): (name: string) => boolean {
  const text = readFileSync(new URL(`../../../crds/${file}`, import.meta.url), 'utf8');
  const [, part = ''] = /p\.matches\('(\^\[a-z0-9\][^']+)'\)/.exec(text) ?? [];
  const [, alias = ''] = /self\.metadata\.name\.matches\('([^']+)'\)/.exec(text) ?? [];
  const [, reserved = ''] = /p in \[([^\]]+)\]/.exec(text) ?? [];
  const [, longest = ''] = /p\.size\(\) <= (\d+)/.exec(text) ?? [];
  const words = reserved.split(',').map((word) => word.trim().replaceAll("'", ''));
  expect(words, 'the CRD still says it in this form').to.deep.equal(['new', 'create']);
  return (name) => {
    const found = name.split('.');
    return (
      found.length === parts &&
      found.every((p) => p.length <= Number(longest) && new RegExp(part).test(p) && !words.includes(p)) &&
      !new RegExp(alias).test(name)
    );
  };
}

function accepts(parse: (name: string) => unknown, name: string): boolean {
  try {
    parse(name);
    return true;
  } catch (error) {
    expect(error).to.be.instanceOf(InvalidNameError);
    expect((error as Error).message).to.contain(name.split('.')[0]);
    return false;
  }
}

const word = fc.oneof(
  fc.constantFrom(
    'new',
    'create',
    'me',
    'default',
    '',
    '-',
    'a-',
    '-a',
    'a--b',
    'a-b',
    'A',
    'a_b',
    'ä',
    'a'.repeat(32),
    'a'.repeat(33),
  ),
  fc.stringMatching(/^[a-z0-9]{1,4}(-[a-z0-9]{1,3})?$/),
  fc.string({ maxLength: 4 }),
);
const names = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('.'));

describe('parseTemplateName', () => {
  it('takes a name apart', () => {
    expect(parseTemplateName('acme.docker-x2')).to.deep.equal({
      organization: 'acme',
      template: 'docker-x2',
    });
  });

  it('accepts exactly what the CRD accepts', () => {
    const rule = crdRule('codertemplates.yaml', 2);
    fc.assert(
      fc.property(names, (name) => {
        expect(accepts(parseTemplateName, name)).to.equal(rule(name));
      }),
      { numRuns: 500 },
    );
  });

  it('lets a template be called like the aliases of users and organizations', () => {
    expect(parseTemplateName('acme.me').template).to.equal('me');
    expect(parseTemplateName('acme.default').template).to.equal('default');
  });
});

describe('parseWorkspaceName', () => {
  it('takes a name apart', () => {
    expect(parseWorkspaceName('acme.ann.dev')).to.deep.equal({
      organization: 'acme',
      owner: 'ann',
      workspace: 'dev',
    });
  });

  it('accepts exactly what the CRD accepts', () => {
    const rule = crdRule('coderworkspaces.yaml', 3);
    fc.assert(
      fc.property(names, (name) => {
        expect(accepts(parseWorkspaceName, name)).to.equal(rule(name));
      }),
      { numRuns: 500 },
    );
  });

  const refused: [string, string][] = [
    ['acme.dev', '<organization>.<user>.<workspace>; it has 2 part(s)'],
    ['acme.ann.dev.x', 'it has 4 part(s)'],
    ['acme..dev', '"" in "acme..dev"'],
    ['acme.ann.new', '"new" in'],
    ['acme.ann.Dev', '"Dev" in'],
    ['acme.me.dev', '"me" is an alias'],
    ['default.ann.dev', '"default" is an alias'],
    [`acme.ann.${'x'.repeat(33)}`, '1 to 32'],
  ];
  for (const [name, text] of refused) {
    it(`says what is wrong with ${name}`, () => {
      expect(() => parseWorkspaceName(name)).to.throw(InvalidNameError, text);
    });
  }
});

describe('sameName', () => {
  it('compares without case, as Coder does', () => {
    expect(sameName('Dev', 'dEV')).to.equal(true);
    expect(sameName('dev', 'dev2')).to.equal(false);
  });
});
