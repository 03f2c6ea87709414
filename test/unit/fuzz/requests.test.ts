import { expect } from 'chai';
import fc from 'fast-check';
import { chunkFrame } from '../../../src/apiserver/http/frames.ts';
import { clausesOf, negotiate, wantsPretty } from '../../../src/apiserver/http/negotiate.ts';
import { parseTarget } from '../../../src/apiserver/http/requestinfo.ts';
import { StatusError } from '../../../src/apiserver/http/status.ts';
import { FrameReader, frameOf, OPCODE, ProtocolError } from '../../../src/apiserver/http/wsframes.ts';
import {
  connectRaw,
  startTestApi,
  stopTestApis,
  WORKSPACES,
  type TestApi,
} from '../../support/apiserver-http.ts';
import {
  bent,
  cuts,
  damaged,
  damages,
  fuzz,
  fuzzLater,
  fuzzLong,
  keeps,
  phrases,
  pieces,
  refusedOr,
} from '../../support/fuzzing.ts';

describe('fuzzing: Accept headers', () => {
  const kinds = { isList: true, isWatch: false, allowTransforms: true };
  const clause = fc
    .record({
      range: fc.constantFrom(
        'application/json',
        'application/*',
        '*/*',
        'application/yaml',
        'text/html',
        'application/vnd.kubernetes.protobuf',
      ),
      as: fc.constantFrom(
        '',
        ';as=Table;v=v1;g=meta.k8s.io',
        ';as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io',
        ';as=Other;v=v1;g=x',
      ),
      quality: fc.constantFrom('', ';q=1', ';q=0.5', ';q=0.05'),
    })
    .map(({ range, as, quality }) => `${range}${as}${quality}`);
  const signs = [
    ...[
      'application/json',
      '*/*',
      '*',
      '/',
      ',',
      ';',
      '=',
      'q',
      'as',
      'v',
      'g',
      '0',
      '1',
      '.5',
      ' ',
      'Table',
      'v1',
    ],
    ...['meta.k8s.io', ';q=', ';as=Table', ';stream=watch', '\t', '"', '-1', 'NaN', 'Infinity', '1e3'],
  ];
  const headers = fc.oneof(
    phrases(signs, 20),
    bent(
      fc.array(clause, { maxLength: 5 }).map((all) => all.join(',')),
      signs,
    ),
  );

  it('get the best shape that they accept, or a 406', () => {
    const inputs = fc.record({
      header: headers,
      isList: fc.boolean(),
      isWatch: fc.boolean(),
      allowTransforms: fc.boolean(),
    });
    fuzz({ parser: 'Accept', inputs, part: 3 }, ({ header, ...options }) => {
      const clauses = clausesOf(header);
      for (const [i, { quality }] of clauses.entries()) {
        expect(quality).to.be.within(0, clauses[i - 1]?.quality ?? 1);
        expect(quality).to.not.equal(0);
      }
      wantsPretty(header, {});
      const shape = refusedOr(StatusError, () => negotiate(header, options));
      if (shape === undefined) return;
      if (!options.allowTransforms) expect(shape.as).to.equal('object');
      const isOneList = options.isList && !options.isWatch;
      expect(shape.as).not.to.equal(isOneList ? 'PartialObjectMetadata' : 'PartialObjectMetadataList');
    });
  });

  it('say the same with white space between their parts', () => {
    const inputs = fc.array(clause, { minLength: 1, maxLength: 5 });
    fuzz({ parser: 'Accept', inputs, part: 2 }, (clauses) => {
      const chosen = (header: string): unknown => refusedOr(StatusError, () => negotiate(header, kinds));
      const spaced = clauses.map((one) => one.replaceAll(';', ' ; ')).join(' , ');
      expect(chosen(spaced)).to.deep.equal(chosen(clauses.join(',')));
    });
  });

  it('of any length are read at once', () => {
    fuzzLong({ parser: 'Accept', words: signs }, (header) => {
      refusedOr(StatusError, () => negotiate(header, kinds));
    });
  });
});

describe('fuzzing: targets of requests', () => {
  const signs = [
    ...[
      '/',
      'apis',
      'api',
      'aggregation.coder.com',
      'v1alpha1',
      'namespaces',
      'n',
      'coderworkspaces',
      'x',
      'status',
    ],
    ...[
      '.',
      '..',
      '%2f',
      '%2e',
      '%25',
      '%00',
      '%',
      '%zz',
      '?',
      '&',
      '=',
      'watch',
      'fieldSelector',
      'metadata.name',
      '//',
    ],
    ...['http://host', 'https://', '\\', '#', '%c3%a9', '%ff', ' '],
  ];

  it('of any kind are refused, or name nothing that a name cannot be', () => {
    const inputs = fc.tuple(
      fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'BREW'),
      phrases(signs, 20),
    );
    fuzz({ parser: 'targets', inputs, part: 3 }, ([method, target]) => {
      const parsed = refusedOr(StatusError, () => parseTarget(method, target));
      if (parsed === undefined) return;
      const { info } = parsed;
      for (const part of [
        info.namespace,
        info.resource,
        info.name,
        info.subresource,
        info.apiGroup,
        info.apiVersion,
      ]) {
        expect(part).to.not.match(/[/%\p{Cc}]/u);
        expect(part).to.not.be.oneOf(['.', '..']);
      }
      expect(info.path.startsWith('/')).to.equal(true);
      if (!info.isResourceRequest) expect(info.resource + info.name + info.namespace).to.equal('');
    });
  });

  it('of any length are read at once', () => {
    fuzzLong({ parser: 'targets', words: signs }, (target) => {
      refusedOr(StatusError, () => parseTarget('GET', `/${target}`));
    });
  });
});

