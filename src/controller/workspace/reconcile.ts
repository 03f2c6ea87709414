import { finalizers, workspaces, type CoderWorkspace } from '../../api/kinds.ts';
import { parseWorkspaceName } from '../../api/names.ts';
import type { CoderClient } from '../../coder/client.ts';
import { isGone, isNotFound, isUnknownUser } from '../../coder/errors.ts';
import type { Workspace } from '../../coder/types.ts';
import { isBeingUninstalled, isTooEarly, liveConnection, passContext, type Context } from '../context.ts';
import type { LiveConnection } from '../connections.ts';
import type { TimedSighting } from '../facts.ts';
import { reportFailure } from '../failure.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import { runPass } from '../pass.ts';
import { PendingTimes } from '../pending.ts';
import { untilWoken, type Rest } from '../step.ts';
import { decideWorkspace } from './decide.ts';
import type {
  WorkspaceDraft,
  WorkspaceFactName,
  WorkspaceFacts,
  WorkspaceInput,
  WorkspaceOperation,
} from './input.ts';
import { afterFailure, afterSuccess } from './outcome.ts';
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

  /** One pass. @throws KubeError when our copy of the object was stale. */
  async reconcile(object: CoderWorkspace): Promise<Rest | undefined> {
    const { context, claimedBy, isClaimedByAnother } = this.#options;
    const namespace = object.metadata.namespace ?? '';
    const input: WorkspaceInput = {
      object,
      facts: {
        connection: context.connections.fact(namespace),
        claimedBy: (id) => claimedBy(object, id),
        isClaimedByAnother: (id) => isClaimedByAnother(object, id),
      },
      pendingForMs: this.#pending.waitedMs(object.metadata.uid ?? '', object.status?.pendingOperation),
      now: new Date(context.clock.now()),
      settings: context.settings,
    };
    if (isTooEarly(context, object) && !hasPendingWork(input)) return untilWoken;
    const rest = await runPass<WorkspaceInput, WorkspaceFactName, WorkspaceOperation, WorkspaceDraft>(input, {
      resource: workspaces,
      finalizer: finalizers.workspace,
      decide: decideWorkspace,
      read: async (before, fact) => ({
        ...before,
        facts: { ...before.facts, ...(await this.#read(before, fact)) },
      }),
      perform: (before, operation) => this.#perform(before, operation),
      announce: (operation) =>
        operation.type === 'Create'
          ? { type: operation.type, target: `${operation.owner}/${operation.name}` }
          : {
              type: operation.type,
              target: operation.workspaceID,
              afterBuildNumber: operation.afterBuildNumber,
            },
      onFailure: (before, operation, error) => {
        context.connections.suspect(namespace, error);
        const status =
          operation === undefined ? (before.object.status ?? {}) : afterFailure(before, operation, error);
        return reportFailure(before, status, error, operation === undefined && !hasPendingWork(before));
      },
      ...passContext(context),
    });
    if (rest?.until === 'build') context.connections.live(namespace)?.observer.follow(rest.workspaceID);
    return rest;
  }

  forget(object: CoderWorkspace): void {
    this.#pending.forget(object.metadata.uid ?? '');
  }

  async #read(input: WorkspaceInput, fact: WorkspaceFactName): Promise<Partial<WorkspaceFacts>> {
    const { context } = this.#options;
    const { signal } = context;
    if (fact === 'crdTerminating')
      return { crdTerminating: await isBeingUninstalled(context.kube, workspaces) };
    const live = liveConnection(this.#options.context, input.object);
    const { client, observer } = live;
    const name = parseWorkspaceName(input.object.metadata.name);
    const id = input.object.status?.id ?? '';
    switch (fact) {
      case 'workspaceByName':
        return {
          workspaceByName: await this.#look(live, () =>
            client.workspaceByName(name.owner, name.workspace, { signal }),
          ),
        };
      case 'workspace': {
        const known = observer.workspaces.get(id);
        return {
          workspace:
            known === undefined
              ? await this.#lookByID(live, id)
              : { seen: 'found', value: known, fresh: false },
        };
      }
      case 'freshWorkspace': {
        const boundID =
          id === '' && input.facts.workspaceByName?.seen === 'found'
            ? input.facts.workspaceByName.value.id
            : id;
        return { workspace: await this.#lookByID(live, boundID) };
      }
      case 'firstInitiator': {
        const found = input.facts.workspaceByName;
        const builds = found?.seen === 'found' ? await client.builds(found.value.id, { signal }) : [];
        return { firstInitiator: builds.find((b) => b.build_number === 1)?.initiator_id ?? '' };
      }
      case 'owner':
        return { owner: await readOwner(client, name.owner, signal) };
      case 'template':
        return {
          template: await readTemplate(
            client,
            name.organization,
            input.object.spec.templateName ?? '',
            signal,
          ),
        };
    }
  }

  /** By UUID. What is not seen is not remembered either, so that seeing it again later wakes its object. */
  async #lookByID(live: LiveConnection, id: string): Promise<TimedSighting<WorkspaceRecord>> {
    const { signal } = this.#options.context;
    const sighting = await this.#look(live, () => live.client.workspace(id, { signal }));
    if (sighting.seen !== 'found') live.observer.workspaces.forget(id);
    return sighting;
  }

  async #look(live: LiveConnection, read: () => Promise<Workspace>): Promise<TimedSighting<WorkspaceRecord>> {
    const askedAt = this.#options.context.clock.monotonic();
    try {
      const workspace = await read();
      return { seen: 'found', value: live.observer.learn(workspace, askedAt), fresh: true };
    } catch (error) {
      if (isGone(error)) return { seen: 'gone', fresh: true };
      if (isNotFound(error) || isUnknownUser(error)) return { seen: 'unseen', fresh: true };
      throw error;
    }
  }

  /**
   * No signal goes along: what was begun is brought to its end, also while the process is being stopped. The lease is
   * looked at once more after all waiting.
   */
  async #perform(input: WorkspaceInput, operation: WorkspaceOperation): Promise<WorkspaceInput> {
    const { logger, clock, assertLeading: beforeSend } = this.#options.context;
    const { client, observer } = liveConnection(this.#options.context, input.object);
    const log = logger.child({
      workspace: `${input.object.metadata.namespace ?? ''}/${input.object.metadata.name}`,
      operation: operation.type,
      id: input.object.status?.pendingOperation?.id,
    });
    log.info('sending to Coder');
    if (operation.type === 'Create') {
      const workspace = await client.createWorkspace(
        operation.owner,
        { name: operation.name, template_id: operation.templateID },
        { priority: 'high', beforeSend },
      );
      return afterSuccess(input, operation, observer.learn(workspace, clock.monotonic()));
    }
    const transition = ({ Start: 'start', Stop: 'stop', Delete: 'delete' } as const)[operation.type];
    const build = await client.createBuild(
      operation.workspaceID,
      {
        transition,
        ...(operation.templateVersionID === undefined
          ? {}
          : { template_version_id: operation.templateVersionID }),
      },
      { priority: 'high', beforeSend },
    );
    const before = knownRecord(input, operation.workspaceID);
    log.info('Coder builds', { build: build.build_number, transition });
    return afterSuccess(input, operation, observer.learnBuild(before, build, clock.monotonic()));
  }
}

