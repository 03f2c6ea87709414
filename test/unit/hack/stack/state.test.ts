import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync, mkdirSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { StackError } from '../../../../hack/stack/errors.ts';
import type { ProcessRecord } from '../../../../hack/stack/process.ts';
import {
  aliveAndDead,
  deleteData,
  emptyState,
  ourselves,
  parseState,
  readState,
  StateFile,
  type StackState,
} from '../../../../hack/stack/state.ts';

const record: ProcessRecord = {
  name: 'etcd',
  pid: 4711,
  identity: 'boot:1',
  logFile: '/x/logs/etcd.log',
  stopSignal: 'SIGTERM',
  stopWithinMs: 1000,
};
const state: StackState = { version: 1, ports: { etcd: 20_001 }, processes: [record] };

describe('the state file of a stack', () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'coder-operator-state-test-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('takes what it has written itself', () => {
    expect(parseState(JSON.stringify(state))).to.deep.equal(state);
  });

  const broken: Record<string, unknown> = {
    'no JSON at all': '{"version":1,"ports":{',
    'a version of another program': { ...state, version: 2 },
    'no processes': { version: 1, ports: {} },
    'a port that is no number': { ...state, ports: { etcd: '20001' } },
    'a process without an identity': { ...state, processes: [{ ...record, identity: undefined }] },
    'a process id that would reach everything': { ...state, processes: [{ ...record, pid: 1 }] },
    'a negative process id': { ...state, processes: [{ ...record, pid: -5 }] },
    'an owner that is no process': { ...state, owner: 12 },
    'a list': [],
  };
  for (const [what, value] of Object.entries(broken)) {
    it(`refuses ${what}`, () => {
      expect(parseState(typeof value === 'string' ? value : JSON.stringify(value))).to.equal(undefined);
    });
  }

  it('says which file is damaged', () => {
    writeFileSync(join(dir, 'state.json'), 'half of a st');
    expect(() => readState(dir)).to.throw(StackError, join(dir, 'state.json'));
  });

  it('finds no state in an empty folder', () => {
    expect(readState(dir)).to.equal(undefined);
  });

  it('is readable by its owner only and leaves no half-written file', () => {
    new StateFile(dir).addProcess(record);
    expect(statSync(join(dir, 'state.json')).mode & 0o777).to.equal(0o600);
    expect(readdirSync(dir)).to.deep.equal(['state.json']);
  });

  it('holds one record of a server, the latest', () => {
    const file = new StateFile(dir);
    file.addProcess(record);
    file.addProcess({ ...record, pid: 4712 });
    expect(readState(dir)?.processes.map(({ pid }) => pid)).to.deep.equal([4712]);
    file.removeProcess(record);
    expect(readState(dir)?.processes, 'the end of the first is not that of the second').to.have.length(1);
  });

  it('forgets its owner when the stack lives on by itself, and nothing else', () => {
    const file = new StateFile(dir, { ...state, postgresPassword: 'p' });
    file.update({ owner: ourselves() });
    file.disown();
    expect(readState(dir)).to.deep.equal({ ...state, postgresPassword: 'p', complete: true });
  });

  it('tells the living from the dead', () => {
    const us: ProcessRecord = { ...record, ...ourselves(), name: 'us' };
    const { alive, dead } = aliveAndDead({ ...emptyState, processes: [record, us] });
    expect(alive).to.deep.equal([us]);
    expect(dead).to.deep.equal([record]);
  });

  it('deletes what belongs to a stack and nothing else', () => {
    mkdirSync(join(dir, 'etcd', 'member'), { recursive: true });
    writeFileSync(join(dir, 'notes.txt'), 'mine');
    new StateFile(dir).update({});
    const elsewhere = join(dir, 'somebody-else');
    mkdirSync(elsewhere);
    deleteData(dir, { ...state, extraFolder: elsewhere });
    expect(readdirSync(dir).sort()).to.deep.equal(['notes.txt', 'somebody-else']);
    expect(existsSync(elsewhere)).to.equal(true);
  });
});
