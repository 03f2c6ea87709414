import type { CoderClient } from '../../src/coder/client.ts';
import { archiveOf } from '../../src/coder/archive.ts';
import type { Template, Workspace } from '../../src/coder/types.ts';
import { echoFiles } from '../../test/support/coder-echo.ts';
import type { Coder } from '../stack/coder.ts';
import { StackError } from '../stack/errors.ts';
import type { Progress } from '../stack/progress.ts';
import { until } from '../stack/wait.ts';
import { multiply } from './multiply.ts';

export interface SeedOptions {
  readonly coder: Coder;
  /** Acts as the first user. */
  readonly client: CoderClient;
  /** Workspaces in the end; half of them run. */
  readonly workspaces: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was made in Coder, for those who want to do something with it. */
export interface Seeds {
  readonly users: readonly string[];
  readonly template: Template;
}

const USERS = 50;
const TEMPLATES = 4;
/** Workspaces that Coder builds itself, one of each template for each user; all others are copies of these. */
const ORIGINALS = USERS * TEMPLATES;
const PREFIX = 'w';
const AT_ONCE = 8;
const LONGEST_WAIT_MS = 300_000;
/** Copied in one transaction, within the time that a statement has. */
const BATCH = 2_000;

/**
 * Fills a Coder: users, templates of the echo provisioner, and workspaces of all of them, half running with an agent
 * that is connected and half stopped. A few hundred are built by Coder itself, the others are their copies.
 * @throws StackError
 */
export async function seed(options: SeedOptions): Promise<Seeds> {
  const { coder, client, workspaces, progress, signal } = options;
  const users = await createUsers(coder, signal);
  const templates: Template[] = [];
  for (let i = 1; i <= TEMPLATES; i++)
    templates.push(await createTemplate(coder, client, `bench${i}`, signal));
  const [template] = templates;
  if (template === undefined) throw new Error('There is to be at least one template');
  progress.done(`Coder has ${USERS} users and ${TEMPLATES} templates`);

  const wanted = users.flatMap((user) => templates.map((t) => ({ user, templateID: t.id })));
  const created: Workspace[] = [];
  await eachOf(wanted.slice(0, workspaces), AT_ONCE, async ({ user, templateID }, i) => {
    const name = `${PREFIX}${String(i + 1).padStart(3, '0')}`;
    created[i] = await client.createWorkspace(user, { name, template_id: templateID }, { signal });
  });
  await untilBuilt(coder, client, signal);
  // Every other one, with the first of another template for each user.
  const stopped = created.filter((_, i) => (i + Math.floor(i / TEMPLATES)) % 2 === 1);
  await eachOf(stopped, AT_ONCE, ({ id }) => client.createBuild(id, { transition: 'stop' }, { signal }));
  await untilBuilt(coder, client, signal);
  progress.done(`Coder has built ${created.length} workspaces itself`);

  // An agent that talks to nobody would be one that fails; these have connected and are heard of for years.
  await coder.sql(
    `UPDATE workspace_agents SET first_connected_at = created_at, last_connected_at = created_at + interval '9 years',
      lifecycle_state = 'ready', started_at = created_at, ready_at = created_at`,
  );
  if (workspaces > ORIGINALS) {
    await multiply((text) => coder.sql(text), { prefix: PREFIX, total: workspaces, batch: BATCH });
  }
  await check(client, workspaces, signal);
  progress.done(`Coder has ${workspaces} workspaces`);
  return { users, template };
}

async function createUsers(coder: Coder, signal: AbortSignal): Promise<readonly string[]> {
  const names = Array.from({ length: USERS }, (_, i) => `user${String(i + 1).padStart(2, '0')}`);
  await eachOf(names, AT_ONCE, async (username) => {
    const response = await fetch(`${coder.url}/api/v2/users`, {
      method: 'POST',
      headers: { 'coder-session-token': coder.adminToken, 'content-type': 'application/json' },
      body: JSON.stringify({
        username,
        email: `${username}@example.com`,
        login_type: 'none',
        organization_ids: [coder.accounts.organizationId],
      }),
      signal,
    });
    if (response.ok) return;
    throw new StackError('CODER_REFUSED', `Coder refused user ${username}: ${await response.text()}`);
  });
  return names;
}

async function createTemplate(
  coder: Coder,
  client: CoderClient,
  name: string,
  signal: AbortSignal,
): Promise<Template> {
  const { organizationId } = coder.accounts;
  const parameters = [{ name: 'size', default: 'small' }];
  const files = echoFiles({ agents: [{ name: 'main' }], parameters, note: name });
  const fileID = await client.uploadArchive(await archiveOf(files), { signal });
  const version = await client.createTemplateVersion(
    organizationId,
    { name: 'v1', file_id: fileID, provisioner: 'echo' },
    { signal },
  );
  await until(
    async () => {
      const { job } = await client.templateVersion(version.id, { signal });
      if (job.status === 'failed')
        throw new StackError('CODER_REFUSED', `Template ${name}: ${job.error ?? ''}`);
      return job.status === 'succeeded' || undefined;
    },
    { withinMs: LONGEST_WAIT_MS, signal },
  );
  return client.createTemplate(organizationId, { name, template_version_id: version.id }, { signal });
}

/** Waits until Coder has nothing to build any more. @throws StackError NOT_READY. */
export async function untilBuilt(coder: Coder, client: CoderClient, signal: AbortSignal): Promise<void> {
  const idle = await until(
    async () => {
      const query = { status: ['pending', 'running'], limit: 1, signal } as const;
      return (await client.provisionerJobs(coder.accounts.organizationId, query)).length === 0 || undefined;
    },
    { withinMs: LONGEST_WAIT_MS, everyMs: 200, signal },
  );
  if (idle === undefined) {
    throw new StackError(
      'NOT_READY',
      `Coder still builds after ${LONGEST_WAIT_MS / 1000} s, see ${coder.logFile}`,
    );
  }
}

/** The copies are of use only if Coder answers for them as for the others, and builds them. */
async function check(client: CoderClient, workspaces: number, signal: AbortSignal): Promise<void> {
  const { count } = await client.workspaces({ limit: 1, signal });
  const running = await client.workspaces({ query: 'status:running', limit: 1, signal });
  if (count === workspaces && Math.abs(running.count - workspaces / 2) <= ORIGINALS) return;
  throw new StackError(
    'CODER_REFUSED',
    `Coder counts ${count} workspaces, ${running.count} of them running, where there should be ${workspaces}.`,
  );
}

/** Does something for each of many, so many at once. */
export async function eachOf<T>(
  items: readonly T[],
  atOnce: number,
  act: (item: T, index: number) => Promise<unknown>,
): Promise<void> {
  const rest = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of rest) await act(item, index);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
}
