import { expect } from 'chai';
import sinon from 'sinon';
import { CoderError } from '../../../src/coder/errors.ts';
import { HttpTestServer } from '../../support/coder-http.ts';
import { SCRIPTED_TOKEN } from '../../support/coder/server.ts';
import { STRANGER } from '../../support/controller-coder.ts';
import {
  answer,
  cutInHalf,
  FaultProxy,
  loseAnswer,
  type Fault,
  type Matches,
} from '../../support/fault-proxy.ts';
import type { Loop } from '../../support/loop.ts';
import { LoopMirrors } from '../../support/loop-mirrors.ts';
import { has, messageOf } from '../../support/tenant.ts';

/** A word of a page that nobody should ever see. */
const MARK = 'CANARY-4711';
const HTML = `<!doctype html><html><title>${MARK}</title></html>`;
const MIRRORS = 12;
const LOOKS = 2;
const json = { 'content-type': 'application/json' };
const html = { 'content-type': 'text/html' };

/** What comes back from Coder, or from what stands before it, on the wire. */
describe('faulty answers of Coder, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;
  let proxy: FaultProxy;
  let mirrors: LoopMirrors;
  let elsewhere: HttpTestServer;

  before(async () => {
    elsewhere = await HttpTestServer.start((_, response) => void response.end('{}'));
    mirrors = await LoopMirrors.open({
      coderAt: async (url) => {
        proxy = await FaultProxy.before(url);
        return proxy.url;
      },
      prepare: (coder) => {
        const template = coder.addTemplate('docker');
        for (let i = 0; i < MIRRORS; i++) coder.addWorkspace(STRANGER.username, `w-${i}`, template);
        coder.playOut();
      },
    });
    loop = mirrors.loop;
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
    await (proxy as FaultProxy | undefined)?.close();
    await (elsewhere as HttpTestServer | undefined)?.close();
  });

  const pathOf = (path: string): string => new URL(path, 'http://coder').pathname;
  const isPost =
    (suffix: string): Matches =>
    ({ method, path }) =>
      method === 'POST' && pathOf(path).endsWith(suffix);
  const isWholeList: Matches = ({ method, path, query }) =>
    method === 'GET' && pathOf(path) === '/api/v2/workspaces' && (query.get('q') ?? '') === '';

  it('F7. looks for what it may have made when Coder runs into its own unique key', async () => {
    const { coder } = loop;
    const create = coder.createWorkspace.bind(coder);
    const coderMessage =
      'Internal error creating workspace. pq: duplicate key value violates unique constraint "workspaces_owner_id_lower_idx"';
    const racing = sinon.stub(coder, 'createWorkspace').callsFake(async (owner, body) => {
      racing.restore();
      // One of two that were under way at the same time made it.
      await create(owner, body);
      throw new CoderError('ServerError', coderMessage, { status: 500, coderMessage });
    });
    const w = await loop.applied('raced', { running: true });
    expect(w.calls).to.deep.equal(['create']);
    expect(coder.present.filter(({ name }) => name === 'raced')).to.have.length(1);
    expect(w.object.status).to.include({ origin: 'Created' });
    expect(w.object.status).not.to.have.property('failures');
  });

  it('F13. waits as long as Coder asks with what was refused, and with nothing else', async () => {
    const [held, free] = [await loop.applied('held', { running: true }), loop.apply('free', {})];
    const tooMany = JSON.stringify({ message: 'Too many requests' });
    let refusedAt = 0;
    const busy = proxy.break(
      isPost('/builds'),
      (passage) => {
        refusedAt = performance.now();
        return answer(429, tooMany, { ...json, 'retry-after': '10' })(passage);
      },
      1,
    );
    await held.patch({ running: false });
    await loop.until(
      () => busy.hits,
      (hits) => hits === 1,
    );
    await (await free).untilWell();
    const made = await loop.applied('made-meanwhile', { running: true });
    expect(held.calls, 'not asked again before others are done').to.deep.equal(['create']);
    await held.until((o) => has(o, 'Ready', 'True', 'Stopped'));
    expect(performance.now() - refusedAt).to.be.at.least(9_900);
    expect(held.calls).to.deep.equal(['create', 'stop']);
    expect(made.calls).to.deep.equal(['create']);
    expect(held.object.status).not.to.have.property('failures');
  });

  const broken: Readonly<Record<string, Fault>> = {
    'a page of a gateway': insteadOf(502, HTML, html),
    'a page in place of the answer': insteadOf(200, HTML, html),
    'a page that calls itself JSON': insteadOf(200, HTML, json),
    'an error of another program': insteadOf(500, JSON.stringify({ error: MARK }), json),
    'a service that is unavailable': insteadOf(503, MARK, { 'content-type': 'text/plain' }),
    'an empty object': insteadOf(200, '{}', json),
    'JSON that is cut in half': async ({ ask, hand }) =>
      hand(await ask(), (bytes) => bytes.subarray(0, bytes.length / 2)),
    'a connection that breaks': cutInHalf,
    'a connection that breaks before the answer': loseAnswer,
  };
  const brokenLists: Readonly<Record<string, Fault>> = {
    ...broken,
    'a 404 of a proxy': insteadOf(404, HTML, html),
    'an empty list that counts others': insteadOf(200, '{"workspaces":[],"count":40}', json),
  };

  it('F14. takes no broken list for one in which things are gone, and shows nothing of it', async () => {
    const w = await loop.applied('beside', { running: true });
    const uids = mirrors.names.map((name) => mirrors.object(name)?.metadata.uid);
    expect(uids).to.have.length(MIRRORS);
    const version = w.object.metadata.resourceVersion;
    const changes = loop.server.changes.length;
    for (const [what, fault] of Object.entries(brokenLists)) {
      const rule = proxy.break(isWholeList, fault);
      await loop.until(
        () => rule.hits,
        (hits) => hits >= LOOKS,
      );
      rule.end();
      await loop.looks(1);
      expect(
        mirrors.names.map((name) => mirrors.object(name)?.metadata.uid),
        what,
      ).to.deep.equal(uids);
      expect(w.object.metadata.resourceVersion, `${what}: the object is as it was`).to.equal(version);
    }
    expect(loop.server.changes).to.have.length(changes);
    await expectNothingShown();
  });

  for (const [what, fault] of Object.entries(broken)) {
    it(`F14. looks what came of a request that was answered with ${what}`, async () => {
      const name = `answered-${Object.keys(broken).indexOf(what)}`;
      const w = loop.apply(name, { running: true });
      const rule = proxy.break(isPost('/workspaces'), fault, 1);
      await (await w).untilWell();
      expect(rule.hits).to.equal(1);
      expect(loop.coder.present.filter((each) => each.name === name)).to.have.length(1);
      expect((await w).calls).to.deep.equal(['create']);
      await expectNothingShown();
    });
  }

  async function expectNothingShown(): Promise<void> {
    const all = [loop.controlPlane, ...loop.workspaces, ...loop.templates];
    const events = await Promise.all(all.map((o) => loop.eventsOf(o?.metadata.uid ?? '')));
    const histories = loop.workspaces.map(({ metadata }) => loop.statusesOf(metadata.name));
    expect(JSON.stringify([all, events, histories])).not.to.contain(MARK);
  }

  it('F15. makes one workspace although its request lands after nobody waits for it any more', async () => {
    const held = loop.server.holdNext('POST', /\/workspaces$/);
    const w = await loop.apply('late', { running: true });
    await held.arrived;
    await w.until((o) => has(o, 'Reconciling', 'True', 'OutcomeUnknown'));
    expect(loop.coder.present.map(({ name }) => name)).not.to.include('late');
    held.release();
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create']);
    expect(w.object.status).to.include({ origin: 'Created' });
  });

  it('F16. follows no redirect, and the token goes nowhere else', async () => {
    const headers = { ...html, location: `${elsewhere.url()}/api/v2/users/me` };
    const statuses = [301, 302, 307, 308];
    let turn = 0;
    const rule = proxy.break(
      () => true,
      (passage) => answer(statuses[turn++ % statuses.length] ?? 302, HTML, headers)(passage),
    );
    const refused = await mirrors.untilControlPlane((c) => has(c, 'Ready', 'False', 'UnexpectedResponse'));
    expect(messageOf(refused, 'Ready')).to.contain('redirects are not followed');
    await mirrors.untilControlPlane(() => rule.hits >= statuses.length);
    rule.end();
    await mirrors.untilControlPlane((c) => has(c, 'Ready', 'True', 'Connected'));
    expect(elsewhere.seen).to.deep.equal([]);
    expect(JSON.stringify(loop.controlPlane)).not.to.contain(SCRIPTED_TOKEN);
    await expectNothingShown();
  });
});

/** Coder acts, and whoever asked gets another answer. */
function insteadOf(status: number, body: string, headers: Record<string, string>): Fault {
  return async (passage) => {
    await (await passage.ask()).body.dump();
    await answer(status, body, headers)(passage);
  };
}
