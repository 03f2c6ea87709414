import { finalizers, workspaces, type CoderWorkspace } from '../../api/kinds.ts';
import { CoderError } from '../../coder/errors.ts';
import type { CreateWorkspaceRequest, WorkspaceBuild } from '../../coder/types.ts';
import { objectKey } from '../../kube/objects.ts';
import {
  assertMaySend,
  isBeingUninstalled,
  isTooEarly,
  liveConnection,
  passContext,
  type Context,
} from '../context.ts';
import { reportFailure } from '../failure.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import { runPass } from '../pass.ts';
import { PendingTimes } from '../pending.ts';
import { untilWoken, type Rest } from '../step.ts';
import { decideWorkspace } from './decide.ts';
import { knownRecord, readFromCoder } from './facts.ts';
import type {
  WorkspaceDraft,
  WorkspaceFactName,
  WorkspaceFacts,
  WorkspaceInput,
  WorkspaceOperation,
} from './input.ts';
import { secretTexts } from '../values.ts';
import { afterAnswer, afterFailure, afterSuccess } from './outcome.ts';
import { SETTERS } from './setters.ts';
import { hasPendingWork } from './status.ts';

export interface WorkspaceReconcilerOptions {
  readonly context: Context;
  /** Name of an older object of the namespace that is bound to this UUID. */
  readonly claimedBy: (object: CoderWorkspace, workspaceID: string) => string | undefined;
  /** Whether any other object is bound to this UUID. */
  readonly isClaimedByAnother: (object: CoderWorkspace, workspaceID: string) => boolean;
}

/** Brings one workspace where its object wants it: reads what the rules ask for and carries out what they say. */
export class WorkspaceReconciler {
  readonly #options: WorkspaceReconcilerOptions;
  readonly #pending: PendingTimes;

  constructor(options: WorkspaceReconcilerOptions) {
    this.#options = options;
    this.#pending = new PendingTimes(options.context.clock);
  }

  /**
   * One pass.
   *
   * @param isUnseen Coder does not show the workspace, as was just found out: it is not asked again.
   * @throws KubeError when our copy of the object was stale.
   */
  async reconcile(object: CoderWorkspace, isUnseen = false): Promise<Rest | undefined> {
    const { context } = this.#options;
    const namespace = object.metadata.namespace ?? '';
    const input = this.#inputOf(object, isUnseen);
    if (isTooEarly(context, object) && !hasPendingWork(input)) return untilWoken;
    const slot = new Slot(context, object);
    try {
      const rest = await runPass<WorkspaceInput, WorkspaceFactName, WorkspaceOperation, WorkspaceDraft>(
        input,
        {
          resource: workspaces,
          finalizer: finalizers.workspace,
          decide: decideWorkspace,
          read: async (before, fact) => ({
            ...before,
            facts: { ...before.facts, ...(await this.#read(before, fact, slot)) },
          }),
          perform: (before, operation) => this.#perform(before, operation, slot),
          announce: announcementOf,
          onFailure: (before, operation, error) => {
            context.connections.suspect(namespace, error);
            const status =
              operation === undefined ? (before.object.status ?? {}) : afterFailure(before, operation, error);
            return reportFailure(before, status, error, operation === undefined && !hasPendingWork(before));
          },
          ...passContext(context),
        },
      );
      if (rest?.until === 'build') context.connections.live(namespace)?.observer.follow(rest.workspaceID);
      return rest;
    } finally {
      slot.giveBack();
    }
  }

  forget(object: CoderWorkspace): void {
    new Slot(this.#options.context, object).giveBack();
    this.#pending.forget(object.metadata.uid ?? '');
  }

  #inputOf(object: CoderWorkspace, isUnseen: boolean): WorkspaceInput {
    const { context, claimedBy, isClaimedByAnother } = this.#options;
    return {
      object,
      facts: {
        connection: context.connections.fact(object.metadata.namespace ?? ''),
        claimedBy: (id) => claimedBy(object, id),
        isClaimedByAnother: (id) => isClaimedByAnother(object, id),
        heldDeletions: () => {
          const answer = context.deletions.isHeld(object);
          return answer.held ? answer.pending : undefined;
        },
        ...(isUnseen ? { workspace: { seen: 'unseen', fresh: true } } : {}),
      },
      pendingForMs: this.#pending.waitedMs(object.metadata.uid ?? '', object.status?.pendingOperation),
      now: new Date(context.clock.now()),
      settings: context.settings,
    };
  }

  async #read(input: WorkspaceInput, fact: WorkspaceFactName, slot: Slot): Promise<Partial<WorkspaceFacts>> {
    const { context } = this.#options;
    switch (fact) {
      case 'crdTerminating':
        return { crdTerminating: await isBeingUninstalled(context.kube, workspaces) };
      case 'values': {
        const { metadata, spec } = input.object;
        return { values: await context.values.resolve(metadata.namespace ?? '', spec.parameters ?? []) };
      }
      case 'buildSlot':
        return { buildSlot: slot.reserve(knownRecord(input)) ? 'granted' : 'none' };
      default:
        return readFromCoder(context, input, fact);
    }
  }

  /**
   * No signal goes along: what was begun is brought to its end, also while the process is being stopped. The lease is
   * looked at once more after all waiting.
   */
  async #perform(input: WorkspaceInput, operation: WorkspaceOperation, slot: Slot): Promise<WorkspaceInput> {
    const { context } = this.#options;
    const { logger, clock } = context;
    const namespace = input.object.metadata.namespace ?? '';
    const { client, observer } = liveConnection(context, input.object);
    const log = logger.child({
      workspace: `${namespace}/${input.object.metadata.name}`,
      operation: announcementOf(operation).type,
      id: input.object.status?.pendingOperation?.id,
    });
    const { values } = input.facts;
    const options = {
      priority: 'high',
      beforeSend: () => assertMaySend(context, namespace),
      // Coder repeats values that it does not like.
      secrets: values?.state === 'resolved' ? secretTexts(values.values) : [],
    } as const;
    log.info('sending to Coder');
    switch (operation.type) {
      case 'Create': {
        const workspace = await slot.use(() =>
          client.createWorkspace(operation.owner, bodyOf(operation), options),
        );
        return afterSuccess(input, operation, observer.learn(workspace, clock.monotonic()));
      }
      case 'Set': {
        const { workspaceID, field, value } = operation;
        if (field === 'ttlMillis') await client.setTTL(workspaceID, Number(value), options);
        else if (field === 'autostartSchedule') await client.setAutostart(workspaceID, value, options);
        else await client.setAutomaticUpdates(workspaceID, value === 'Always' ? 'always' : 'never', options);
        return afterAnswer(input);
      }
      default: {
        const { type, workspaceID, templateVersionID, parameters } = operation;
        const transition = ({ Start: 'start', Stop: 'stop', Delete: 'delete' } as const)[type];
        const body = {
          transition,
          ...(templateVersionID === undefined ? {} : { template_version_id: templateVersionID }),
          ...(parameters === undefined ? {} : { rich_parameter_values: parameters }),
        };
        let build: WorkspaceBuild;
        try {
          build = await slot.use(() => client.createBuild(workspaceID, body, options));
        } catch (error) {
          // It counts as one of many deletions when it may have been carried out.
          if (type === 'Delete' && isUnclear(error)) context.deletions.sent(input.object);
          throw error;
        }
        if (type === 'Delete') context.deletions.sent(input.object);
        log.info('Coder builds', { build: build.build_number, transition });
        const before = knownRecord(input);
        if (before?.id !== workspaceID) throw new TypeError('A build was decided on without a workspace');
        return afterSuccess(input, operation, observer.learnBuild(before, build, clock.monotonic()));
      }
    }
  }
}

