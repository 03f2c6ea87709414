import { expect } from 'chai';
import { help, parseArguments, UsageError } from '../../../../hack/local/arguments.ts';

describe('the command line of npm run local', () => {
  it('understands its commands', () => {
    expect(parseArguments(['up'])).to.deep.equal({ command: 'up', operator: false });
    expect(parseArguments(['up', '--operator'])).to.deep.equal({ command: 'up', operator: true });
    expect(parseArguments(['down'])).to.deep.equal({ command: 'down', keep: false });
    expect(parseArguments(['down', '--keep'])).to.deep.equal({ command: 'down', keep: true });
    expect(parseArguments(['status'])).to.deep.equal({ command: 'status' });
  });

  for (const args of [['--help'], ['-h'], ['help'], ['up', '--help']]) {
    it(`shows help for ${args.join(' ')}`, () => {
      expect(parseArguments(args)).to.deep.equal({ command: 'help' });
    });
  }

  const wrong: readonly (readonly [args: string[], named: string])[] = [
    [[], 'up, down or status'],
    [['start'], 'start'],
    [['toString'], 'toString'],
    [['--operator', 'up'], '--operator'],
    [['up', '--operater'], '--operater'],
    [['up', '--keep'], '--keep'],
    [['down', '--operator'], '--operator'],
    [['status', '--keep'], '--keep'],
    [['down', 'now'], 'now'],
  ];
  for (const [args, named] of wrong) {
    it(`names what is wrong in "${args.join(' ')}"`, () => {
      expect(() => parseArguments(args)).to.throw(UsageError, named);
    });
  }

  it('explains every flag', () => {
    expect(help).to.include('--operator').and.include('--keep').and.include('Exit codes');
  });
});
