import { expect } from 'chai';
import { identify, isAlive, parseStat } from '../../../../hack/stack/identity.ts';

/** A line as the kernel writes it, with this name, state and start time. */
const statLine = (name: string, state: string, startTime: number): string =>
  `4711 (${name}) ${state} 1 4711 4711 0 -1 4194560 ${'7 '.repeat(12)}${startTime} 1000 2000\n`;

describe('the identity of a process', () => {
  it('finds state and start time in a line of /proc/PID/stat', () => {
    expect(parseStat(statLine('etcd', 'S', 8_675_309))).to.deep.equal({ state: 'S', startTime: '8675309' });
  });

  it('is not misled by a name with spaces and parentheses', () => {
    expect(parseStat(statLine('a) Z (b', 'R', 42))).to.deep.equal({ state: 'R', startTime: '42' });
  });

  it('makes nothing of something else', () => {
    expect(parseStat('')).to.equal(undefined);
    expect(parseStat('4711 (etcd) S 1')).to.equal(undefined);
  });

  it('recognises a live process', () => {
    const me = identify(process.pid);
    expect(me?.pid).to.equal(process.pid);
    expect(me !== undefined && isAlive(me)).to.equal(true);
  });

  it('does not take another process with the same id for the one that was recorded', () => {
    expect(isAlive({ pid: process.pid, identity: 'another boot:1' })).to.equal(false);
  });

  it('finds no process where there is none', () => {
    expect(identify(2 ** 30)).to.equal(undefined);
  });
});
