import { expect } from 'chai';
import { UsageError } from '../../../../hack/bench/arguments.ts';
import { help, parseArguments } from '../../../../hack/soak/arguments.ts';

describe('the command line of npm run soak', () => {
  it('lasts half an hour unless told', () => {
    expect(parseArguments([])).to.deep.equal({
      minutes: 30,
      workspaces: 1_000,
      changesPerMinute: 60,
      json: undefined,
    });
  });

  it('takes how long, how many, how much and where to', () => {
    const args = ['--minutes', '5', '--workspaces', '200', '--changes', '10', '--json', 'soak.json'];
    expect(parseArguments(args)).to.deep.equal({
      minutes: 5,
      workspaces: 200,
      changesPerMinute: 10,
      json: 'soak.json',
    });
  });

  for (const args of [
    ['--minutes', '0'],
    ['--minutes', 'long'],
    ['--workspaces', '3'],
    ['--hours', '1'],
    ['now'],
  ]) {
    it(`names what is wrong in "${args.join(' ')}"`, () => {
      expect(() => parseArguments(args)).to.throw(UsageError, args[0]);
    });
  }

  it('explains every flag', () => {
    expect(parseArguments(['--help'])).to.equal('help');
    for (const flag of ['--minutes', '--workspaces', '--changes', '--json']) expect(help).to.include(flag);
  });
});
