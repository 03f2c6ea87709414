import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { systemClock } from '../../src/base/clock.ts';
import { errorText } from '../../src/base/errors.ts';
import type { KubeObject } from '../../src/api/meta.ts';
import { filesHash } from '../../src/coder/contenthash.ts';
import { unpack } from '../../src/coder/unpack.ts';
import { parseExportConfig } from '../../src/config/export.ts';
import { runExport } from '../../src/export/run.ts';
import { apiserver, type ApiServer } from '../support/apiserver.ts';
import { tarOf } from '../support/archives.ts';
import { HttpTestServer } from '../support/coder-http.ts';
import { SimulatedCoder } from '../support/coder/coder.ts';
import { OWNER, STRANGER } from '../support/coder/people.ts';
import { CoderServer, SCRIPTED_TOKEN } from '../support/coder/server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const crds = join(root, 'config/crds');
const namespace = 'exported';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Exported extends KubeObject {
  readonly spec: { readonly files?: Readonly<Record<string, string>> };
}

/** Texts that a reader of YAML could spoil. */
const NASTY: Readonly<Record<string, string>> = {
  'main.tf': '\n\nresource "terraform_data" "x" {\n\tinput = "a: b # c"\n\n}\n\n\n',
  'crlf.tf': 'a\r\nb\r\n',
  'blanks.tf': '  a\n\t\tb  \n \n',
  'tabs.tf': '\ta\n\n',
  'bom.tf': '\ufeffa\nb\n',
  'marks.tf': '---\n...\n- a\n? b\n%c\n',
  y: 'yes',
  '1.0': '0x10',
  'lines.md': 'a\u2028b\u2029c\n',
  'signs/e.md': 'é 💻 "\\n" \'\n',
  'empty.tf': '',
};

