import { expect } from 'chai';
import { timestamp } from '../../../src/api/conditions.ts';
import type { PendingOperation } from '../../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { CoderError } from '../../../src/coder/errors.ts';
import { runPass, type PassInput, type PassOptions, type PassWriter } from '../../../src/controller/pass.ts';
import { untilWoken, withBackoff, type Rest, type Step } from '../../../src/controller/step.ts';
import { isConflict } from '../../../src/kube/errors.ts';
import { FakeClock } from '../../support/clock.ts';
import { conflict } from '../../support/controller-kube.ts';
import { widgets } from '../../support/kube-objects.ts';

interface Status {
  readonly phase?: string;
  readonly pendingOperation?: PendingOperation | undefined;
}
interface Input extends PassInput<Status> {
  readonly fact?: string;
}
type TestStep = Step<'fact', string, Status>;

/** A pass over one object, with a journal of everything that left it. */
class Bench implements PassWriter {
  readonly journal: string[] = [];
  readonly clock = new FakeClock();
  status: Status | undefined;
  metadata: KubeObject['metadata'] = { name: 'one', namespace: 'team', uid: 'u', resourceVersion: '1' };
  failWrite: Error | undefined;
  isLeading = true;
  fails: Error | undefined;

  writeStatus<T extends KubeObject>(_: ResourceType, object: T, status: object): Promise<T> {
    const next = status as Status;
    if (this.failWrite !== undefined) return Promise.reject(this.failWrite);
    if (JSON.stringify(this.status) === JSON.stringify(status)) return Promise.resolve(object);
    this.journal.push(
      `status ${next.phase ?? ''}${next.pendingOperation === undefined ? '' : ' +operation'}`,
    );
    this.status = next;
    return Promise.resolve({ ...object, status: next });
  }

  setFinalizer<T extends KubeObject>(
    _: ResourceType,
    object: T,
    name: string,
    present: boolean,
  ): Promise<T | undefined> {
    this.journal.push(`${present ? 'take' : 'leave'} ${name}`);
    this.metadata = { ...this.metadata, finalizers: present ? [name] : [] };
    const isGone = !present && this.metadata.deletionTimestamp !== undefined;
    return Promise.resolve(isGone ? undefined : { ...object, metadata: this.metadata });
  }

  run(
    decide: (input: Input) => TestStep,
    over: Partial<PassOptions<Input, 'fact', string, Status>> = {},
  ): Promise<Rest | undefined> {
    const object = { metadata: this.metadata, ...(this.status === undefined ? {} : { status: this.status }) };
    return runPass<Input, 'fact', string, Status>(
      { object },
      {
        resource: widgets,
        finalizer: 'test/held',
        decide,
        read: (input, fact) => {
          this.journal.push(`read ${fact}`);
          return this.fails === undefined
            ? Promise.resolve({ ...input, fact: 'known' })
            : Promise.reject(this.fails);
        },
        perform: (input, operation) => {
          this.journal.push(`send ${operation}`);
          if (this.fails !== undefined) return Promise.reject(this.fails);
          const status = { ...input.object.status, phase: 'sent', pendingOperation: undefined };
          return Promise.resolve({ ...input, object: { ...input.object, status } });
        },
        announce: (operation) => ({ type: operation, target: 'it', afterBuildNumber: 4 }),
        onFailure: (input, operation, error) => {
          const { pendingOperation } = input.object.status ?? {};
          const kept = operation !== undefined && error.unclear ? { pendingOperation } : {};
          return { status: { phase: `failed ${operation ?? 'to read'}`, ...kept }, rest: withBackoff };
        },
        writer: this,
        assertLeading: () => {
          this.journal.push('lease');
          if (!this.isLeading) throw new Error('the lease is lost');
        },
        epoch: 'epoch-7',
        clock: this.clock,
        emit: (_object, event) => this.journal.push(`event ${event.reason}`),
        ...over,
      },
    );
  }
}

const event = { type: 'Normal', reason: 'Sending', message: 'x' } as const;
const write: TestStep = { do: 'write', operation: 'Create', status: { phase: 'sending' }, event };
const done: TestStep = { do: 'report', status: { phase: 'done' }, rest: untilWoken };

