import { expect } from 'chai';
import { accessKey, accessSpec, type AccessSpec } from '../../../../src/apiserver/auth/attributes.ts';
import { parseTarget } from '../../../../src/apiserver/http/requestinfo.ts';
import type { RequestInfo, UserInfo } from '../../../../src/apiserver/http/types.ts';

const ann: UserInfo = { name: 'ann', groups: [], extra: {} };
const list = parseTarget('GET', '/apis/aggregation.coder.com/v1alpha1/coderworkspaces').info;

const spec = (info: Partial<RequestInfo> = {}, query = '', user = ann): AccessSpec =>
  accessSpec(user, { ...list, ...info }, new URLSearchParams(query));
const attributes = { group: 'aggregation.coder.com', version: 'v1alpha1', resource: 'coderworkspaces' };

describe('accessSpec', () => {
  it('asks for a resource, without what is empty', () => {
    expect(spec()).to.deep.equal({ user: 'ann', resourceAttributes: { verb: 'list', ...attributes } });
    const more = { verb: 'get', namespace: 'team', name: 'a.b.c', subresource: 'status' };
    expect(spec(more).resourceAttributes).to.deep.equal({ ...attributes, ...more });
  });

  it('asks for a path', () => {
    const info = { path: '/openapi/v2', verb: 'get', isResourceRequest: false, apiGroup: '', resource: '' };
    expect(spec(info)).to.deep.equal({
      user: 'ann',
      nonResourceAttributes: { path: '/openapi/v2', verb: 'get' },
    });
  });

  it('12. passes on all of the user', () => {
    const extra = JSON.parse(
      '{"example.com/scopes":["a, b",""],"__proto__":["x"],"50%":["y"]}',
    ) as UserInfo['extra'];
    const user = { name: 'ann', uid: '42', groups: ['a, system:masters', 'b'], extra };
    const { resourceAttributes, ...rest } = spec({}, '', user);
    expect(resourceAttributes).to.be.an('object');
    expect(JSON.stringify(rest)).to.equal(
      JSON.stringify({ user: 'ann', uid: '42', groups: user.groups, extra }),
    );
  });

  describe('selectors', () => {
    it('go along with lists and watches, as requirements', () => {
      const query =
        'fieldSelector=metadata.name%3Da%5C%2Cb,metadata.namespace!%3Dx&labelSelector=a%3D1,b!%3D2,c+in+(y,x),d+notin+(z),e,!f';
      for (const verb of ['list', 'watch']) {
        expect(spec({ verb }, query).resourceAttributes).to.deep.equal({
          verb,
          ...attributes,
          fieldSelector: {
            requirements: [
              { key: 'metadata.name', operator: 'In', values: ['a,b'] },
              { key: 'metadata.namespace', operator: 'NotIn', values: ['x'] },
            ],
          },
          labelSelector: {
            requirements: [
              { key: 'a', operator: 'In', values: ['1'] },
              { key: 'b', operator: 'NotIn', values: ['2'] },
              { key: 'c', operator: 'In', values: ['x', 'y'] },
              { key: 'd', operator: 'NotIn', values: ['z'] },
              { key: 'e', operator: 'Exists' },
              { key: 'f', operator: 'DoesNotExist' },
            ],
          },
        });
      }
    });

    it('do not go along with other verbs', () => {
      const query = 'fieldSelector=metadata.name%3Da&labelSelector=a';
      expect(spec({ verb: 'get', name: 'a' }, query).resourceAttributes).to.not.have.any.keys(
        'fieldSelector',
        'labelSelector',
      );
    });

    it('leave the question a broader one where they cannot be told', () => {
      const bare = spec();
      for (const query of [
        'labelSelector=a%3E5',
        'labelSelector=%3D%3D',
        'labelSelector=a,b=in=',
        'fieldSelector=status.phase%3Dx',
        'fieldSelector=metadata.name',
        'fieldSelector=%3Dx',
        'fieldSelector=&labelSelector=',
        'labelselector=a',
      ]) {
        expect(spec({}, query), query).to.deep.equal(bare);
      }
      const { labelSelector } = spec({}, 'labelSelector=a,b%3E5').resourceAttributes ?? {};
      expect(labelSelector?.requirements).to.deep.equal([{ key: 'a', operator: 'Exists' }]);
    });

    it('are the first ones, where they come twice', () => {
      const { labelSelector } = spec({}, 'labelSelector=a&labelSelector=b').resourceAttributes ?? {};
      expect(labelSelector?.requirements).to.deep.equal([{ key: 'a', operator: 'Exists' }]);
    });
  });
});

describe('accessKey', () => {
  const user: UserInfo = { name: 'ann', uid: '1', groups: ['a', 'b'], extra: { x: ['1'], y: ['2'] } };
  const key = (info: Partial<RequestInfo> = {}, query = '', who: UserInfo = user): string =>
    accessKey(spec(info, query, who));

  it('is the same for the same question', () => {
    expect(key({}, '', { ...user, extra: { y: ['2'], x: ['1'] } })).to.equal(key());
    expect(key({}, 'limit=5&resourceVersion=3')).to.equal(key());
  });

  it('differs with everything that the decision may depend on', () => {
    const others = [
      key({ verb: 'watch' }),
      key({ namespace: 'team' }),
      key({ name: 'team' }),
      key({ subresource: 'team' }),
      key({ resource: 'codertemplates' }),
      key({ apiGroup: 'coder.com' }),
      key({ apiVersion: 'v1' }),
      key({ isResourceRequest: false }),
      key({}, 'labelSelector=a'),
      key({}, 'fieldSelector=metadata.name%3Da'),
      key({}, '', { ...user, name: 'bob' }),
      key({}, '', { ...user, uid: '2' }),
      key({}, '', { ...user, uid: undefined }),
      key({}, '', { ...user, groups: ['a,b'] }),
      key({}, '', { ...user, groups: ['b', 'a'] }),
      key({}, '', { ...user, groups: [] }),
      key({}, '', { ...user, extra: { x: ['1', '2'] } }),
      key({}, '', { ...user, extra: { x: ['1'], y: ['2'], z: [] } }),
    ];
    expect(new Set([key(), ...others])).to.have.property('size', others.length + 1);
  });
});
