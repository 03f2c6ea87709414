import { InvalidNameError, parseTemplateName, parseWorkspaceName } from '../api/names.ts';
import { OperatorError } from '../base/errors.ts';
import type { CoderClient } from '../coder/client.ts';
import { CoderError } from '../coder/errors.ts';
import { unlessHidden } from '../coder/hidden.ts';
import { isPrebuild } from '../coder/states.ts';
import type { RichParameter, Template, Workspace } from '../coder/types.ts';
import { unpack } from '../coder/unpack.ts';
import type { VersionContent } from './content.ts';
import { inOrder, type Detail, type Exported, type ManifestKind } from './manifest.ts';
import { forEach, patiently, type Patience } from './patience.ts';
import type { Progress } from './progress.ts';
import { select, type Filters, type Selection } from './selection.ts';
import { exportTemplate } from './template.ts';
import {
  exportWorkspace,
  hiddenParameters,
  listWorkspace,
  parametersOf,
  type ListedWorkspace,
} from './workspace.ts';

/** What of Coder is read. */
export type SourceClient = Pick<
  CoderClient,
  | 'templates'
  | 'organization'
  | 'user'
  | 'eachWorkspace'
  | 'templateVersion'
  | 'templateVersionVariables'
  | 'file'
  | 'richParameters'
  | 'buildParameters'
>;

export interface CollectOptions extends Patience {
  readonly client: SourceClient;
  readonly filters: Filters;
  readonly kinds: ReadonlySet<ManifestKind>;
  readonly detail: Detail;
  readonly progress: Progress;
}

export interface Collected {
  /** By kind and name. */
  readonly objects: readonly Exported[];
  readonly selection: Selection;
  /** What was asked for and is not in the objects: a sentence each. */
  readonly problems: readonly string[];
  /** Names of objects that are in Coder and could not be exported. */
  readonly lacking: ReadonlySet<string>;
}

/** A whole list takes seconds, and Coder may be busy. */
const LIST_TIMEOUT_MS = 300_000;
/** Requests that are awaited at the same time; how many are sent a minute is the client's budget. */
const AT_ONCE = 4;

/** Reads all that is to be exported. @throws {OperatorError} when that cannot be told for certain. */
export async function collect(options: CollectOptions): Promise<Collected> {
  const { client, filters, signal, kinds, progress } = options;
  progress.tell('Reading the list of templates …');
  const templates = await patiently(() => client.templates({ signal }), options);
  const selection = await select(filters, templates, client, signal);
  const run = new Collection(options, selection);
  if (kinds.has('CoderTemplate')) await run.templates(templates.filter((t) => selection.hasTemplate(t)));
  if (kinds.has('CoderWorkspace')) await run.workspaces(templates);
  // What came when is chance.
  const problems = [...run.problems].sort();
  return { objects: inOrder(run.objects), selection, problems, lacking: run.lacking };
}

class Collection {
  readonly objects: Exported[] = [];
  readonly problems: string[] = [];
  readonly lacking = new Set<string>();
  readonly #options: CollectOptions;
  readonly #selection: Selection;

  constructor(options: CollectOptions, selection: Selection) {
    this.#options = options;
    this.#selection = selection;
  }

  async templates(selected: readonly Template[]): Promise<void> {
    const { detail, progress } = this.#options;
    let done = 0;
    await forEach(selected, AT_ONCE, async (template) => {
      progress.tell(`Reading templates: ${done++} of ${selected.length} …`);
      const parts = [template.organization_name, template.name];
      const name = nameFor('template', parts, parseTemplateName);
      if (typeof name !== 'string') {
        this.#leaveOut(name);
        return;
      }
      const content = await this.#contentOf(template);
      if (content.files.seen === 'hidden') {
        this.problems.push(
          `The files of the template ${name} ${content.files.why}; its version is named instead`,
        );
      }
      this.objects.push(exportTemplate(name, template, content, detail));
    });
  }

