import { expect } from 'chai';
import { negotiate, wantsPretty, type NegotiateOptions } from '../../../../src/apiserver/http/negotiate.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';

const GET: NegotiateOptions = { isList: false, isWatch: false, allowTransforms: true };
const LIST: NegotiateOptions = { ...GET, isList: true };
const WATCH: NegotiateOptions = { ...LIST, isWatch: true };
const PLAIN: NegotiateOptions = { ...GET, allowTransforms: false };

const kubectl = [
  'application/json;as=Table;v=v1;g=meta.k8s.io',
  'application/json;as=Table;v=v1beta1;g=meta.k8s.io',
  'application/json',
].join(',');
const metadataClient =
  'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,' +
  'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';
const metadataListClient = metadataClient.replaceAll('Metadata;', 'MetadataList;');
const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** What comes out, as `shape/version`, or the code of the refusal. */
function outcome(accept: string | undefined, options: NegotiateOptions): string {
  try {
    const { as, metaVersion } = negotiate(accept, options);
    return as === 'object' ? as : `${as}/${metaVersion}`;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return `${error.httpCode} ${error.reason}`;
  }
}

describe('negotiate', () => {
  const table: readonly (readonly [string, string | undefined, NegotiateOptions, string])[] = [
    ['no header', undefined, GET, 'object'],
    ['an empty header', '', GET, 'object'],
    ['JSON', 'application/json', GET, 'object'],
    ['JSON with a charset', 'application/json; charset=utf-8', GET, 'object'],
    ['JSON in capitals', 'Application/JSON', GET, 'object'],
    ['anything', '*/*', LIST, 'object'],
    ['anything, written short', '*', LIST, 'object'],
    ['any application', 'application/*', LIST, 'object'],
    ['protobuf, then JSON', 'application/vnd.kubernetes.protobuf,application/json', GET, 'object'],
    ['protobuf, then anything', 'application/vnd.kubernetes.protobuf, */*', WATCH, 'object'],
    ['only protobuf', 'application/vnd.kubernetes.protobuf', GET, '406 NotAcceptable'],
    ['only CBOR', 'application/cbor', LIST, '406 NotAcceptable'],
    ['only a CBOR sequence', 'application/cbor-seq', WATCH, '406 NotAcceptable'],
    ['CBOR, then JSON', 'application/cbor;q=1,application/json;q=0.9', LIST, 'object'],
    ['only YAML', 'application/yaml', GET, '406 NotAcceptable'],
    ['only text', 'text/html', GET, '406 NotAcceptable'],
    ['any text', 'text/*', GET, '406 NotAcceptable'],
    ['JSON that is refused', 'application/json;q=0', GET, '406 NotAcceptable'],
    ['what is no media type', 'json,,/', GET, '406 NotAcceptable'],
    ['a stream of watch', 'application/json;stream=watch', WATCH, 'object'],
    ['another stream', 'application/json;stream=other', WATCH, '406 NotAcceptable'],
    ['another stream, then JSON', 'application/json;stream=other,application/json', WATCH, 'object'],
    ['unknown parameters', 'application/json;foo=bar;level=1', GET, 'object'],

    ['kubectl get', kubectl, LIST, 'Table/v1'],
    ['kubectl get of one', kubectl, GET, 'Table/v1'],
    ['kubectl get -w', kubectl, WATCH, 'Table/v1'],
    ['kubectl get of a document', kubectl, PLAIN, 'object'],
    ['an old Table', 'application/json;as=Table;v=v1beta1;g=meta.k8s.io', LIST, 'Table/v1beta1'],
    ['a future Table', 'application/json;as=Table;v=v2;g=meta.k8s.io', LIST, '406 NotAcceptable'],
    ['a Table of another group', 'application/json;as=Table;v=v1;g=other.io', LIST, '406 NotAcceptable'],
    ['a Table without a group', 'application/json;as=Table;v=v1', LIST, '406 NotAcceptable'],
    ['a group without a kind', 'application/json;g=meta.k8s.io;v=v1,*/*', LIST, 'object'],
    [
      'an unknown kind, then JSON',
      'application/json;as=Chair;v=v1;g=meta.k8s.io,application/json',
      GET,
      'object',
    ],
    ['a Table of anything', '*/*;as=Table;v=v1;g=meta.k8s.io', LIST, 'Table/v1'],
    [
      'a Table in protobuf only',
      'application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io',
      LIST,
      '406 NotAcceptable',
    ],

    ['the metadata client, one', metadataClient, GET, 'PartialObjectMetadata/v1'],
    ['the metadata client, list', metadataListClient, LIST, 'PartialObjectMetadataList/v1'],
    ['the metadata client, watch', metadataClient, WATCH, 'PartialObjectMetadata/v1'],
    ['28. one for a list', metadataClient, LIST, '406 NotAcceptable'],
    ['28. a list for one', metadataListClient, GET, '406 NotAcceptable'],
    ['28. a list for a watch', metadataListClient, WATCH, '406 NotAcceptable'],
    [
      'old metadata',
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1',
      GET,
      'PartialObjectMetadata/v1beta1',
    ],

    ['aggregated discovery', aggregated, PLAIN, 'object'],
    ['only aggregated discovery', aggregated.split(',')[0], PLAIN, '406 NotAcceptable'],

    [
      'the better quality first',
      'application/json;q=0.1,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.2',
      LIST,
      'Table/v1',
    ],
    [
      'equal quality: the order of the header',
      'application/json,application/json;as=Table;v=v1;g=meta.k8s.io',
      LIST,
      'object',
    ],
    ['the exact before the wild', '*/*,application/json;as=Table;v=v1;g=meta.k8s.io', LIST, 'Table/v1'],
    [
      'the wild with better quality',
      '*/*,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9',
      LIST,
      'object',
    ],
    [
      'an unreadable quality comes last',
      'application/json;q=x,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.1',
      LIST,
      'Table/v1',
    ],
    ['an unreadable quality alone', 'application/json;q=x', LIST, 'object'],
  ];

  for (const [what, accept, options, expected] of table) {
    const title = what.startsWith('28') ? what : `27. ${what}`;
    it(`${title}: ${expected}`, () => {
      expect(outcome(accept, options)).to.equal(expected);
    });
  }

  it('27. says what is accepted', () => {
    expect(() => negotiate('text/html', GET)).to.throw(
      /only the following media types are accepted: application\/json$/,
    );
    expect(() => negotiate('text/html', WATCH)).to.throw(/application\/json;stream=watch$/);
  });
});

