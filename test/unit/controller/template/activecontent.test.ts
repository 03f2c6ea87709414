import { expect } from 'chai';
import type { TemplateVersionVariable } from '../../../../src/coder/types.ts';
import { holdsContent, type ActiveContent } from '../../../../src/controller/template/activecontent.ts';
import type { FilesContent } from '../../../../src/controller/template/content.ts';

const OWN = { scope: 'organization', owner: '' };

function active(parts: Partial<ActiveContent> = {}): ActiveContent {
  return { versionID: 'v1', filesHash: 'same', tags: OWN, variables: [], ...parts };
}

function wished(parts: Partial<FilesContent> = {}): FilesContent {
  return {
    kind: 'files',
    key: 'k',
    files: undefined,
    filesHash: 'same',
    leftOut: [],
    source: undefined,
    provisioner: 'terraform',
    tags: undefined,
    variables: [],
    attempt: 1,
    versionName: 'k8s-k',
    ...parts,
  };
}

const held = (name: string, value: string, sensitive = false): TemplateVersionVariable => ({
  name,
  value,
  default_value: '',
  required: false,
  sensitive,
});
const given = (name: string, value: string, isSecret = false): FilesContent['variables'][number] => ({
  name,
  value,
  isSecret,
});

describe('holdsContent', () => {
  const table: readonly [string, Partial<ActiveContent>, Partial<FilesContent>, boolean][] = [
    ['the same files', {}, {}, true],
    ['other files', { filesHash: 'other' }, {}, false],
    ['files that Coder does not give', { filesHash: undefined }, {}, false],
    ['the same variable', { variables: [held('a', '1')] }, { variables: [given('a', '1')] }, true],
    ['another value', { variables: [held('a', '2')] }, { variables: [given('a', '1')] }, false],
    ['no such variable', { variables: [held('b', '1')] }, { variables: [given('a', '1')] }, false],
    ['a variable that is not managed', { variables: [held('b', '1')] }, {}, true],
    [
      'one of two variables',
      { variables: [held('a', '1'), held('b', '9')] },
      { variables: [given('a', '1'), given('b', '2')] },
      false,
    ],
    ['a value from a Secret', { variables: [held('a', '1')] }, { variables: [given('a', '1', true)] }, true],
    [
      'a sensitive one, whatever is shown for it',
      { variables: [held('a', '*redacted*', true)] },
      { variables: [given('a', '*redacted*')] },
      false,
    ],
    ['tags that are not managed', { tags: { ...OWN, zone: 'a' } }, {}, true],
    ['no tags but those that all have', {}, { tags: {} }, true],
    ['a tag that nobody wishes', { tags: { ...OWN, zone: 'a' } }, { tags: {} }, false],
    ['the same tag', { tags: { ...OWN, zone: 'a' } }, { tags: { zone: 'a' } }, true],
    ['another value of a tag', { tags: { ...OWN, zone: 'b' } }, { tags: { zone: 'a' } }, false],
    ['another tag', { tags: { ...OWN, region: 'a' } }, { tags: { zone: 'a' } }, false],
    ['one tag more', { tags: { ...OWN, zone: 'a', more: '1' } }, { tags: { zone: 'a' } }, false],
    ['one tag less', { tags: { ...OWN, zone: 'a' } }, { tags: { zone: 'a', more: '1' } }, false],
    ['the scope that is wished', { tags: OWN }, { tags: { scope: 'organization' } }, true],
    ['another scope', { tags: { scope: 'user', owner: 'u1' } }, { tags: { scope: 'organization' } }, false],
    ['no tag of a name that JavaScript knows', { tags: OWN }, { tags: { constructor: 'x' } }, false],
  ];
  for (const [name, is, shall, answer] of table) {
    it(`${answer ? 'takes' : 'does not take'} a version with ${name} for it`, () => {
      expect(holdsContent(active(is), wished(shall))).to.equal(answer);
    });
  }
});
