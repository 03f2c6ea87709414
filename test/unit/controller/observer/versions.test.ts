import { expect } from 'chai';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { Preset, RichParameter } from '../../../../src/coder/types.ts';
import { VersionCache } from '../../../../src/controller/observer/versions.ts';

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
});
