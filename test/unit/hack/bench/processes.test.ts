import { expect } from 'chai';
import { openFiles, parseMemory, parseTimes, withDescendants } from '../../../../hack/bench/processes.ts';

describe('what Linux tells of a process', () => {
  it('its CPU is that of itself and of children that have ended', () => {
    const line = '42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 30 12 5 3 20 0 11 0 990 1000 200';
    expect(parseTimes(line)).to.deep.equal({ parent: 7, ticks: 50 });
    expect(parseTimes('')).to.equal(undefined);
  });

  it('its memory is what it has now and had at most', () => {
    const text = 'Name:\tnode\nVmPeak:\t 999999 kB\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n';
    expect(parseMemory(text)).to.deep.equal({ now: 100 * 1024 ** 2, peak: 200 * 1024 ** 2 });
    expect(parseMemory('Name:\tkthreadd\n')).to.equal(undefined);
  });

  it('all below it are its children, their children, and nobody else', () => {
    const parents = new Map([
      [2, 1],
      [4, 3],
      [3, 2],
      [9, 8],
    ]);
    expect([...withDescendants(2, parents)].sort()).to.deep.equal([2, 3, 4]);
  });

  it('its open files are counted by kind', () => {
    const names = ['socket:[1]', 'socket:[2]', 'pipe:[3]', 'anon_inode:[eventpoll]', '/dev/null'];
    expect(openFiles(names)).to.deep.equal({ socket: 2, pipe: 1, anon_inode: 1, file: 1 });
  });
});