describe('coder-operator export', function () {
  this.timeout(60_000);
  let api: ApiServer;
  let coder: SimulatedCoder;
  let server: CoderServer;
  let folder: string;

  before(async function () {
    this.timeout(900_000);
    api = await apiserver();
    await api.kubectl(['apply', '--server-side', '-k', crds]);
    await api.kubectl([
      'wait',
      '--for=condition=Established',
      '--timeout=30s',
      'crd',
      '-l',
      'app.kubernetes.io/part-of=coder-operator',
    ]);
    await api.kubectl(['create', 'namespace', namespace]);
  });

  beforeEach(async () => {
    coder = new SimulatedCoder(systemClock);
    server = await CoderServer.start(coder);
    folder = await mkdtemp(join(tmpdir(), 'export-'));
  });

  afterEach(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The program, begun as a person does who has the token in the environment. */
  function begin(...args: readonly string[]): {
    readonly child: ChildProcess;
    readonly ended: Promise<Ended>;
  } {
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts', 'export', ...args], {
      cwd: root,
      env: { ...process.env, CODER_URL: server.url, CODER_SESSION_TOKEN: SCRIPTED_TOKEN },
      timeout: 40_000,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, stdout, stderr }));
    });
    return { child, ended };
  }

  /** The same in this process, which takes a hundredth of the time. */
  async function run(...args: readonly string[]): Promise<Ended> {
    const env = { CODER_URL: server.url, CODER_SESSION_TOKEN: SCRIPTED_TOKEN };
    const config = parseExportConfig(['--allow-http', ...args], env);
    if (config === 'help') throw new Error('help was asked for');
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const texts = Promise.all([text(stdout), text(stderr)]);
    const world = { clock: systemClock, stdout, stderr, signal: new AbortController().signal };
    const code = await runExport(config, world).catch((error: unknown) => {
      stderr.write(errorText(error));
      return 1;
    });
    stdout.end();
    stderr.end();
    const [out, err] = await texts;
    return { code, stdout: out, stderr: err };
  }

  /** What a real API server makes of manifests, without keeping it. */
  async function taken(yaml: string): Promise<readonly Exported[]> {
    const args = ['apply', '-n', namespace, '--dry-run=server', '-o', 'json', '-f', '-'];
    const answer = JSON.parse(await api.kubectl(args, yaml)) as Exported & { readonly items?: Exported[] };
    return answer.items ?? [answer];
  }

  async function template(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    const file = coder.uploadBy(STRANGER, await tarOf(files, { folders: true }));
    const made = coder.addTemplate(name, undefined, {}, { description: 'yes', icon: '/icon/docker.png' });
    const version = coder.addVersionOf(file, { templateID: made.id });
    coder.promote(made.id, version.id);
    return made.id;
  }

  async function fill(): Promise<void> {
    const id = await template('docker', NASTY);
    const parameters = [{ name: 'cpus', default: '2' }, { name: 'motd' }];
    const withParameters = coder.addTemplate('asking', undefined, { parameters });
    const docker = coder.presentTemplates.find((t) => t.id === id);
    if (docker === undefined) throw new Error('the template is gone');
    coder.addWorkspace(OWNER.username, 'dev', docker, OWNER.id, {
      ttl_ms: 5_400_000,
      autostart_schedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
    });
    coder.addWorkspace(OWNER.username, 'asked', withParameters, OWNER.id, {
      rich_parameter_values: [{ name: 'motd', value: 'no\r\n\tway: # \u2028' }],
    });
    coder.finishBuilds('succeeded');
    coder.addWorkspace(STRANGER.username, 'busy', docker);
  }

  it('prints what a real API server takes, and kubectl reads every text as it is', async () => {
    await fill();
    const { code, stdout, stderr } = await begin('--allow-http', '--with-wishes', '--with-parameters').ended;
    expect(code, stderr).to.equal(0);
    const printed = parseAllDocuments(stdout).map((document) => document.toJS() as Exported);
    expect(printed.map(({ kind, metadata }) => `${kind ?? ''}/${metadata.name}`)).to.deep.equal([
      'CoderTemplate/acme.asking',
      'CoderTemplate/acme.docker',
      'CoderWorkspace/acme.ann.asked',
      'CoderWorkspace/acme.ann.dev',
      'CoderWorkspace/acme.bob.busy',
    ]);
    const objects = await taken(stdout);
    expect(objects.map(({ spec }) => spec)).to.deep.equal(printed.map(({ spec }) => spec));
    const fileID = coder.allVersions.find(({ name }) => name.startsWith('hand-'))?.job.file_id ?? '';
    const stored = (await unpack(await coder.file(fileID))).files;
    expect(filesHash(objects[1]?.spec.files ?? {})).to.equal(filesHash(stored));
    expect(stderr).to.contain('may be secrets').and.to.contain('Exported 2 template(s) and 3 workspace(s).');
    expect(stdout).to.contain('# running is left out: a build (start) is under way.');
    expect(server.changes).to.deep.equal([]);
  });

  it('prints the same bytes for the same state, with nothing that tells when or where', async () => {
    await fill();
    const [one, other] = [await run('--with-wishes'), await run('--with-wishes', '--quiet')];
    expect(one.stdout).to.equal(other.stdout);
    expect(other.stderr).to.equal('');
    expect(one.stdout).not.to.contain(server.url);
  });

  it('holds as much content as kubectl can apply, and no more', async () => {
    const line = '"<">\n';
    for (const [count, kept] of [
      [14_000, true],
      [14_300, false],
    ] as const) {
      await template(`large-${count}`, { 'main.tf': line.repeat(count) });
      const { stdout } = await run('--template', `large-${count}`);
      expect(stdout.includes('versionID'), String(count)).to.equal(!kept);
      expect(await taken(stdout)).to.have.length(1);
    }
  });

  it('writes a file for each object, and touches none that is the same', async () => {
    await fill();
    const first = await run('--output', folder, '--namespace', namespace);
    expect(first.code, first.stderr).to.equal(0);
    expect(first.stdout).to.equal('');
    expect(first.stderr).to.contain('5 new, 0 changed, 0 unchanged');
    expect(
      (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.yaml')).sort(),
    ).to.deep.equal([
      'templates/acme.asking.yaml',
      'templates/acme.docker.yaml',
      'workspaces/acme.ann.asked.yaml',
      'workspaces/acme.ann.dev.yaml',
      'workspaces/acme.bob.busy.yaml',
    ]);
    expect((await run('--output', folder, '--namespace', namespace)).stderr).to.contain('5 unchanged');
    const applied = await api.kubectl(['apply', '--dry-run=server', '-R', '-f', folder]);
    expect(applied.trim().split('\n')).to.have.length(5);
  });

  it('refuses to change a file unless it is forced, and tells of those that nothing is behind', async () => {
    await fill();
    await run('--output', folder);
    const file = join(folder, 'workspaces/acme.ann.dev.yaml');
    const before = await readFile(file, 'utf8');
    await writeFile(file, `${before}# mine\n`);
    await writeFile(join(folder, 'workspaces/acme.ann.gone.yaml'), before);
    const refused = await run('--output', folder);
    expect(refused.code).to.equal(1);
    expect(refused.stderr).to.contain('workspaces/acme.ann.dev.yaml').and.to.contain('--force');
    expect(await readFile(file, 'utf8')).to.contain('# mine');
    const forced = await run('--output', folder, '--force');
    expect(forced.code, forced.stderr).to.equal(0);
    expect(forced.stderr).to.contain('1 file(s)').and.to.contain('workspaces/acme.ann.gone.yaml');
    expect(await readFile(file, 'utf8')).to.equal(before);
    // What was not asked for is not missing.
    expect((await run('--output', folder, '--force', '--owner', 'bob')).stderr).not.to.contain('gone');
  });

  it('ends with 3 when something is left out, and says what', async () => {
    await fill();
    const [made] = coder.present;
    coder.forceName(made?.id ?? '', 'my_dev');
    const { code, stdout, stderr } = await run('--workspaces');
    expect(code).to.equal(3);
    expect(parseAllDocuments(stdout)).to.have.length(2);
    expect(stderr).to.contain('my_dev').and.to.contain('(1 left out)');
  });

  it('ends with 1 for a name that Coder does not have, and with 2 for wrong usage', async () => {
    const unknown = await run('--organization', 'amce');
    expect(unknown).to.deep.include({ code: 1, stdout: '' });
    expect(unknown.stderr).to.contain('no organization "amce"');
    expect(await begin('--forse').ended).to.deep.include({ code: 2, stdout: '' });
  });

  it('shows its help', async () => {
    const { code, stdout } = await begin('--help').ended;
    expect(code).to.equal(0);
    expect(stdout).to.contain('--with-wishes').and.to.contain('Exit codes');
  });

  it('asks before the token goes without TLS, and sends it to no server that is not Coder', async () => {
    const plain = await begin().ended;
    expect(plain.code).to.equal(1);
    expect(plain.stderr).to.contain('--allow-http');
    expect(server.requests).to.deep.equal([]);
    const other = await HttpTestServer.start((_, response) =>
      response.writeHead(302, { location: server.url }).end(),
    );
    try {
      const moved = await run('--url', other.url());
      expect(moved.code).to.equal(1);
      expect(moved.stderr).to.contain('redirects are not followed');
      expect(other.seen.map(({ headers }) => headers['coder-session-token'])).to.deep.equal([undefined]);
      expect(server.requests).to.deep.equal([]);
    } finally {
      await other.close();
    }
  });

  it('takes the token from a file, and never shows it', async () => {
    const file = join(folder, 'token');
    await writeFile(file, `${SCRIPTED_TOKEN}\n`);
    expect(await run('--token-file', file)).to.deep.include({ code: 0, stdout: '' });
    const wrong = 'wrongtoken-0123456789abcdefghijkl';
    await writeFile(file, wrong);
    const refused = await run('--token-file', file);
    expect(refused.code).to.equal(1);
    expect(refused.stderr).to.contain('signed out').and.not.to.contain(wrong);
    expect((await run('--token-file', join(folder, 'none'))).stderr).to.contain('The token cannot be read');
  });

  it('ends on Ctrl-C with a word, and writes nothing', async () => {
    await fill();
    const held = server.holdNext('GET', /workspaces$/);
    const { child, ended } = begin('--allow-http', '--output', folder);
    // One that ends before it asks is told below.
    await Promise.race([held.arrived, ended]);
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    held.release();
    expect(code).to.equal(1);
    expect(stderr).to.contain('stopped by SIGINT; nothing was written');
    expect(await readdir(folder)).to.deep.equal([]);
  });
});