/** The place among the builds under way that one pass may take. */
class Slot {
  readonly #context: Context;
  readonly #object: CoderWorkspace;
  #mustWait = false;
  #isUsed = false;

  constructor(context: Context, object: CoderWorkspace) {
    this.#context = context;
    this.#object = object;
  }

  /** @param record the workspace, if it is there already. */
  reserve(record: WorkspaceRecord | undefined): boolean {
    const { slots, fact } = liveConnection(this.#context, this.#object);
    const build = record?.build;
    const { running } = this.#object.spec;
    const isRestart = running === true && build?.transition === 'stop' && build.initiatorID === fact.userID;
    this.#mustWait = !slots.reserve(record?.id ?? this.#nameKey, objectKey(this.#object), isRestart);
    return !this.#mustWait;
  }

  /** Sends a build. What may have reached Coder keeps the place, until the record of the build takes it. */
  async use<T>(send: () => Promise<T>): Promise<T> {
    this.#isUsed = true;
    try {
      return await send();
    } catch (error) {
      this.#isUsed = isUnclear(error);
      throw error;
    }
  }

  /** At the end of a pass: whoever neither builds nor waits for its turn leaves the place to others. */
  giveBack(): void {
    // A build that was announced may be under way without anybody having seen it.
    const isOpen = this.#object.status?.pendingOperation !== undefined;
    if (this.#isUsed || this.#mustWait || isOpen) return;
    const slots = this.#context.connections.live(this.#object.metadata.namespace ?? '')?.slots;
    slots?.done(this.#nameKey);
    const { id } = this.#object.status ?? {};
    if (id !== undefined) slots?.done(id);
  }

  get #nameKey(): string {
    const [, owner = '', workspace = ''] = this.#object.metadata.name.split('.');
    return `${owner}/${workspace}`;
  }
}

function isUnclear(error: unknown): boolean {
  return error instanceof CoderError && error.unclear;
}

/** What an announcement says of an operation: what it acts on, and nothing that may be secret. */
function announcementOf(operation: WorkspaceOperation): {
  readonly type: string;
  readonly target: string;
  readonly afterBuildNumber?: number;
  readonly value?: string;
} {
  switch (operation.type) {
    case 'Create':
      return { type: 'Create', target: `${operation.owner}/${operation.name}` };
    case 'Set':
      return { type: SETTERS[operation.field], target: operation.workspaceID, value: operation.value };
    default:
      return {
        type: operation.type,
        target: operation.workspaceID,
        afterBuildNumber: operation.afterBuildNumber,
      };
  }
}

function bodyOf(operation: Extract<WorkspaceOperation, { type: 'Create' }>): CreateWorkspaceRequest {
  const { templateID, templateVersionID, presetID, parameters, ttlMillis } = operation;
  const { autostartSchedule, automaticUpdates } = operation;
  return {
    name: operation.name,
    ...(templateVersionID === undefined
      ? { template_id: templateID }
      : { template_version_id: templateVersionID }),
    ...(presetID === undefined ? {} : { template_version_preset_id: presetID }),
    ...(parameters === undefined ? {} : { rich_parameter_values: parameters }),
    // Coder takes 0 for the template's default here; never is set afterwards.
    ...(ttlMillis === undefined || ttlMillis === 0 ? {} : { ttl_ms: ttlMillis }),
    ...(autostartSchedule === undefined || autostartSchedule === ''
      ? {}
      : { autostart_schedule: autostartSchedule }),
    ...(automaticUpdates === undefined
      ? {}
      : { automatic_updates: automaticUpdates === 'Always' ? 'always' : 'never' }),
  };
}
