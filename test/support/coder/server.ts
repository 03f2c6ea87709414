import type { ServerResponse } from 'node:http';
import { CoderError } from '../../../src/coder/errors.ts';
import type {
  CreateBuildRequest,
  CreateTemplateRequest,
  CreateTemplateVersionRequest,
  CreateWorkspaceRequest,
  Template,
  UpdateTemplateRequest,
} from '../../../src/coder/types.ts';
import { HttpTestServer, sendJson, type SeenRequest } from '../coder-http.ts';
import type { SimulatedCoder } from './coder.ts';
import { ORGANIZATION } from './people.ts';
import { door, type Held } from './wire.ts';

/** The one token that this Coder knows. */
export const SCRIPTED_TOKEN = 'scriptedab-0123456789abcdefghijkl';

const API = '/api/v2';
const TAR = 'application/x-tar';

interface Gate {
  readonly what: 'request' | 'answer';
  readonly matches: (request: SeenRequest) => boolean;
  readonly pass: () => Promise<void>;
}

interface Asked {
  /** Values of the route's `{parameters}`, in their order. */
  readonly params: readonly string[];
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** The body as it came. */
  readonly bytes: Buffer;
}

/** In place of an answer: there was nothing to change. */
const UNCHANGED = Symbol('unchanged');

/** What is answered: JSON, the bytes of an archive, or undefined for an answer without a body. */
type Handler = (coder: SimulatedCoder, asked: Asked) => unknown;

/** Every call that `CoderClient` makes. */
const ROUTES: Readonly<Record<string, Handler>> = {
  'GET /users/me': (coder) => coder.me(),
  'GET /users/{}': (coder, { params: [user = ''] }) => coder.user(user),
  'GET /users/me/keys/{}': async (coder, { params: [id] }) => {
    const { at, lifetimeMs = 0 } = await coder.tokenExpiry();
    return { id, expires_at: at, lifetime_seconds: lifetimeMs / 1000 };
  },
  'GET /organizations/{}': (coder, { params: [name = ''] }) =>
    coder.organization(name === 'default' ? ORGANIZATION.name : name),

  'GET /templates': (coder, { query }) => templatesFor(coder, query.get('q') ?? ''),
  'GET /templates/{}': (coder, { params: [id = ''] }) => coder.template(id),
  'PATCH /templates/{}': async (coder, { params: [id = ''], body }) =>
    (await coder.updateTemplate(id, body as UpdateTemplateRequest)) ?? UNCHANGED,
  'DELETE /templates/{}': (coder, { params: [id = ''] }) => said(coder.deleteTemplate(id)),
  'PATCH /templates/{}/versions': (coder, { params: [id = ''], body }) =>
    said(coder.promoteTemplateVersion(id, (body as { readonly id: string }).id)),
  'GET /organizations/{}/templates/{}': (coder, { params: [organization = '', name = ''] }) =>
    coder.templateByName(organization, name),
  'POST /organizations/{}/templates': (coder, { params: [organization = ''], body }) =>
    coder.createTemplate(organization, body as CreateTemplateRequest),
  'GET /organizations/{}/templates/{}/versions/{}': (
    coder,
    { params: [org = '', name = '', version = ''] },
  ) => coder.templateVersionByName(org, name, version),
  'POST /organizations/{}/templateversions': (coder, { params: [organization = ''], body }) =>
    coder.createTemplateVersion(organization, body as CreateTemplateVersionRequest),
  'GET /templateversions/{}': (coder, { params: [id = ''] }) => coder.templateVersion(id),
  'GET /templateversions/{}/rich-parameters': (coder, { params: [id = ''] }) => coder.richParameters(id),
  'GET /templateversions/{}/presets': (coder, { params: [id = ''] }) => coder.presets(id),
  'GET /templateversions/{}/variables': (coder, { params: [id = ''] }) => coder.templateVersionVariables(id),
  'GET /templateversions/{}/logs': (coder, { params: [id = ''] }) => coder.templateVersionLogs(id),
  'POST /files': async (coder, { bytes }) => ({ hash: await coder.uploadArchive(bytes) }),
  'GET /files/{}': (coder, { params: [id = ''] }) => coder.file(id),
  'GET /organizations/{}/provisionerjobs': (coder, { params: [organization = ''], query }) =>
    coder.provisionerJobs(organization, jobQuery(query)),

  'GET /workspaces': (coder, { query }) =>
    coder.workspaces({
      query: query.get('q') ?? '',
      limit: Number(query.get('limit') ?? 0),
      offset: Number(query.get('offset') ?? 0),
    }),
  'GET /workspaces/{}': (coder, { params: [id = ''], query }) => coder.workspace(id, deletedToo(query)),
  'GET /users/{}/workspace/{}': (coder, { params: [owner = '', name = ''], query }) =>
    coder.workspaceByName(owner, name, deletedToo(query)),
  'POST /users/{}/workspaces': (coder, { params: [owner = ''], body }) =>
    coder.createWorkspace(owner, body as CreateWorkspaceRequest),
  'GET /workspaces/{}/builds': (coder, { params: [id = ''], query }) => {
    const limit = query.get('limit');
    return coder.builds(id, limit === null ? {} : { limit: Number(limit) });
  },
  'POST /workspaces/{}/builds': (coder, { params: [id = ''], body }) =>
    coder.createBuild(id, body as CreateBuildRequest),
  'GET /workspacebuilds/{}/parameters': (coder, { params: [id = ''] }) => coder.buildParameters(id),
  'PUT /workspaces/{}/ttl': (coder, { params: [id = ''], body }) =>
    coder.setTTL(id, (body as { readonly ttl_ms: number | null }).ttl_ms ?? 0),
  'PUT /workspaces/{}/autostart': (coder, { params: [id = ''], body }) =>
    coder.setAutostart(id, (body as { readonly schedule: string | null }).schedule ?? ''),
  'PUT /workspaces/{}/autoupdates': (coder, { params: [id = ''], body }) =>
    coder.setAutomaticUpdates(
      id,
      (body as { readonly automatic_updates: 'always' | 'never' }).automatic_updates,
    ),
};

