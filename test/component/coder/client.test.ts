import { inspect } from 'node:util';
import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import { CoderClient, type CoderClientOptions } from '../../../src/coder/client.ts';
import {
  CoderError,
  isGone,
  isNotFound,
  isNotReady,
  isRateLimited,
  isUnknownUser,
  UnexpectedResponseError,
} from '../../../src/coder/errors.ts';
import type { UpdateTemplateRequest } from '../../../src/coder/types.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import {
  BUILD_ID,
  buildAnswer,
  buildInfoAnswer,
  JOB_ID,
  jobAnswer,
  ORGANIZATION_ID,
  TEMPLATE_ID,
  templateAnswer,
  USER_ID,
  userAnswer,
  VERSION_ID,
  WORKSPACE_ID,
  workspaceAnswer,
} from '../../support/coder-answers.ts';
import { HttpTestServer, sendJson, type SeenRequest } from '../../support/coder-http.ts';

const TOKEN = 'abcdefghij-0123456789abcdefghijkl';
const FILE_ID = '88888888-8888-4888-8888-888888888888';
const organizationAnswer = { id: ORGANIZATION_ID, name: 'coder', display_name: 'Coder', is_default: true };
const versionAnswer = {
  id: VERSION_ID,
  template_id: TEMPLATE_ID,
  created_at: '2026-01-02T03:04:05Z',
  name: 'k8s-0123456789ab',
  job: jobAnswer({ type: 'template_version_import' }),
};

/** Answers by method and path; anything else is refused in a way that no test expects. */
type Answers = Readonly<Record<string, unknown>>;

