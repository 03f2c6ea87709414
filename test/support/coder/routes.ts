import { randomUUID } from 'node:crypto';
import type {
  CreateBuildRequest,
  CreateTemplateRequest,
  CreateTemplateVersionRequest,
  CreateWorkspaceRequest,
  Template,
  TemplateVersion,
  UpdateTemplateRequest,
} from '../../../src/coder/types.ts';
import type { SimulatedCoder } from './coder.ts';
import { ORGANIZATION } from './people.ts';
import { invalid } from './refusals.ts';
import { sentBuild, sentVersion, sentWorkspace, type Json } from './wire-form.ts';

export interface Asked {
  /** Values of the route's `{parameters}`, in their order. */
  readonly params: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: unknown;
  /** The body as it came. */
  readonly bytes: Buffer;
}

/** An answer with another status than what its method stands for. */
export class Answered {
  readonly status: number;
  readonly value: unknown;

  constructor(status: number, value?: unknown) {
    this.status = status;
    this.value = value;
  }
}

/** `return` ends it at once. */
export type Pieces = AsyncIterableIterator<string, undefined>;

/** An answer that comes in pieces, and ends when nobody reads it any more. */
export class Streamed {
  readonly type: string;
  readonly pieces: Pieces;

  constructor(type: string, pieces: Pieces) {
    this.type = type;
    this.pieces = pieces;
  }
}

/** What is answered: JSON, the bytes of an archive, undefined for an answer without a body, or one of these. */
export type Handler = (coder: SimulatedCoder, asked: Asked) => unknown;

const ARCHIVES = ['application/x-tar', 'application/zip', 'application/x-zip-compressed'];

/** Every call that `CoderClient` makes, and those of `Calls`. A `{id}` must be a UUID; a `{name}` may be anything. */
export const ROUTES: Readonly<Record<string, Handler>> = {
  'GET /users/me': (coder) => coder.me(),
  'GET /users/{name}': (coder, { params: [user = ''] }) => coder.user(user),
  'GET /users/me/keys/{name}': async (coder, { params: [id] }) => {
    const { at, lifetimeMs = 0 } = await coder.tokenExpiry();
    return { id, expires_at: at, lifetime_seconds: lifetimeMs / 1000 };
  },
  'GET /organizations/{name}': (coder, { params: [name = ''] }) =>
    coder.organization(name === 'default' ? ORGANIZATION.name : name),

  'GET /templates': (coder, { query }) => templatesFor(coder, query.get('q') ?? ''),
  'GET /templates/{id}': (coder, { params: [id = ''] }) => coder.template(id),
  'PATCH /templates/{id}': async (coder, { params: [id = ''], body }) =>
    (await coder.updateTemplate(id, body as UpdateTemplateRequest)) ?? new Answered(304),
  'DELETE /templates/{id}': (coder, { params: [id = ''] }) => said(coder.deleteTemplate(id)),
  'GET /templates/{id}/versions': (coder, { params: [id = ''], query }) =>
    coder.versionsOf(id, query.get('include_archived') === 'true').map((version) => sent(coder, version)),
  'PATCH /templates/{id}/versions': (coder, { params: [id = ''], body }) =>
    said(coder.promoteTemplateVersion(id, (body as { readonly id: string }).id)),
  'POST /templates/{id}/versions/archive': (coder, { params: [id = ''], body }) => {
    const { all = false } = body as { readonly all?: boolean };
    return new Answered(200, { template_id: id, archived_ids: coder.archiveUnused(id, all) });
  },
  'GET /organizations/{name}/templates/{name}': (coder, { params: [organization = '', name = ''] }) =>
    coder.templateByName(organization, name),
  'POST /organizations/{name}/templates': (coder, { params: [organization = ''], body }) =>
    coder.createTemplate(organization, body as CreateTemplateRequest),
  'GET /organizations/{name}/templates/{name}/versions/{name}': async (
    coder,
    { params: [org = '', name = '', version = ''] },
  ) => sent(coder, await coder.templateVersionByName(org, name, version)),

  'POST /organizations/{name}/templateversions': async (coder, { params: [organization = ''], body }) => {
    const wished = body as Omit<CreateTemplateVersionRequest, 'name'> & { readonly name?: string };
    // Coder makes a name up where none is given.
    const name = wished.name ?? `random_name_${randomUUID().slice(0, 8)}`;
    return sent(coder, await coder.createTemplateVersion(organization, { ...wished, name }));
  },
  'GET /templateversions/{id}': async (coder, { params: [id = ''] }) =>
    sent(coder, await coder.templateVersion(id)),
  'PATCH /templateversions/{id}': (coder, { params: [id = ''], body }) =>
    sent(coder, coder.renameVersion(id, (body as { readonly name?: string }).name)),
  'PATCH /templateversions/{id}/cancel': (coder, { params: [id = ''] }) => done(() => coder.cancelImport(id)),
  'POST /templateversions/{id}/archive': (coder, { params: [id = ''] }) => {
    coder.archive(id);
    return new Answered(200, `template version "${id}" archived`);
  },
  'POST /templateversions/{id}/unarchive': (coder, { params: [id = ''] }) => {
    coder.unarchive(id);
    return new Answered(200, `template version "${id}" unarchived`);
  },
  'GET /templateversions/{id}/rich-parameters': (coder, { params: [id = ''] }) => coder.richParameters(id),
  'GET /templateversions/{id}/presets': (coder, { params: [id = ''] }) => coder.presets(id),
  'GET /templateversions/{id}/variables': (coder, { params: [id = ''] }) =>
    coder.templateVersionVariables(id),
  'GET /templateversions/{id}/logs': async (coder, { params: [id = ''], query }) => {
    const after = Number(query.get('after') ?? 0);
    return (await coder.templateVersionLogs(id)).filter((line) => line.id > after);
  },

  'POST /files': async (coder, { headers, bytes }) => {
    const type = headers['content-type'];
    if (typeof type !== 'string' || !ARCHIVES.includes(type)) {
      throw invalid(`Unsupported content type header "${String(type ?? '')}".`);
    }
    const isKnown = coder.knowsArchive(bytes);
    return new Answered(isKnown ? 200 : 201, { hash: await coder.uploadArchive(bytes) });
  },
  'GET /files/{id}': (coder, { params: [id = ''] }) => coder.file(id),
  'GET /organizations/{name}/provisionerjobs': (coder, { params: [organization = ''], query }) =>
    coder.provisionerJobs(organization, jobQuery(query)),

  'GET /workspaces': async (coder, { query }) => {
    const { workspaces, count } = await coder.workspaces({
      query: query.get('q') ?? '',
      limit: positive(query, 'limit'),
      offset: positive(query, 'offset'),
    });
    return { workspaces: workspaces.map(sentWorkspace), count };
  },
  'GET /workspaces/{id}': async (coder, { params: [id = ''], query }) =>
    sentWorkspace(await coder.workspace(id, deletedToo(query))),
  'GET /users/{name}/workspace/{name}': async (coder, { params: [owner = '', name = ''], query }) =>
    sentWorkspace(await coder.workspaceByName(owner, name, deletedToo(query))),
  'GET /users/{name}/workspace/{name}/builds/{name}': (
    coder,
    { params: [owner = '', name = '', number = ''] },
  ) => sentBuild(coder.buildByNumber(owner, name, Number(number))),
  'POST /users/{name}/workspaces': async (coder, { params: [owner = ''], body }) =>
    sentWorkspace(await coder.createWorkspace(owner, body as CreateWorkspaceRequest)),
  'GET /workspaces/{id}/builds': async (coder, { params: [id = ''], query }) => {
    const limit = positive(query, 'limit');
    return (await coder.builds(id, limit === 0 ? {} : { limit })).map(sentBuild);
  },
  'POST /workspaces/{id}/builds': async (coder, { params: [id = ''], body }) =>
    sentBuild(await coder.createBuild(id, body as CreateBuildRequest)),
  'GET /workspaces/{id}/watch': (coder, { params: [id = ''] }) =>
    new Streamed('text/event-stream', coder.watch(id)),
  'GET /workspacebuilds/{id}': (coder, { params: [id = ''] }) => sentBuild(coder.workspaceBuild(id)),
  'PATCH /workspacebuilds/{id}/cancel': (coder, { params: [id = ''], query }) =>
    done(() => coder.cancelBuild(id, query.get('expect_status') ?? '')),
  'GET /workspacebuilds/{id}/logs': (coder, { params: [id = ''], query }) =>
    coder.buildLogs(id, Number(query.get('after') ?? 0)),
  'GET /workspacebuilds/{id}/parameters': (coder, { params: [id = ''] }) => coder.buildParameters(id),
  'PUT /workspaces/{id}/ttl': (coder, { params: [id = ''], body }) =>
    coder.setTTL(id, (body as { readonly ttl_ms: number | null }).ttl_ms ?? 0),
  'PUT /workspaces/{id}/autostart': (coder, { params: [id = ''], body }) =>
    coder.setAutostart(id, (body as { readonly schedule: string | null }).schedule ?? ''),
  'PUT /workspaces/{id}/autoupdates': (coder, { params: [id = ''], body }) =>
    coder.setAutomaticUpdates(
      id,
      (body as { readonly automatic_updates: 'always' | 'never' }).automatic_updates,
    ),
};

