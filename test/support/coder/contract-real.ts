import { createHash, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Stack } from '../../../hack/stack/stack.ts';
import { archiveOf } from '../../../src/coder/archive.ts';
import { CoderClient } from '../../../src/coder/client.ts';
import type { CreateBuildRequest } from '../../../src/coder/types.ts';
import { echoFiles } from '../coder-echo.ts';
import { askOverHttp, eventsOverHttp, sent } from './ask.ts';
import { hasEnded, type ContractHarness } from './contract.ts';
import type { VersionContent } from './definitions.ts';
import { PREBUILDS } from './people.ts';

/** What the contract needs of the stack's Coder. */
export const CONTRACT_SETTINGS = {
  rateLimits: true,
  env: { CODER_ALLOW_WORKSPACE_RENAMES: 'true', CODER_AUTOBUILD_POLL_INTERVAL: '1s' },
} as const;

const ROLE = 'organization-admin';
/** No provisioner has this tag: a job that asks for it stays pending. */
const NOBODYS_TAGS = { zone: 'nowhere' };
const ADMIN_POLICY = { httpHosts: ['127.0.0.1'], allowLoopback: true };
const POLL_MS = 50;
const LONGEST_MS = 30_000;
/** As many jobs run at the same time, unless the stack is told otherwise. */
const DAEMONS = 3;

/** Sends a request as the first user, who may do everything, and takes any answer. */
function askAsAdmin(stack: Stack, method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${stack.coder.url}/api/v2${path}`, {
    method,
    headers: { 'Coder-Session-Token': stack.coder.adminToken, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** The same where Coder must not refuse. */
export async function asAdmin(stack: Stack, method: string, path: string, body?: object): Promise<unknown> {
  const response = await askAsAdmin(stack, method, path, body);
  expect(response.ok, `${method} ${path}: ${response.status}`).to.equal(true);
  const text = await response.text();
  return text === '' ? undefined : JSON.parse(text);
}

export async function newMember(stack: Stack, username: string): Promise<void> {
  await asAdmin(stack, 'POST', '/users', {
    email: `${username}@example.com`,
    username,
    login_type: 'none',
    // Or they are dormant until they sign in, and their workspaces are not started by a schedule.
    user_status: 'active',
    organization_ids: [stack.coder.accounts.organizationId],
  });
}

export async function until<T>(read: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
  const giveUpAt = Date.now() + LONGEST_MS;
  for (;;) {
    const value = await read();
    if (done(value)) return value;
    if (Date.now() > giveUpAt) throw new Error(`Still waiting: ${JSON.stringify(value).slice(0, 500)}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * The contract's Coder, real. Other people act through the first user. What only a licence brings (dormancy, settings
 * that a template fixes, prebuilds) is written into Coder's database, so that the API shows what it would show.
 */
