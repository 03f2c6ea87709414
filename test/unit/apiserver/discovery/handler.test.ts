import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { DiscoveryHandler } from '../../../../src/apiserver/discovery/handler.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import type { ApiRequest, WholeAnswer } from '../../../../src/apiserver/http/types.ts';
import { PROGRAM_VERSION } from '../../../../src/base/version.ts';

const GROUP = 'aggregation.coder.com';
const V2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const V2_BETA = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const handler = new DiscoveryHandler();

interface Asked {
  readonly method?: string;
  readonly accept?: string;
  readonly ifNoneMatch?: string;
}

function requestOf(target: string, { method = 'GET', accept, ifNoneMatch }: Asked = {}): ApiRequest {
  const [path = '', search = ''] = target.split('?');
  return {
    method,
    info: {
      path,
      verb: method.toLowerCase(),
      isResourceRequest: false,
      apiGroup: '',
      apiVersion: '',
      resource: '',
      subresource: '',
      namespace: '',
      name: '',
    },
    query: new URLSearchParams(search),
    accept,
    ifNoneMatch,
    userAgent: undefined,
    signal: new AbortController().signal,
  };
}

function ask(target: string, asked?: Asked): Promise<WholeAnswer> {
  return handler.handle(requestOf(target, asked));
}

const bytesOf = ({ body }: WholeAnswer): Buffer => Buffer.concat([...body.pieces]);

async function read(target: string, asked?: Asked): Promise<unknown> {
  const answer = await ask(target, asked);
  expect(answer.code).to.equal(200);
  expect(bytesOf(answer).byteLength).to.equal(answer.body.bytes);
  return JSON.parse(bytesOf(answer).toString()) as unknown;
}

async function refusal(target: string, asked?: Asked): Promise<StatusError> {
  const error: unknown = await ask(target, asked).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(StatusError);
  return error as StatusError;
}

const verbs = ['get', 'list', 'watch'];
const version = { groupVersion: `${GROUP}/v1alpha1`, version: 'v1alpha1' };
const group = { name: GROUP, versions: [version], preferredVersion: version };

