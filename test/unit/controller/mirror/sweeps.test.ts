import { expect } from 'chai';
import { Sweeps } from '../../../../src/controller/mirror/sweeps.ts';
import { settle } from '../../../support/clock.ts';

/** Sweeps that a test ends, oldest first. */
class Bench {
  readonly begun: string[] = [];
  readonly errors: unknown[] = [];
  readonly #ends: ((answer: boolean | Error) => void)[] = [];
  readonly sweeps = new Sweeps({
    sweep: (namespace) => {
      this.begun.push(namespace);
      return new Promise((resolve, reject) => {
        this.#ends.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      });
    },
    onError: (_, error) => this.errors.push(error),
  });

  async end(answer: boolean | Error = true): Promise<void> {
    this.#ends.shift()?.(answer);
    await settle();
  }
}

describe('Sweeps', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  const isSettled = (): boolean => bench.sweeps.isSettled('team');

  it('are one at a time for each namespace, and one more for all that were asked for meanwhile', async () => {
    for (let i = 0; i < 3; i++) bench.sweeps.sweep('team');
    bench.sweeps.sweep('elsewhere');
    expect(bench.begun).to.deep.equal(['team', 'elsewhere']);
    await bench.end();
    expect(bench.begun).to.deep.equal(['team', 'elsewhere', 'team']);
    await bench.end();
    await bench.end();
    expect(bench.begun).to.have.length(3);
  });

  it('are settled when all was swept and what they woke had its turn', async () => {
    expect(isSettled()).to.equal(false);
    bench.sweeps.sweep('team');
    for (const id of ['a', 'b', 'a']) bench.sweeps.due('team', id);
    expect(isSettled()).to.equal(false);
    await bench.end();
    bench.sweeps.done('team', 'a');
    expect(isSettled()).to.equal(false);
    bench.sweeps.done('team', 'b');
    expect(isSettled()).to.equal(true);
    bench.sweeps.sweep('team');
    expect(isSettled(), 'it is looked again').to.equal(false);
    await bench.end();
    expect(isSettled()).to.equal(true);
    bench.sweeps.forget('team');
    expect(isSettled()).to.equal(false);
  });

  it('are not settled by one that was too early', async () => {
    bench.sweeps.sweep('team');
    await bench.end(false);
    expect(isSettled()).to.equal(false);
    bench.sweeps.sweep('team');
    await bench.end(true);
    expect(isSettled()).to.equal(true);
  });

  it('go on after one that failed, and tell of it', async () => {
    const failure = new Error('no index');
    bench.sweeps.sweep('team');
    await bench.end(failure);
    expect(bench.errors).to.deep.equal([failure]);
    expect(isSettled()).to.equal(false);
    bench.sweeps.sweep('team');
    await bench.end();
    expect(isSettled()).to.equal(true);
  });

  it('do not mind what has its turn without being asked for', () => {
    bench.sweeps.done('nowhere', 'a');
    expect(bench.sweeps.isSettled('nowhere')).to.equal(false);
  });
});
