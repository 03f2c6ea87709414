import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { OperatorError } from '../../../src/base/errors.ts';
import { strangersIn, writeFolder } from '../../../src/export/folder.ts';
import { manifestOf, type Exported } from '../../../src/export/manifest.ts';
import { printManifest } from '../../../src/export/yaml.ts';

const BOTH = new Set(['CoderTemplate', 'CoderWorkspace'] as const);

const workspace = (name: string, templateName = 'docker'): Exported => ({
  manifest: manifestOf('CoderWorkspace', name, undefined, { templateName }),
  notes: [],
});
const template = (name: string): Exported => ({
  manifest: manifestOf('CoderTemplate', name, undefined, { files: { 'main.tf': '# x\n' } }),
  notes: ['a note'],
});

describe('the folder of an export', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'export-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const write = (
    objects: readonly Exported[],
    options: { readonly force?: boolean; readonly signal?: AbortSignal; readonly into?: string } = {},
  ): ReturnType<typeof writeFolder> => {
    const { force = false, signal = new AbortController().signal, into = folder } = options;
    return writeFolder({ folder: into, objects, force, signal });
  };
  const refusal = async (...args: Parameters<typeof write>): Promise<OperatorError> => {
    const error = await write(...args).catch((e: unknown) => e);
    if (!(error instanceof OperatorError)) throw new Error(`not refused: ${String(error)}`);
    return error;
  };
  const all = async (): Promise<readonly string[]> =>
    (await readdir(folder, { recursive: true })).filter((path) => path.includes('.')).sort();
  const content = (path: string): Promise<string> => readFile(join(folder, path), 'utf8');

  it('gets a file for each object', async () => {
    const objects = [template('acme.docker'), workspace('acme.ann.dev')];
    expect(await write(objects)).to.deep.equal({ added: 2, changed: 0, unchanged: 0 });
    expect(await all()).to.deep.equal(['templates/acme.docker.yaml', 'workspaces/acme.ann.dev.yaml']);
    expect(await content('templates/acme.docker.yaml')).to.equal(printManifest(template('acme.docker')));
  });

  it('is made when it is not there', async () => {
    await write([workspace('acme.ann.dev')], { into: join(folder, 'a/b') });
    expect(await content('a/b/workspaces/acme.ann.dev.yaml')).to.contain('CoderWorkspace');
  });

  it('is left alone by the same export once more', async () => {
    await write([workspace('acme.ann.dev')]);
    const before = await stat(join(folder, 'workspaces/acme.ann.dev.yaml'));
    expect(await write([workspace('acme.ann.dev')])).to.deep.equal({ added: 0, changed: 0, unchanged: 1 });
    const after = await stat(join(folder, 'workspaces/acme.ann.dev.yaml'));
    expect([after.ino, after.mtimeMs]).to.deep.equal([before.ino, before.mtimeMs]);
  });

  it('is not touched at all where a file would change, unless that is forced', async () => {
    await write([workspace('acme.ann.dev')]);
    const next = [workspace('acme.ann.dev', 'k8s'), workspace('acme.bob.dev')];
    const error = await refusal(next);
    expect(error.code).to.equal('FILES_DIFFER');
    expect(error.message).to.contain('workspaces/acme.ann.dev.yaml').and.to.contain('--force');
    expect(await all()).to.deep.equal(['workspaces/acme.ann.dev.yaml']);
    expect(await content('workspaces/acme.ann.dev.yaml')).to.contain('docker');
    expect(await write(next, { force: true })).to.deep.equal({ added: 1, changed: 1, unchanged: 0 });
    expect(await content('workspaces/acme.ann.dev.yaml')).to.contain('k8s');
  });

  it('is never left through a link', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'elsewhere-'));
    try {
      await symlink(elsewhere, join(folder, 'workspaces'));
      expect((await refusal([workspace('acme.ann.dev')], { force: true })).code).to.equal('NOT_OURS');
      await rm(join(folder, 'workspaces'));
      await mkdir(join(folder, 'workspaces'));
      await writeFile(join(elsewhere, 'mine'), 'mine');
      await symlink(join(elsewhere, 'mine'), join(folder, 'workspaces/acme.ann.dev.yaml'));
      expect((await refusal([workspace('acme.ann.dev')], { force: true })).code).to.equal('NOT_OURS');
      expect(await readdir(elsewhere)).to.deep.equal(['mine']);
      expect(await readFile(join(elsewhere, 'mine'), 'utf8')).to.equal('mine');
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  it('holds whole files only when it is stopped', async () => {
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    const error = await write([workspace('acme.ann.dev')], { signal: stop.signal }).catch((e: unknown) => e);
    expect(error).to.have.property('message', 'stopped');
    expect(await all()).to.deep.equal([]);
  });

  it('leaves nothing behind when a file cannot be written', async () => {
    await mkdir(join(folder, 'workspaces/acme.ann.dev.yaml'), { recursive: true });
    expect((await refusal([workspace('acme.ann.dev')])).code).to.equal('NOT_OURS');
    expect(await readdir(join(folder, 'workspaces'))).to.deep.equal(['acme.ann.dev.yaml']);
  });

  it('tells files of objects that are not there any more', async () => {
    await write([template('acme.docker'), workspace('acme.ann.dev'), workspace('acme.bob.old')]);
    await writeFile(join(folder, 'workspaces/README.md'), '');
    const found = await strangersIn(folder, [workspace('acme.ann.dev')], BOTH);
    expect(found).to.deep.equal([
      { kind: 'CoderTemplate', name: 'acme.docker', path: 'templates/acme.docker.yaml' },
      { kind: 'CoderWorkspace', name: 'acme.bob.old', path: 'workspaces/acme.bob.old.yaml' },
    ]);
    const workspaces = await strangersIn(folder, [], new Set(['CoderWorkspace'] as const));
    expect(workspaces.map(({ name }) => name)).to.deep.equal(['acme.ann.dev', 'acme.bob.old']);
  });
});
