import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { refusalIn, said, type Answer, type Contract } from './contract.ts';

/** How far the clock of a server may be from its answers, which tell whole seconds. */
const CLOCK_MS = 3_000;
const UUID = /^[0-9a-f-]{36}$/;
const NIL_ID = '00000000-0000-0000-0000-000000000000';
const ZERO_TIME = '0001-01-01T00:00:00Z';

/** What is in every answer, whatever it is about, and what is asked for in a wrong way. */
export function httpContract(c: Contract): void {
  const expectMarks = ({ headers }: Answer, what: string): void => {
    const date = Date.parse(headers['date'] ?? '');
    expect(date, `${what}: the date of an answer is the time of the server`).to.be.closeTo(
      c.harness.now(),
      CLOCK_MS,
    );
    expect(headers['x-coder-request-id'], what).to.match(UUID);
    expect(headers['x-coder-build-version'], what).to.match(/^v2\./);
  };

  it('tells the time, the version and an id, also with a refusal', async () => {
    const answers: readonly [string, Answer][] = [
      ['200', await c.ask('GET', '/users/me')],
      ['without a token', await c.ask('GET', '/buildinfo', { token: null })],
      ['400', await c.ask('GET', '/users/nobody')],
      ['401', await c.ask('GET', '/users/me', { token: null })],
      ['404', await c.ask('GET', `/workspaces/${randomUUID()}`)],
    ];
    expect(answers.map(([, { status }]) => status)).to.deep.equal([200, 200, 400, 401, 404]);
    for (const [what, answer] of answers) {
      expectMarks(answer, what);
      expect(answer.headers['content-type'], what).to.equal('application/json; charset=utf-8');
    }
  });

  it('says the same version in every answer as in the one about itself', async () => {
    const { headers, text } = await c.ask('GET', '/buildinfo', { token: null });
    const { version } = JSON.parse(text) as { readonly version: string };
    expect(headers['x-coder-build-version']).to.equal(version);
    expect(version).to.match(new RegExp(`^v${c.harness.version.replace('.', '\\.')}\\.`));
  });

  it('is 401 without a token and with a wrong one, whatever is asked for', async () => {
    const wrong = 'abcdefghij-0123456789012345678901';
    for (const token of [null, wrong, 'nonsense']) {
      for (const path of ['/users/me', '/workspaces', `/workspaces/${randomUUID()}`]) {
        const refused = refusalIn(await c.ask('GET', path, { token }));
        expect(refused.status, path).to.equal(401);
        expect(refused.message).to.include('signed out or your session has expired');
        expect(refused.detail).to.be.a('string');
      }
    }
  });

  it('is 404 for a path that there is not, and 405 without a body for another method', async () => {
    const unknown = refusalIn(await c.ask('GET', '/nonsense'));
    expect(unknown).to.include({ status: 404, message: 'Route not found.' });
    const other = await c.ask('DELETE', '/workspaces');
    expect([other.status, other.text]).to.deep.equal([405, '']);
  });

  it('is 400 for an id that is none, and for a body that is no JSON', async () => {
    for (const path of ['/workspaces/nonsense', '/templates/nonsense', '/templateversions/nonsense']) {
      expect(refusalIn(await c.ask('GET', path)).status, path).to.equal(400);
    }
    const path = `/users/${c.owner}/workspaces`;
    for (const body of ['{"name":', 'nonsense', '']) {
      const refused = refusalIn(await c.ask('POST', path, { body }));
      expect(refused).to.include({ status: 400, message: 'Request body must be valid JSON.' });
    }
  });

  it('takes no offence at fields that it does not know', async () => {
    const { id } = await c.newTemplate();
    const body = { name: c.nameOf('w'), template_id: id, colour: 'green', nested: { colour: ['red'] } };
    const { status } = await c.ask('POST', `/users/${c.owner}/workspaces`, { body });
    expect(status).to.equal(201);
  });

  it('sends what is not there as null, or as the zero of its kind', async () => {
    const template = await c.newTemplate();
    const { id } = await c.create(template);
    const asked = async (): Promise<Readonly<Record<string, unknown>>> =>
      said(await c.ask('GET', `/workspaces/${id}`));
    const fresh = await asked();
    const nothing = { dormant_at: null, deleting_at: null, task_id: null };
    expect(fresh).to.include({ ...nothing, favorite: false });
    expect(fresh).not.to.have.any.keys('ttl_ms', 'autostart_schedule');
    const { latest_build: build } = fresh as { readonly latest_build: Readonly<Record<string, unknown>> };
    expect([null, ZERO_TIME]).to.include(build['deadline']);
    expect([null, ZERO_TIME]).to.include(build['max_deadline']);
    expect(build['template_version_preset_id']).to.equal(null);
    await c.settled(id);
    const made = await c.ask('POST', `/workspaces/${id}/builds`, { body: { transition: 'stop' } });
    expect(said(made), 'an answer to a POST').to.include({ template_version_name: '', status: 'pending' });
    const file_id = await c.upload({});
    const version = { file_id, provisioner: 'echo', storage_method: 'file' };
    const path = `/organizations/${c.organizationID}/templateversions`;
    const orphan = said(await c.ask('POST', path, { body: version }));
    expect([undefined, null, NIL_ID], 'a version of no template').to.include(orphan['template_id']);
    expect(orphan['name'], 'a name that was made up').to.be.a('string').and.not.equal('');
    await c.settled(id);
  });

  it('does not tell by the time of a change that builds and settings have changed', async () => {
    const { id } = await c.newWorkspace(await c.newTemplate());
    const changedAt = async (): Promise<unknown> =>
      said(await c.ask('GET', `/workspaces/${id}`))['updated_at'];
    const before = await changedAt();
    expect(before).to.be.a('string');
    await c.build(id, 'stop');
    await c.client.setTTL(id, 3_600_000);
    await c.client.setAutostart(id, '0 9 * * *');
    await c.client.setAutomaticUpdates(id, 'always');
    expect(await changedAt()).to.equal(before);
  });
}

/** How files go there. */
export function uploadsContract(c: Contract): void {
  const TAR = { 'content-type': 'application/x-tar' };

  it('are 201 when they are new, 200 when they are known, and named by an id that is called a hash', async () => {
    const body = await c.harness.archive({ variables: [{ name: 'upload', default: c.nameOf('u') }] });
    const first = await c.ask('POST', '/files', { body, headers: TAR });
    const again = await c.ask('POST', '/files', { body, headers: TAR });
    expect([first.status, again.status]).to.deep.equal([201, 200]);
    expect(Object.keys(said(first))).to.deep.equal(['hash']);
    expect(said(first)['hash']).to.match(UUID);
    expect(said(again)).to.deep.equal(said(first));
    const { status, headers } = await c.ask('GET', `/files/${String(said(first)['hash'])}`);
    expect([status, headers['content-type']]).to.deep.equal([200, 'application/x-tar']);
  });

  it('are 400 under another content type, and be it one word longer', async () => {
    const body = await c.harness.archive({});
    for (const type of ['application/octet-stream', 'application/x-tar; charset=utf-8']) {
      const refused = refusalIn(await c.ask('POST', '/files', { body, headers: { 'content-type': type } }));
      expect(refused.status, type).to.equal(400);
      expect(refused.message).to.include(type);
    }
  });
}