export async function openReal(stack: Stack, client: CoderClient): Promise<ContractHarness> {
  const { url, adminToken: token, accounts } = stack.coder;
  const admin = new CoderClient({ url, token, policy: ADMIN_POLICY, requestsPerMinute: 100_000 });
  const organizationID = accounts.organizationId;
  const { name } = await client.organization(organizationID);
  const owners = ['ann', 'bob'] as const;
  for (const owner of owners) await newMember(stack, owner);

  /** Uploads are limited to twelve a minute for everybody but the first user. */
  const uploadAsAdmin = async (tar: Buffer): Promise<string> => {
    const response = await fetch(`${url}/api/v2/files`, {
      method: 'POST',
      headers: {
        'Coder-Session-Token': token,
        'Content-Type': 'application/x-tar',
        'X-Coder-Bypass-Ratelimit': 'true',
      },
      body: new Uint8Array(tar),
    });
    return ((await response.json()) as { readonly hash: string }).hash;
  };
  const { version: called } = await client.buildInfo();
  const [version = called] = /\d+\.\d+/.exec(called) ?? [];
  const archive = (content: VersionContent): Promise<Buffer> => archiveOf(echoFiles(content, version));
  const { id: clientID } = await client.me();

  /** Coder makes one only with a licence. Nothing is built there. */
  const newOrganization = async (called: string): Promise<ContractHarness['organization']> => {
    const id = randomUUID();
    await stack.coder.sql(
      `insert into organizations (id, name, display_name, description, created_at, updated_at)
        values ('${id}', '${called}', '', '', now(), now())`,
    );
    return { id, name: called };
  };

  const otherOrganization = await newOrganization('other');
  const hidden = await newOrganization('hidden');
  await stack.coder.sql(
    `insert into organization_members (user_id, organization_id, created_at, updated_at, roles)
      values ('${clientID}', '${otherOrganization.id}', now(), now(), '{${ROLE}}')`,
  );
  const setSight = async (id: string, organization: string, acl: string): Promise<void> => {
    await stack.coder.sql(
      `update workspaces set organization_id = '${organization}' where id = '${id}';
       update templates set organization_id = '${organization}', group_acl = '${acl}' where id = '${id}'`,
    );
  };
  const setRoles = async (roles: string): Promise<void> => {
    await stack.coder.sql(
      `update organization_members set roles = '{${roles}}' where user_id = '${clientID}'`,
    );
  };

  const settle = (id: string): Promise<unknown> =>
    until(
      () => client.workspace(id, { includeDeleted: true }),
      ({ latest_build }) => hasEnded(latest_build.job),
    );
  const latestBuildID = async (id: string): Promise<string> => (await client.workspace(id)).latest_build.id;
  const cancel = async (id: string): Promise<void> => {
    await asAdmin(stack, 'PATCH', `/workspacebuilds/${await latestBuildID(id)}/cancel`);
  };
  /** A build as Coder would make it by itself, under this reason. */
  const buildAs = async (id: string, transition: 'stop' | 'delete', reason: string): Promise<void> => {
    const build = await admin.createBuild(id, { transition });
    await settle(id);
    await stack.coder.sql(
      `update workspace_builds set reason = '${reason}', initiator_id =
        (select owner_id from workspaces where id = workspace_id) where id = '${build.id}'`,
    );
  };

  const newVersion: ContractHarness['newVersion'] = async (templateID, content, versionName) => {
    const isHanging = content.imports === 'hang';
    const { id } = await admin.createTemplateVersion(organizationID, {
      name: versionName,
      ...(templateID === undefined ? {} : { template_id: templateID }),
      file_id: await uploadAsAdmin(await archive(content)),
      provisioner: 'echo',
      ...(isHanging ? { tags: NOBODYS_TAGS } : {}),
    });
    return until(
      () => client.templateVersion(id),
      ({ job }) => isHanging || hasEnded(job),
    );
  };

  /** Workspaces that keep the provisioners busy: as many jobs at once are all that they can do. */
  let hanging: readonly string[] = [];

  return {
    client,
    version,
    now: () => Date.now(),
    ask: (method, path, question = {}) =>
      askOverHttp(`${url}/api/v2${path}`, method, sent(question, stack.coder.operatorToken)),
    events: (path) => eventsOverHttp(`${url}/api/v2${path}`, sent({}, stack.coder.operatorToken)),
    organization: { id: organizationID, name },
    otherOrganization,
    owners,
    until,
    archive,
    store: async (tar) => {
      const id = await uploadAsAdmin(tar);
      const hash = createHash('sha256').update(tar).digest('hex');
      // What the client has already stays as it is: nobody has the same file twice.
      const [row] = await stack.coder.sql(
        `update files set created_by = '${clientID}' where id = '${id}'
          and hash not in (select hash from files where created_by = '${clientID}');
         select id from files where created_by = '${clientID}' and hash = '${hash}'`,
      );
      return String(row?.[0]);
    },
    uploadByHand: uploadAsAdmin,
    newVersion,
    buildByHand: async (id: string, body: CreateBuildRequest) => {
      await admin.createBuild(id, body);
    },
    cancel,
    holdBuilds: async () => {
      const version = await newVersion(undefined, { builds: 'hang' }, 'hanging');
      const template = await client.createTemplate(organizationID, {
        name: `hanging-${randomUUID().slice(0, 8)}`,
        template_version_id: version.id,
      });
      const made = Array.from({ length: DAEMONS }, (_, i) =>
        client.createWorkspace(owners[1], { name: `${template.name}-${i}`, template_id: template.id }),
      );
      hanging = (await Promise.all(made)).map(({ id }) => id);
      for (const id of hanging) {
        await until(
          () => client.workspace(id),
          ({ latest_build }) => latest_build.job.status === 'running',
        );
      }
    },
    releaseBuilds: async () => {
      for (const id of hanging) await cancel(id);
      for (const id of hanging) await settle(id);
    },
    agentsBecome: async (id, status, lifecycle) => {
      const { job } = (await client.workspace(id)).latest_build;
      await stack.coder.sql(
        `update workspace_agents set first_connected_at = now(), last_connected_at = now() + interval '1 day',
          disconnected_at = ${status === 'connected' ? 'null' : "now() + interval '2 days'"},
          lifecycle_state = '${lifecycle}'
          where resource_id in (select id from workspace_resources where job_id = '${job.id}')`,
      );
    },
    limitLifetime: async (id, ms) => {
      const build = await latestBuildID(id);
      const limit = `now() + interval '${ms} milliseconds'`;
      await stack.coder.sql(
        `update workspace_builds set max_deadline = ${limit}, deadline = ${limit} where id = '${build}'`,
      );
    },
    rename: async (id, to) => (await askAsAdmin(stack, 'PATCH', `/workspaces/${id}`, { name: to })).status,
    newMember: (username) => newMember(stack, username),
    renameUser: async (username, to) =>
      (await askAsAdmin(stack, 'PUT', `/users/${username}/profile`, { username: to })).status,
    forceName: async (id, to) => {
      await stack.coder.sql(
        `update workspaces set name = '${to}' where id = '${id}';
         update templates set name = '${to}' where id = '${id}';
         update users set username = '${to}' where id = '${id}'`,
      );
    },
    moveTemplate: async (id) => {
      const set = `set organization_id = '${otherOrganization.id}'`;
      await stack.coder.sql(
        `update templates ${set} where id = '${id}';
         update template_versions ${set} where template_id = '${id}';
         update workspaces ${set} where template_id = '${id}';
         update provisioner_jobs ${set} where id in (
           select job_id from template_versions where template_id = '${id}' union all
           select job_id from workspace_builds where workspace_id in
             (select id from workspaces where template_id = '${id}'))`,
      );
    },
    hide: (id) => setSight(id, hidden.id, '{}'),
    show: (id) => setSight(id, organizationID, `{"${organizationID}": ["use"]}`),
    loseRole: () => setRoles(''),
    regainRole: () => setRoles(ROLE),
    changeOwner: async (id, owner) => {
      // Coder shows nobody the user that its prebuilds belong to.
      const { id: ownerID } = owner === PREBUILDS.username ? PREBUILDS : await client.user(owner);
      await stack.coder.sql(`update workspaces set owner_id = '${ownerID}' where id = '${id}'`);
    },
    deprecate: async (id) => {
      await stack.coder.sql(`update templates set deprecated = 'use another one' where id = '${id}'`);
    },
    fixTTL: async (id, ms) => {
      await stack.coder.sql(
        `update templates set allow_user_autostop = false, default_ttl = ${ms}::bigint * 1000000 where id = '${id}'`,
      );
    },
    passDeadline: async (id) => {
      const build = await latestBuildID(id);
      await stack.coder.sql(
        `update workspace_builds set deadline = now() - interval '5 minutes' where id = '${build}'`,
      );
    },
    reachSchedule: async (id) => {
      const build = await latestBuildID(id);
      await stack.coder.sql(
        `update workspace_builds set created_at = now() - interval '5 minutes' where id = '${build}';
         update workspaces set next_start_at = now() - interval '1 minute' where id = '${id}'`,
      );
    },
    becomeDormant: async (id) => {
      await stack.coder.sql(
        `update workspaces set dormant_at = now(), deleting_at = now() + interval '1 day' where id = '${id}'`,
      );
      await buildAs(id, 'stop', 'dormancy');
    },
    autodelete: (id) => buildAs(id, 'delete', 'autodelete'),
    close: () => {
      admin.close();
      return Promise.resolve();
    },
  };
}
