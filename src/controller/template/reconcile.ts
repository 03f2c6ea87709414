import { finalizers, templates, type CoderTemplate } from '../../api/kinds.ts';
import { parseTemplateName } from '../../api/names.ts';
import type { Clock } from '../../base/clock.ts';
import { archiveOf } from '../../coder/archive.ts';
import type { CoderClient } from '../../coder/client.ts';
import { isForbidden, isNotFound } from '../../coder/errors.ts';
import type { ProvisionerJob, Template, TemplateVersion } from '../../coder/types.ts';
import {
  assertMaySend,
  isBeingUninstalled,
  isTooEarly,
  liveConnection,
  passContext,
  type Context,
} from '../context.ts';
import type { LiveConnection } from '../connections.ts';
import type { TimedSighting } from '../facts.ts';
import { reportFailure } from '../failure.ts';
import { runPass } from '../pass.ts';
import { PendingTimes } from '../pending.ts';
import { untilWoken, type Rest } from '../step.ts';
import { contentOf, PROVISIONER } from './content.ts';
import { decideTemplate } from './decide.ts';
import type {
  TemplateDraft,
  TemplateFactName,
  TemplateFacts,
  TemplateInput,
  TemplateOperation,
  TemplateRecord,
  VersionRecord,
} from './input.ts';
import { afterAnswer, afterFailure, afterSuccess, type TemplateOutcome } from './outcome.ts';
import { templateRecordOf, versionRecordOf } from './records.ts';
import { SET } from './setters.ts';
import { bodyOf } from './settings.ts';
import { hasPendingWork } from './status.ts';

export interface TemplateReconcilerOptions {
  readonly context: Context;
  /** Name of an older object of the namespace that is bound to this UUID. */
  readonly claimedBy: (object: CoderTemplate, templateID: string) => string | undefined;
  /** Whether any other object is bound to this UUID. */
  readonly isClaimedByAnother: (object: CoderTemplate, templateID: string) => boolean;
}

/** The newest jobs among which a lost first version is looked for. */
const JOBS_LOOKED_THROUGH = 100;
/** Workspaces that are named when they hold up a deletion. */
const NAMED_WORKSPACES = 3;

/** Brings one template where its object wants it: reads what the rules ask for and carries out what they say. */
export class TemplateReconciler {
  readonly #options: TemplateReconcilerOptions;
  readonly #pending: PendingTimes;

  constructor(options: TemplateReconcilerOptions) {
    this.#options = options;
    this.#pending = new PendingTimes(options.context.clock);
  }