describe('CoderClient', () => {
  let server: HttpTestServer;
  let client: CoderClient;
  let answers: Answers;

  beforeEach(async () => {
    answers = {};
    server = await HttpTestServer.start((request, response) => {
      const answer = answers[`${request.method} ${request.path.replace('/api/v2', '')}`];
      if (answer === undefined)
        sendJson(response, 501, { message: `no answer to ${request.method} ${request.path}` });
      else if (typeof answer === 'function')
        sendJson(response, 200, (answer as (r: SeenRequest) => unknown)(request));
      else sendJson(response, 200, answer);
    });
    client = clientOf();
  });

  afterEach(async () => {
    client.close();
    await server.close();
  });

  function clientOf(options: Partial<CoderClientOptions> = {}): CoderClient {
    const policy = { httpHosts: ['127.0.0.1'], allowLoopback: true };
    return new CoderClient({ url: server.url(), token: TOKEN, policy, ...options });
  }

  const asked = (): string[] =>
    server.seen.map(({ method, path, query }) => {
      const text = query.toString();
      return `${method} ${path.replace('/api/v2', '')}${text === '' ? '' : `?${decodeURIComponent(text)}`}`;
    });

  it('asks who Coder is without showing the token, and everything else with it', async () => {
    answers = { 'GET /buildinfo': buildInfoAnswer(), 'GET /users/me': userAnswer() };
    expect((await client.buildInfo()).deployment_id).to.equal(buildInfoAnswer().deployment_id);
    await client.me();
    expect(server.seen.map(({ headers }) => headers['coder-session-token'])).to.deep.equal([
      undefined,
      TOKEN,
    ]);
  });

  it('has no use for a URL, token or certificate that cannot be right', () => {
    expect(() => clientOf({ url: 'http://coder.example.com' }))
      .to.throw()
      .with.property('code', 'INVALID_CODER_URL');
    expect(() => clientOf({ token: 'a\nb' }))
      .to.throw()
      .with.property('code', 'INVALID_TOKEN');
    expect(() => clientOf({ url: 'https://coder.example.com', caCertificates: 'x' }))
      .to.throw()
      .with.property('code', 'INVALID_CA_CERTIFICATE');
  });

  it('finds users, organizations and the end of its own token', async () => {
    answers = {
      'GET /users/alice': userAnswer(),
      'GET /organizations/coder': organizationAnswer,
      'GET /users/me/keys/abcdefghij': {
        id: 'abcdefghij',
        expires_at: '2026-02-03T04:05:06Z',
        lifetime_seconds: 604_800,
        user_id: USER_ID,
      },
    };
    expect(await client.user('alice')).to.deep.include({ id: USER_ID, organization_ids: [ORGANIZATION_ID] });
    expect(await client.organization('coder')).to.deep.equal(organizationAnswer);
    expect(await client.tokenExpiry()).to.deep.equal({ at: '2026-02-03T04:05:06Z', lifetimeMs: 604_800_000 });
  });

  it('does not ask for the end of a token that does not say which it is', async () => {
    const other = clientOf({ token: 'something-else-entirely' });
    expect(await other.tokenExpiry()).to.equal(undefined);
    expect(server.seen).to.deep.equal([]);
    other.close();
  });

  it('lists deprecated templates too', async () => {
    const old = templateAnswer({ id: VERSION_ID, name: 'old', deprecated: true });
    answers = {
      'GET /templates': ({ query }: SeenRequest) =>
        query.get('q') === 'deprecated:true' ? [old] : [templateAnswer()],
    };
    expect((await client.templates()).map(({ name }) => name)).to.deep.equal(['docker', 'old']);
  });

  it('proves that a template is gone only by the list of deleted ones', async () => {
    answers = { 'GET /templates': [] };
    expect(await client.deletedTemplateById(TEMPLATE_ID)).to.equal(undefined);
    // A server that knows none of these search words would answer with templates that exist.
    answers = { 'GET /templates': [templateAnswer({ id: VERSION_ID })] };
    expect(await client.deletedTemplateById(TEMPLATE_ID)).to.equal(undefined);
    answers = {
      'GET /templates': ({ query }: SeenRequest) =>
        query.get('q')?.endsWith('true') ? [templateAnswer()] : [],
    };
    expect(await client.deletedTemplateById(TEMPLATE_ID)).to.include({ id: TEMPLATE_ID });
    expect(asked().at(-1)).to.equal(`GET /templates?q=deleted:true+ids:${TEMPLATE_ID}+deprecated:true`);
  });

  it('reads and changes templates and versions by the paths that Coder has for them', async () => {
    const version = `/organizations/coder/templates/docker/versions/k8s-0123456789ab`;
    answers = {
      [`GET /templates/${TEMPLATE_ID}`]: templateAnswer(),
      'GET /organizations/coder/templates/docker': templateAnswer(),
      [`POST /organizations/${ORGANIZATION_ID}/templates`]: templateAnswer(),
      [`PATCH /templates/${TEMPLATE_ID}/versions`]: { message: 'ok' },
      [`DELETE /templates/${TEMPLATE_ID}`]: { message: 'ok' },
      [`GET /templateversions/${VERSION_ID}`]: versionAnswer,
      [`GET ${version}`]: versionAnswer,
      [`POST /organizations/${ORGANIZATION_ID}/templateversions`]: versionAnswer,
      'POST /files': { hash: FILE_ID },
    };
    await client.template(TEMPLATE_ID);
    await client.templateByName('coder', 'docker');
    await client.createTemplate(ORGANIZATION_ID, { name: 'docker', template_version_id: VERSION_ID });
    await client.promoteTemplateVersion(TEMPLATE_ID, VERSION_ID);
    await client.deleteTemplate(TEMPLATE_ID);
    await client.templateVersion(VERSION_ID);
    await client.templateVersionByName('coder', 'docker', 'k8s-0123456789ab');
    const body = { name: 'v', storage_method: 'file', file_id: FILE_ID, provisioner: 'terraform' };
    await client.createTemplateVersion(ORGANIZATION_ID, {
      name: 'v',
      file_id: FILE_ID,
      provisioner: 'terraform',
    });
    expect(JSON.parse(server.seen.at(-1)?.body ?? '')).to.deep.equal(body);
    expect(await client.uploadArchive(Buffer.from('tar'))).to.equal(FILE_ID);
    expect(server.seen.at(-1)?.headers['content-type']).to.equal('application/x-tar');
    expect(asked()).to.deep.equal(Object.keys(answers));
  });

  it('sets the settings of a template, and knows when there was nothing to change', async () => {
    const body: UpdateTemplateRequest = {
      name: 'docker',
      description: 'Containers',
      default_ttl_ms: 0,
      activity_bump_ms: 3_600_000,
      allow_user_autostart: true,
      allow_user_autostop: true,
      allow_user_cancel_workspace_jobs: false,
      failure_ttl_ms: 0,
      time_til_dormant_ms: 0,
      time_til_dormant_autodelete_ms: 0,
      require_active_version: false,
    };
    answers = { [`PATCH /templates/${TEMPLATE_ID}`]: templateAnswer({ description: 'Containers' }) };
    expect(await client.updateTemplate(TEMPLATE_ID, body)).to.include({ description: 'Containers' });
    expect(JSON.parse(server.seen.at(-1)?.body ?? '')).to.deep.equal(body);
    server.respond = (_, response) => void response.writeHead(304).end();
    expect(await client.updateTemplate(TEMPLATE_ID, body)).to.equal(undefined);
    const error: unknown = await client.template(TEMPLATE_ID).catch((thrown: unknown) => thrown);
    expect(error, 'no other call takes that for an answer').to.be.instanceOf(CoderError);
  });

  it('sends tags and values of variables with a version, and quotes no value that is secret', async () => {
    const body = {
      name: 'v',
      file_id: FILE_ID,
      provisioner: 'echo',
      tags: { zone: 'a' },
      user_variable_values: [{ name: 'password', value: 'open sesame' }],
    } as const;
    server.respond = (request, response) =>
      sendJson(response, 400, {
        message: 'The value "open sesame" is wrong.',
        validations: [{ field: 'password', detail: `open sesame in ${request.body}` }],
      });
    const error: unknown = await client
      .createTemplateVersion(ORGANIZATION_ID, body, { secrets: ['open sesame'] })
      .catch((thrown: unknown) => thrown);
    expect(JSON.parse(server.seen.at(-1)?.body ?? '')).to.deep.equal({ ...body, storage_method: 'file' });
    expect(error).to.include({ kind: 'Invalid', unclear: false });
    expect(inspect(error, { depth: 10 })).not.to.include('sesame');
  });

  it('tells the variables of a version', async () => {
    const variable = { name: 'a', value: '', default_value: '', required: false, sensitive: true };
    answers = { [`GET /templateversions/${VERSION_ID}/variables`]: [{ ...variable, type: 'string' }] };
    const told = await client.templateVersionVariables(VERSION_ID);
    expect(told).to.deep.equal([{ ...variable, type: 'string' }]);
  });

  describe('reading a file', () => {
    const caught = (options?: { readonly maxBytes: number }): Promise<unknown> =>
      client.file(FILE_ID, options).catch((error: unknown) => error);

    function answerWith(contentType: string, body: Buffer | string, status = 200): void {
      server.respond = (_, response) =>
        void response.writeHead(status, { 'content-type': contentType }).end(body);
    }

    it('gives its bytes as they are', async () => {
      const tar = Buffer.from([0, 255, 10, 13, 0x80, 0]);
      for (const type of ['application/x-tar', 'Application/X-Tar; charset=binary']) {
        answerWith(type, tar);
        expect(await client.file(FILE_ID)).to.deep.equal(tar);
      }
      expect(asked().at(-1)).to.equal(`GET /files/${FILE_ID}`);
      expect(server.seen.at(-1)?.headers).to.include({
        accept: 'application/x-tar',
        'coder-session-token': TOKEN,
      });
    });

    it('takes nothing else for a file', async () => {
      for (const type of ['text/html', 'application/json', 'application/zip', '']) {
        answerWith(type, '<html>hello</html>');
        const error = await caught();
        expect(error).to.be.instanceOf(UnexpectedResponseError).and.to.include({ unclear: false });
        expect((error as Error).message)
          .to.include('GET /files/{id}: the answer is not application/x-tar')
          .and.not.to.include('hello');
      }
    });

    it('gives up at the first byte that is too many, 8 MiB unless told', async () => {
      answerWith('application/x-tar', Buffer.alloc(1025));
      expect(await caught({ maxBytes: 1024 })).to.include({ kind: 'TooLarge' });
      expect(await caught({ maxBytes: 1025 })).to.have.length(1025);
      answerWith('application/x-tar', Buffer.alloc(8 * 1024 * 1024 + 1));
      expect(await caught()).to.include({ kind: 'TooLarge' });
    });

    it('fails as every call does', async () => {
      answerWith('application/json', JSON.stringify({ message: 'Resource not found' }), 404);
      expect(isNotFound(await caught())).to.equal(true);
      answerWith('text/html', 'not here', 404);
      expect(await caught(), 'the page of a proxy').to.be.instanceOf(UnexpectedResponseError);
      server.respond = (_, response) => {
        response.writeHead(200, { 'content-type': 'application/x-tar', 'content-length': 100 });
        response.write('half');
        setImmediate(() => response.destroy());
      };
      expect(await caught(), 'a part of it').to.include({ kind: 'Unreachable' });
    });
  });

  it('gives the end of a long log', async () => {
    const logs = Array.from({ length: 200 }, (_, id) => ({ id, output: `line ${id}`, log_level: 'error' }));
    answers = { [`GET /templateversions/${VERSION_ID}/logs`]: logs };
    const tail = await client.templateVersionLogs(VERSION_ID, { lines: 2 });
    expect(tail.map(({ output }) => output)).to.deep.equal(['line 198', 'line 199']);
    expect(await client.templateVersionLogs(VERSION_ID)).to.have.length(50);
    expect(await client.templateVersionLogs(VERSION_ID, { lines: 1000 })).to.have.length(200);
  });

  it('asks for the jobs it was told to', async () => {
    const metadata = { template_version_name: '', workspace_id: WORKSPACE_ID, workspace_name: 'dev' };
    const input = { workspace_build_id: BUILD_ID };
    answers = { [`GET /organizations/${ORGANIZATION_ID}/provisionerjobs`]: [jobAnswer({ metadata, input })] };
    const jobs = await client.provisionerJobs(ORGANIZATION_ID, {
      limit: 10,
      status: ['pending', 'running'],
      ids: [JOB_ID],
      initiator: USER_ID,
    });
    expect(jobs[0]?.metadata).to.deep.equal({ workspace_id: WORKSPACE_ID, workspace_name: 'dev' });
    expect(jobs[0]?.input).to.deep.equal(input);
    expect(asked()).to.deep.equal([
      `GET /organizations/${ORGANIZATION_ID}/provisionerjobs?limit=10&status=pending,running&ids=${JOB_ID}&initiator=${USER_ID}`,
    ]);
  });

  it('reads and changes workspaces by the paths that Coder has for them', async () => {
    answers = {
      'GET /workspaces': { workspaces: [workspaceAnswer()], count: 1 },
      [`GET /workspaces/${WORKSPACE_ID}`]: workspaceAnswer(),
      'GET /users/alice/workspace/dev': workspaceAnswer(),
      'POST /users/alice/workspaces': workspaceAnswer(),
      [`POST /workspaces/${WORKSPACE_ID}/builds`]: buildAnswer({ template_version_name: '' }),
      [`GET /workspaces/${WORKSPACE_ID}/builds`]: [buildAnswer()],
    };
    expect((await client.workspaces({ query: `id:${WORKSPACE_ID}`, limit: 0 })).count).to.equal(1);
    await client.workspace(WORKSPACE_ID);
    await client.workspace(WORKSPACE_ID, { includeDeleted: true });
    await client.workspaceByName('alice', 'dev', { includeDeleted: true });
    await client.createWorkspace('alice', { name: 'dev', template_id: TEMPLATE_ID });
    await client.createBuild(WORKSPACE_ID, { transition: 'start', template_version_id: VERSION_ID });
    await client.builds(WORKSPACE_ID, { limit: 5 });
    expect(asked()).to.deep.equal([
      `GET /workspaces?q=id:${WORKSPACE_ID}&limit=0`,
      `GET /workspaces/${WORKSPACE_ID}`,
      `GET /workspaces/${WORKSPACE_ID}?include_deleted=true`,
      'GET /users/alice/workspace/dev?include_deleted=true',
      'POST /users/alice/workspaces',
      `POST /workspaces/${WORKSPACE_ID}/builds`,
      `GET /workspaces/${WORKSPACE_ID}/builds?limit=5`,
    ]);
  });

  it('reads what a version asks for, its presets and what a build was made with', async () => {
    const parameter = {
      name: 'cpu',
      type: 'number',
      mutable: true,
      required: true,
      default_value: '',
      options: [],
    };
    const preset = { ID: VERSION_ID, Name: 'Large', Parameters: [{ Name: 'cpu', Value: '8' }] };
    answers = {
      [`GET /templateversions/${VERSION_ID}/rich-parameters`]: [parameter],
      [`GET /templateversions/${VERSION_ID}/presets`]: [preset],
      [`GET /workspacebuilds/${BUILD_ID}/parameters`]: [{ name: 'cpu', value: '8' }],
    };
    expect(await client.richParameters(VERSION_ID)).to.deep.equal([parameter]);
    expect(await client.presets(VERSION_ID)).to.deep.equal([preset]);
    expect(await client.buildParameters(BUILD_ID)).to.deep.equal([{ name: 'cpu', value: '8' }]);
    expect(asked()).to.deep.equal(Object.keys(answers));
  });

  it('tells a version that is still imported', async () => {
    server.respond = (_, response) =>
      sendJson(response, 425, { message: 'Template version job has not finished' });
    const error: unknown = await client.richParameters(VERSION_ID).catch((thrown: unknown) => thrown);
    expect(isNotReady(error)).to.equal(true);
  });

  describe('setting what a workspace does by itself', () => {
    beforeEach(() => {
      server.respond = (_, response) => response.writeHead(204).end();
    });

    const sent = (): unknown[] =>
      server.seen.map(({ method, path, body }) => [
        `${method} ${path.replace(`/api/v2/workspaces/${WORKSPACE_ID}`, '')}`,
        JSON.parse(body) as unknown,
      ]);

    it('takes an answer without a body for what it is, and sends null to clear', async () => {
      await client.setTTL(WORKSPACE_ID, 3_600_000);
      await client.setTTL(WORKSPACE_ID, 0);
      await client.setAutostart(WORKSPACE_ID, 'CRON_TZ=UTC 0 9 * * 1-5');
      await client.setAutostart(WORKSPACE_ID, '');
      await client.setAutomaticUpdates(WORKSPACE_ID, 'always');
      expect(sent()).to.deep.equal([
        ['PUT /ttl', { ttl_ms: 3_600_000 }],
        ['PUT /ttl', { ttl_ms: null }],
        ['PUT /autostart', { schedule: 'CRON_TZ=UTC 0 9 * * 1-5' }],
        ['PUT /autostart', { schedule: null }],
        ['PUT /autoupdates', { automatic_updates: 'always' }],
      ]);
    });

    it('takes no answer without a body for a workspace', async () => {
      const error: unknown = await client.workspace(WORKSPACE_ID).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(UnexpectedResponseError);
    });

    it('says why Coder refuses', async () => {
      server.respond = (_, response) =>
        sendJson(response, 400, {
          message: 'Invalid workspace time until shutdown.',
          validations: [{ field: 'ttl_ms', detail: 'time until shutdown must be at least one minute' }],
        });
      const error: unknown = await client.setTTL(WORKSPACE_ID, 1).catch((thrown: unknown) => thrown);
      expect(error).to.include({ kind: 'Invalid', unclear: false });
      expect((error as CoderError).message).to.include('at least one minute');
    });
  });

  it('lets no error repeat the parameters of a build that the caller calls secret', async () => {
    const value = 'hunter2 "quoted"';
    const parameters = [{ name: 'password', value }];
    const options = { secrets: [value] };
    server.respond = (request, response) =>
      sendJson(response, 400, {
        message: `Unable to validate parameters: ${request.body}`,
        detail: value,
        validations: [
          { field: 'password', detail: `the value ${JSON.stringify(value)} must be one of the options` },
        ],
      });
    const refused = [
      client.createWorkspace('alice', { name: 'dev', rich_parameter_values: parameters }, options),
      client.createBuild(WORKSPACE_ID, { transition: 'start', rich_parameter_values: parameters }, options),
    ];
    for (const call of refused) {
      const error: unknown = await call.catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(CoderError);
      expect(inspect(error, { depth: 10 }))
        .to.include('[redacted]')
        .and.not.to.include('hunter2');
    }
    server.respond = (_, response) =>
      sendJson(response, 200, [{ name: 'password', value: 7, secret: value }]);
    const strange: unknown = await client.buildParameters(BUILD_ID).catch((thrown: unknown) => thrown);
    expect(strange).to.be.instanceOf(UnexpectedResponseError);
    expect(inspect(strange, { depth: 10 })).to.not.include('hunter2');
  });

  it('lets no failed request carry the parameters of a build', async () => {
    await server.close();
    const body = {
      transition: 'start',
      rich_parameter_values: [{ name: 'password', value: 'hunter2' }],
    } as const;
    const error: unknown = await client.createBuild(WORKSPACE_ID, body).catch((thrown: unknown) => thrown);
    expect(error).to.include({ kind: 'Unreachable' });
    expect(inspect(error, { depth: 10 })).to.not.include('hunter2');
  });

  it('hands a long list over workspace by workspace', async () => {
    const large = workspaceAnswer({ name: 'large', extra: 'x'.repeat(300_000) });
    answers = {
      'GET /workspaces': {
        workspaces: [workspaceAnswer(), large, workspaceAnswer({ name: 'two' })],
        count: 3,
      },
    };
    const names: string[] = [];
    const result = await client.eachWorkspace(({ name }) => names.push(name), { query: 'owner:alice' });
    expect(names).to.deep.equal(['dev', 'two']);
    expect(result).to.deep.equal({ count: 3, skipped: 1 });
  });

  it('asks for a long list in pages, until all that Coder counts was asked for', async () => {
    const rows = Array.from({ length: 1_201 }, (_, i) => workspaceAnswer({ name: `w${i}` }));
    answers = {
      'GET /workspaces': ({ query }: SeenRequest) => {
        const [limit, offset] = ['limit', 'offset'].map((key) => Number(query.get(key)));
        // One that may not be shown makes its page shorter.
        const page = rows.slice(offset, (offset ?? 0) + (limit ?? 0)).filter(({ name }) => name !== 'w7');
        return { workspaces: page, count: rows.length };
      },
    };
    const names: string[] = [];
    expect(await client.eachWorkspace(({ name }) => names.push(name))).to.deep.equal({
      count: 1_201,
      skipped: 0,
    });
    expect(names).to.deep.equal(rows.map(({ name }) => name).filter((name) => name !== 'w7'));
    expect(asked()).to.deep.equal([
      'GET /workspaces?limit=500',
      'GET /workspaces?limit=500&offset=500',
      'GET /workspaces?limit=500&offset=1000',
    ]);
  });

  it('gives up a list that does not end', async () => {
    answers = { 'GET /workspaces': { workspaces: [], count: Number.MAX_SAFE_INTEGER } };
    const error = await client.eachWorkspace(() => undefined, { counted: false }).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(UnexpectedResponseError);
    expect(asked()).to.have.length(2_000);
  });

  it('lets others have their turn while a long list arrives, also when all of it is there at once', async () => {
    const rows = Array.from({ length: 3_000 }, () => workspaceAnswer({ extra: 'x'.repeat(2_000) }));
    answers = { 'GET /workspaces': { workspaces: rows, count: rows.length } };
    let [atOnce, most, goesOn] = [0, 0, true];
    const turn = (): void => {
      most = Math.max(most, atOnce);
      atOnce = 0;
      if (goesOn) setImmediate(turn);
    };
    setImmediate(turn);
    // Whatever has come is worth a turn here.
    const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await clientOf({ clock: { ...systemClock, breathe } }).eachWorkspace(() => atOnce++);
    goesOn = false;
    turn();
    expect(most, 'in one turn of the event loop').to.be.within(1, 40);
  });

  it('does not take for a list what holds no rows, or is not whole', async () => {
    for (const answer of [{ count: 0 }, { workspaces: null, count: 0 }, {}]) {
      answers = { 'GET /workspaces': answer };
      for (const call of [client.workspaces(), client.eachWorkspace(() => undefined)]) {
        expect(await call.catch((error: unknown) => error)).to.be.instanceOf(UnexpectedResponseError);
      }
    }
  });

  it('counts a strange row and hands the others over', async () => {
    answers = { 'GET /workspaces': { workspaces: [{}, workspaceAnswer()], count: 2 } };
    const names: string[] = [];
    expect(await client.eachWorkspace(({ name }) => names.push(name))).to.deep.equal({
      count: 2,
      skipped: 1,
    });
    expect(names).to.deep.equal(['dev']);
    // Where all of it is asked for at once, a part must not pass for the whole.
    expect(await client.workspaces().catch((error: unknown) => error)).to.be.instanceOf(
      UnexpectedResponseError,
    );
  });

  it('says of a change whose answer is strange that it may have happened', async () => {
    answers = { 'POST /users/alice/workspaces': {} };
    const error: unknown = await client
      .createWorkspace('alice', { name: 'dev', template_id: TEMPLATE_ID })
      .catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(UnexpectedResponseError).and.to.include({ unclear: true });
  });

  it('tells what is gone and who is unknown', async () => {
    server.respond = (request, response) =>
      request.path.includes('/users/')
        ? sendJson(response, 400, { message: '"user" must be an existing uuid or username.' })
        : sendJson(response, 410, { message: 'Workspace has been deleted.' });
    expect(isGone(await client.workspace(WORKSPACE_ID).catch((error: unknown) => error))).to.equal(true);
    expect(isUnknownUser(await client.user('nobody').catch((error: unknown) => error))).to.equal(true);
  });

  it('refuses names that are no names before it asks', async () => {
    for (const bad of ['..', 'a/b', '']) {
      const error = await client.user(bad).catch((thrown: unknown) => thrown);
      expect(error).to.have.property('code', 'INVALID_PATH_SEGMENT');
    }
    expect(server.seen).to.deep.equal([]);
  });

  describe('asked to slow down', () => {
    it('F13. waits as long as Coder says where Coder says it, and nowhere else', async () => {
      const clock = new FakeClock();
      client.close();
      client = clientOf({ clock });
      server.respond = (request, response) => {
        if (request.path.endsWith('/files') && clock.monotonic() < 7000) {
          response.setHeader('Retry-After', '7');
          sendJson(response, 429, { message: "You've been rate limited." });
        } else sendJson(response, 200, request.path.endsWith('/files') ? { hash: FILE_ID } : userAnswer());
      };
      const error: unknown = await client.uploadArchive(Buffer.from('a')).catch((thrown: unknown) => thrown);
      expect(isRateLimited(error)).to.equal(true);
      expect((error as CoderError).retryAfterMs).to.equal(7000);

      // While the hold lasts, nothing is sent there, and nobody waits for it; elsewhere all goes on.
      await clock.advance(1_000);
      const held: unknown = await client.uploadArchive(Buffer.from('a')).catch((thrown: unknown) => thrown);
      expect(held).to.include({ kind: 'RateLimited', retryAfterMs: 6000, unclear: false });
      await client.me();
      expect(server.seen).to.have.length(2);
      await clock.advance(6_000);
      expect(await client.uploadArchive(Buffer.from('a'))).to.equal(FILE_ID);
    });

    it('gives up waiting when the caller does', async () => {
      client.close();
      client = clientOf({ clock: new FakeClock() });
      server.respond = (_, response) => sendJson(response, 429, { message: 'slow down' });
      await client.me().catch((error: unknown) => expect(isRateLimited(error)).to.equal(true));
      const controller = new AbortController();
      const waiting = client
        .me({ signal: controller.signal, counted: false })
        .catch((error: unknown) => error);
      await settle();
      controller.abort(new Error('shutting down'));
      expect(await waiting).to.include({ kind: 'Aborted', unclear: false });
      expect(server.seen).to.have.length(1);
    });

    it('F13. keeps to its own limit, which the fixed rhythms do not count towards', async () => {
      const clock = new FakeClock();
      client.close();
      client = clientOf({ clock, requestsPerMinute: 4 });
      answers = { 'GET /users/me': userAnswer() };
      await client.me();
      const second = client.me().catch((error: unknown) => error);
      for (let i = 0; i < 5; i++) await client.me({ counted: false });
      expect(server.seen).to.have.length(6);
      // The next turn is fifteen seconds away: that is too long to hold whoever asks.
      await clock.advance(5_000);
      expect(await second).to.include({ kind: 'RateLimited' });
      await clock.advance(10_000);
      await client.me();
      expect(server.seen).to.have.length(7);
    });
  });
});