/** Finalizer, then a fact, then one operation, then done. */
function usual(input: Input): TestStep {
  if (input.object.metadata.finalizers === undefined) return { do: 'finalizer', present: true };
  if (input.fact === undefined) return { do: 'read', fact: 'fact' };
  return input.object.status?.phase === 'sent' ? done : write;
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('runPass', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });

  it('tells a notice before what it does', async () => {
    const notice = { type: 'Warning', reason: 'Retained', message: 'x' } as const;
    await bench.run((input) => (input.object.status?.phase === 'sent' ? done : { ...write, notice }));
    const told = bench.journal.filter((entry) => entry.startsWith('event'));
    expect(told).to.deep.equal(['event Retained', 'event Sending']);
  });

  it('takes the finalizer, reads, announces, asks for the lease, sends, records', async () => {
    expect(await bench.run(usual)).to.deep.equal(untilWoken);
    expect(bench.journal).to.deep.equal([
      'take test/held',
      'read fact',
      'status sending +operation',
      'lease',
      'event Sending',
      'send Create',
      'status done',
    ]);
  });

  it('announces what, when, on what and in whose reign', async () => {
    bench.fails = new CoderError('Timeout', 'x', { mayHaveChanged: true });
    await bench.run(() => write);
    const operation = bench.status?.pendingOperation;
    expect(operation).to.deep.include({
      type: 'Create',
      target: 'it',
      afterBuildNumber: 4,
      epoch: 'epoch-7',
      at: timestamp(new Date(bench.clock.now())),
    });
    expect(operation?.id).to.match(/^[0-9a-f-]{36}$/);
  });

  it('sends nothing when the announcement meets a stale copy', async () => {
    bench.failWrite = conflict();
    expect(isConflict(await failure(bench.run(() => write)))).to.equal(true);
    expect(bench.journal).to.deep.equal([]);
  });

  it('sends nothing when the lease is lost after the announcement', async () => {
    bench.isLeading = false;
    expect(await failure(bench.run(() => write))).to.be.instanceOf(Error);
    expect(bench.journal).to.deep.equal(['status sending +operation', 'lease']);
  });

  it('keeps the announcement when the outcome is unclear', async () => {
    bench.fails = new CoderError('Timeout', 'x', { mayHaveChanged: true });
    expect(await bench.run(() => write)).to.deep.equal(withBackoff);
    expect(bench.status?.pendingOperation?.type).to.equal('Create');
  });

  it('takes the announcement back when Coder refuses', async () => {
    bench.fails = new CoderError('Invalid', 'x', { mayHaveChanged: true });
    await bench.run(() => write);
    expect(bench.status).to.deep.equal({ phase: 'failed Create' });
  });

  it('tells a failed read from a failed operation', async () => {
    bench.fails = new CoderError('Unreachable', 'x');
    await bench.run(() => ({ do: 'read', fact: 'fact' }));
    expect(bench.status).to.deep.equal({ phase: 'failed to read' });
  });

  it('lets through what is no fault of Coder', async () => {
    bench.fails = new TypeError('a mistake of ours');
    expect(await failure(bench.run(() => write))).to.equal(bench.fails);
    expect(bench.status?.pendingOperation?.type, 'and keeps the announcement').to.equal('Create');
  });

  it('sends one call a pass, and records it before the next', async () => {
    expect(await bench.run(() => write)).to.deep.equal({ until: 'time', afterMs: 1 });
    expect(bench.journal).to.deep.equal([
      'status sending +operation',
      'lease',
      'event Sending',
      'send Create',
      'status sent',
    ]);
  });

  it('writes nothing, and tells no event, when nothing is new', async () => {
    bench.status = { phase: 'done' };
    await bench.run(() => ({ ...done, event }));
    expect(bench.journal).to.deep.equal([]);
    bench.status = { phase: 'else' };
    await bench.run(() => ({ ...done, event }));
    expect(bench.journal).to.deep.equal(['status done', 'event Sending']);
  });

  it('goes on after leaving the finalizer of an object that stays', async () => {
    const steps: TestStep[] = [{ do: 'finalizer', present: false, event }, done];
    expect(await bench.run(() => steps.shift() ?? done)).to.deep.equal(untilWoken);
    expect(bench.journal).to.deep.equal(['leave test/held', 'event Sending', 'status done']);
  });

  it('ends with the finalizer of an object that is being deleted', async () => {
    bench.metadata = { ...bench.metadata, deletionTimestamp: 'now' };
    expect(await bench.run(() => ({ do: 'finalizer', present: false, event }))).to.equal(undefined);
    expect(bench.journal).to.deep.equal(['leave test/held', 'event Sending']);
  });

  it('does nothing when there is nothing to do', async () => {
    expect(await bench.run(() => ({ do: 'nothing' }))).to.equal(undefined);
    expect(bench.journal).to.deep.equal([]);
  });

  it('ends a pass that goes round in circles', async () => {
    const error = await failure(bench.run(() => ({ do: 'read', fact: 'fact' })));
    expect(error).to.include({ code: 'DECISION_LOOP' });
    expect(bench.journal).to.have.length(20);
  });
});
