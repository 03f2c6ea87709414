import { expect } from 'chai';
import { filesHash } from '../../../../src/coder/contenthash.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { Preset, RichParameter, TemplateVersion } from '../../../../src/coder/types.ts';
import { VersionCache } from '../../../../src/controller/observer/versions.ts';
import { tarOf } from '../../../support/archives.ts';

const PARAMETER: RichParameter = {
  name: 'cpu',
  type: 'number',
  mutable: true,
  required: false,
  default_value: '2',
  options: [],
};
const PRESET: Preset = { ID: 'p1', Name: 'large', Parameters: [{ Name: 'cpu', Value: '8' }] };

describe('VersionCache', () => {
  let asked: string[];
  let failure: CoderError | undefined;

  beforeEach(() => {
    asked = [];
    failure = undefined;
  });

  function answer<T>(what: string, value: T): Promise<T> {
    asked.push(what);
    return failure === undefined ? Promise.resolve(value) : Promise.reject(failure);
  }

  function cacheOf(capacity?: number): VersionCache {
    return new VersionCache({
      client: {
        richParameters: (id) => answer(`parameters ${id}`, [{ ...PARAMETER, name: id }]),
        presets: (id) => answer(`presets ${id}`, [PRESET]),
        templateVersion: (id) => Promise.reject(new Error(`nobody asked for ${id}`)),
        templateVersionVariables: (id) => Promise.reject(new Error(`nobody asked for ${id}`)),
        file: (id) => Promise.reject(new Error(`nobody asked for ${id}`)),
      },
      ...(capacity === undefined ? {} : { capacity }),
    });
  }

  it('asks once for each version, also when many ask at once', async () => {
    const cache = cacheOf();
    const answers = await Promise.all([
      cache.richParameters('v1'),
      cache.richParameters('v1'),
      cache.presets('v1'),
    ]);
    expect(answers).to.deep.equal([[{ ...PARAMETER, name: 'v1' }], [{ ...PARAMETER, name: 'v1' }], [PRESET]]);
    expect(await cache.richParameters('v2')).to.deep.equal([{ ...PARAMETER, name: 'v2' }]);
    await cache.presets('v1');
    expect(asked).to.deep.equal(['parameters v1', 'presets v1', 'parameters v2']);
  });

  it('takes no presets for those of a version that is still imported', async () => {
    const cache = cacheOf();
    failure = new CoderError('NotReady', 'importing');
    expect(await cache.presets('v1').catch((error: unknown) => error)).to.equal(failure);
    expect(asked).to.deep.equal(['parameters v1']);
    failure = undefined;
    expect(await cache.presets('v1')).to.deep.equal([PRESET]);
  });

  it('does not keep a failure', async () => {
    const cache = cacheOf();
    failure = new CoderError('Unreachable', 'no answer');
    const asks = [cache.richParameters('v1'), cache.richParameters('v1')];
    for (const ask of asks) expect(await ask.catch((error: unknown) => error)).to.equal(failure);
    failure = undefined;
    await cache.richParameters('v1');
    await cache.richParameters('v1');
    expect(asked).to.deep.equal(['parameters v1', 'parameters v1']);
  });

  it('forgets what was not used for longest', async () => {
    const cache = cacheOf(2);
    for (const id of ['v1', 'v2', 'v1', 'v3', 'v1', 'v2']) await cache.richParameters(id);
    expect(asked).to.deep.equal(['parameters v1', 'parameters v2', 'parameters v3', 'parameters v2']);
  });

  describe('the contents of a version', () => {
    const FILES = { 'main.tf': '# one', 'a/vpc.tf': '# two' };
    const VARIABLE = { name: 'region', value: 'eu', default_value: '', required: true, sensitive: false };
    let tar: Buffer;
    let version: TemplateVersion;
    /** What Coder refuses, by what was asked for. */
    let refused: Map<string, CoderError>;

    beforeEach(async () => {
      tar = await tarOf(FILES);
      version = {
        id: 'v1',
        name: 'one',
        created_at: '',
        job: { id: 'j1', status: 'succeeded', created_at: '', file_id: 'f1', tags: { zone: 'a' } },
      };
      refused = new Map();
    });

    function contentCache(): VersionCache {
      const told = <T>(what: string, value: () => T): Promise<T> => {
        const error = refused.get(what);
        asked.push(what);
        return error === undefined ? Promise.resolve(value()) : Promise.reject(error);
      };
      return new VersionCache({
        client: {
          richParameters: () => Promise.reject(new Error('nobody asked')),
          presets: () => Promise.reject(new Error('nobody asked')),
          templateVersion: (id) => told(`version ${id}`, () => version),
          templateVersionVariables: (id) => told(`variables ${id}`, () => [VARIABLE]),
          file: (id) => told(`file ${id}`, () => tar),
        },
      });
    }

    it('are its tags, its variables and the hash of its files', async () => {
      expect(await contentCache().contents('v1')).to.deep.equal({
        filesHash: filesHash(FILES),
        tags: { zone: 'a' },
        variables: [VARIABLE],
      });
    });

    it('are hashed without what belongs to no template, as the wished ones are', async () => {
      tar = await tarOf(
        { ...FILES, '.git/config': '#', 'terraform.tfstate': '{}' },
        { prefix: './', folders: true },
      );
      expect(await contentCache().contents('v1')).to.include({ filesHash: filesHash(FILES) });
      const other = await tarOf({ ...FILES, 'main.tf': '# other' });
      tar = other;
      expect((await contentCache().contents('v1')).filesHash).to.not.equal(filesHash(FILES));
    });

    it('are asked for once, also when many ask at once', async () => {
      const cache = contentCache();
      await Promise.all([cache.contents('v1'), cache.contents('v1')]);
      await cache.contents('v1');
      expect(asked).to.have.members(['version v1', 'file f1', 'variables v1']);
    });

    for (const kind of ['NotFound', 'Forbidden'] as const) {
      it(`count as other files when the token may not see them (${kind})`, async () => {
        refused.set('file f1', new CoderError(kind, 'hidden'));
        refused.set('variables v1', new CoderError(kind, 'hidden'));
        const contents = { filesHash: undefined, tags: { zone: 'a' }, variables: [] };
        expect(await contentCache().contents('v1')).to.deep.equal(contents);
      });
    }

    it('count as other files when Coder does not say which they are', async () => {
      version = { ...version, job: { id: 'j1', status: 'succeeded', created_at: '' } };
      expect((await contentCache().contents('v1')).filesHash).to.equal(undefined);
      expect(asked).to.not.include('file f1');
    });

    it('count as other files when no template of ours could hold them', async () => {
      const broken = [
        tar.subarray(0, 700),
        Buffer.from('PK\x03\x04 a zip'),
        await tarOf(FILES, { symlinks: { link: 'main.tf' } }),
      ];
      for (const bytes of broken) {
        tar = bytes;
        expect((await contentCache().contents('v1')).filesHash).to.equal(undefined);
      }
    });

    for (const what of ['version v1', 'file f1', 'variables v1']) {
      it(`are asked for again when Coder did not answer (${what})`, async () => {
        const cache = contentCache();
        const error = new CoderError('Unreachable', 'no answer');
        refused.set(what, error);
        expect(await cache.contents('v1').catch((e: unknown) => e)).to.equal(error);
        refused.clear();
        expect((await cache.contents('v1')).filesHash).to.equal(filesHash(FILES));
      });
    }
  });
});
