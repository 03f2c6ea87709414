import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { isNotFound } from '../../src/coder/errors.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, Tenant } from '../support/tenant.ts';
import { PARAMETERS } from '../support/terraform.ts';

describe('parameters', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  const password = `pw-${randomBytes(12).toString('hex')}`;
  const replaced = `pw-${randomBytes(12).toString('hex')}`;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane(),
      tenant.template({ files: PARAMETERS }),
      valuesOf({ password }),
      greetingOf('hello'),
    );
    await tenant.untilTemplate(isReady, 60_000);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  const valuesOf = (stringData: object): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'values' },
    type: 'coder.com/values',
    stringData,
  });
  const greetingOf = (greeting: string): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'team' },
    data: { greeting },
  });
  const fromSecret = (name: string, secret: string, key: string): object => ({
    name,
    valueFrom: { secretKeyRef: { name: secret, key } },
  });
  const right = (change: Readonly<Record<string, string>> = {}): readonly object[] => {
    const plain = { region: 'eu', cpus: '4', disk: '20', ...change };
    return [
      ...Object.entries(plain).map(([name, value]) => ({ name, value })),
      fromSecret('password', 'values', 'password'),
      { name: 'greeting', valueFrom: { configMapKeyRef: { name: 'team', key: 'greeting' } } },
    ];
  };

  /** The values that the workspace was last built with. */
  async function inCoder(id: string): Promise<Readonly<Record<string, string>>> {
    const { latest_build: build } = await tenant.coder.workspace(id);
    const values = await tenant.coder.buildParameters(build.id);
    return Object.fromEntries(values.map(({ name, value }) => [name, value]));
  }

  it('are refused when they are wrong, each by its name, and nothing reaches Coder', async () => {
    const parameters = [
      { name: 'region', value: 'mars' },
      { name: 'cpus', value: '99' },
      { name: 'colour', value: 'red' },
      fromSecret('disk', 'values', 'password'),
    ];
    await tenant.apply(tenant.workspace({ running: true, parameters }));
    const refused = await tenant.untilWorkspace((w) => has(w, 'Stalled', 'True', 'InvalidParameters'));
    const message = messageOf(refused, 'Ready');
    expect(message).to.match(/"region" must be one of the options eu, us, and mars is none of them/);
    expect(message).to.match(/"cpus" must not be above 8, and is "99"/);
    expect(message).to.match(/"colour" is unknown: the template version asks for .*cpus/);
    expect(message).to.match(/"disk" must be a number(;|$)/);
    const byName = tenant.coder.workspaceByName(tenant.owner, tenant.tag, { includeDeleted: true });
    expect(isNotFound(await byName.catch((error: unknown) => error))).to.equal(true);
  });

  it('come from the spec, a Secret and a ConfigMap', async () => {
    await tenant.apply(tenant.workspace({ running: true, parameters: right() }));
    const ready = await tenant.untilWorkspace(isReady, 60_000);
    const id = ready.status?.id ?? '';
    const values = { region: 'eu', cpus: '4', disk: '20', password, greeting: 'hello' };
    expect(await inCoder(id)).to.deep.equal(values);
    expect(await tenant.builds(id)).to.deep.equal(['start']);
    expect(ready.status?.agents?.map(({ name }) => name)).to.deep.equal(['main']);
  });

  it('do not come from the Secret that holds the token', async () => {
    const name = `${tenant.tag}t`;
    const parameters = [fromSecret('greeting', 'coder', 'token')];
    await tenant.apply(tenant.workspace({ running: true, parameters }, name));
    const waiting = await tenant.untilWorkspace(
      (w) => has(w, 'Reconciling', 'True', 'WaitingForDependency'),
      30_000,
      name,
    );
    expect(messageOf(waiting, 'Ready')).to.match(
      /the Secret coder is of the type coder.com\/credentials and not coder.com\/values/i,
    );
    await tenant.kubectl('delete', 'cws', tenant.workspaceName(name), '--timeout=20s');
    const byName = tenant.coder.workspaceByName(tenant.owner, name, { includeDeleted: true });
    expect(isNotFound(await byName.catch((error: unknown) => error))).to.equal(true);
  });

  it('wait for the next start when a ConfigMap changes, and restart when that is wished', async () => {
    await tenant.apply(greetingOf('good morning'));
    const waits = await tenant.untilWorkspace((w) => has(w, 'Drifted', 'True', 'WaitsForNextStart'));
    expect(isReady(waits)).to.equal(true);
    expect(messageOf(waits, 'Drifted')).to.match(/next start.*greeting|greeting.*next start/);

    await tenant.apply(tenant.workspace({ running: true, parameters: right(), updatePolicy: 'Restart' }));
    const ready = await tenant.untilWorkspace((w) => isReady(w) && w.status?.latestBuild?.number === 3);
    const id = ready.status?.id ?? '';
    expect(has(ready, 'Drifted', 'True')).to.equal(false);
    expect(await inCoder(id)).to.include({ greeting: 'good morning', password });
    expect(await tenant.builds(id)).to.deep.equal(['start', 'stop', 'start']);
  });

  it('of a changed Secret are taken when a person asks', async () => {
    await tenant.apply(valuesOf({ password: replaced }));
    await tenant.request('cws', tenant.workspaceName());
    const ready = await tenant.untilWorkspace((w) => isReady(w) && w.status?.latestBuild?.number === 5);
    const id = ready.status?.id ?? '';
    expect(await inCoder(id)).to.include({ password: replaced });
    expect(await tenant.builds(id)).to.deep.equal(['start', 'stop', 'start', 'stop', 'start']);
  });

  it('that may only be set at creation are left as they are', async () => {
    const before = await tenant.untilWorkspace(isReady);
    const spec = { running: true, updatePolicy: 'Restart' };
    await tenant.apply(tenant.workspace({ ...spec, parameters: right({ disk: '30' }) }));
    const stalled = await tenant.untilWorkspace((w) => has(w, 'Stalled', 'True', 'InvalidParameters'));
    expect(messageOf(stalled, 'Ready')).to.contain('"disk" cannot be changed any more');
    await tenant.apply(tenant.workspace({ ...spec, parameters: right() }));
    const after = await tenant.untilWorkspace(isReady);
    expect(after.status?.latestBuild).to.deep.equal(before.status?.latestBuild);
  });

  it('from a Secret are shown nowhere', async () => {
    const all = await tenant.shown();
    expect(all).to.contain(tenant.workspaceName());
    for (const secret of [password, replaced]) {
      expect(all.includes(secret)).to.equal(false);
      expect(all.includes(Buffer.from(secret).toString('base64'))).to.equal(false);
    }
  });
});
