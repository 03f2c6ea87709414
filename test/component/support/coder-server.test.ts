import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import { CoderClient } from '../../../src/coder/client.ts';
import { CoderError, isUnauthorized } from '../../../src/coder/errors.ts';
import { describeCoderContract } from '../../support/coder-contract.ts';
import { openScriptedServer } from '../../support/coder/contract-scripted.ts';
import { CoderServer, SCRIPTED_TOKEN } from '../../support/coder/server.ts';
import { DEPLOYMENT, OPERATOR, ORGANIZATION, SimulatedCoder } from '../../support/controller-coder.ts';

describeCoderContract('The contract and the scripted Coder behind HTTP', openScriptedServer);

describe('The scripted Coder behind HTTP', () => {
  let server: CoderServer;
  const clients: CoderClient[] = [];

  beforeEach(async () => {
    server = await CoderServer.start(new SimulatedCoder(systemClock));
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await server.close();
  });

  function connect(token = SCRIPTED_TOKEN): CoderClient {
    const policy = { httpHosts: ['127.0.0.1'], allowLoopback: true };
    const client = new CoderClient({ url: server.url, token, policy, timeoutMs: 500 });
    clients.push(client);
    return client;
  }

  async function readToEnd(reader: ReadableStreamDefaultReader<string> | undefined): Promise<string> {
    while ((await reader?.read())?.done === false);
    return 'the end';
  }

  const caught = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

  it('says who it is to everybody, and the rest to its token', async () => {
    const stranger = connect('another-token');
    expect((await stranger.buildInfo()).deployment_id).to.equal(DEPLOYMENT);
    expect(isUnauthorized(await caught(stranger.me()))).to.equal(true);
    expect(await connect().me()).to.include({ username: OPERATOR.username });
    expect(await connect().tokenExpiry()).to.have.property('at');
  });

  it('loses a request or its answer, fails after it has done its work, and can be away', async () => {
    const client = connect();
    const template = server.coder.addTemplate();
    const create = (name: string): Promise<unknown> =>
      caught(client.createWorkspace('ann', { name, template_id: template.id }));
    server.coder.fate = 'lost';
    expect(await create('lost')).to.include({ kind: 'Timeout', unclear: true });
    expect(server.coder.present).to.deep.equal([]);
    server.coder.fate = 'answer lost';
    expect(await create('made')).to.include({ kind: 'Timeout', unclear: true });
    expect(server.coder.present.map((w) => w.name)).to.deep.equal(['made']);
    server.coder.fate = 'cut';
    expect(await create('cut')).to.include({ kind: 'Unreachable', unclear: true });
    server.coder.fate = 'failed';
    expect(await create('failed')).to.include({ kind: 'ServerError', status: 500, unclear: true });
    server.coder.fate = 'limited';
    expect(await create('limited')).to.include({ kind: 'RateLimited', retryAfterMs: 60_000 });
    expect(server.coder.present.map((w) => w.name)).to.deep.equal(['made', 'cut', 'failed']);
    server.coder.outage = new CoderError('Unreachable', 'away');
    expect(await caught(client.me())).to.include({ kind: 'Unreachable' });
  });

  it('answers the loser of a close race as its database does, which the client takes for a conflict', async () => {
    const template = server.coder.addTemplate();
    const name = template.name.toUpperCase();
    const version = server.coder.addVersion(undefined);
    server.coder.lostRace = 'duplicate key';
    const create = connect().createTemplate(ORGANIZATION.id, { name, template_version_id: version.id });
    expect(await caught(create)).to.include({ kind: 'Conflict', status: 500 });
    expect(server.coder.presentTemplates).to.have.length(1);
  });

  it('limits no requests but those for files, unless it is told to', async () => {
    const ask = async (url: string): Promise<Response> => fetch(`${url}/api/v2/nothing`);
    expect([...(await ask(server.url)).headers.keys()]).not.to.include('x-ratelimit-limit');
    const limited = await CoderServer.start(new SimulatedCoder(systemClock), { rateLimits: true });
    try {
      expect((await ask(limited.url)).headers.get('x-ratelimit-limit')).to.equal('512');
    } finally {
      await limited.close();
    }
  });

  it('streams until nobody listens, and ends with the server', async () => {
    const template = server.coder.addTemplate();
    const id = server.coder.addWorkspace('ann', 'dev', template)?.id ?? '';
    const { body } = await fetch(`${server.url}/api/v2/workspaces/${id}/watch`, {
      headers: { 'coder-session-token': SCRIPTED_TOKEN },
    });
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).to.include('event: ping');
    await server.close();
    expect(await caught(readToEnd(reader))).to.satisfy(
      (end: unknown) => end === 'the end' || end instanceof Error,
    );
    server = await CoderServer.start(new SimulatedCoder(systemClock));
  });

  it('takes and gives archives byte by byte, and says with 429 how long to wait', async () => {
    const client = connect();
    const bytes = Buffer.from([0, 255, 254, 0x80, 10, 13]);
    const id = await client.uploadArchive(bytes);
    expect(await client.file(id)).to.deep.equal(bytes);
    const twelve = async (): Promise<void> => {
      for (let i = 0; i < 12; i++) await client.uploadArchive(bytes);
    };
    expect(await caught(twelve())).to.include({ kind: 'RateLimited', status: 429, retryAfterMs: 60_000 });
    expect(server.coder.uploads.at(-1), 'the one that is refused').not.to.have.property('fileID');
    const [first] = server.coder.uploads;
    expect(first).to.deep.equal({ creatorID: OPERATOR.id, fileID: id });
  });

  it('holds one answer back, which says what was true when it was asked for', async () => {
    const template = server.coder.addTemplate();
    const id = server.coder.addWorkspace('ann', 'dev', template)?.id ?? '';
    const held = server.holdNextAnswer('GET', /\/workspaces\/[^/]+$/);
    const late = connect().workspace(id);
    await held.arrived;
    server.coder.rename('renamed', id);
    expect(await connect().workspace(id)).to.include({ name: 'renamed' });
    held.release();
    expect(await late).to.include({ name: 'dev' });
  });

  it('may be another one all of a sudden', async () => {
    const client = connect();
    server.coder.addTemplate();
    expect(await client.templates()).to.have.length(1);
    const other = new SimulatedCoder(systemClock);
    other.deploymentID = '0d000000-0000-4000-8000-000000000002';
    server.replaceBy(other);
    expect((await client.buildInfo()).deployment_id).to.equal(other.deploymentID);
    expect(await client.templates()).to.deep.equal([]);
  });

  it('holds one request back until it is let in', async () => {
    const held = server.holdNext('GET', /\/users\/me$/);
    let isAnswered = false;
    const asked = connect()
      .me()
      .then(() => (isAnswered = true));
    await held.arrived;
    await connect().me();
    expect(isAnswered).to.equal(false);
    held.release();
    expect(await asked).to.equal(true);
  });
});
