import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { expect } from 'chai';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import type { LogFields, Logger } from '../../../src/base/logger.ts';
import { runOperator } from '../../../src/controller/run.ts';
import type { KubeRequestRecord } from '../../../src/kube/transport.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { apiserver } from '../../support/apiserver.ts';
import { SCRIPTED_TOKEN } from '../../support/coder/server.ts';
import { answer, FaultProxy, type Matches } from '../../support/fault-proxy.ts';
import { clientOf } from '../../support/kube-server.ts';
import { Loop } from '../../support/loop.ts';
import { LoopTemplate } from '../../support/loop-template.ts';
import { has } from '../../support/tenant.ts';

/** Words that are nowhere else, so that wherever one of them shows it was carried there. */
const PASSWORD = 'canary-password-6f1d';
const KEY = 'canary-key-93bb';
const PAGE = 'canary-page-0c7e';
const DETAIL = 'canary-detail-51aa';
/** Not a secret: what Coder says of itself is quoted, so the scan sees what it would see. */
const SAID = 'canary-said-2b9d';

const json = { 'content-type': 'application/json' };
const events: ResourceType = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

describe('what is secret, in a world where everything goes wrong', function () {
  this.timeout(60_000);
  const log: string[] = [];
  const metrics = createMetrics();
  const kubeRequests: KubeRequestRecord[] = [];
  let loop: Loop;
  let proxy: FaultProxy;

  /** Keeps all that a line could show, at any level: also what hangs on errors without being printed. */
  function keeper(more: LogFields = {}): Logger {
    const line =
      (level: string) =>
      (message: string, fields: LogFields = {}): void => {
        log.push(`${level} ${message} ${inspect({ ...more, ...fields }, { depth: 20, showHidden: true })}`);
      };
    return {
      ...{ debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
      child: (fields) => keeper({ ...more, ...fields }),
    };
  }

  async function operate(namespace: string, signal: AbortSignal): Promise<void> {
    const { connection } = await apiserver();
    await runOperator(
      {
        kube: clientOf(connection, {
          onRequest: (record) => {
            kubeRequests.push(record);
            const { verb, resource, code } = record;
            metrics.kubeRequests.inc({ verb, resource, code });
          },
        }),
        ...{ namespace, identity: `canaries-${randomUUID()}`, leaseDurationMs: 15_000, workers: 10 },
        settings: {
          ...{ retryBaseMs: 50, requestTimeoutMs: 2_000, stalenessMs: 600_000, driftCooldownMs: 1_100 },
          ...{ driftBudget: 3, deletionBudget: 1_000 },
        },
        hosts: { httpHosts: ['127.0.0.1'], allowLoopback: true },
        clock: systemClock,
        logger: keeper(),
        onCoderRequest: ({ method, route, code }) => metrics.coderRequests.inc({ method, route, code }),
        onResult: ({ outcome }) => metrics.reconciles.inc({ result: outcome }),
      },
      signal,
    );
  }

  async function secret(
    name: string,
    type: string,
    stringData: Readonly<Record<string, string>>,
  ): Promise<void> {
    const resource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
    await loop.kube.create(resource, {
      metadata: { name, namespace: loop.namespace },
      ...{ type, stringData },
    });
  }

  const fromSecret = (name: string, key: string): object => ({ valueFrom: { secretKeyRef: { name, key } } });

  before(async () => {
    loop = await Loop.open({
      operate,
      content: { parameters: [{ name: 'password', default: '' }] },
      coderAt: async (url) => {
        proxy = await FaultProxy.before(url);
        return proxy.url;
      },
    });
    await secret('values', 'coder.com/values', { password: PASSWORD, key: KEY });
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
    await (proxy as FaultProxy | undefined)?.close();
  });

  const post =
    (end: string): Matches =>
    ({ method, path }) =>
      method === 'POST' && new URL(path, 'http://coder').pathname.endsWith(end);
  const read: Matches = ({ method, path }) => method === 'GET' && path.includes('/workspaces');

  /** What Coder might say: in its own form, with what it was sent repeated. */
  const repeated = (secretValue: string): string =>
    JSON.stringify({
      message: `${SAID}: ${SCRIPTED_TOKEN} ${secretValue} \u001b[31m\r\nlevel=error faked`,
      detail: DETAIL,
      validations: [{ field: 'value', detail: `${secretValue} is too short` }],
    });
  const page = `<html><body>${PAGE} ${SCRIPTED_TOKEN}</body></html>`;

  it('is used, although Coder repeats it in every refusal and failed build', async () => {
    proxy.break(post('/workspaces'), answer(403, repeated(PASSWORD), json), 1);
    loop.pauseBuilds();
    const spec = { parameters: [{ name: 'password', ...fromSecret('values', 'password') }] };
    const w = await loop.apply('dev', { ...spec, running: true });
    await w.until(({ status }) => status?.latestBuild !== undefined);
    loop.coder.finishBuilds('failed', `terraform: ${PASSWORD} ${SCRIPTED_TOKEN} is no password`);
    await w.until(({ status }) => status?.latestBuild?.status === 'failed');
    proxy.break(read, answer(500, repeated(PASSWORD), json), 1);
    proxy.break(read, answer(502, page, { 'content-type': 'text/html' }), 1);
    loop.resumeBuilds();
    await w.untilWell();
    expect(loop.coder.valuesOf(w.id)).to.include({ password: PASSWORD });
    expect(w.statuses.some(({ conditions }) => JSON.stringify(conditions ?? []).includes(SAID))).to.equal(
      true,
    );
  });

  it('is used for a template, although its version is refused and fails', async () => {
    const files = { 'main.tf': 'variable "key" {\n  sensitive = true\n}\n' };
    const variables = [{ name: 'key', ...fromSecret('values', 'key') }];
    const t = await LoopTemplate.apply(loop, 'built', { files, variables });
    await t.untilActive();
    proxy.break(post('/templateversions'), answer(400, repeated(KEY), json), 1);
    await t.patch({ files: { 'main.tf': `${files['main.tf']}# again\n` } });
    // It is tried again soon: what was said until then is known from the watch.
    await loop.until(
      () => loop.statusesOf(t.objectName),
      (all) => JSON.stringify(all).includes(SAID),
    );
    // Three tries of which the last two wait for their turn, as Coder takes so few uploads: some fifteen seconds in all.
    await t.patch({ files: { 'main.tf': 'variable "key" {\n' } });
    await t.untilSaid('Stalled', 'ImportFailed');
  });

  it('is Coder’s token and no value of a workspace, whoever asks for it', async () => {
    const spec = { parameters: [{ name: 'password', ...fromSecret('coder', 'token') }] };
    const w = await loop.apply('thief', spec);
    const { status } = await w.until((o) => has(o, 'Reconciling', 'True', 'WaitingForDependency'));
    expect(JSON.stringify(status)).to.contain('coder.com/values');
    const t = await LoopTemplate.apply(loop, 'thief', {
      files: { 'main.tf': 'variable "key" {\n}\n' },
      variables: [{ name: 'key', ...fromSecret('coder', 'token') }],
    });
    await t.untilSaid('Reconciling', 'WaitingForDependency');
  });

  it('and a Secret of values enters no Coder', async () => {
    const token = 'canaryopen-0123456789abcdefghijkl';
    await secret('open', 'coder.com/values', { url: proxy.url, token });
    await loop.patchControlPlane({ credentialsSecretRef: { name: 'open' } });
    await loop.untilControlPlane((c) => has(c, 'Ready', 'False', 'InvalidCredentials'));
    await loop.patchControlPlane({ credentialsSecretRef: { name: 'coder' } });
    await loop.untilControlPlane((c) => has(c, 'Ready', 'True', 'Connected'));
    expect(JSON.stringify(loop.server.requests.map(({ headers }) => headers))).to.not.contain(token);
  });

  /** All forms in which a word could stand somewhere. */
  const forms = (word: string): readonly string[] => [
    word,
    Buffer.from(word).toString('base64').replace(/=+$/, ''),
    Buffer.from(word).toString('hex'),
    encodeURIComponent(word),
  ];

  function assertClean(what: string, text: string): void {
    for (const word of [SCRIPTED_TOKEN, PASSWORD, KEY, PAGE, DETAIL]) {
      for (const form of forms(word)) {
        const at = text.indexOf(form);
        expect(at, `${what} shows ${word}: …${text.slice(Math.max(0, at - 200), at + 100)}…`).to.equal(-1);
      }
    }
  }

  it('shows in no status that ever was', () => {
    const names = ['coder', 'acme.built', 'acme.thief', 'acme.ann.dev', 'acme.ann.thief'];
    const all = names.flatMap((name) => loop.statusesOf(name));
    expect(all.length).to.be.above(10);
    assertClean('a status', JSON.stringify(all));
  });

  it('shows in no event', async () => {
    const { items } = await loop.kube.list<KubeObject>(events, loop.namespace, {});
    expect(items.length).to.be.above(0);
    assertClean('an event', JSON.stringify(items));
  });

  it('shows in no line of the log, at any level, and nowhere in what hangs on its errors', () => {
    expect(log.some((line) => line.startsWith('debug '))).to.equal(true);
    assertClean('the log', log.join('\n'));
  });

  it('shows in no metric, and neither does anybody’s name', async () => {
    const text = await metrics.registry.metrics();
    expect(text).to.contain('coder_operator_coder_requests_total{method="POST"');
    assertClean('a metric', text);
    for (const name of [loop.namespace, 'acme', 'thief', '127.0.0.1']) expect(text).to.not.contain(name);
  });

  it('goes to Coder in a header, or in the one body where it is meant', () => {
    for (const { method, path, query, headers, body } of loop.server.requests) {
      const [sent, inHeaders] = [`${path} ${query.toString()} ${body}`, JSON.stringify(headers)];
      expect(sent, `${method} ${path}`).to.not.contain(SCRIPTED_TOKEN);
      expect(inHeaders).to.not.contain(PASSWORD).and.not.contain(KEY);
      if (!/\/(workspaces|builds)$/.test(path)) expect(sent).to.not.contain(PASSWORD);
      if (!/\/templateversions$/.test(path)) expect(sent).to.not.contain(KEY);
    }
    const anonymous = loop.server.requests.filter(({ path }) => path.endsWith('/buildinfo'));
    expect(anonymous).to.not.deep.equal([]);
    for (const { headers } of anonymous) expect(headers).to.not.have.property('coder-session-token');
  });

  it('is read one Secret at a time: none is listed, watched or written', () => {
    const ofSecrets = kubeRequests.filter(({ resource }) => resource.startsWith('secrets'));
    expect([...new Set(ofSecrets.map(({ verb }) => verb))]).to.deep.equal(['get']);
  });

  it('cannot be used to fake a line of the log', () => {
    const statuses = loop.statusesOf('acme.built').map((status) => JSON.stringify(status));
    // What Coder says is quoted, on one line and without what a terminal would obey.
    const quoted = statuses.filter((line) => line.includes(SAID));
    expect(quoted).to.not.deep.equal([]);
    for (const mark of ['\r', '\\r', '\n', '\\n', '\u001b', '\\x1B', '\\u001b']) {
      for (const line of quoted) expect(line).to.not.include(mark);
    }
  });
});
