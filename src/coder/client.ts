import type { Clock } from '../base/clock.ts';
import { systemClock } from '../base/clock.ts';
import { checkBaseUrl, type HostPolicy } from './address.ts';
import { Connection, type CallOptions } from './connection.ts';
import { RequestBudget } from './ratelimit.ts';
import {
  readAPIKey,
  readBuildInfo,
  readCount,
  readJobLogs,
  readMessage,
  readNameValues,
  readNothing,
  readOrganization,
  readPresets,
  readProvisionerJobs,
  readRichParameters,
  readTemplate,
  readTemplates,
  readTemplateVersion,
  readUpdatedTemplate,
  readUpload,
  readUser,
  readVariables,
  readWorkspace,
  readWorkspaceBuild,
  readWorkspaceBuilds,
  readWorkspaceList,
} from './readers.ts';
import type { Query, RouteParams } from './route.ts';
import { Transport, type Call, type RequestReport } from './transport.ts';
import type {
  BuildInfo,
  CreateBuildRequest,
  CreateTemplateRequest,
  CreateTemplateVersionRequest,
  CreateWorkspaceRequest,
  JobLog,
  JobStatus,
  NameValue,
  Organization,
  Preset,
  ProvisionerJob,
  RichParameter,
  Template,
  TemplateVersion,
  TemplateVersionVariable,
  TokenExpiry,
  UpdateTemplateRequest,
  User,
  Workspace,
  WorkspaceBuild,
  WorkspaceList,
} from './types.ts';
import { readAnswer, type Reader } from './validate.ts';
import { UnexpectedResponseError } from './errors.ts';

/**
 * Largest log of an import. Coder keeps 1 MiB of a job's output; as JSON, with the fields of every line around it, it
 * is several times that.
 */
const MAX_LOG_BYTES = 64 * 1024 * 1024;

const DEFAULT_LOG_LINES = 50;

const TAR = 'application/x-tar';

/** Workspaces in one page of a streamed list, and the most pages: a list of more than a million is none. */
const PAGE = 500;
const MOST_PAGES = 2_000;

/** Largest workspace of a streamed list; a larger one has to be read by itself. */
const MAX_RECORD_BYTES = 256 * 1024;

/** Largest streamed list. It is never in memory as a whole, so this only stops one that does not end. */
const MAX_STREAM_BYTES = 512 * 1024 * 1024;

export interface CoderClientOptions {
  /** Address of Coder, from the Secret. */
  readonly url: string;
  /** Left out, only `buildInfo` can be called with success. */
  readonly token?: string;
  /** PEM; trusted besides the system's roots. */
  readonly caCertificates?: string;
  readonly policy: HostPolicy;
  /** In the long run, the uncounted calls aside. Default 240. */
  readonly requestsPerMinute?: number;
  /** For each call that sets none of its own, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** For each of name resolution, connection and TLS handshake, in milliseconds. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Default `coder-operator`. */
  readonly userAgent?: string;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Called after every request, for metrics. */
  readonly onRequest?: (report: RequestReport) => void;
}

export interface DeletedOption {
  /** Whether a deleted workspace is found too. Default false. */
  readonly includeDeleted?: boolean;
}

export interface WorkspaceQuery {
  /** In Coder's search language, such as `owner:alice status:running` or `id:UUID,UUID`. Default: all. */
  readonly query?: string;
  /** Default 0: all. */
  readonly limit?: number;
  /** So many of the first ones are left out. */
  readonly offset?: number;
}

export interface JobQuery {
  /** Default of Coder: 50. */
  readonly limit?: number;
  readonly status?: readonly JobStatus[];
  /** Ids of jobs. */
  readonly ids?: readonly string[];
  /** UUID of the user who caused the jobs. */
  readonly initiator?: string;
}

/** What is left to say about a list whose rows have been handed over. */
export interface StreamedList {
  /** All matches as Coder counts them. */
  readonly count: number;
  /** Workspaces that were too large to be handed over; they are not gone. */
  readonly skipped: number;
}