describe('fuzzing: frames of a WebSocket', () => {
  const frame = fc
    .record({
      opcode: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(0, 1, 2, OPCODE.close, OPCODE.ping, OPCODE.pong) },
        { weight: 1, arbitrary: fc.nat(15) },
      ),
      payload: fc.uint8Array({ maxLength: 140 }),
      mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    })
    .map(({ opcode, payload, mask }) => {
      const bare = Buffer.from(frameOf(opcode, payload));
      const headBytes = bare.length - payload.length;
      const head = Buffer.from(bare.subarray(0, headBytes));
      head[1] = (head[1] ?? 0) | 0x80;
      return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
    });

  interface Told {
    readonly controls: readonly string[];
    readonly isRefused: boolean;
  }

  function read(chunks: readonly Buffer[]): Told {
    const controls: string[] = [];
    const reader = new FrameReader((opcode, payload) => {
      expect(opcode).to.be.within(8, 10);
      expect(payload.byteLength).to.be.at.most(125);
      controls.push(`${opcode} ${Buffer.from(payload).toString('hex')}`);
    });
    const done = refusedOr(ProtocolError, () => {
      for (const chunk of chunks) reader.push(chunk);
      return true;
    });
    return { controls, isRefused: done === undefined };
  }

  it('tell the same wherever they are cut, and whatever is wrong with them', () => {
    const inputs = fc.record({
      frames: fc.array(frame, { maxLength: 5 }),
      changes: damages,
      keep: keeps,
      places: cuts,
    });
    fuzz({ parser: 'WebSocket frames', inputs, part: 3 }, ({ frames, changes, keep, places }) => {
      const bytes = damaged(Buffer.concat(frames), changes, keep);
      expect(read(pieces(bytes, places))).to.deep.equal(read([bytes]));
    });
  });

  it('of any bytes are read or refused', () => {
    fuzz({ parser: 'WebSocket frames', inputs: fc.uint8Array({ maxLength: 60 }), part: 2 }, (bytes) => {
      const every = [...bytes].map((byte) => Buffer.from([byte]));
      expect(read(every)).to.deep.equal(read([Buffer.from(bytes)]));
    });
  });
});

describe('fuzzing: what comes over the wire', () => {
  let api: TestApi;

  before(async () => {
    api = await startTestApi({ limits: { bodyBytes: 2000, requestMs: 5_000 } });
  });
  after(() => stopTestApis());

  const HEAD = 'Host: x\r\nConnection: close\r\n';
  const chunked = fc
    .array(fc.uint8Array({ minLength: 1, maxLength: 600 }), { maxLength: 6 })
    .map((parts) => ({
      bytes: parts.reduce((sum, { length }) => sum + length, 0),
      body: Buffer.concat([...parts.map((part) => chunkFrame(part)), Buffer.from('0\r\n\r\n')]),
    }));

  /** The whole answer to bytes that a client sends in pieces before it ends its side. */
  async function answered(bytes: Buffer, places: readonly number[]): Promise<string> {
    const client = await connectRaw(api);
    for (const piece of pieces(bytes, places)) client.socket.write(piece);
    client.socket.end();
    return client.closed();
  }

  it('a body in chunks is read to its end or to the limit', async () => {
    const inputs = fc.tuple(chunked, cuts);
    await fuzzLater({ parser: 'chunked bodies', inputs, part: 0.03 }, async ([{ bytes, body }, places]) => {
      const head = Buffer.from(`POST ${WORKSPACES} HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
      const answer = await answered(Buffer.concat([head, body]), places);
      // A server that ends a connection on which more was to come may take its answer back with it.
      if (bytes <= 2000) expect(answer).to.match(/^HTTP\/1\.1 404 /);
      else if (answer !== '') expect(answer).to.match(/^HTTP\/1\.1 413 /);
    });
  });

  it('whatever comes, each answer is a Status and the server goes on', async () => {
    const good = chunked.map(({ body }) =>
      Buffer.concat([
        Buffer.from(
          `PUT ${WORKSPACES}/a?timeout=3s HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\nAccept: */*\r\n\r\n`,
        ),
        body,
      ]),
    );
    const upgrade = fc.constant(
      Buffer.from(
        `GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      ),
    );
    const inputs = fc.tuple(fc.oneof(good, upgrade), damages, keeps, cuts);
    await fuzzLater(
      { parser: 'requests on the wire', inputs, part: 0.05 },
      async ([bytes, changes, keep, places]) => {
        const answer = await answered(damaged(bytes, changes, keep), places);
        if (answer !== '') expect(answer).to.match(/^HTTP\/1\.1 (4\d\d|503) /);
        expect(api.log.lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
      },
    );
    expect(await answered(Buffer.from(`GET ${WORKSPACES} HTTP/1.1\r\n${HEAD}\r\n`), [])).to.match(
      /^HTTP\/1\.1 404 /,
    );
  });
});
