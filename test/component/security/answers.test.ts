import { expect } from 'chai';
import type { ServerResponse } from 'node:http';
import { CoderClient } from '../../../src/coder/client.ts';
import { UnexpectedResponseError, type CoderError } from '../../../src/coder/errors.ts';
import type { Workspace } from '../../../src/coder/types.ts';
import { buildInfoAnswer, WORKSPACE_ID, workspaceAnswer } from '../../support/coder-answers.ts';
import { HttpTestServer, sendJson } from '../../support/coder-http.ts';

const MIB = 1024 * 1024;

/** Whoever may write a control plane's Secret chooses what answers: it must not harm those who share the operator. */
describe('answers of a hostile Coder', function () {
  this.timeout(30_000);
  let server: HttpTestServer;
  let client: CoderClient;

  before(async () => {
    server = await HttpTestServer.start(() => undefined);
    client = new CoderClient({
      ...{ url: server.url(), token: 'abcdefghij-0123456789abcdefghijkl', requestsPerMinute: 100_000 },
      policy: { httpHosts: ['127.0.0.1'], allowLoopback: true },
    });
  });

  after(async () => {
    client.close();
    await server.close();
  });

  function answers(body: string, status = 200): void {
    server.respond = (_, response) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }

  /** Sends the same again and again, as much as is taken and no more than `mib`. */
  function pours(start: string, again: string, mib: number): { sent: number } {
    const count = { sent: 0 };
    const block = again.repeat(Math.ceil((64 * 1024) / again.length));
    server.respond = (_, response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write(start);
      const pour = (): void => {
        while (!response.destroyed && count.sent < mib * MIB) {
          count.sent += block.length;
          if (!response.write(block)) {
            response.once('drain', pour);
            return;
          }
        }
        response.end();
      };
      response.on('error', () => undefined);
      pour();
    };
    return count;
  }

  async function failure(call: Promise<unknown>): Promise<CoderError> {
    const error: unknown = await call.then(
      () => expect.fail('the call succeeded'),
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(UnexpectedResponseError);
    return error as CoderError;
  }

  async function listed(): Promise<{
    readonly rows: readonly Workspace[];
    readonly count: number;
    readonly skipped: number;
  }> {
    const rows: Workspace[] = [];
    const list = await client.eachWorkspace((row) => rows.push(row));
    return { rows, ...list };
  }

  it('may lie as deep in each other as Coder’s do, and no deeper', async () => {
    const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    answers(JSON.stringify({ ...buildInfoAnswer(), more: JSON.parse(nested(60)) as unknown }));
    expect((await client.buildInfo()).version).to.match(/^v2/);
    answers(JSON.stringify(buildInfoAnswer()).replace(/}$/, `,"more":${nested(65)}}`));
    expect((await failure(client.buildInfo())).message).to.contain('nested deeper than 64 levels');
    // Brackets within a text are none.
    answers(JSON.stringify({ ...buildInfoAnswer(), more: `\\"${nested(1000)}\\` }));
    expect((await client.buildInfo()).version).to.match(/^v2/);
  });

  it('that are nothing but brackets are not even parsed', async () => {
    answers('['.repeat(7 * MIB));
    expect((await failure(client.buildInfo())).message).to.contain('nested deeper');
    answers(`{"message":"no","more":${'{"a":'.repeat(MIB)}`, 400);
    expect((await failure(client.buildInfo())).message).to.contain('in a form that Coder does not use');
  });

  it('as a list cannot fill the memory with what is beside its records', async () => {
    for (const [start, again] of [
      ['{"workspaces":[', '1,'],
      ['{"workspaces":[', `{},\n${' '.repeat(100)}`],
      ['{"facets":["', 'x'],
      ['{"workspac\\u0065s":[', '{"id":"x"},'],
      ['', ' '],
    ] as const) {
      const poured = pours(start, again, 64);
      expect((await failure(listed())).message, start).to.contain('more beside its records');
      expect(poured.sent).to.be.below(32 * MIB);
    }
    pours('{"workspaces":[', '[', 4);
    expect((await failure(listed())).message).to.contain('nested deeper');
  });

  it('as a list whose records are hidden from us are no empty list', async () => {
    answers(
      JSON.stringify({ workspaces: [workspaceAnswer()], count: 1 }).replace(
        '"workspaces"',
        '"workspac\\u0065s"',
      ),
    );
    await failure(listed());
  });

  it('with numbers that JavaScript cannot hold hide that row, and no other', async () => {
    const other = '55555555-5555-4555-8555-555555555556';
    const huge = JSON.stringify(workspaceAnswer({ ttl_ms: 4711 })).replace('4711', '9007199254740993');
    answers(`{"workspaces":[${huge},${JSON.stringify(workspaceAnswer({ id: other }))}],"count":2}`);
    const { rows, skipped } = await listed();
    expect(rows.map(({ id }) => id)).to.deep.equal([other]);
    expect(skipped).to.equal(1);
  });

  it('with keys that mean something to JavaScript are read for what they are', async () => {
    const row = JSON.stringify(workspaceAnswer()).replace(
      /^{/,
      '{"__proto__":{"polluted":true,"name":"other"},"constructor":{"prototype":{"polluted":true}},',
    );
    answers(`{"__proto__":{"count":7},"workspaces":[${row}],"count":1}`);
    const { rows, count } = await listed();
    expect(rows).to.have.lengthOf(1);
    expect(rows[0]).to.include({ id: WORKSPACE_ID, name: 'dev' });
    expect(Object.getPrototypeOf(rows[0])).to.equal(Object.prototype);
    expect(count).to.equal(1);
    expect(({} as { polluted?: unknown }).polluted).to.equal(undefined);
  });

  it('that never end are given up at 8 MiB', async () => {
    const poured = pours('{"more":"', 'x', 64);
    const error: unknown = await client.buildInfo().catch((thrown: unknown) => thrown);
    expect(error).to.have.property('kind', 'TooLarge');
    expect(poured.sent).to.be.below(32 * MIB);
  });

  it('that send the caller elsewhere take no token there, and tell nothing of it', async () => {
    const elsewhere = await HttpTestServer.start((_, response) => sendJson(response, 200, buildInfoAnswer()));
    server.respond = (_, response) =>
      void response.writeHead(307, { location: `${elsewhere.url()}/secret-place` }).end();
    const error: unknown = await client.user('me').catch((thrown: unknown) => thrown);
    expect(error).to.have.property('kind', 'Redirected');
    expect(String(error)).to.not.contain('secret-place');
    expect(elsewhere.seen).to.deep.equal([]);
    await elsewhere.close();
  });
});
