import { finalizers, templates, type CoderTemplate } from '../../api/kinds.ts';
import { archiveOf } from '../../coder/archive.ts';
import { assertMaySend, isTooEarly, liveConnection, passContext, type Context } from '../context.ts';
import { reportFailure } from '../failure.ts';
import { runPass } from '../pass.ts';
import { PendingTimes } from '../pending.ts';
import { untilWoken, type Rest } from '../step.ts';
import { secretTexts } from '../values.ts';
import { decideTemplate } from './decide.ts';
import { readFact } from './facts.ts';
import type { TemplateDraft, TemplateFactName, TemplateInput, TemplateOperation } from './input.ts';
import { afterAnswer, afterFailure, afterSuccess, type TemplateOutcome } from './outcome.ts';
import { templateRecordOf, versionRecordOf } from './records.ts';
import { SET } from './setters.ts';
import { bodyOf } from '../../coder/templatesettings.ts';
import { hasPendingWork } from './status.ts';

export interface TemplateReconcilerOptions {
  readonly context: Context;
  /** Name of an older object of the namespace that is bound to this UUID. */
  readonly claimedBy: (object: CoderTemplate, templateID: string) => string | undefined;
  /** Whether any other object is bound to this UUID. */
  readonly isClaimedByAnother: (object: CoderTemplate, templateID: string) => boolean;
}

/** Brings one template where its object wants it: reads what the rules ask for and carries out what they say. */
export class TemplateReconciler {
  readonly #options: TemplateReconcilerOptions;
  readonly #pending: PendingTimes;

  constructor(options: TemplateReconcilerOptions) {
    this.#options = options;
    this.#pending = new PendingTimes(options.context.clock);
  }

  /**
   * One pass.
   *
   * @param isUnseen Coder does not show the template, as was just found out: it is not asked again.
   * @throws KubeError when our copy of the object was stale.
   */
  async reconcile(object: CoderTemplate, isUnseen = false): Promise<Rest | undefined> {
    const { context, claimedBy, isClaimedByAnother } = this.#options;
    const namespace = object.metadata.namespace ?? '';
    const input: TemplateInput = {
      object,
      facts: {
        connection: context.connections.fact(namespace),
        claimedBy: (id) => claimedBy(object, id),
        isClaimedByAnother: (id) => isClaimedByAnother(object, id),
        usersOf: (id) => context.connections.live(namespace)?.observer.usersOf(id),
        ...(isUnseen ? { template: { seen: 'unseen', fresh: true } } : {}),
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
        facts: { ...before.facts, ...(await readFact(context, before, fact)) },
      }),
      perform: async (before, operation) => {
        if (leavesVersion(object, operation)) context.onVersionLeft?.();
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

  /**
   * No signal goes along: what was begun is brought to its end, also while the process is being stopped. The lease is
   * looked at once more after all waiting.
   */
  async #perform(input: TemplateInput, operation: TemplateOperation): Promise<TemplateOutcome | undefined> {
    const { context } = this.#options;
    const { logger, clock } = context;
    const beforeSend = (): void => assertMaySend(context, input.object.metadata.namespace ?? '');
    const { client, observer, uploads } = liveConnection(context, input.object);
    logger.info('sending to Coder', {
      template: `${input.object.metadata.namespace ?? ''}/${input.object.metadata.name}`,
      operation: operation.type,
      target: targetOf(operation),
      id: input.object.status?.pendingOperation?.id,
    });
    switch (operation.type) {
      case 'CreateVersion': {
        const { files, provisioner, tags, variables } = operation.content;
        const { uid = '' } = input.object.metadata;
        const archive = await archiveOf(files);
        const fileID = await client
          .uploadArchive(archive, { beforeSend })
          // A turn is good for one request, whatever comes of it.
          .finally(() => uploads.leave(uid));
        const body = {
          name: operation.name,
          file_id: fileID,
          provisioner,
          ...(operation.templateID === undefined ? {} : { template_id: operation.templateID }),
          ...(tags === undefined ? {} : { tags }),
          ...(variables.length === 0
            ? {}
            : { user_variable_values: variables.map(({ name, value }) => ({ name, value })) }),
        };
        const version = await client.createTemplateVersion(operation.organizationID, body, {
          beforeSend,
          // Coder may repeat what it does not like.
          secrets: secretTexts(variables),
        });
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

/**
 * The first version of a template belongs to none until the template is made on it. When it is made once more, the one
 * before is left, or may be: nobody can delete versions.
 */
function leavesVersion({ status }: CoderTemplate, operation: TemplateOperation): boolean {
  const isFirst = operation.type === 'CreateVersion' && operation.templateID === undefined;
  return (
    isFirst &&
    (status?.pendingOperation?.type === 'CreateVersion' || status?.pendingVersion?.id !== undefined)
  );
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