describe('what is indented', () => {
  const table: readonly (readonly [string, Parameters<typeof wantsPretty>, boolean])[] = [
    ['nothing by itself', [undefined, {}], false],
    ['kubectl', ['application/json', { userAgent: 'kubectl/v1.36.3 (linux/amd64)' }], false],
    ['curl', ['*/*', { userAgent: 'curl/8.5.0' }], true],
    ['Wget', ['*/*', { userAgent: 'Wget/1.21' }], true],
    ['a browser', ['text/html,*/*', { userAgent: 'Mozilla/5.0 (X11)' }], true],
    ['not curl in the middle', ['*/*', { userAgent: 'python curl' }], false],
    ['by the query', ['*/*', { pretty: 'true' }], true],
    ['by the query as 1', ['*/*', { pretty: '1' }], true],
    ['not by another word', ['*/*', { pretty: 'yes' }], false],
    ['the query wins over the client', ['*/*', { pretty: 'false', userAgent: 'curl/8' }], false],
    ['an empty query says nothing', ['*/*', { pretty: '', userAgent: 'curl/8' }], true],
    ['by the media type', ['application/json;pretty=1', { pretty: 'false' }], true],
    ['not by another value there', ['application/json;pretty=true', {}], false],
    ['not by another media type', ['application/yaml;pretty=1,application/json', {}], false],
  ];
  for (const [what, [accept, hints], expected] of table) {
    it(`29. ${what}: ${String(expected)}`, () => {
      expect(wantsPretty(accept, hints)).to.equal(expected);
      if (accept?.includes('json') !== false) {
        expect(negotiate(accept, { ...GET, ...hints }).pretty).to.equal(expected);
      }
    });
  }
});