  /** One pass. @throws KubeError when our copy of the object was stale. */
  async reconcile(object: CoderTemplate): Promise<Rest | undefined> {
    const { context, claimedBy, isClaimedByAnother } = this.#options;
    const namespace = object.metadata.namespace ?? '';
    const input: TemplateInput = {
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
    return runPass<TemplateInput, TemplateFactName, TemplateOperation, TemplateDraft>(input, {
      resource: templates,
      finalizer: finalizers.template,
      decide: decideTemplate,
      read: async (before, fact) => ({
        ...before,
        facts: { ...before.facts, ...(await this.#read(before, fact)) },
      }),
      perform: async (before, operation) => {
        const outcome = await this.#perform(before, operation);
        return outcome === undefined ? afterAnswer(before) : afterSuccess(before, operation, outcome);
      },
      announce: (operation) => ({
        type: operation.type,
        target: targetOf(operation),
        ...(operation.type === SET ? { value: operation.fields.join(',') } : {}),
      }),
      onFailure: (before, operation, error) => {
        context.connections.suspect(namespace, error);
        const status =
          operation === undefined ? (before.object.status ?? {}) : afterFailure(before, operation, error);
        return reportFailure(before, status, error, operation === undefined && !hasPendingWork(before));
      },
      ...passContext(context),
    });
  }

  forget(object: CoderTemplate): void {
    this.#pending.forget(object.metadata.uid ?? '');
  }

  async #read(input: TemplateInput, fact: TemplateFactName): Promise<Partial<TemplateFacts>> {
    const { context } = this.#options;
    const { signal, clock } = context;
    if (fact === 'crdTerminating')
      return { crdTerminating: await isBeingUninstalled(context.kube, templates) };
    const live = liveConnection(this.#options.context, input.object);
    const { client } = live;
    const { spec, status } = input.object;
    const name = parseTemplateName(input.object.metadata.name);
    const id = status?.id ?? '';
    switch (fact) {
      case 'templateByName':
        return {
          templateByName: await look(live, clock, () =>
            client.templateByName(name.organization, name.template, { signal }),
          ),
        };
      case 'template':
        return { template: recall(live, id) ?? (await lookByID(live, clock, id, signal)) };
      case 'freshTemplate':
        return { template: await lookByID(live, clock, id, signal) };
      case 'organization':
        return { organization: { id: await readOrganization(client, name.organization, signal) } };
      case 'version': {
        const versionID = spec.versionID ?? pendingVersionID(input);
        return {
          version: {
            id: versionID,
            version: await found(() => client.templateVersion(versionID, { signal })),
          },
        };
      }
      case 'versionByName':
        return { versionByName: await this.#versionByName(input, live) };
      case 'unattachedVersion':
        return { unattachedVersion: { version: await this.#unattachedVersion(input, live) } };
      case 'activeVersionName': {
        const { template, templateByName } = input.facts;
        // A template that is created anew by request is gone by its UUID and found by its name.
        const sighting = template?.seen === 'found' ? template : templateByName;
        const activeID = sighting?.seen === 'found' ? sighting.value.activeVersionID : '';
        const version = await client.templateVersion(activeID, { signal });
        return { activeVersionName: { id: activeID, name: version.name } };
      }
      case 'workspaces': {
        const query = `template:${status?.templateName ?? name.template} organization:${status?.organizationName ?? name.organization}`;
        const list = await client.workspaces({ query, limit: NAMED_WORKSPACES, signal });
        return {
          workspaces: { count: list.count, some: list.workspaces.map((w) => `${w.owner_name}/${w.name}`) },
        };
      }
    }
  }

  async #versionByName(
    input: TemplateInput,
    live: LiveConnection,
  ): Promise<NonNullable<TemplateFacts['versionByName']>> {
    const { spec, status, metadata } = input.object;
    const name = parseTemplateName(metadata.name);
    const content = contentOf(spec, status ?? {});
    const wanted = content?.kind === 'files' ? content.versionName : '';
    const organization = status?.organizationName ?? name.organization;
    const template = status?.templateName ?? name.template;
    const { signal } = this.#options.context;
    const version = await found(() =>
      live.client.templateVersionByName(organization, template, wanted, { signal }),
    );
    return { name: wanted, version };
  }

  /** The version that an announced request of ours made and that belongs to no template, by its job. */
  async #unattachedVersion(input: TemplateInput, live: LiveConnection): Promise<VersionRecord | undefined> {
    const { signal } = this.#options.context;
    const target = input.object.status?.pendingOperation?.target;
    const name = parseTemplateName(input.object.metadata.name);
    const organizationID = await readOrganization(live.client, name.organization, signal);
    if (organizationID === undefined || target === undefined) return undefined;
    for (const job of await this.#importJobs(organizationID, live)) {
      const versionID = job.input?.template_version_id;
      const isOurs =
        job.type === 'template_version_import' &&
        job.metadata?.template_version_name === target &&
        job.metadata.template_id === undefined;
      if (!isOurs || versionID === undefined) continue;
      const version = await found(() => live.client.templateVersion(versionID, { signal }));
      if (version !== undefined && version.templateID === undefined) return version;
    }
    return undefined;
  }

  /** The newest jobs of ours; none when the token may not read jobs, which must not hold up anything for ever. */
  async #importJobs(organizationID: string, live: LiveConnection): Promise<readonly ProvisionerJob[]> {
    const { signal } = this.#options.context;
    try {
      return await live.client.provisionerJobs(organizationID, {
        limit: JOBS_LOOKED_THROUGH,
        initiator: live.fact.userID,
        signal,
      });
    } catch (error) {
      if (isNotFound(error) || isForbidden(error)) return [];
      throw error;
    }
  }

  /**
   * No signal goes along: what was begun is brought to its end, also while the process is being stopped. The lease is
   * looked at once more after all waiting.
   */
  async #perform(input: TemplateInput, operation: TemplateOperation): Promise<TemplateOutcome | undefined> {
    const { context } = this.#options;
    const { logger, clock } = context;
    const beforeSend = (): void => assertMaySend(context, input.object.metadata.namespace ?? '');
    const { client, observer } = liveConnection(context, input.object);
    logger.info('sending to Coder', {
      template: `${input.object.metadata.namespace ?? ''}/${input.object.metadata.name}`,
      operation: operation.type,
      target: targetOf(operation),
      id: input.object.status?.pendingOperation?.id,
    });
    switch (operation.type) {
      case 'CreateVersion': {
        const fileID = await client.uploadArchive(await archiveOf(operation.files), { beforeSend });
        const body = {
          name: operation.name,
          file_id: fileID,
          provisioner: PROVISIONER,
          ...(operation.templateID === undefined ? {} : { template_id: operation.templateID }),
        };
        const version = await client.createTemplateVersion(operation.organizationID, body, { beforeSend });
        return { type: 'CreateVersion', version: versionRecordOf(version) };
      }
      case 'CreateTemplate': {
        const template = templateRecordOf(
          await client.createTemplate(
            operation.organizationID,
            { name: operation.name, template_version_id: operation.versionID },
            { beforeSend },
          ),
        );
        observer.learnTemplate(template, clock.monotonic());
        return { type: 'CreateTemplate', template };
      }
      case SET:
        await client.updateTemplate(operation.templateID, bodyOf(operation.settings), { beforeSend });
        return undefined;
      case 'Promote': {
        await client.promoteTemplateVersion(operation.templateID, operation.versionID, { beforeSend });
        const known = observer.template(operation.templateID);
        if (known !== undefined) {
          observer.learnTemplate({ ...known, activeVersionID: operation.versionID }, clock.monotonic());
        }
        return { type: 'Promote' };
      }
      case 'Delete':
        await client.deleteTemplate(operation.templateID, { beforeSend });
        return { type: 'Delete' };
    }
  }
}

function targetOf(operation: TemplateOperation): string {
  switch (operation.type) {
    case 'CreateVersion':
      return operation.name;
    case 'CreateTemplate':
    case 'Promote':
      return operation.versionID;
    case SET:
    case 'Delete':
      return operation.templateID;
  }
}

/** The pending version, also one that was found in this very pass and is not in the status yet. */
function pendingVersionID(input: TemplateInput): string {
  const { unattachedVersion, versionByName } = input.facts;
  return (
    input.object.status?.pendingVersion?.id ??
    unattachedVersion?.version?.id ??
    versionByName?.version?.id ??
    ''
  );
}

async function look(
  live: LiveConnection,
  clock: Clock,
  read: () => Promise<Template>,
): Promise<TimedSighting<TemplateRecord>> {
  const askedAt = clock.monotonic();
  try {
    const record = templateRecordOf(await read());
    live.observer.learnTemplate(record, askedAt);
    return { seen: 'found', value: record, fresh: true };
  } catch (error) {
    if (isNotFound(error)) return { seen: 'unseen', fresh: true };
    throw error;
  }
}

/** What the observer remembers. */
function recall(live: LiveConnection, id: string): TimedSighting<TemplateRecord> | undefined {
  const known = live.observer.template(id);
  return known === undefined ? undefined : { seen: 'found', value: known, fresh: false };
}

/** By UUID, with the proof of absence: Coder lists deleted templates, while a 404 may also mean that we may not see it. */
async function lookByID(
  live: LiveConnection,
  clock: Clock,
  id: string,
  signal: AbortSignal,
): Promise<TimedSighting<TemplateRecord>> {
  const sighting = await look(live, clock, () => live.client.template(id, { signal }));
  if (sighting.seen === 'found') return sighting;
  live.observer.forgetTemplate(id);
  const deleted = await live.client.deletedTemplateById(id, { signal });
  return { seen: deleted === undefined ? 'unseen' : 'gone', fresh: true };
}

async function found(read: () => Promise<TemplateVersion>): Promise<VersionRecord | undefined> {
  try {
    return versionRecordOf(await read());
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function readOrganization(
  client: CoderClient,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await client.organization(name, { signal })).id;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