describe('discovery', () => {
  it('17. /apis is a list of groups for those who want no more', async () => {
    const list = { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] };
    expect(await read('/apis')).to.deep.equal(list);
    expect(await read('/apis/', { accept: 'application/json' })).to.deep.equal(list);
    const { contentType } = await ask('/apis');
    expect(contentType ?? 'application/json').to.equal('application/json');
  });

  it('18. /apis in the aggregated form says all at once: verbs, scope, singular and kind', async () => {
    const resource = (plural: string, singularResource: string, kind: string): object => ({
      resource: plural,
      responseKind: { group: GROUP, version: 'v1alpha1', kind },
      scope: 'Namespaced',
      singularResource,
      verbs,
    });
    expect(await read('/apis', { accept: `${V2},${V2_BETA}` })).to.deep.equal({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
      metadata: {},
      items: [
        {
          metadata: { name: GROUP },
          versions: [
            {
              version: 'v1alpha1',
              resources: [
                resource('codertemplates', 'codertemplate', 'CoderTemplate'),
                resource('coderworkspaces', 'coderworkspace', 'CoderWorkspace'),
              ],
              freshness: 'Current',
            },
          ],
        },
      ],
    });
  });

  it('17. says in the Content-Type that it is the aggregated form, and lets it be kept', async () => {
    const { contentType, headers } = await ask('/apis', { accept: V2 });
    const [type, ...params] = (contentType ?? '').split(';');
    expect(type).to.equal('application/json');
    expect(params).to.have.members(['g=apidiscovery.k8s.io', 'v=v2', 'as=APIGroupDiscoveryList']);
    expect(headers).to.include({ vary: 'Accept', 'cache-control': 'public' });
  });

  const forms: readonly [accept: string | undefined, isAggregated: boolean][] = [
    [undefined, false],
    ['*/*', false],
    ['application/json', false],
    [`${V2},${V2_BETA},application/json`, true],
    ['application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io', true],
    [`${V2};profile=nopeer,${V2}`, true],
    [`application/json;q=0.5,${V2}`, true],
    [`application/json,${V2};q=0.5`, false],
    [`${V2_BETA},application/json`, false],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', false],
    ['application/json;as=Nothing,application/json', false],
    [`${PROTOBUF},application/json`, false],
    [`${PROTOBUF};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,${V2}`, true],
  ];
  for (const [accept, isAggregated] of forms) {
    it(`17. answers ${accept ?? 'no Accept'} with the ${isAggregated ? 'aggregated' : 'plain'} form`, async () => {
      const kind = isAggregated ? 'APIGroupDiscoveryList' : 'APIGroupList';
      const asked = accept === undefined ? {} : { accept };
      expect(await read('/apis', asked)).to.include({ kind });
    });
  }

  it('refuses to whom no form of JSON is right', async () => {
    const only = [PROTOBUF, 'application/cbor', V2_BETA, 'application/json;as=Nothing', 'text/html'];
    for (const accept of only) {
      expect((await refusal('/apis', { accept })).httpCode, accept).to.equal(406);
    }
    for (const path of [
      `/apis/${GROUP}`,
      `/apis/${GROUP}/v1alpha1`,
      '/openapi/v2',
      '/openapi/v3',
      '/version',
    ]) {
      expect((await refusal(path, { accept: PROTOBUF })).httpCode, path).to.equal(406);
    }
  });

  it('24. /apis/GROUP tells its versions', async () => {
    expect(await read(`/apis/${GROUP}`)).to.deep.equal({ kind: 'APIGroup', apiVersion: 'v1', ...group });
  });

  it('18. /apis/GROUP/VERSION tells the resources, without short names and categories', async () => {
    const resource = (name: string, singularName: string, kind: string): object => ({
      name,
      singularName,
      namespaced: true,
      kind,
      verbs,
    });
    expect(await read(`/apis/${GROUP}/v1alpha1`)).to.deep.equal({
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: `${GROUP}/v1alpha1`,
      resources: [
        resource('codertemplates', 'codertemplate', 'CoderTemplate'),
        resource('coderworkspaces', 'coderworkspace', 'CoderWorkspace'),
      ],
    });
  });

  it('24. /version tells that of this program, with every field that clients expect', async () => {
    const said = (await read('/version')) as Record<string, string>;
    expect(said.gitVersion).to.equal(`v${PROGRAM_VERSION}`);
    expect(`${said.major}.${said.minor}`).to.equal(PROGRAM_VERSION.replace(/\.\d+$/, ''));
    expect(said).to.have.all.keys(
      'buildDate',
      'compiler',
      'gitCommit',
      'gitTreeState',
      'gitVersion',
      'goVersion',
      'major',
      'minor',
      'platform',
    );
  });

  it('24. everything else is a 404 Status', async () => {
    const unknown = [
      '/',
      '/api',
      '/api/v1',
      '/apis/other.example.com',
      `/apis/${GROUP}/v1`,
      `/apis/${GROUP}/v1alpha1/x/y`,
      '/openapi',
      '/openapi/v3/apis',
      '/openapi/v3/apis/other.example.com/v1',
      '/swagger.json',
      '/apis//',
      '//apis',
      '/APIS',
      '/constructor',
    ];
    for (const path of unknown) {
      const error = await refusal(path);
      expect(error.toStatus(), path).to.include({ kind: 'Status', code: 404, reason: 'NotFound' });
    }
  });

  it('only reads', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const error = await refusal('/apis', { method });
      expect(error.httpCode, method).to.equal(405);
      expect(error.options.headers).to.deep.equal({ allow: 'GET, HEAD' });
    }
    expect((await ask('/apis', { method: 'HEAD' })).code).to.equal(200);
  });
});

