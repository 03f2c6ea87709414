import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cacheFolder, cacheKey } from '../../../../hack/stack/cache.ts';

describe('the cache of built programs', () => {
  it('gives the same key for the same texts and another for any change', () => {
    const key = cacheKey(['module a', 'sum', 'flags']);
    expect(cacheKey(['module a', 'sum', 'flags'])).to.equal(key);
    expect(cacheKey(['module b', 'sum', 'flags'])).to.not.equal(key);
    expect(cacheKey(['module a', 'sum', 'other flags'])).to.not.equal(key);
  });

  it('counts where one text ends and the next begins', () => {
    expect(cacheKey(['ab', 'c'])).to.not.equal(cacheKey(['a', 'bc']));
    expect(cacheKey(['ab'])).to.not.equal(cacheKey(['ab', '']));
  });

  it('makes keys that are file names', () => {
    expect(cacheKey(['../x'])).to.match(/^[0-9a-f]{16}$/);
  });

  it('lies where XDG_CACHE_HOME says, but only when that is absolute', () => {
    const usual = join(homedir(), '.cache', 'coder-operator');
    expect(cacheFolder('/var/cache/me')).to.equal('/var/cache/me/coder-operator');
    expect(cacheFolder(undefined)).to.equal(usual);
    expect(cacheFolder('relative')).to.equal(usual);
    expect(cacheFolder('')).to.equal(usual);
  });
});
