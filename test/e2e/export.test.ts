import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import type { CoderTemplateSpec, CoderWorkspaceSpec } from '../../src/api/generated.ts';
import type { CreateTemplateVersionRequest, Template, Workspace } from '../../src/coder/types.ts';
import { tarOf } from '../support/archives.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { coderWrites, isReady, SMALL, Tenant } from '../support/tenant.ts';
import { PARAMETERS } from '../support/terraform.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Printed {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: CoderTemplateSpec & CoderWorkspaceSpec;
}

describe('an export of Coder', function () {
  this.timeout(120_000);
  let tenant: Tenant;
  let made: readonly Template[] = [];
  let workspaces: readonly Workspace[] = [];

  /** A text that is easily spoiled on its way through YAML, a tar that is not ours, and what no file of ours shows. */
  const FILES = {
    ...SMALL,
    'modules/net/main.tf': '\n\n# none yet\r\n\tlocals {}\n\n\n',
    '.hidden': 'x\n',
    'variables.tf':
      'variable "size" {\n  default = "s"\n}\nvariable "token" {\n  default   = "none"\n  sensitive = true\n}\n',
  };

  async function template(
    name: string,
    files: Readonly<Record<string, string | Uint8Array>>,
    parts: Partial<CreateTemplateVersionRequest> = {},
    settings: object = {},
  ): Promise<Template> {
    const { coder, stack } = tenant;
    const organization = stack.coder.accounts.organizationId;
    const version = await coder.createTemplateVersion(organization, {
      name: 'by-hand',
      file_id: await coder.uploadArchive(await tarOf(files, { prefix: './', folders: true })),
      provisioner: 'terraform',
      ...parts,
    });
    await tenant.untilCoder(
      () => coder.templateVersion(version.id),
      ({ job }) => job.status === 'succeeded',
      60_000,
    );
    const created = await coder.createTemplate(organization, {
      name,
      template_version_id: version.id,
      ...settings,
    });
    made = [...made, created];
    return created;
  }

  async function workspace(name: string, of: Template, parts: object = {}): Promise<Workspace> {
    const created = await tenant.coder.createWorkspace(tenant.owner, { name, template_id: of.id, ...parts });
    workspaces = [...workspaces, created];
    return untilBuilt(created.id);
  }

  function untilBuilt(id: string): Promise<Workspace> {
    return tenant.untilCoder(
      () => tenant.coder.workspace(id),
      ({ latest_build: { job } }) => job.status === 'succeeded' || job.status === 'failed',
      60_000,
    );
  }

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    const { tag, coder } = tenant;
    const plain = await template(
      `${tag}a`,
      FILES,
      {
        user_variable_values: [
          { name: 'size', value: 'xl' },
          { name: 'token', value: 'hush' },
        ],
      },
      { description: 'made by hand: #1', default_ttl_ms: 7_200_000, icon: '/icon/docker.png' },
    );
    // Not to be shown as text.
    await template(`${tag}b`, { ...SMALL, 'logo.png': Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x00, 0xff]) });
    const asking = await template(`${tag}c`, PARAMETERS);
    await workspace(`${tag}r`, plain, {
      ttl_ms: 5_400_000,
      autostart_schedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
      automatic_updates: 'always',
    });
    const stopped = await workspace(`${tag}s`, plain);
    await coder.createBuild(stopped.id, { transition: 'stop' });
    await untilBuilt(stopped.id);
    await workspace(`${tag}p`, asking, {
      rich_parameter_values: [
        { name: 'region', value: 'us' },
        { name: 'cpus', value: '4' },
        { name: 'disk', value: '20' },
        { name: 'password', value: 'correct: horse #1' },
      ],
    });
    await tenant.apply(tenant.credentials(), tenant.controlPlane());
    await tenant.untilControlPlane(isReady);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    const known = tenant as Tenant | undefined;
    if (known === undefined) return;
    for (const { id } of workspaces) await known.coder.createBuild(id, { transition: 'delete' });
    await known.untilCoder(
      async () => (await known.coder.workspaces()).workspaces,
      (present) => !present.some(({ id }) => workspaces.some((w) => w.id === id)),
      60_000,
    );
    await known.destroy();
    for (const { id } of made) await known.asAdmin('DELETE', `/templates/${id}`);
  });

  /** The program as a person runs it, for what this test has made. */
  async function exported(...args: readonly string[]): Promise<string> {
    const only = made.flatMap(({ name }) => ['--template', name]);
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'src/main.ts', 'export', '--allow-http', ...only, ...args],
      {
        cwd: root,
        env: {
          ...process.env,
          CODER_URL: tenant.stack.coder.url,
          CODER_SESSION_TOKEN: tenant.stack.coder.operatorToken,
        },
        timeout: 60_000,
      },
    );
    const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code, await stderr).to.equal(0);
    return stdout;
  }

  /** All of it that somebody could have changed. */
  async function state(): Promise<unknown> {
    const { coder } = tenant;
    return {
      templates: await Promise.all(
        made.map(async ({ id }) => {
          const now = (await tenant.asAdmin('GET', `/templates/${id}`)) as Record<string, unknown>;
          // Coder counts these by itself.
          const counted = ['active_user_count', 'build_time_stats'];
          const rest = Object.entries(now).filter(([field]) => !counted.includes(field));
          return { ...Object.fromEntries(rest), versions: await tenant.versions(id) };
        }),
      ),
      workspaces: await Promise.all(
        workspaces.map(async ({ id }) => {
          const now = await coder.workspace(id);
          const { ttl_ms, autostart_schedule, automatic_updates, latest_build, template_id } = now;
          return {
            ...{ id, ttl_ms, autostart_schedule, automatic_updates, template_id },
            builds: (await coder.builds(id)).map((build) => build.id),
            deadline: latest_build.deadline,
          };
        }),
      ),
    };
  }

  async function readyAndAdopted(): Promise<void> {
    for (const { name, id } of made) {
      const ready = await tenant.untilTemplate(
        (t) => isReady(t) && t.status?.origin === 'Adopted',
        30_000,
        name,
      );
      expect(ready.status?.id).to.equal(id);
    }
    for (const { name, id } of workspaces) {
      const ready = await tenant.untilWorkspace(
        (w) => isReady(w) && w.status?.origin === 'Adopted',
        30_000,
        name,
      );
      expect(ready.status?.id).to.equal(id);
    }
  }

  const apply = (yaml: string): Promise<string> =>
    tenant.stack.kubernetes.kubectl(['-n', tenant.namespace, 'apply', '-f', '-'], { input: yaml });

  it('takes over everything and changes nothing in Coder, plain', async () => {
    const [before, writes] = [await state(), await coderWrites()];
    const yaml = await exported();
    const objects = parseAllDocuments(yaml).map((document) => document.toJS() as Printed);
    expect(objects).to.have.length(6);
    const [plain, binary] = objects;
    const shown = Object.entries(FILES).filter(([path]) => path !== '.hidden');
    expect(plain?.spec).to.deep.equal({ files: Object.fromEntries(shown) });
    expect(binary?.spec).to.deep.equal({ versionID: made[1]?.active_version_id });
    expect(yaml).not.to.contain('hush').and.not.to.contain('horse');
    await apply(yaml);
    await readyAndAdopted();
    expect(await coderWrites()).to.deep.equal(writes);
    expect(await state()).to.deep.equal(before);
  });

  it('changes nothing either with all that can be wished', async () => {
    const [before, writes] = [await state(), await coderWrites()];
    const ALL = ['--with-wishes', '--with-parameters', '--namespace', tenant.namespace];
    const yaml = await exported(...ALL);
    const objects = parseAllDocuments(yaml).map((document) => document.toJS() as Printed);
    const named = (suffix: string): Printed['spec'] | undefined =>
      objects.find(({ metadata }) => metadata.name.endsWith(`.${tenant.tag}${suffix}`))?.spec;
    expect(named('a')).to.include({ description: 'made by hand: #1', defaultTTLMillis: 7_200_000 });
    expect(named('r')).to.include({ running: true, ttlMillis: 5_400_000, automaticUpdates: 'Always' });
    expect(named('s')).to.include({ running: false });
    expect(named('p')?.parameters).to.deep.include({ name: 'password', value: 'correct: horse #1' });
    await apply(yaml);
    await readyAndAdopted();
    await tenant.untilLookedAgain();
    await readyAndAdopted();
    expect(await coderWrites()).to.deep.equal(writes);
    expect(await state()).to.deep.equal(before);
    expect(await exported(...ALL, '--quiet'), 'nor does it change the export').to.equal(yaml);
  });
});
