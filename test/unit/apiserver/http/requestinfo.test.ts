import { expect } from 'chai';
import fc from 'fast-check';
import { isTrue, parseTarget } from '../../../../src/apiserver/http/requestinfo.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { GROUP_PATH, WORKSPACES } from '../../../support/apiserver-http.ts';

/** What matters of it on one line: verb, group/version, namespace/resource/name/subresource. */
function line(method: string, target: string): string {
  const { info } = parseTarget(method, target);
  if (!info.isResourceRequest) return `${info.verb} ${info.path}`;
  const { verb, apiGroup, apiVersion, namespace, resource, name, subresource } = info;
  return `${verb} ${apiGroup}/${apiVersion} ${[namespace, resource, name, subresource].join('/')}`;
}

const IN_A = `${GROUP_PATH}/namespaces/a`;
const GV = 'aggregation.coder.com/v1alpha1';

describe('parseTarget', () => {
  const table: readonly (readonly [string, string, string])[] = [
    ['GET', '/', 'get /'],
    ['GET', '/apis', 'get /apis'],
    ['GET', '/apis/', 'get /apis/'],
    ['GET', GROUP_PATH, `get ${GROUP_PATH}`],
    ['GET', `${GROUP_PATH}/`, `get ${GROUP_PATH}/`],
    ['GET', '/api', 'get /api'],
    ['GET', '/api/v1', 'get /api/v1'],
    ['POST', '/openapi/v2', 'post /openapi/v2'],
    ['HEAD', '/version', 'head /version'],
    ['GET', '/openapi/v3/apis/g/v?hash=1', 'get /openapi/v3/apis/g/v'],
    ['GET', '/api/v1/pods', 'list /v1 /pods//'],
    ['GET', '/api/v1/namespaces/a/pods/b/log', 'get /v1 a/pods/b/log'],

    ['GET', WORKSPACES, `list ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}/`, `list ${GV} /coderworkspaces//`],
    ['GET', `${IN_A}/coderworkspaces`, `list ${GV} a/coderworkspaces//`],
    ['GET', `${IN_A}/coderworkspaces/o.u.w`, `get ${GV} a/coderworkspaces/o.u.w/`],
    ['HEAD', `${IN_A}/coderworkspaces/o.u.w`, `get ${GV} a/coderworkspaces/o.u.w/`],
    ['HEAD', WORKSPACES, `list ${GV} /coderworkspaces//`],
    ['GET', `${IN_A}/coderworkspaces/w/status`, `get ${GV} a/coderworkspaces/w/status`],
    ['GET', `${IN_A}/coderworkspaces/w/status/more`, `get ${GV} a/coderworkspaces/w/status`],
    ['GET', `${GROUP_PATH}/namespaces`, `list ${GV} /namespaces//`],
    ['GET', IN_A, `get ${GV} a/namespaces/a/`],
    ['GET', `${IN_A}/status`, `get ${GV} a/namespaces/a/status`],
    ['GET', `${IN_A}/finalize`, `get ${GV} a/namespaces/a/finalize`],

    ['POST', `${IN_A}/coderworkspaces`, `create ${GV} a/coderworkspaces//`],
    ['PUT', `${IN_A}/coderworkspaces/w`, `update ${GV} a/coderworkspaces/w/`],
    ['PATCH', `${IN_A}/coderworkspaces/w`, `patch ${GV} a/coderworkspaces/w/`],
    ['DELETE', `${IN_A}/coderworkspaces/w`, `delete ${GV} a/coderworkspaces/w/`],
    ['DELETE', `${IN_A}/coderworkspaces`, `deletecollection ${GV} a/coderworkspaces//`],
    ['OPTIONS', WORKSPACES, `options ${GV} /coderworkspaces//`],

    ['GET', `${WORKSPACES}?watch=1`, `watch ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?watch=true`, `watch ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?watch`, `watch ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?watch=anything`, `watch ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?watch=0`, `list ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?watch=False`, `list ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?watch=false&watch=1`, `list ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?limit=x&watch=1`, `watch ${GV} /coderworkspaces//`],
    ['GET', `${IN_A}/coderworkspaces/w?watch=1`, `get ${GV} a/coderworkspaces/w/`],

    ['GET', `${WORKSPACES}?fieldSelector=metadata.name%3Dw`, `list ${GV} /coderworkspaces/w/`],
    ['GET', `${WORKSPACES}?fieldSelector=metadata.name==w&watch=1`, `watch ${GV} /coderworkspaces/w/`],
    [
      'GET',
      `${WORKSPACES}?fieldSelector=metadata.namespace%3Da,metadata.name%3Dw`,
      `list ${GV} /coderworkspaces/w/`,
    ],
    ['GET', `${WORKSPACES}?fieldSelector=metadata.name!%3Dw`, `list ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?fieldSelector=metadata.name%3Da%2Fb`, `list ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?fieldSelector=metadata.name%3D..`, `list ${GV} /coderworkspaces//`],
    ['GET', `${WORKSPACES}?fieldSelector=nonsense`, `list ${GV} /coderworkspaces//`],
    ['GET', `${IN_A}/coderworkspaces/w?fieldSelector=metadata.name%3Dx`, `get ${GV} a/coderworkspaces/w/`],
    ['POST', `${WORKSPACES}?fieldSelector=metadata.name%3Dw`, `create ${GV} /coderworkspaces//`],

    ['GET', `${GROUP_PATH}/watch/coderworkspaces`, `get ${GV} /watch/coderworkspaces/`],
    ['GET', `${GROUP_PATH}/watch/namespaces/a/coderworkspaces/w`, `get ${GV} /watch/namespaces/a`],

    ['GET', `${GROUP_PATH}/namespaces/%61/coderworkspaces/o%2Eu%2ew`, `get ${GV} a/coderworkspaces/o.u.w/`],
    ['GET', `https://10.0.0.1:6443${WORKSPACES}?watch=1`, `watch ${GV} /coderworkspaces//`],
    ['GET', 'https://10.0.0.1', 'get /'],
    ['GET', 'https://10.0.0.1?x=1', 'get /'],
  ];
  for (const [method, target, expected] of table) {
    it(`reads ${method} ${target}`, () => {
      expect(line(method, target)).to.equal(expected);
    });
  }

  it('keeps the path as it came', () => {
    const { info, query } = parseTarget('GET', '/apis/g/v/n%61me?a=1&a=2');
    expect(info.path).to.equal('/apis/g/v/n%61me');
    expect(info.resource).to.equal('name');
    expect(query.getAll('a')).to.deep.equal(['1', '2']);
  });

  for (const target of [
    `${IN_A}/coderworkspaces/a%2Fb`,
    `${IN_A}/coderworkspaces/a%252Fb`,
    `${IN_A}/coderworkspaces/..`,
    `${IN_A}/coderworkspaces/%2e%2E`,
    `${IN_A}/../b/coderworkspaces`,
    `${GROUP_PATH}/namespaces//coderworkspaces`,
    `${GROUP_PATH}//coderworkspaces`,
    '/apis/./x',
    '//apis',
    `${IN_A}/coderworkspaces/%00`,
    `${IN_A}/coderworkspaces/a%0ab`,
    `${IN_A}/coderworkspaces/%zz`,
    `${IN_A}/coderworkspaces/%ff`,
    '/livez/%2',
    '*',
    'livez',
    '',
  ]) {
    it(`refuses ${target === '' ? 'nothing at all' : target}`, () => {
      expect(() => parseTarget('GET', target))
        .to.throw(StatusError)
        .with.property('httpCode', 400);
    });
  }

  it('never lets a name hold what divides paths, whatever the target', () => {
    const piece = fc.constantFrom(
      'apis',
      'g',
      'v',
      'namespaces',
      'a',
      '/',
      '%2f',
      '%2F',
      '..',
      '%2e',
      '%25',
      '?',
      '=',
      '%',
      '\\',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
        const target = `/apis/${pieces.join('')}`;
        try {
          const { info } = parseTarget('GET', target);
          for (const part of [info.namespace, info.resource, info.name, info.subresource]) {
            expect(part).to.not.match(/[/%]/);
            expect(part).to.not.be.oneOf(['.', '..']);
          }
        } catch (error) {
          expect(error).to.be.instanceOf(StatusError);
        }
      }),
    );
  });
});

describe('isTrue', () => {
  it('takes everything for true but absence, 0 and false', () => {
    for (const text of ['1', 'true', '', 'no', '00']) expect(isTrue(text)).to.equal(true);
    for (const text of ['0', 'false', 'FALSE', null]) expect(isTrue(text)).to.equal(false);
  });
});
