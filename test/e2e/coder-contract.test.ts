import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { startStack, type Stack } from '../../hack/stack/stack.ts';
import { archiveOf } from '../../src/coder/archive.ts';
import { CoderClient, type CoderClientOptions } from '../../src/coder/client.ts';
import {
  CoderError,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  isNotReady,
  isRateLimited,
  isUnauthorized,
  isUnknownUser,
} from '../../src/coder/errors.ts';
import type {
  ProvisionerJob,
  Template,
  TemplateVersion,
  Workspace,
  WorkspaceBuild,
} from '../../src/coder/types.ts';
import { echoFiles, type EchoOptions } from '../support/coder-echo.ts';

/** No provisioner has this tag: a job that asks for it stays pending. */
const NOBODYS_TAGS = { zone: 'nowhere' };

const POLL_MS = 50;
const JOB_TIMEOUT_MS = 30_000;

describe('CoderClient and a real Coder', function () {
  this.timeout(60_000);

  let stack: Stack;
  let client: CoderClient;
  let organizationID: string;
  let owner: string;
  let count = 0;
  /** A template whose builds succeed at once. */
  let template: Template;
  /** Its workspace, started. */
  let workspace: Workspace;

  before(async function () {
    this.timeout(900_000); // The programs may have to be built.
    stack = await startStack({ kubernetes: false, coderSettings: { rateLimits: true } });
    organizationID = stack.coder.accounts.organizationId;
    owner = stack.coder.operatorUser;
    client = connect();
    template = await newTemplate();
    workspace = await newWorkspace(template);
  });

  after(async function () {
    this.timeout(60_000);
    // Absent when `before` has failed.
    (client as CoderClient | undefined)?.close();
    await (stack as Stack | undefined)?.stop();
  });

  function connect(options: Partial<CoderClientOptions> = {}): CoderClient {
    const policy = { httpHosts: ['127.0.0.1'], allowLoopback: true };
    return new CoderClient({
      url: stack.coder.url,
      token: stack.coder.operatorToken,
      policy,
      requestsPerMinute: 100_000,
      ...options,
    });
  }

  const nameOf = (prefix: string): string => `${prefix}-${++count}`;

  async function failure(call: Promise<unknown>): Promise<CoderError> {
    const thrown: unknown = await call.then(
      () => expect.fail('the call succeeded'),
      (error: unknown) => error,
    );
    expect(thrown).to.be.instanceOf(CoderError);
    return thrown as CoderError;
  }

  async function expectFailure(
    call: Promise<unknown>,
    guard: (error: unknown) => boolean,
  ): Promise<CoderError> {
    const error = await failure(call);
    expect(guard(error), `${guard.name}: ${error.kind}: ${error.message}`).to.equal(true);
    return error;
  }

  async function until<T>(read: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
    const giveUpAt = Date.now() + JOB_TIMEOUT_MS;
    for (;;) {
      const value = await read();
      if (done(value)) return value;
      if (Date.now() > giveUpAt) throw new Error(`Still waiting: ${JSON.stringify(value).slice(0, 500)}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  const ended = ({ status }: ProvisionerJob): boolean => ['succeeded', 'failed', 'canceled'].includes(status);

  interface VersionOptions extends EchoOptions {
    readonly templateID?: string;
    readonly name?: string;
    /** Default true. */
    readonly wait?: boolean;
    readonly tags?: Readonly<Record<string, string>>;
  }

  /** Uploads are limited to twelve a minute, so the same content is sent once. */
  const uploads = new Map<string, Promise<string>>();

  async function upload(options: EchoOptions): Promise<string> {
    const key = JSON.stringify([options.blocked, options.importError, options.note]);
    const id = uploads.get(key) ?? archiveOf(echoFiles(options)).then((tar) => client.uploadArchive(tar));
    uploads.set(key, id);
    return id;
  }

  async function newVersion(options: VersionOptions = {}): Promise<TemplateVersion> {
    const version = await client.createTemplateVersion(organizationID, {
      name: options.name ?? nameOf('v'),
      ...(options.templateID === undefined ? {} : { template_id: options.templateID }),
      file_id: await upload(options),
      provisioner: 'echo',
      ...(options.tags === undefined ? {} : { tags: options.tags }),
    });
    if (options.wait === false) return version;
    return until(
      () => client.templateVersion(version.id),
      ({ job }) => ended(job),
    );
  }

  async function newTemplate(options: EchoOptions = {}): Promise<Template> {
    const version = await newVersion(options);
    expect(version.job.status, version.job.error).to.equal('succeeded');
    return client.createTemplate(organizationID, { name: nameOf('t'), template_version_id: version.id });
  }

  async function newWorkspace(of: Template): Promise<Workspace> {
    const created = await client.createWorkspace(owner, { name: nameOf('w'), template_id: of.id });
    return settled(created.id);
  }

  async function settled(id: string): Promise<Workspace> {
    return until(
      () => client.workspace(id, { includeDeleted: true }),
      ({ latest_build }) => ended(latest_build.job),
    );
  }

  async function build(id: string, transition: 'start' | 'stop' | 'delete'): Promise<WorkspaceBuild> {
    const made = await client.createBuild(id, { transition });
    expect(made.transition).to.equal(transition);
    return (await settled(id)).latest_build;
  }

  describe('the connection', () => {
    it('tells who Coder is without a token', async () => {
      const anonymous = connect({ token: 'wrong-token' });
      const info = await anonymous.buildInfo();
      expect(info.version).to.match(/^v2\./);
      expect(info.deployment_id).to.match(/^[0-9a-f-]{36}$/);
      anonymous.close();
    });

    it('knows the user of the token, by alias, name and id', async () => {
      const me = await client.me();
      expect(me).to.include({ username: owner, status: 'active' });
      expect(me.organization_ids).to.deep.equal([organizationID]);
      expect(await client.user(owner)).to.deep.equal(me);
      expect(await client.user(me.id)).to.deep.equal(me);
    });

    it('knows organizations by alias, name and id', async () => {
      const organization = await client.organization('default');
      expect(organization).to.include({ id: organizationID, is_default: true });
      expect(await client.organization(organization.name)).to.deep.equal(organization);
      expect(await client.organization(organizationID)).to.deep.equal(organization);
      await expectFailure(client.organization('nobody'), isNotFound);
    });

    it('says when the token ends', async () => {
      expect(Date.parse((await client.tokenExpiry()) ?? '')).to.be.greaterThan(Date.now());
    });

    it('refuses a wrong token with 401', async () => {
      const other = connect({ token: 'abcdefghij-0123456789012345678901' });
      const error = await expectFailure(other.me(), isUnauthorized);
      expect(error.requestID).to.match(/^[0-9a-f-]{36}$/);
      other.close();
    });

    it('answers 400 for a user who does not exist, wherever the name stands', async () => {
      await expectFailure(client.user('nobody'), isUnknownUser);
      await expectFailure(client.user(randomUUID()), isUnknownUser);
      await expectFailure(client.workspaceByName('nobody', 'dev'), isUnknownUser);
      await expectFailure(
        client.createWorkspace('nobody', { name: 'dev', template_id: template.id }),
        isUnknownUser,
      );
    });
  });

  describe('templates', () => {
    it('are found by id and by name in any case', async () => {
      const byName = await client.templateByName('coder', template.name.toUpperCase());
      expect(byName).to.include({ id: template.id, organization_id: organizationID, name: template.name });
      expect(await client.template(template.id)).to.include({ id: template.id });
      await expectFailure(client.template(randomUUID()), isNotFound);
      await expectFailure(client.templateByName('coder', 'nothing'), isNotFound);
    });

    it('are listed', async () => {
      expect((await client.templates()).map(({ id }) => id)).to.include(template.id);
    });

    it('are listed when they are deprecated, and proven gone when they were', async () => {
      const old = await newTemplate();
      // Deprecating takes a licence; the database does not ask for one.
      await stack.coder.sql(`update templates set deprecated = 'old' where id = '${old.id}'`);
      expect((await client.templates()).map(({ id }) => id)).to.include(old.id);
      await client.deleteTemplate(old.id);
      expect(await client.deletedTemplateById(old.id)).to.include({ id: old.id });
    });

    it('do not share a name', async () => {
      const version = await newVersion();
      const body = { name: template.name.toUpperCase(), template_version_id: version.id };
      const error = await expectFailure(client.createTemplate(organizationID, body), isConflict);
      expect(error.validations.map(({ field }) => field)).to.deep.equal(['name']);
    });

    it('are made of a version that no other has', async () => {
      const body = { name: nameOf('t'), template_version_id: template.active_version_id };
      await expectFailure(client.createTemplate(organizationID, body), isInvalid);
      await expectFailure(
        client.createTemplate(organizationID, { name: nameOf('t'), template_version_id: randomUUID() }),
        isNotFound,
      );
    });

    it('are not deleted while they have a workspace', async () => {
      const error = await expectFailure(client.deleteTemplate(template.id), isInvalid);
      expect(error.coderMessage).to.include('workspaces must be deleted');
    });

    it('are 404 once deleted, and only the list of deleted ones proves it', async () => {
      const doomed = await newTemplate();
      expect(await client.deletedTemplateById(doomed.id)).to.equal(undefined);
      await client.deleteTemplate(doomed.id);
      await expectFailure(client.template(doomed.id), isNotFound);
      expect(await client.deletedTemplateById(doomed.id)).to.include({ id: doomed.id, name: doomed.name });
      expect(await client.deletedTemplateById(randomUUID())).to.equal(undefined);
      expect((await client.templates()).map(({ id }) => id)).not.to.include(doomed.id);
    });
  });

  describe('template versions', () => {
    it('are imported, found by name and made the active one, as often as one likes', async () => {
      const version = await newVersion({ templateID: template.id, note: 'second' });
      expect(version).to.include({ template_id: template.id });
      expect(await client.templateVersionByName('coder', template.name, version.name)).to.include({
        id: version.id,
      });
      expect((await client.template(template.id)).active_version_id).not.to.equal(version.id);
      await client.promoteTemplateVersion(template.id, version.id);
      await client.promoteTemplateVersion(template.id, version.id);
      expect((await client.template(template.id)).active_version_id).to.equal(version.id);
    });

    it('keep the file of the same content', async () => {
      const tar = await archiveOf(echoFiles());
      expect(await client.uploadArchive(tar)).to.equal(await client.uploadArchive(tar));
    });

    it('do not share a name within a template, but distinguish its case', async () => {
      const name = nameOf('Name');
      await newVersion({ templateID: template.id, name });
      const error = await expectFailure(newVersion({ templateID: template.id, name }), isConflict);
      expect(error.validations.map(({ field }) => field)).to.deep.equal(['name']);
      await newVersion({ templateID: template.id, name: name.toLowerCase() });
      await expectFailure(
        client.templateVersionByName('coder', template.name, name.toUpperCase()),
        isNotFound,
      );
    });

    it('keep their name when their import fails, and say why', async () => {
      const name = nameOf('v');
      const failed = await newVersion({ templateID: template.id, name, importError: 'no such thing' });
      expect(failed.job.status).to.equal('failed');
      expect(failed.job.error).to.include('no such thing');
      await expectFailure(newVersion({ templateID: template.id, name }), isConflict);
      await expectFailure(client.promoteTemplateVersion(template.id, failed.id), isForbidden);
      await expectFailure(
        client.createWorkspace(owner, { name: nameOf('w'), template_version_id: failed.id }),
        isInvalid,
      );
    });

    it('have a log', async () => {
      const logs = await client.templateVersionLogs(template.active_version_id, { lines: 3 });
      expect(logs).to.have.length(3);
      expect(logs.map(({ id }) => id)).to.deep.equal(logs.map(({ id }) => id).sort((a, b) => a - b));
    });

    it('are 403 to promote and 406 to use while their import has not ended', async () => {
      const pending = await newVersion({ templateID: template.id, tags: NOBODYS_TAGS, wait: false });
      expect(pending.job.status).to.equal('pending');
      expect(pending.matched_provisioners).to.deep.equal({ count: 0, available: 0 });
      await expectFailure(client.promoteTemplateVersion(template.id, pending.id), isForbidden);
      const body = { name: nameOf('w'), template_version_id: pending.id };
      await expectFailure(client.createWorkspace(owner, body), isNotReady);
      const start = { transition: 'start', template_version_id: pending.id } as const;
      await expectFailure(client.createBuild(workspace.id, start), isNotReady);
    });

    it('are found through the jobs by their name while they belong to no template', async () => {
      const name = nameOf('first');
      const version = await newVersion({ name });
      expect(version).not.to.have.property('template_id');
      const me = await client.me();
      const jobs = await client.provisionerJobs(organizationID, { limit: 50, initiator: me.id });
      const job = jobs.find(({ metadata }) => metadata?.template_version_name === name);
      expect(job).to.deep.include({
        id: version.job.id,
        type: 'template_version_import',
        initiator_id: me.id,
      });
      expect(job?.input?.template_version_id).to.equal(version.id);
    });

    it('are 404 when there is none', async () => {
      await expectFailure(client.templateVersion(randomUUID()), isNotFound);
      await expectFailure(client.templateVersionByName('coder', template.name, 'none'), isNotFound);
    });
  });

  describe('provisioner jobs', () => {
    it('come newest first and can be chosen by status and id', async () => {
      const newest = (await client.provisionerJobs(organizationID, { limit: 5 })).map(
        ({ created_at }) => created_at,
      );
      expect(newest).to.deep.equal([...newest].sort().reverse());
      const done = await client.provisionerJobs(organizationID, { status: ['succeeded'], limit: 3 });
      expect(done.map(({ status }) => status)).to.deep.equal(['succeeded', 'succeeded', 'succeeded']);
      const { job } = workspace.latest_build;
      const [found] = await client.provisionerJobs(organizationID, { ids: [job.id] });
      expect(found?.metadata).to.include({ workspace_id: workspace.id, workspace_name: workspace.name });
    });
  });

  describe('workspaces', () => {
    it('run after they were made', () => {
      expect(workspace).to.include({
        owner_name: owner,
        template_id: template.id,
        organization_id: organizationID,
      });
      expect(workspace.latest_build).to.include({ build_number: 1, transition: 'start', status: 'running' });
      expect(workspace.latest_build.reason).to.equal('initiator');
      expect(workspace.health).to.deep.equal({ healthy: true, failing_agents: [] });
    });

    it('are found by id, by name in any case and by search', async () => {
      expect(await client.workspaceByName(owner, workspace.name.toUpperCase())).to.include({
        id: workspace.id,
      });
      const { workspaces, count: matches } = await client.workspaces({
        query: `id:${workspace.id},${randomUUID()}`,
      });
      expect(workspaces.map(({ id }) => id)).to.deep.equal([workspace.id]);
      expect(matches).to.equal(1);
      const limited = await client.workspaces({ query: `owner:${owner}`, limit: 1 });
      expect(limited.workspaces).to.have.length(1);
      await expectFailure(client.workspaces({ query: 'nonsense:1' }), isInvalid);
      await expectFailure(client.workspace(randomUUID()), isNotFound);
      await expectFailure(client.workspaceByName(owner, 'nothing'), isNotFound);
    });

    it('are streamed as they are listed', async () => {
      await newWorkspace(template);
      const streamed: Workspace[] = [];
      const result = await client.eachWorkspace((row) => streamed.push(row));
      const { workspaces, count: matches } = await client.workspaces({ limit: 0 });
      expect(streamed).to.have.deep.members([...workspaces]);
      expect(result).to.deep.equal({ count: matches, skipped: 0 });
    });

    it('do not share a name with another of their owner', async () => {
      const body = { name: workspace.name.toUpperCase(), template_id: template.id };
      const error = await expectFailure(client.createWorkspace(owner, body), isConflict);
      expect(error.unclear).to.equal(false);
      expect(error.validations.map(({ field }) => field)).to.deep.equal(['name']);
    });

    it('are 409 or a lost race, never two, when made at once', async () => {
      const body = { name: nameOf('race'), template_id: template.id };
      const outcomes = await Promise.allSettled(
        Array.from({ length: 6 }, () => client.createWorkspace(owner, body)),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected')
          expect(isConflict(outcome.reason), String(outcome.reason)).to.equal(true);
      }
    });

    it('are refused for a template that does not exist', async () => {
      await expectFailure(
        client.createWorkspace(owner, { name: nameOf('w'), template_id: randomUUID() }),
        isInvalid,
      );
    });

    it('start and stop, also when they already are', async () => {
      const other = await newWorkspace(template);
      expect(await build(other.id, 'stop')).to.include({ build_number: 2, status: 'stopped' });
      expect(await build(other.id, 'stop')).to.include({ build_number: 3, status: 'stopped' });
      expect(await build(other.id, 'start')).to.include({ build_number: 4, status: 'running' });
      const builds = await client.builds(other.id, { limit: 2 });
      expect(builds.map(({ build_number }) => build_number)).to.deep.equal([4, 3]);
    });

    it('have one active build at a time', async () => {
      const blocked = await newTemplate({ blocked: true });
      const body = { name: nameOf('w'), template_id: blocked.id };
      const busy = await client.createWorkspace(owner, body);
      const error = await expectFailure(client.createBuild(busy.id, { transition: 'stop' }), isConflict);
      expect(error.coderMessage).to.include('already active');
      const active = await client.provisionerJobs(organizationID, { status: ['pending', 'running'] });
      expect(active.map(({ metadata }) => metadata?.workspace_id)).to.include(busy.id);
    });

    it('are 410 once deleted, which 404 is not, and can still be read when asked for', async () => {
      const doomed = await newWorkspace(template);
      expect(await build(doomed.id, 'delete')).to.include({ status: 'deleted' });
      await expectFailure(client.workspace(doomed.id), isGone);
      expect((await client.workspace(doomed.id, { includeDeleted: true })).latest_build.status).to.equal(
        'deleted',
      );
      await expectFailure(client.workspaceByName(owner, doomed.name), isNotFound);
      const found = await client.workspaceByName(owner, doomed.name, { includeDeleted: true });
      expect(found).to.include({ id: doomed.id });
      await expectFailure(client.createBuild(doomed.id, { transition: 'start' }), isConflict);
      const again = await client.createWorkspace(owner, { name: doomed.name, template_id: template.id });
      expect(again.id).not.to.equal(doomed.id);
    });

    it('are hidden, not gone, from a token that may not see them', async () => {
      const name = nameOf('guest');
      const guest = connect({ token: await guestToken(name) });
      await expectFailure(guest.workspace(workspace.id), isNotFound);
      await expectFailure(guest.provisionerJobs(organizationID), isNotFound);
      expect((await guest.workspaces()).count).to.equal(0);
      await expectFailure(guest.promoteTemplateVersion(template.id, template.active_version_id), isForbidden);
      guest.close();
    });
  });

  /** Makes a member of the organization without any other role. */
  async function guestToken(username: string): Promise<string> {
    const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const response = await fetch(`${stack.coder.url}/api/v2${path}`, {
        method: 'POST',
        headers: { 'Coder-Session-Token': stack.coder.adminToken, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
      expect(response.status).to.equal(201);
      return (await response.json()) as Record<string, unknown>;
    };
    await post('/users', {
      email: `${username}@example.com`,
      username,
      login_type: 'none',
      organization_ids: [organizationID],
    });
    return String((await post(`/users/${username}/keys/tokens`, { token_name: 'test' })).key);
  }

  // Last, since it uses the uploads of the next minute up.
  describe('rate limits', () => {
    it('slow uploads down after twelve in a minute, say for how long and leave other calls alone', async () => {
      const uploading = async (): Promise<CoderError | undefined> => {
        for (let i = 0; i < 13; i++) {
          const error = await client
            .uploadArchive(Buffer.from(`${i}`))
            .catch((thrown: unknown) => thrown as CoderError);
          if (error instanceof CoderError) return error;
        }
        return undefined;
      };
      const error = await uploading();
      expect(isRateLimited(error)).to.equal(true);
      expect(error?.retryAfterMs).to.equal(60_000);
      await client.me();
    });
  });
});