/**
 * One Coder server as seen by one token. Every method throws `CoderError` (see the guards in errors.ts) and sends
 * exactly one request, but for the two that say otherwise; none retries.
 */
export class CoderClient {
  readonly #connection: Connection;
  readonly #token: string | undefined;

  /** @throws {OperatorError} when the URL, the token or the CA certificate cannot be used. */
  constructor(options: CoderClientOptions) {
    const clock = options.clock ?? systemClock;
    const { requestsPerMinute } = options;
    const transport = new Transport({
      ...options,
      clock,
      baseUrl: checkBaseUrl(options.url, options.policy),
    });
    const budget = new RequestBudget({
      clock,
      ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
    });
    this.#connection = new Connection(transport, budget);
    this.#token = options.token;
  }

  /** Closes the connections; calls under way fail. */
  close(): void {
    this.#connection.close();
  }

  /** Which Coder this is. Never sends the token, so that it can come before anything else is trusted. */
  async buildInfo(options?: CallOptions): Promise<BuildInfo> {
    return this.#connection.call(
      { method: 'GET', route: '/buildinfo', anonymous: true },
      readBuildInfo,
      options,
    );
  }

  /** The user whom the token belongs to. */
  async me(options?: CallOptions): Promise<User> {
    return this.user('me', options);
  }

  /** @param user a UUID or a name; `isUnknownUser` tells one that does not exist. */
  async user(user: string, options?: CallOptions): Promise<User> {
    return this.#get('/users/{user}', { user }, readUser, options);
  }

  /** @param organization a UUID, a name or `default`. */
  async organization(organization: string, options?: CallOptions): Promise<Organization> {
    return this.#get('/organizations/{organization}', { organization }, readOrganization, options);
  }

  /**
   * When the token ends if it is not used until then: Coder moves the time on with use. Undefined for a token that
   * does not say which key it is.
   */
  async tokenExpiry(options?: CallOptions): Promise<TokenExpiry | undefined> {
    const id = /^(\w{10})-\w+$/.exec(this.#token ?? '')?.[1];
    if (id === undefined) return undefined;
    const key = await this.#get('/users/me/keys/{id}', { id }, readAPIKey, options);
    if (key.expires_at === undefined) return undefined;
    const lifetime = key.lifetime_seconds;
    return { at: key.expires_at, ...(lifetime === undefined ? {} : { lifetimeMs: lifetime * 1000 }) };
  }

  /** All templates of all organizations that the token may see, deprecated ones too. Two requests. */
  async templates(options?: CallOptions): Promise<readonly Template[]> {
    return this.#searchTemplates('', options);
  }

  async template(id: string, options?: CallOptions): Promise<Template> {
    return this.#get('/templates/{id}', { id }, readTemplate, options);
  }

  async templateByName(organization: string, template: string, options?: CallOptions): Promise<Template> {
    const route = '/organizations/{organization}/templates/{template}';
    return this.#get(route, { organization, template }, readTemplate, options);
  }

  /**
   * The template with this id if it has been deleted: the only proof that one is gone, since a 404 may mean "not
   * allowed". Up to two requests.
   */
  async deletedTemplateById(id: string, options?: CallOptions): Promise<Template | undefined> {
    const found = await this.#searchTemplates(`deleted:true ids:${id}`, options);
    return found.find((template) => template.id === id);
  }

  async createTemplate(
    organizationID: string,
    body: CreateTemplateRequest,
    options?: CallOptions,
  ): Promise<Template> {
    const route = '/organizations/{organization}/templates';
    return this.#send('POST', route, { organization: organizationID }, body, readTemplate, options);
  }

  /**
   * Sets all settings of a template at once: what the body leaves out may be reset. Undefined when nothing changes, which
   * Coder tells only when the name is in the body. It takes what its licence does not cover without a word and without
   * effect: look at what it answers.
   */
  async updateTemplate(
    id: string,
    body: UpdateTemplateRequest,
    options?: CallOptions,
  ): Promise<Template | undefined> {
    const call: Call = {
      method: 'PATCH',
      route: '/templates/{id}',
      params: { id },
      body,
      mayChangeNothing: true,
    };
    return this.#connection.call(call, readUpdatedTemplate, options);
  }

  /** Makes a version the template's active one. Repeating it is harmless; 403 while its import has not succeeded. */
  async promoteTemplateVersion(templateID: string, versionID: string, options?: CallOptions): Promise<void> {
    await this.#send(
      'PATCH',
      '/templates/{id}/versions',
      { id: templateID },
      { id: versionID },
      readMessage,
      options,
    );
  }

  /** 400 while the template has workspaces. */
  async deleteTemplate(id: string, options?: CallOptions): Promise<void> {
    await this.#send('DELETE', '/templates/{id}', { id }, undefined, readMessage, options);
  }

  async templateVersion(id: string, options?: CallOptions): Promise<TemplateVersion> {
    return this.#get('/templateversions/{id}', { id }, readTemplateVersion, options);
  }

  /** Unlike all other names, the version's distinguishes upper and lower case. */
  async templateVersionByName(
    organization: string,
    template: string,
    version: string,
    options?: CallOptions,
  ): Promise<TemplateVersion> {
    const route = '/organizations/{organization}/templates/{template}/versions/{version}';
    return this.#get(route, { organization, template, version }, readTemplateVersion, options);
  }

  /**
   * 409 when the template has a version of that name already, be it a failed one; 404 for a file that is not there or
   * that somebody else uploaded and no template uses; 400 when the content names tags that cannot be told beforehand.
   * Give the values of variables among `secrets` too, when they are.
   */
  async createTemplateVersion(
    organizationID: string,
    body: CreateTemplateVersionRequest,
    options?: CallOptions,
  ): Promise<TemplateVersion> {
    const route = '/organizations/{organization}/templateversions';
    const stored = { storage_method: 'file', ...body };
    return this.#send('POST', route, { organization: organizationID }, stored, readTemplateVersion, options);
  }

  /** What the version asks for. 425 while it is imported. */
  async richParameters(versionID: string, options?: CallOptions): Promise<readonly RichParameter[]> {
    const route = '/templateversions/{id}/rich-parameters';
    return this.#get(route, { id: versionID }, readRichParameters, options);
  }

  /** The Terraform variables that the version declares, by name. 403 while it is imported. */
  async templateVersionVariables(
    versionID: string,
    options?: CallOptions,
  ): Promise<readonly TemplateVersionVariable[]> {
    return this.#get('/templateversions/{id}/variables', { id: versionID }, readVariables, options);
  }

  async presets(versionID: string, options?: CallOptions): Promise<readonly Preset[]> {
    return this.#get('/templateversions/{id}/presets', { id: versionID }, readPresets, options);
  }

  /** The last lines of the log of a version's import; 50 unless told. */
  async templateVersionLogs(
    id: string,
    options: CallOptions & { readonly lines?: number } = {},
  ): Promise<readonly JobLog[]> {
    const { lines = DEFAULT_LOG_LINES, maxBytes = MAX_LOG_BYTES } = options;
    const logs = await this.#get('/templateversions/{id}/logs', { id }, readJobLogs, {
      ...options,
      maxBytes,
    });
    return logs.slice(Math.max(0, logs.length - lines));
  }

  /** Stores a tar and answers its id. The same bytes from the same user keep their id. Coder allows 12 a minute. */
  async uploadArchive(tar: Buffer, options?: CallOptions): Promise<string> {
    // Coder compares the content type as it stands: no charset behind it.
    const call: Call = { method: 'POST', route: '/files', body: tar, contentType: TAR };
    const upload = await this.#connection.call(call, readUpload, options);
    return upload.hash;
  }

  /**
   * The tar that a version was made of. 404 for one that somebody else uploaded, unless the token may change a template
   * that uses it. Coder allows 12 a minute for each file.
   */
  async file(id: string, options?: CallOptions): Promise<Buffer> {
    return this.#connection.bytes(
      { method: 'GET', route: '/files/{id}', params: { id }, accept: TAR },
      options,
    );
  }

  /** Jobs of an organization, newest first. 404 when the token may not read jobs. */
  async provisionerJobs(
    organizationID: string,
    options: JobQuery & CallOptions = {},
  ): Promise<readonly ProvisionerJob[]> {
    const query = {
      limit: options.limit,
      status: options.status?.join(','),
      ids: options.ids?.join(','),
      initiator: options.initiator,
    };
    const route = '/organizations/{organization}/provisionerjobs';
    return this.#get(route, { organization: organizationID }, readProvisionerJobs, options, query);
  }

  /** The order is not stable, and rows may be missing while builds run: absence from a list proves nothing. */
  async workspaces(options: WorkspaceQuery & CallOptions = {}): Promise<WorkspaceList> {
    return this.#connection.call(listCall(options), readWorkspaceList, options);
  }

  /**
   * The same list for any number of workspaces, in pages: each is handed over as soon as it has arrived, and the list is
   * never in memory as a whole. Only when the promise resolves was the list complete. `onWorkspace` must be quick, and
   * may get one twice: the order changes while builds run.
   *
   * Coder takes a time that grows with the square of the workspaces that have agents (coderd/workspacebuilds.go looks
   * through all agents for each build): ten thousand of which half have one took half a minute in one answer, and a page
   * of five hundred less than half a second.
   */
  async eachWorkspace(
    onWorkspace: (workspace: Workspace) => void,
    options: Omit<WorkspaceQuery, 'limit' | 'offset'> & CallOptions = {},
  ): Promise<StreamedList> {
    let list: StreamedList = { count: 0, skipped: 0 };
    let offset = 0;
    for (let pages = 0; pages === 0 || offset < list.count; pages++) {
      if (pages === MOST_PAGES) throw new UnexpectedResponseError("Coder's list of workspaces does not end");
      let rows = 0;
      const page = await this.#page(
        (workspace) => {
          rows++;
          onWorkspace(workspace);
        },
        { ...options, limit: PAGE, offset },
      );
      list = { count: page.count, skipped: list.skipped + page.skipped };
      // A page may be short, since Coder leaves out what it may not show us; a longer one than was asked for counts too.
      offset += Math.max(PAGE, rows + page.skipped);
    }
    return list;
  }

  async #page(
    onWorkspace: (workspace: Workspace) => void,
    options: WorkspaceQuery & CallOptions,
  ): Promise<StreamedList> {
    let unreadable = 0;
    const { skeleton, skipped } = await this.#connection.records(
      listCall(options),
      {
        field: 'workspaces',
        maxRecordBytes: MAX_RECORD_BYTES,
        onRecord: (record, context) => {
          try {
            onWorkspace(readAnswer(record, readWorkspace, context));
          } catch (error) {
            // One row that is not as it should be must not hide all the others.
            if (!(error instanceof UnexpectedResponseError)) throw error;
            unreadable++;
          }
        },
      },
      readCount,
      { maxBytes: MAX_STREAM_BYTES, ...options },
    );
    return { count: skeleton.count, skipped: skipped + unreadable };
  }

  /** `isGone` for a deleted one is a proof; `isNotFound` may also mean that the token may not see it. */
  async workspace(id: string, options: DeletedOption & CallOptions = {}): Promise<Workspace> {
    return this.#get('/workspaces/{id}', { id }, readWorkspace, options, {
      include_deleted: options.includeDeleted,
    });
  }

  /** With `includeDeleted`, the newest deleted one when there is no other. */
  async workspaceByName(
    owner: string,
    workspace: string,
    options: DeletedOption & CallOptions = {},
  ): Promise<Workspace> {
    const route = '/users/{user}/workspace/{workspace}';
    const query = { include_deleted: options.includeDeleted };
    return this.#get(route, { user: owner, workspace }, readWorkspace, options, query);
  }

  /** Coder starts what it creates. 406 while the version is imported, 409 when the owner has one of that name. */
  async createWorkspace(
    owner: string,
    body: CreateWorkspaceRequest,
    options?: CallOptions,
  ): Promise<Workspace> {
    return this.#send('POST', '/users/{user}/workspaces', { user: owner }, body, readWorkspace, options);
  }

  /** 409 while another build is active; else Coder builds, even when the workspace is in that state already. */
  async createBuild(
    workspaceID: string,
    body: CreateBuildRequest,
    options?: CallOptions,
  ): Promise<WorkspaceBuild> {
    return this.#send(
      'POST',
      '/workspaces/{id}/builds',
      { id: workspaceID },
      body,
      readWorkspaceBuild,
      options,
    );
  }

  /** All values in effect, those of ephemeral parameters too. They never change for a build, and may be secret. */
  async buildParameters(buildID: string, options?: CallOptions): Promise<readonly NameValue[]> {
    return this.#get('/workspacebuilds/{id}/parameters', { id: buildID }, readNameValues, options);
  }

  /** Milliseconds after a start, cut to whole minutes; 0 means never. Also takes the deadline away when it is 0. */
  async setTTL(workspaceID: string, ttlMillis: number, options?: CallOptions): Promise<void> {
    const body = { ttl_ms: ttlMillis === 0 ? null : ttlMillis };
    await this.#send('PUT', '/workspaces/{id}/ttl', { id: workspaceID }, body, readNothing, options);
  }

  /** `[CRON_TZ=Area/City] minute hour * * days`; empty means never. Coder keeps it as it stands. */
  async setAutostart(workspaceID: string, schedule: string, options?: CallOptions): Promise<void> {
    const body = { schedule: schedule === '' ? null : schedule };
    await this.#send('PUT', '/workspaces/{id}/autostart', { id: workspaceID }, body, readNothing, options);
  }

  async setAutomaticUpdates(
    workspaceID: string,
    updates: 'always' | 'never',
    options?: CallOptions,
  ): Promise<void> {
    const body = { automatic_updates: updates };
    await this.#send('PUT', '/workspaces/{id}/autoupdates', { id: workspaceID }, body, readNothing, options);
  }

  /** Newest first. */
  async builds(
    workspaceID: string,
    options: CallOptions & { readonly limit?: number } = {},
  ): Promise<readonly WorkspaceBuild[]> {
    const query = { limit: options.limit };
    return this.#get('/workspaces/{id}/builds', { id: workspaceID }, readWorkspaceBuilds, options, query);
  }

  async #get<T>(
    route: string,
    params: RouteParams,
    read: Reader<T>,
    options?: CallOptions,
    query: Query = {},
  ): Promise<T> {
    return this.#connection.call({ method: 'GET', route, params, query }, read, options);
  }

  async #send<T>(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    route: string,
    params: RouteParams,
    body: object | undefined,
    read: Reader<T>,
    options?: CallOptions,
  ): Promise<T> {
    return this.#connection.call({ method, route, params, body }, read, options);
  }

  /** Coder lists either the deprecated templates or the others, never both. */
  async #searchTemplates(terms: string, options?: CallOptions): Promise<readonly Template[]> {
    const found = new Map<string, Template>();
    for (const deprecated of [false, true]) {
      const query = { q: `${terms} deprecated:${deprecated}`.trim() };
      const call: Call = { method: 'GET', route: '/templates', query };
      for (const template of await this.#connection.call(call, readTemplates, options)) {
        found.set(template.id, template);
      }
    }
    return [...found.values()];
  }
}

function listCall({ query, limit, offset }: WorkspaceQuery): Call {
  return {
    method: 'GET',
    route: '/workspaces',
    query: { q: query, limit, offset: offset === 0 ? undefined : offset },
  };
}
