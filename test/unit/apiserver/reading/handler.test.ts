import { expect } from 'chai';
import type { StatusError } from '../../../../src/apiserver/http/status.ts';
import { warningHeaders } from '../../../../src/apiserver/reading/warnings.ts';
import { PARTIAL, ReadingWorld } from '../../../support/reading.ts';

function world(): ReadingWorld {
  const made = new ReadingWorld();
  made.widgets.put('a').list(10);
  return made;
}

async function thrown(made: ReadingWorld, target: string, method = 'GET'): Promise<StatusError> {
  return made.answer(target, { method }).then(
    () => expect.fail('it was answered'),
    (error: unknown) => error as StatusError,
  );
}

describe('ReadingHandler', () => {
  describe('59. what only reads', () => {
    for (const [method, path, verb, how] of [
      [
        'POST',
        '/namespaces/default/widgets',
        'create',
        'kubectl create -n default -f FILE, with apiVersion test.coder.com/v1',
      ],
      ['PUT', '/namespaces/default/widgets/a', 'update', 'kubectl edit widgets.test.coder.com a -n default'],
      ['PATCH', '/namespaces/default/widgets/a', 'patch', 'kubectl edit widgets.test.coder.com a -n default'],
      [
        'DELETE',
        '/namespaces/default/widgets/a',
        'delete',
        'kubectl delete widgets.test.coder.com a -n default',
      ],
      [
        'DELETE',
        '/namespaces/default/widgets',
        'deletecollection',
        'kubectl delete widgets.test.coder.com -n default',
      ],
      ['DELETE', '/widgets', 'deletecollection', 'kubectl delete widgets.test.coder.com'],
      ['OPTIONS', '/widgets', 'options', 'kubectl edit widgets.test.coder.com'],
      [
        'PUT',
        '/namespaces/default/widgets/a/status',
        'update',
        'kubectl edit widgets.test.coder.com a -n default',
      ],
      [
        'PATCH',
        '/namespaces/default/widgets/a/scale',
        'patch',
        'kubectl edit widgets.test.coder.com a -n default',
      ],
    ] as const) {
      it(`59. ${method} ${path} is a 405 that says what to change`, async () => {
        const error = await thrown(world(), path, method);
        expect(error.toStatus()).to.deep.equal({
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message:
            `${verb} is not supported on resources of kind "widgets.aggregation.test.coder.com", which show ` +
            `those of widgets.test.coder.com; change these instead: ${how}`,
          reason: 'MethodNotAllowed',
          details: { group: 'aggregation.test.coder.com', kind: 'widgets' },
          code: 405,
        });
        expect(error.options.headers).to.deep.equal({ allow: 'GET' });
      });
    }

    it('59. does so before the first list is in', async () => {
      expect((await thrown(new ReadingWorld(), '/widgets', 'DELETE')).httpCode).to.equal(405);
    });
  });

  for (const [method, path] of [
    ['GET', '/gizmos'],
    ['POST', '/gizmos'],
    ['GET', '/watch/widgets'],
    ['GET', '/namespaces/default/widgets/a/status'],
    ['GET', '/widgets/a'],
    ['GET', '/apis/other.coder.com/v1alpha1/widgets'],
    ['GET', '/apis/aggregation.test.coder.com/v2/widgets'],
  ] as const) {
    it(`does not know ${method} ${path}`, async () => {
      const error = await thrown(world(), path, method);
      expect(error.toStatus()).to.include({
        code: 404,
        reason: 'NotFound',
        message: 'the server could not find the requested resource',
      });
    });
  }

  for (const path of ['/widgets', '/namespaces/default/widgets/a', '/widgets?watch=1', '/widgets?limit=1']) {
    it(`36. answers ${path} with a 503 to try again before the first list is in`, async () => {
      expect((await thrown(new ReadingWorld(), path)).toStatus()).to.deep.include({
        code: 503,
        reason: 'ServiceUnavailable',
        details: { retryAfterSeconds: 1 },
      });
    });
  }

  it('refuses what it cannot answer in', async () => {
    const made = world();
    expect(await made.refusal('/widgets', { accept: 'application/yaml' })).to.include({ code: 406 });
    expect(await made.refusal('/widgets', { accept: PARTIAL })).to.include({ code: 406 });
  });

  it('warns of a namespace whose control plane does not answer, whatever is read', async () => {
    const asked: (string | undefined)[] = [];
    const made = new ReadingWorld({
      warnings: (namespace) => {
        asked.push(namespace);
        return ['Coder was not reached since 10:00'];
      },
    });
    made.widgets.put('a').list(10);
    for (const path of [
      '/widgets',
      '/namespaces/default/widgets',
      '/namespaces/default/widgets/a',
      '/namespaces/default/widgets?watch=1',
    ]) {
      const { headers } = await made.answer(path);
      expect(headers).to.deep.equal({ warning: ['299 - "Coder was not reached since 10:00"'] });
    }
    expect(asked).to.deep.equal([undefined, 'default', 'default', 'default']);
    expect((await world().answer('/widgets')).headers).to.deep.equal({});
  });
});

describe('warningHeaders', () => {
  it('quotes and cleans, and tells each text once', () => {
    expect(warningHeaders([String.raw`a "b" \c`, 'two\nlines', '', 'two\nlines'])).to.deep.equal([
      String.raw`299 - "a \"b\" \\c"`,
      '299 - "two lines"',
    ]);
  });

  it('has one character for each byte, as headers are written', () => {
    const [header = ''] = warningHeaders(['é…']);
    expect(Buffer.from(header, 'latin1').toString()).to.equal('299 - "é…"');
  });

  it('shortens many long texts, and leaves out the rest', () => {
    const texts = Array.from({ length: 30 }, (_, i) => `${i} ${'x'.repeat(300)}`);
    const headers = warningHeaders(texts);
    expect(headers).to.have.length(16);
    for (const header of headers) expect(header).to.have.length(256 + '299 - ""'.length);
    expect(warningHeaders(texts.slice(0, 3))[2]).to.have.length('299 - "2 "'.length + 300);
  });
});
