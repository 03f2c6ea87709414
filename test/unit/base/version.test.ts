import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { PROGRAM_VERSION, USER_AGENT } from '../../../src/base/version.ts';

describe('PROGRAM_VERSION', () => {
  it('is the version of package.json', () => {
    const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(text) as { readonly version: string };
    expect(PROGRAM_VERSION).to.equal(version);
    expect(USER_AGENT).to.equal(`coder-operator/${version}`);
  });
});
