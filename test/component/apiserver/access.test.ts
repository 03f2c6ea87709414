import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Endpoint } from '../../../hack/stack/apiserver.ts';
import { issue, issueAuthority, type KeyFiles } from '../../../hack/stack/certificates.ts';
import { aggregated, AGGREGATED_WITHIN_MS, type Aggregated } from '../../support/aggregated.ts';
import type { Caller, HeaderList, ListJson, StatusJson } from '../../support/aggregated-calls.ts';
import { createWorkspace, viewPath, VIEW } from '../../support/aggregated-objects.ts';
import { audited } from '../../support/audit.ts';
import { settled } from '../../support/settled.ts';

const VIEW_ROLE = 'coder-operator-aggregation-view';
/** The endpoint remembers what it was told of rights for ten seconds; the rest is for busy machines. */
const RIGHTS_WITHIN_MS = 15_000;
/** Seconds, on busy machines too. */
const HEARD_WITHIN_MS = 10_000;
const BUNDLE = 'requestheader-client-ca-file';
const NAMES = 'requestheader-allowed-names';
const HEADERS = 'requestheader-username-headers';
/** Kube-apiserver tries again at least once a minute. */
const REMADE_WITHIN_MS = 75_000;

/** Keeps kube-apiserver from writing down again whom to trust. */
const noNewTrust = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'no-new-trust' },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: [''],
              apiVersions: ['v1'],
              operations: ['CREATE'],
              resources: ['configmaps'],
            },
          ],
        },
        matchConditions: [
          { name: 'trust', expression: "object.metadata.name == 'extension-apiserver-authentication'" },
        ],
        validations: [{ expression: 'false' }],
      },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'no-new-trust' },
      spec: { policyName: 'no-new-trust', validationActions: ['Deny'] },
    },
  ],
};

/** Asks kube-apiserver in the name of a user. */
function as(user: string, groups: readonly string[] = []): HeaderList {
  return ['impersonate-user', user, ...groups.flatMap((group) => ['impersonate-group', group])];
}

/** As kube-apiserver introduces a user. */
function introduced(user: string): HeaderList {
  return ['x-remote-user', user, 'x-remote-group', 'system:authenticated'];
}