const COMPILED = Object.entries(ROUTES).map(([route, handler]) => ({
  pattern: new RegExp(`^${route.replaceAll('{}', '([^/]+)')}$`),
  handler,
}));

/**
 * A scripted Coder behind HTTP, in Coder's wire form, so that the real client and the whole operator work with it. It
 * adds no rule of its own: what is answered is what the scripted one says.
 */
export class CoderServer {
  readonly #http: HttpTestServer;
  #coder: SimulatedCoder;
  #gates: readonly Gate[] = [];

  private constructor(coder: SimulatedCoder, http: HttpTestServer) {
    this.#coder = coder;
    this.#http = http;
    http.respond = (request, response) => void this.#respond(request, response);
  }

  static async start(coder: SimulatedCoder): Promise<CoderServer> {
    return new CoderServer(coder, await HttpTestServer.start(() => undefined));
  }

  get url(): string {
    return this.#http.url();
  }

  get coder(): SimulatedCoder {
    return this.#coder;
  }

  /** From now on another Coder answers here, which takes the same token. */
  replaceBy(coder: SimulatedCoder): void {
    this.#coder = coder;
  }

  /** Every request, as it arrived, oldest first. */
  get requests(): readonly SeenRequest[] {
    return this.#http.seen;
  }

  /** Those that would change something. */
  get changes(): readonly SeenRequest[] {
    return this.#http.seen.filter(({ method }) => method !== 'GET');
  }

  /** The next such request waits until it is let in. */
  holdNext(method: string, path: RegExp): Held {
    return this.#hold('request', method, path);
  }

  /** The next such request is carried out, and its answer waits until it is let go. */
  holdNextAnswer(method: string, path: RegExp): Held {
    return this.#hold('answer', method, path);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #hold(what: Gate['what'], method: string, path: RegExp): Held {
    const held = door();
    const matches = (request: SeenRequest): boolean => request.method === method && path.test(request.path);
    this.#gates = [...this.#gates, { what, matches, pass: held.pass }];
    return held;
  }

  async #pass(what: Gate['what'], request: SeenRequest): Promise<void> {
    const gate = this.#gates.find((g) => g.what === what && g.matches(request));
    this.#gates = this.#gates.filter((g) => g !== gate);
    await gate?.pass();
  }

  async #respond(request: SeenRequest, response: ServerResponse): Promise<void> {
    await this.#pass('request', request);
    try {
      const answer = await this.#answer(request);
      await this.#pass('answer', request);
      if (answer === undefined) response.writeHead(204).end();
      else if (answer === UNCHANGED) response.writeHead(304).end();
      else if (Buffer.isBuffer(answer)) response.writeHead(200, { 'content-type': TAR }).end(answer);
      else sendJson(response, request.method === 'POST' ? 201 : 200, answer);
    } catch (error) {
      this.#refuse(error, response);
    }
  }

  #answer(request: SeenRequest): unknown {
    const path = request.path.startsWith(API) ? request.path.slice(API.length) : '';
    if (path === '/buildinfo') return this.#coder.buildInfo();
    if (request.headers['coder-session-token'] !== SCRIPTED_TOKEN) {
      const coderMessage =
        'You are signed out or your session has expired. Please sign in again to continue.';
      throw new CoderError('Unauthorized', coderMessage, { status: 401, coderMessage });
    }
    for (const { pattern, handler } of COMPILED) {
      const match = pattern.exec(`${request.method} ${path}`);
      if (match === null) continue;
      const params = match.slice(1).map(decodeURIComponent);
      const { query, bytes } = request;
      return handler(this.#coder, { params, query, body: bodyOf(request), bytes });
    }
    throw new TypeError(`The scripted Coder has no ${request.method} ${path}`);
  }

  #refuse(error: unknown, response: ServerResponse): void {
    if (!(error instanceof CoderError)) {
      sendJson(response, 500, { message: error instanceof Error ? error.message : String(error) });
    } else if (error.status !== undefined) {
      const { coderMessage: message = error.message, validations, retryAfterMs } = error;
      if (retryAfterMs !== undefined) response.setHeader('retry-after', retryAfterMs / 1000);
      sendJson(response, error.status, { message, ...(validations.length === 0 ? {} : { validations }) });
    } else if (error.kind === 'Unreachable') {
      response.destroy();
    }
    // A request that was lost, or whose answer was, never gets one.
  }
}

function bodyOf({ headers, body }: SeenRequest): unknown {
  return headers['content-type'] === 'application/json' ? JSON.parse(body) : undefined;
}

/** A success that says nothing but that. */
async function said(done: Promise<void>): Promise<{ readonly message: string }> {
  await done;
  return { message: 'Done' };
}

function deletedToo(query: URLSearchParams): { readonly includeDeleted: boolean } {
  return { includeDeleted: query.get('include_deleted') === 'true' };
}

/** Coder lists either the deprecated templates or the others, never both. */
async function templatesFor(coder: SimulatedCoder, query: string): Promise<readonly Template[]> {
  const terms = new Map(query.split(/\s+/).map((term) => term.split(':', 2) as [string, string]));
  const deleted =
    terms.get('deleted') === 'true' ? await coder.deletedTemplateById(terms.get('ids') ?? '') : undefined;
  const all =
    terms.get('deleted') === 'true' ? (deleted === undefined ? [] : [deleted]) : await coder.templates();
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
