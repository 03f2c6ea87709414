import { expect } from 'chai';
import { serversOf, statusTable } from '../../../../hack/local/servers.ts';
import type { ProcessRecord } from '../../../../hack/stack/process.ts';
import { ourselves, type StackState } from '../../../../hack/stack/state.ts';

/** A server that is alive, since it is this very process. */
const live = (name: string): ProcessRecord => ({
  name,
  ...ourselves(),
  logFile: `/logs/${name}.log`,
  stopSignal: 'SIGTERM',
  stopWithinMs: 1000,
});
const dead = (name: string): ProcessRecord => ({ ...live(name), pid: 4711, identity: 'another boot:1' });
const stateWith = (processes: readonly ProcessRecord[]): StackState => ({
  version: 1,
  complete: true,
  ports: { etcd: 20_001, coder: 20_002, operator: 20_003 },
  processes,
});

describe('what runs in the local stack', () => {
  it('is nothing without a state, before the first start was finished and after a stop', () => {
    expect(serversOf(undefined)).to.deep.equal([]);
    expect(serversOf({ ...stateWith([live('etcd')]), complete: false })).to.deep.equal([]);
    expect(serversOf(stateWith([]))).to.deep.equal([]);
  });

  it('tells the dead from the living, with address and log', () => {
    const servers = serversOf(stateWith([live('etcd'), dead('coder')]));
    expect(servers.find(({ name }) => name === 'etcd')).to.deep.equal({
      name: 'etcd',
      pid: process.pid,
      running: true,
      address: 'https://127.0.0.1:20001',
      logFile: '/logs/etcd.log',
    });
    expect(servers.find(({ name }) => name === 'coder')).to.include({
      pid: 4711,
      running: false,
      address: 'http://127.0.0.1:20002',
    });
  });

  it('misses a server that is not even recorded', () => {
    const servers = serversOf(stateWith([live('etcd')]));
    expect(servers.filter(({ running }) => !running).map(({ name }) => name)).to.include('kube-apiserver');
  });

  it('shows the operator only when it was started', () => {
    expect(serversOf(stateWith([live('etcd')])).map(({ name }) => name)).to.not.include('operator');
    expect(serversOf(stateWith([live('etcd'), live('operator')])).at(-1)).to.include({
      name: 'operator',
      running: true,
      address: 'http://127.0.0.1:20003',
    });
  });

  it('is shown as a table whose columns are aligned', () => {
    const lines = statusTable(serversOf(stateWith([live('etcd'), dead('coder')]))).split('\n');
    const column = lines[0]?.indexOf('STATE') ?? -1;
    expect(lines.find((line) => line.startsWith('etcd'))?.slice(column)).to.match(/^running /);
    expect(lines.find((line) => line.startsWith('coder'))?.slice(column)).to.match(/^DEAD /);
  });
});
