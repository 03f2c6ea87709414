import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.ts';
import type { ImportJob, JobStatus, ProvisionerJob } from '../../../src/coder/types.ts';

/** A job keeps its place in the queue: those of one millisecond are told apart by it. */
export interface JobRow {
  readonly job: ImportJob;
  readonly order: number;
}

/** The queue of all jobs: imports and builds. */
export class Jobs {
  readonly #clock: Clock;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): string {
    return this.at(0);
  }

  /** The time so many milliseconds from now. */
  at(ms: number): string {
    return new Date(this.#clock.now() + ms).toISOString();
  }

  add(
    initiatorID: string,
    status: JobStatus = 'running',
    more: Pick<ImportJob, 'file_id' | 'tags'> = {},
  ): JobRow {
    const now = this.now();
    const job: ImportJob = {
      id: randomUUID(),
      created_at: now,
      ...(status === 'running' ? { started_at: now } : {}),
      status,
      initiator_id: initiatorID,
      ...more,
    };
    return { job, order: this.#count++ };
  }

  begun(row: JobRow): JobRow {
    return { ...row, job: { ...row.job, status: 'running', started_at: this.now() } };
  }

  ended(row: JobRow, status: JobStatus, error: string, errorCode?: string): JobRow {
    const { job } = row;
    const why = { error, ...(errorCode === undefined ? {} : { error_code: errorCode }) };
    return {
      ...row,
      job: { ...job, status, completed_at: this.now(), ...(status === 'failed' ? why : {}) },
    };
  }

  /** One that runs ends when its provisioner has noticed; one that waits ends at once. */
  cancelled(row: JobRow): JobRow {
    const now = this.now();
    const isPending = row.job.status === 'pending';
    return {
      ...row,
      job: {
        ...row.job,
        status: isPending ? 'canceled' : 'canceling',
        canceled_at: now,
        ...(isPending ? { completed_at: now } : {}),
      },
    };
  }
}

export function isActive({ status }: ProvisionerJob): boolean {
  return status === 'pending' || status === 'running' || status === 'canceling';
}