describe('documents that a client has already', () => {
  const paths = [
    '/apis',
    `/apis/${GROUP}`,
    `/apis/${GROUP}/v1alpha1`,
    '/openapi/v2',
    '/openapi/v3',
    `/openapi/v3/apis/${GROUP}/v1alpha1`,
    '/version',
  ];
  const etagOf = ({ headers }: WholeAnswer): string => headers!.etag as string;

  for (const path of paths) {
    it(`17. ${path} is not sent twice`, async () => {
      const first = await ask(path);
      const etag = etagOf(first);
      expect(etag).to.match(/^"[0-9A-F]{128}"$/);
      for (const ifNoneMatch of [etag, `"other", ${etag}`, `W/${etag}`, '*']) {
        const again = await ask(path, { ifNoneMatch });
        expect(again.code, ifNoneMatch).to.equal(304);
        expect(again.body.bytes).to.equal(0);
        expect(bytesOf(again)).to.have.length(0);
        expect(again.headers).to.deep.equal(first.headers);
      }
      for (const ifNoneMatch of ['"other"', etag.slice(1, -1), '']) {
        expect((await ask(path, { ifNoneMatch })).code, ifNoneMatch).to.equal(200);
      }
      // Every replica has the same.
      expect(etagOf(await new DiscoveryHandler().handle(requestOf(path)))).to.equal(etag);
    });
  }

  it('17. both forms of /apis are told apart by their tags', async () => {
    const [plain, aggregated] = [await ask('/apis'), await ask('/apis', { accept: V2 })];
    expect(etagOf(plain)).to.not.equal(etagOf(aggregated));
    expect((await ask('/apis', { accept: V2, ifNoneMatch: etagOf(aggregated) })).code).to.equal(304);
    expect((await ask('/apis', { accept: V2, ifNoneMatch: etagOf(plain) })).code).to.equal(200);
    for (const { headers } of [plain, aggregated]) expect(headers).to.include({ vary: 'Accept' });
  });
});

describe('OpenAPI', () => {
  const PATH = `/openapi/v3/apis/${GROUP}/v1alpha1`;
  interface Root {
    readonly paths: Readonly<Record<string, { readonly serverRelativeURL: string }>>;
  }
  const address = async (): Promise<string> => {
    const { paths } = (await read('/openapi/v3')) as Root;
    return paths[`apis/${GROUP}/v1alpha1`]!.serverRelativeURL;
  };

  it('21. /openapi/v2 is there for who takes JSON', async () => {
    expect(await read('/openapi/v2', { accept: 'application/json' })).to.include({ swagger: '2.0' });
  });

  it('22. /openapi/v3 tells our one path and no other', async () => {
    const root = (await read('/openapi/v3')) as Root;
    expect(Object.keys(root)).to.deep.equal(['paths']);
    expect(Object.keys(root.paths)).to.deep.equal([`apis/${GROUP}/v1alpha1`]);
    expect(await address()).to.match(new RegExp(`^${PATH}\\?hash=[0-9A-F]{128}$`));
  });

  it('22. the hash is that of the document, which may be kept for ever under it', async () => {
    const url = await address();
    const answer = await ask(url);
    const hash = createHash('sha512').update(bytesOf(answer)).digest('hex').toUpperCase();
    expect(url).to.equal(`${PATH}?hash=${hash}`);
    expect(answer.headers).to.include({ etag: `"${hash}"`, vary: 'Accept' });
    expect(answer.headers!['cache-control']).to.match(/^public, immutable, max-age=\d{8}$/);
    expect(await read(url)).to.include({ openapi: '3.0.0' });
  });

  it('22. an old hash, or none, gets the document of today, not to be kept under it', async () => {
    const current = bytesOf(await ask(await address()));
    for (const target of [PATH, `${PATH}?hash=`, `${PATH}?hash=00`, `${PATH}?hash=00&timeout=32s`]) {
      const answer = await ask(target);
      expect(answer.code, target).to.equal(200);
      expect(bytesOf(answer).equals(current), target).to.equal(true);
      expect(answer.headers, target).to.not.have.property('cache-control');
      expect(answer.headers, target).to.not.have.property('location');
    }
  });
});