/** The record on which the decision to build was made. */
function knownRecord(input: WorkspaceInput, workspaceID: string): WorkspaceRecord {
  const { workspace, workspaceByName } = input.facts;
  for (const sighting of [workspace, workspaceByName]) {
    if (sighting?.seen === 'found' && sighting.value.id === workspaceID) return sighting.value;
  }
  throw new TypeError('A build was decided on without a workspace');
}

async function readOwner(
  client: CoderClient,
  owner: string,
  signal: AbortSignal,
): Promise<NonNullable<WorkspaceFacts['owner']>> {
  try {
    const user = await client.user(owner, { signal });
    return { user: { id: user.id, organizationIDs: user.organization_ids } };
  } catch (error) {
    if (isUnknownUser(error) || isNotFound(error)) return { user: undefined };
    throw error;
  }
}

async function readTemplate(
  client: CoderClient,
  organization: string,
  template: string,
  signal: AbortSignal,
): Promise<NonNullable<WorkspaceFacts['template']>> {
  try {
    const found = await client.templateByName(organization, template, { signal });
    return {
      template: {
        id: found.id,
        organizationID: found.organization_id,
        activeVersionID: found.active_version_id,
      },
    };
  } catch (error) {
    if (isNotFound(error)) return { template: undefined };
    throw error;
  }
}
