import { randomUUID } from 'node:crypto';
import { timestamp } from '../api/conditions.ts';
import type { PendingOperation } from '../api/kinds.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import { OperatorError } from '../base/errors.ts';
import { CoderError } from '../coder/errors.ts';
import type { Rest, Step, StepEvent } from './step.ts';

/** An object whose status can hold an open operation. */
export interface DecidedObject<Status> extends KubeObject {
  readonly status?: Status;
}

export interface PassInput<Status> {
  readonly object: DecidedObject<Status>;
}

/** Where a pass writes to. */
export interface PassWriter {
  /** Writes the status if it differs and gives the object as it is then, or the very same one. Fails on a stale copy. */
  writeStatus<T extends KubeObject>(resource: ResourceType, object: T, status: object): Promise<T>;
  /** Takes or leaves a finalizer; undefined when the object is gone with it. */
  setFinalizer<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    finalizer: string,
    present: boolean,
  ): Promise<T | undefined>;
}

export interface PassOptions<Input extends PassInput<Status>, Fact extends string, Operation, Status> {
  readonly resource: ResourceType;
  readonly finalizer: string;
  readonly decide: (input: Input) => Step<Fact, Operation, Status>;
  /** Reads one fact from Coder or Kubernetes and gives the input that holds it. @throws CoderError */
  readonly read: (input: Input, fact: Fact) => Promise<Input>;
  /** Carries an operation out and gives the input that holds what came of it. @throws CoderError */
  readonly perform: (input: Input, operation: Operation) => Promise<Input>;
  /** Details of an announcement: what the operation acts on. */
  readonly announce: (operation: Operation) => Omit<PendingOperation, 'id' | 'at' | 'epoch'>;
  /** What to say after a call failed. */
  readonly onFailure: (
    input: Input,
    operation: Operation | undefined,
    error: CoderError,
  ) => { readonly status: Status; readonly rest: Rest };
  readonly writer: PassWriter;
  /** Throws when the lease was lost. Asked right before each call that changes something in Coder. */
  readonly assertLeading: () => void;
  readonly epoch: string;
  readonly clock: Clock;
  readonly emit: (object: KubeObject, event: StepEvent) => void;
}

/** Reads and Kubernetes writes a pass may make before it is plain that a rule goes round in circles. */
const MOST_STEPS = 20;

/**
 * Carries out what a decision asks for: any number of reads, then at most one call that changes something in Coder,
 * announced in the status before and recorded in it after. Waiting never holds a worker: the answer says when to look
 * again.
 *
 * @throws KubeError when the copy of the object was stale. Nothing was sent to Coder then, unless the status after a
 *   call could not be written, in which case the announcement is still there and the next pass looks first.
 */
export async function runPass<
  Input extends PassInput<Status>,
  Fact extends string,
  Operation,
  Status extends object,
>(start: Input, options: PassOptions<Input, Fact, Operation, Status>): Promise<Rest | undefined> {
  const { resource, writer } = options;
  let input = start;
  /** The object as the API server has it; `input.object` may already hold what this pass learnt of Coder. */
  let server: DecidedObject<Status> = start.object;
  let hasWritten = false;
  for (let i = 0; i < MOST_STEPS; i++) {
    const step = options.decide(input);
    let running: Operation | undefined;
    try {
      switch (step.do) {
        case 'nothing':
          return undefined;
        case 'read':
          input = await options.read(input, step.fact);
          break;
        case 'finalizer': {
          const left = await writer.setFinalizer(resource, server, options.finalizer, step.present);
          if (step.event !== undefined) options.emit(server, step.event);
          if (left === undefined || (!step.present && left.metadata.deletionTimestamp !== undefined))
            return undefined;
          server = left;
          input = { ...input, object: { ...input.object, metadata: left.metadata } };
          break;
        }
        case 'write': {
          if (hasWritten) {
            // What the first call brought is recorded before anything else is begun.
            await writer.writeStatus(resource, server, input.object.status ?? {});
            return { until: 'time', afterMs: 1 };
          }
          const pendingOperation: PendingOperation = {
            ...options.announce(step.operation),
            id: randomUUID(),
            at: timestamp(new Date(options.clock.now())),
            epoch: options.epoch,
          };
          server = await writer.writeStatus(resource, server, { ...step.status, pendingOperation });
          input = { ...input, object: server };
          options.assertLeading();
          hasWritten = true;
          running = step.operation;
          if (step.notice !== undefined) options.emit(server, step.notice);
          if (step.event !== undefined) options.emit(server, step.event);
          input = await options.perform(input, step.operation);
          break;
        }
        case 'report': {
          const written = await writer.writeStatus(resource, server, step.status);
          if (step.event !== undefined && written !== server) options.emit(server, step.event);
          return step.rest;
        }
      }
    } catch (error) {
      if (!(error instanceof CoderError)) throw error;
      const failed = options.onFailure(input, running, error);
      await writer.writeStatus(resource, server, failed.status);
      return failed.rest;
    }
  }
  throw new OperatorError(
    'DECISION_LOOP',
    `The rules for ${resource.kind} ${start.object.metadata.name} asked for more than ${MOST_STEPS} steps in one pass`,
  );
}
