import { expect } from 'chai';
import { ENDPOINT_ROWS, help, parseArguments, ROWS, UsageError } from '../../../../hack/bench/arguments.ts';

describe('the command line of npm run bench', () => {
  it('measures everything at ten thousand and at a tenth of it', () => {
    expect(parseArguments([])).to.deep.equal({
      sizes: [1_000, 10_000],
      rows: ROWS,
      looks: 2,
      json: undefined,
      profile: undefined,
    });
  });

  it('takes a smaller size, and that one alone', () => {
    expect(parseArguments(['--workspaces', '500'])).to.have.deep.property('sizes', [50, 500]);
    expect(parseArguments(['--workspaces=500', '--no-growth'])).to.have.deep.property('sizes', [500]);
  });

  it('takes some rows, in the order in which they are measured', () => {
    expect(parseArguments(['--only', 'memory, mirrors'])).to.have.deep.property('rows', [
      'mirrors',
      'memory',
    ]);
  });

  it('takes all rows of the endpoint by one word', () => {
    expect(parseArguments(['--only', 'endpoint,memory'])).to.have.deep.property('rows', [
      'memory',
      ...ENDPOINT_ROWS,
    ]);
    expect(parseArguments(['--only', 'endpoint-get'])).to.have.deep.property('rows', ['endpoint-get']);
  });

  it('takes where results and profiles go', () => {
    const parsed = parseArguments(['--json', 'out.json', '--profile', 'profiles', '--looks', '5']);
    expect(parsed).to.include({ json: 'out.json', profile: 'profiles', looks: 5 });
  });

  for (const args of [['--help'], ['-h'], ['--workspaces', '500', '--help']]) {
    it(`shows help for ${args.join(' ')}`, () => expect(parseArguments(args)).to.equal('help'));
  }

  const wrong: readonly (readonly [args: string[], named: string])[] = [
    [['--workspaces', 'many'], '--workspaces many'],
    [['--workspaces', '5'], '--workspaces 5'],
    [['--workspaces', '1e3'], '--workspaces 1e3'],
    [['--only', 'mirrors,speed'], 'speed'],
    [['--only', ''], '""'],
    [['--looks', '0'], '--looks 0'],
    [['--fast'], '--fast'],
    [['mirrors'], 'mirrors'],
  ];
  for (const [args, named] of wrong) {
    it(`names what is wrong in "${args.join(' ')}"`, () => {
      expect(() => parseArguments(args)).to.throw(UsageError, named);
    });
  }

  it('explains every flag and every row', () => {
    for (const word of ['--workspaces', '--no-growth', '--only', '--looks', '--json', '--profile', ...ROWS]) {
      expect(help).to.include(word);
    }
  });
});