describe('who may read the endpoint', function () {
  this.timeout(60_000);
  const [mine, other] = ['access-mine', 'access-other'];
  let rig: Aggregated;
  let admin: Caller;

  before(async function () {
    this.timeout(AGGREGATED_WITHIN_MS);
    rig = await aggregated();
    for (const namespace of [mine, other]) {
      await rig.namespace(namespace);
      await createWorkspace(rig.kube, namespace, 'coder.alice.dev');
      await createWorkspace(rig.kube, namespace, 'coder.bob.dev');
    }
  });
  beforeEach(() => (admin = rig.through()));
  afterEach(() => rig.tidy());

  async function bind(
    role: string,
    subject: `--${'user' | 'group'}=${string}`,
    namespace = mine,
  ): Promise<string> {
    const name = `b${Math.random().toString(36).slice(2)}`;
    await rig.kubectl(['create', 'rolebinding', name, `--clusterrole=${role}`, subject, '-n', namespace]);
    return name;
  }

  /** What the endpoint itself answers, where kube-apiserver would not let the request through. */
  const asked = (path: string, user: string): Promise<{ status: number; text: string }> =>
    rig.direct().call(path, { headers: introduced(user) });

  it('7. a user in 400 groups with long names is served', async () => {
    const groups = Array.from({ length: 400 }, (_, i) => `${'a-group-with-a-long-name-'.repeat(4)}${i}`);
    await bind(VIEW_ROLE, `--group=${groups[399] ?? ''}`);
    const { status, text } = await admin.call(viewPath(mine), { headers: as('many', groups) });
    expect(status, text.slice(0, 500)).to.equal(200);
  });

  it('12. uid and extra keys reach the question about rights as they are', async () => {
    const headers = [
      ...as('extra', ['one', 'two, three']),
      ...['impersonate-uid', '4711'],
      ...[
        'impersonate-extra-acme.com%2fproject',
        'red',
        'impersonate-extra-acme.com%2fproject',
        'blue, green',
      ],
      ...['impersonate-extra-plain', 'x'],
    ];
    // Kube-apiserver lets nobody through who may not; the question is asked all the same.
    await bind(VIEW_ROLE, '--user=extra');
    expect((await admin.call(viewPath(mine), { headers })).status).to.equal(200);
    const spec = await settled(() => Promise.resolve(reviewOf('extra')), 'the question in the audit log');
    expect(spec).to.deep.include({
      user: 'extra',
      uid: '4711',
      extra: { 'acme.com/project': ['red', 'blue, green'], plain: ['x'] },
      resourceAttributes: {
        namespace: mine,
        verb: 'list',
        group: 'aggregation.coder.com',
        version: 'v1alpha1',
        resource: 'coderworkspaces',
      },
    });
    expect(spec['groups']).to.have.members(['one', 'two, three', 'system:authenticated']);
  });

  function reviewOf(user: string): Readonly<Record<string, unknown>> | undefined {
    return audited(rig.stack.kubernetes)
      .map(({ requestObject }) => requestObject?.spec)
      .find((spec) => spec?.['user'] === user);
  }

  describe('13. whom to trust', () => {
    const place = ['configmap', 'extension-apiserver-authentication', '-n', 'kube-system'];
    const replica = (): Endpoint => rig.replicas[1];
    let folder: string;
    let another: Caller;
    let files: (name: string) => KeyFiles;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'coder-operator-front-proxy-'));
      files = (name) => ({ certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) });
      const authority = await issueAuthority('another front proxy CA', files('ca'));
      await issue(authority, { cn: 'another-proxy' }, files('client'));
    });
    beforeEach(() => (another = rig.direct(replica(), files('client'))));
    after(() => rmSync(folder, { recursive: true, force: true }));

    /** What somebody else's front proxy is answered when it introduces a user in a header of this name. */
    async function introducedBy(header: string): Promise<number> {
      const headers = [header, 'root', 'x-remote-group', 'system:masters'];
      return (await another.call(viewPath(mine), { headers })).status;
    }

    /** How often the replica has said so. */
    const said = (text: string): number => readFileSync(replica().logFile, 'utf8').split(text).length - 1;

    /** Does something, and waits until the replica says that it has heard of it. */
    async function heard(text: string, act: () => Promise<unknown>): Promise<void> {
      const before = said(text);
      await act();
      await settled(() => Promise.resolve(said(text) > before || undefined), text, HEARD_WITHIN_MS);
    }

    const patch = (data: Readonly<Record<string, string>>): Promise<string> =>
      rig.kubectl(['patch', ...place, '--type=merge', '-p', JSON.stringify({ data })]);

    const untilAccepted = (header: string): Promise<true> =>
      settled(
        async () => ((await introducedBy(header)) === 200 ? true : undefined),
        `trust in who introduces users by ${header}`,
        HEARD_WITHIN_MS,
      );

    /** What the ConfigMap has to say so that the other front proxy is trusted too. */
    async function grown(): Promise<Readonly<Record<typeof BUNDLE | typeof NAMES | typeof HEADERS, string>>> {
      const { data } = JSON.parse(await rig.kubectl(['get', ...place, '-o', 'json'])) as {
        data: Record<string, string>;
      };
      return {
        [BUNDLE]: `${data[BUNDLE] ?? ''}${readFileSync(files('ca').certificate, 'utf8')}`,
        [NAMES]: JSON.stringify(['front-proxy-client', 'another-proxy']),
        [HEADERS]: JSON.stringify(['X-Remote-User', 'X-Other-User']),
      };
    }

    it('13. a new authority, name and header of the front proxy are each taken up while it runs', async () => {
      const { pid } = replica();
      const wanted = await grown();
      expect(await introducedBy('x-remote-user')).to.be.oneOf([401, 403]);

      await heard('took over whom to trust', () => patch({ [BUNDLE]: wanted[BUNDLE] }));
      expect(await introducedBy('x-remote-user'), 'it has no name that is allowed').to.be.oneOf([401, 403]);

      await patch({ [NAMES]: wanted[NAMES] });
      await untilAccepted('x-remote-user');
      expect(await introducedBy('x-other-user'), 'nobody has named that header').to.be.oneOf([401, 403]);

      await patch({ [HEADERS]: wanted[HEADERS] });
      await untilAccepted('x-other-user');
      expect((await admin.call(viewPath(mine))).status, 'the first one is trusted still').to.equal(200);
      expect(replica().pid).to.equal(pid);
    });

    it('13. it holds while the ConfigMap is gone, and until there is another one', async function () {
      this.timeout(240_000);
      await patch(await grown());
      await untilAccepted('x-other-user');
      await rig.kubectl(['create', '-f', '-'], JSON.stringify(noNewTrust));
      try {
        await settled(async () => {
          const create = ['create', 'configmap', ...place.slice(1), '--dry-run=server'];
          return /denied/.test((await rig.tryKubectl(create)).stderr) || undefined;
        }, 'the policy that keeps kube-apiserver from making it again');
        await heard('is gone; what it said still holds', () => rig.kubectl(['delete', ...place]));
        expect((await rig.tryKubectl(['get', ...place])).stderr).to.include('NotFound');
        expect(await introducedBy('x-other-user'), 'what only the lost one has said').to.equal(200);
        expect((await admin.call(viewPath(mine))).status).to.equal(200);
      } finally {
        await rig.kubectl(['delete', '-f', '-'], JSON.stringify(noNewTrust));
      }
      // Kube-apiserver makes it again, of what it knows itself.
      await settled(
        async () => ((await introducedBy('x-other-user')) === 200 ? undefined : true),
        'the end of trust in the other front proxy',
        REMADE_WITHIN_MS,
      );
      expect((await admin.call(viewPath(mine))).status).to.equal(200);
    });
  });

  it('14. rights in one namespace are rights in that one', async () => {
    await bind(VIEW_ROLE, '--user=alice');
    expect((await admin.call(viewPath(mine), { headers: as('alice') })).status).to.equal(200);
    expect((await asked(viewPath(mine), 'alice')).status).to.equal(200);
    for (const path of [
      viewPath(other),
      viewPath(),
      viewPath(other, 'coder.alice.dev'),
      `${viewPath(other)}?watch=1`,
    ]) {
      const ours = await asked(path, 'alice');
      const theirs = await admin.call(path, { headers: as('alice') });
      expect([ours.status, theirs.status], path).to.deep.equal([403, 403]);
      // Kube-apiserver says the same of its own accord.
      expect(JSON.parse(ours.text), path).to.deep.equal(JSON.parse(theirs.text));
    }
  });

  it('14. a right to one name is enough to read, list and watch that one', async () => {
    await rig.kubectl([
      ...['create', 'role', 'one-name', '--verb=get,list,watch', '-n', mine],
      ...['--resource=coderworkspaces.aggregation.coder.com', '--resource-name=coder.alice.dev'],
    ]);
    await rig.kubectl(['create', 'rolebinding', 'one-name', '--role=one-name', '--user=narrow', '-n', mine]);
    const only = `${viewPath(mine)}?fieldSelector=metadata.name%3Dcoder.alice.dev`;
    const list = await admin.json<ListJson>(only, as('narrow'));
    expect(list.items.map((item) => item.metadata.name)).to.deep.equal(['coder.alice.dev']);
    const watch = await admin.watch(`${only}&watch=1`, as('narrow'));
    await watch.until(({ type }) => type === 'ADDED', 'the object');
    expect((await admin.call(viewPath(mine, 'coder.alice.dev'), { headers: as('narrow') })).status).to.equal(
      200,
    );
    for (const path of [viewPath(mine), viewPath(mine, 'coder.bob.dev')]) {
      expect((await asked(path, 'narrow')).status, path).to.equal(403);
    }
  });

  it('15. rights that are given or taken are seen within seconds', async () => {
    const taken = await bind(VIEW_ROLE, '--user=was');
    expect((await asked(viewPath(mine), 'was')).status).to.equal(200);
    expect((await asked(viewPath(mine), 'will')).status).to.equal(403);
    await bind(VIEW_ROLE, '--user=will');
    await rig.kubectl(['delete', 'rolebinding', taken, '-n', mine]);
    const becomes = (user: string, wanted: number): Promise<true> =>
      settled(
        async () => ((await asked(viewPath(mine), user)).status === wanted ? true : undefined),
        `${wanted} for ${user}`,
        RIGHTS_WITHIN_MS,
      );
    await Promise.all([becomes('was', 403), becomes('will', 200)]);
    expect((await admin.call(viewPath(mine), { headers: as('will') })).status).to.equal(200);
  });

  it("whoever has the cluster's role view may read", async () => {
    await bind('view', '--user=viewer', other);
    await settled(
      async () =>
        (await admin.call(viewPath(other), { headers: as('viewer') })).status === 200 ? true : undefined,
      'the right to read for a viewer',
    );
  });

  it('reads no Secret, and nothing but what it shows', async () => {
    const account = 'system:serviceaccount:coder-operator:coder-operator-apiserver';
    const can = async (...what: string[]): Promise<string> =>
      (await rig.tryKubectl(['auth', 'can-i', ...what, '-A', `--as=${account}`])).stdout.trim();
    expect(await can('list', 'coderworkspaces.coder.com')).to.equal('yes');
    for (const verb of ['get', 'list', 'watch']) expect(await can(verb, 'secrets'), verb).to.equal('no');
    for (const verb of ['create', 'update', 'patch', 'delete']) {
      expect(await can(verb, 'coderworkspaces.coder.com'), verb).to.equal('no');
    }
  });

  describe('59. every verb that is not offered', () => {
    const name = 'coder.alice.dev';
    const body = JSON.stringify({
      apiVersion: 'aggregation.coder.com/v1alpha1',
      kind: 'CoderWorkspace',
      metadata: { name, namespace: mine },
    });
    const patches = [
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/apply-patch+yaml',
      'application/strategic-merge-patch+json',
    ];
    const requests = [
      ['POST', viewPath(mine), 'application/json'],
      ['PUT', viewPath(mine, name), 'application/json'],
      ...patches.map((type) => ['PATCH', `${viewPath(mine, name)}?fieldManager=test`, type] as const),
      ['DELETE', viewPath(mine, name), 'application/json'],
      ['DELETE', viewPath(mine), 'application/json'],
      ['DELETE', viewPath(), 'application/json'],
      ['PUT', `${viewPath(mine, name)}/status`, 'application/json'],
      ['POST', viewPath(mine, undefined, 'codertemplates'), 'application/json'],
    ] as const;
    for (const [method, path, type] of requests) {
      it(`${method} ${path.replace(VIEW, '')} ${type} is refused, and it is said where to turn to`, async () => {
        const { status, text } = await admin.call(path, { method, body, headers: ['content-type', type] });
        const refusal = JSON.parse(text) as StatusJson;
        expect([status, refusal.code, refusal.reason]).to.deep.equal([405, 405, 'MethodNotAllowed']);
        expect(refusal).to.include({ kind: 'Status', status: 'Failure' });
        expect(refusal.message).to.include('coder.com');
      });
    }

    it('is told by kubectl too', async () => {
      const { code, stderr } = await rig.tryKubectl([
        'delete',
        `coderworkspaces.aggregation.coder.com/${name}`,
        '-n',
        mine,
      ]);
      expect(code).to.equal(1);
      expect(stderr).to.include('coderworkspaces.coder.com');
    });
  });
});