function sent(coder: SimulatedCoder, version: TemplateVersion): Json {
  return sentVersion(version, coder.isArchived(version.id));
}

/** A success that says nothing but that. */
async function said(call: Promise<void>): Promise<{ readonly message: string }> {
  await call;
  return { message: 'Done' };
}

function done(call: () => void): { readonly message: string } {
  call();
  return { message: 'Done' };
}

function deletedToo(query: URLSearchParams): { readonly includeDeleted: boolean } {
  return { includeDeleted: query.get('include_deleted') === 'true' };
}

/** 0 when it is left out. @throws CoderError 400 */
function positive(query: URLSearchParams, field: string): number {
  const text = query.get(field) ?? '0';
  if (/^\d+$/.test(text) && Number(text) < 2 ** 31) return Number(text);
  throw invalid('Query parameters have invalid values.', [
    { field, detail: `Query param "${field}" must be a valid 32-bit positive integer` },
  ]);
}

/** Coder lists either the deprecated templates or the others, never both. */
async function templatesFor(coder: SimulatedCoder, query: string): Promise<readonly Template[]> {
  const terms = new Map(query.split(/\s+/).map((term) => term.split(':', 2) as [string, string]));
  const isDeleted = terms.get('deleted') === 'true';
  const all = isDeleted
    ? [await coder.deletedTemplateById(terms.get('ids') ?? '')].filter((t) => t !== undefined)
    : await coder.templates();
  return all.filter((t) => (t.deprecated === true) === (terms.get('deprecated') === 'true'));
}

function jobQuery(query: URLSearchParams): Parameters<SimulatedCoder['provisionerJobs']>[1] {
  const [limit, status] = [query.get('limit'), query.get('status')];
  const [ids, initiator] = [query.get('ids'), query.get('initiator')];
  return {
    ...(limit === null ? {} : { limit: Number(limit) }),
    ...(status === null ? {} : { status: status.split(',') }),
    ...(ids === null ? {} : { ids: ids.split(',') }),
    ...(initiator === null ? {} : { initiator }),
  };
}