  async workspaces(templates: readonly Template[]): Promise<void> {
    const listed = await this.#list(templates);
    const { detail, progress, client, signal } = this.#options;
    if (!detail.withParameters) {
      for (const workspace of listed) this.objects.push(exportWorkspace(workspace, undefined, detail));
      return;
    }
    const definitions = new Map<string, Promise<readonly RichParameter[] | undefined>>();
    const definitionsOf = (id: string): Promise<readonly RichParameter[] | undefined> => {
      const known = definitions.get(id) ?? this.#read(() => client.richParameters(id, { signal }));
      definitions.set(id, known);
      return known;
    };
    let done = 0;
    await forEach(listed, AT_ONCE, async (workspace) => {
      progress.tell(`Reading parameters: ${done++} of ${listed.length} workspaces …`);
      const known = await definitionsOf(workspace.versionID);
      const values = known && (await this.#read(() => client.buildParameters(workspace.buildID, { signal })));
      if (values === undefined) {
        this.problems.push(
          `The parameters of ${workspace.name} are not shown to the user of the token, or not yet`,
        );
      }
      const parameters = known && values ? parametersOf(values, known) : hiddenParameters;
      this.objects.push(exportWorkspace(workspace, parameters, detail));
    });
  }

  async #list(templates: readonly Template[]): Promise<readonly ListedWorkspace[]> {
    const { client, detail, progress, signal } = this.#options;
    const byID = new Map(templates.map((template) => [template.id, template]));
    const { rows, count, skipped } = await patiently(async () => {
      // By id, since a row may come twice; undefined for what is not asked for. Begun anew with each try.
      const rows = new Map<string, ListedWorkspace | NameFault | undefined>();
      const take = (workspace: Workspace): void => {
        const isWanted = !isPrebuild(workspace) && this.#selection.hasWorkspace(workspace);
        rows.set(
          workspace.id,
          isWanted ? rowOf(workspace, byID.get(workspace.template_id), detail) : undefined,
        );
        progress.tell(`Reading workspaces: ${rows.size} …`);
      };
      progress.tell('Reading the list of workspaces …');
      const query = { query: this.#selection.query, signal, timeoutMs: LIST_TIMEOUT_MS };
      return { rows, ...(await client.eachWorkspace(take, query)) };
    }, this.#options);
    this.#sayMissing(count - rows.size - skipped, skipped);
    const listed: ListedWorkspace[] = [];
    for (const row of rows.values()) {
      if (row === undefined) continue;
      if ('fault' in row) this.#leaveOut(row);
      else listed.push(row);
    }
    return listed;
  }

  #sayMissing(hidden: number, unreadable: number): void {
    if (unreadable > 0) {
      this.problems.push(`${unreadable} workspace(s) in Coder's list are too large or cannot be understood`);
    }
    if (hidden > 0) {
      this.problems.push(
        `${hidden} workspace(s) are counted by Coder and not shown: the user of the token may not see their templates`,
      );
    }
  }

  #leaveOut({ what, name, fault }: NameFault): void {
    this.lacking.add(name);
    this.problems.push(`The ${what} is left out, since no object can be named after it: ${fault}`);
  }

  async #contentOf(template: Template): Promise<VersionContent> {
    const { client, signal } = this.#options;
    const id = template.active_version_id;
    const version = await this.#read(() => client.templateVersion(id, { signal }));
    const fileID = version?.job.file_id;
    const variables = await this.#read(() => client.templateVersionVariables(id, { signal }));
    const files =
      fileID === undefined
        ? ({ seen: 'hidden', why: 'are not shown to the user of the token' } as const)
        : await this.#filesOf(fileID);
    return { files, tags: version?.job.tags ?? {}, variables };
  }

  async #filesOf(fileID: string): Promise<VersionContent['files']> {
    const { client, signal } = this.#options;
    try {
      const tar = await this.#read(() => client.file(fileID, { signal }));
      if (tar === undefined) return { seen: 'hidden', why: 'are not shown to the user of the token' };
      return { seen: 'files', ...(await unpack(tar, { signal })) };
    } catch (error) {
      if (error instanceof CoderError && error.kind === 'TooLarge') {
        return { seen: 'unusable', why: 'are far larger than a template may be' };
      }
      if (error instanceof OperatorError && error.code === 'INVALID_ARCHIVE') {
        return { seen: 'unusable', why: `cannot be read by the operator either. ${error.message}` };
      }
      throw error;
    }
  }

  #read<T>(read: () => Promise<T>): Promise<T | undefined> {
    return unlessHidden(() => patiently(read, this.#options), { orNotReady: true });
  }
}

/** Something in Coder after which no object can be named. */
interface NameFault {
  /** For a person, such as `workspace acme/ann/dev`. */
  readonly what: string;
  readonly name: string;
  readonly fault: string;
}

function rowOf(
  workspace: Workspace,
  template: Template | undefined,
  detail: Detail,
): ListedWorkspace | NameFault {
  const { organization_name: organization, owner_name: owner, name } = workspace;
  const named = nameFor('workspace', [organization, owner, name], parseWorkspaceName);
  return typeof named === 'string' ? listWorkspace(named, workspace, template, detail) : named;
}

/** The name of the object for something in Coder. */
function nameFor(
  kind: string,
  parts: readonly string[],
  parse: (name: string) => unknown,
): string | NameFault {
  const name = parts.join('.').toLowerCase();
  try {
    parse(name);
    return name;
  } catch (error) {
    if (!(error instanceof InvalidNameError)) throw error;
    return { what: `${kind} ${parts.join('/')}`, name, fault: error.message };
  }
}
