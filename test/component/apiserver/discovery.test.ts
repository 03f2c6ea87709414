import { expect } from 'chai';
import { aggregated, AGGREGATED_WITHIN_MS, type Aggregated } from '../../support/aggregated.ts';
import type { Caller } from '../../support/aggregated-calls.ts';
import { createTemplate, createWorkspace } from '../../support/aggregated-objects.ts';
import { settled } from '../../support/settled.ts';

const GROUP = 'aggregation.coder.com';
const AGGREGATED_DISCOVERY =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

interface GroupDiscovery {
  readonly metadata: { readonly name: string };
  readonly versions: readonly {
    readonly version: string;
    readonly freshness: string;
    readonly resources: readonly {
      readonly resource: string;
      readonly scope: string;
      readonly singularResource: string;
      readonly verbs: readonly string[];
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
    }[];
  }[];
}

describe('discovery of the endpoint through kube-apiserver', function () {
  this.timeout(60_000);
  const namespace = 'discovery';
  let rig: Aggregated;
  let admin: Caller;

  before(async function () {
    this.timeout(AGGREGATED_WITHIN_MS);
    rig = await aggregated();
    await rig.namespace(namespace);
    await createWorkspace(rig.kube, namespace, 'coder.alice.dev');
    await createTemplate(rig.kube, namespace, 'coder.docker');
  });
  beforeEach(() => (admin = rig.through()));
  afterEach(() => rig.tidy());

  it('1. the APIService becomes Available soon after it is announced', async () => {
    const text = await rig.kubectl(['get', 'apiservice', `v1alpha1.${GROUP}`, '-o', 'json']);
    const { status } = JSON.parse(text) as {
      status: { conditions: { type: string; status: string; reason: string; lastTransitionTime: string }[] };
    };
    expect(status.conditions.find((c) => c.type === 'Available')).to.include({
      status: 'True',
      reason: 'Passed',
    });
    expect(rig.availableAfterMs).to.be.below(35_000);
  });

  it('18. the merged discovery shows our version as Current, with the verbs that work', async () => {
    const groups = await admin.json<{ items: readonly GroupDiscovery[] }>('/apis', [
      'accept',
      AGGREGATED_DISCOVERY,
    ]);
    const ours = groups.items.find(({ metadata }) => metadata.name === GROUP);
    expect(ours?.versions).to.have.length(1);
    expect(ours?.versions[0]).to.include({ version: 'v1alpha1', freshness: 'Current' });
    const resources = ours?.versions[0]?.resources ?? [];
    expect(
      resources.map((r) => [r.resource, r.singularResource, r.scope, [...r.verbs].sort()]),
    ).to.have.deep.members([
      ['coderworkspaces', 'coderworkspace', 'Namespaced', ['get', 'list', 'watch']],
      ['codertemplates', 'codertemplate', 'Namespaced', ['get', 'list', 'watch']],
    ]);
    for (const { shortNames = [], categories = [] } of resources) {
      expect([...shortNames, ...categories]).to.deep.equal([]);
    }
  });

  it('18. kubectl api-resources shows both resources and finds nothing wrong', async () => {
    const { code, stdout, stderr } = await rig.tryKubectl([
      'api-resources',
      `--api-group=${GROUP}`,
      '--no-headers',
    ]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
    expect(stdout.trim().split('\n')).to.have.length(2);
    expect((await rig.tryKubectl(['api-resources'])).code).to.equal(0);
  });

  it('56. tools that take what can be created and deleted leave the endpoint out', async () => {
    // Velero backs up what has all of these verbs (pkg/discovery/helper.go), the namespace deleter what has delete.
    for (const verbs of ['list,create,get,delete', 'delete']) {
      const { stdout } = await rig.tryKubectl(['api-resources', `--verbs=${verbs}`, '-o', 'name']);
      expect(stdout).to.include('coderworkspaces.coder.com').and.not.include(GROUP);
    }
  });

  it('20. a bare name means the objects themselves, and the longer ones the endpoint', async () => {
    const get = async (name: string): Promise<readonly string[]> => {
      const { code, stdout, stderr } = await rig.tryKubectl(['get', name, '-n', namespace, '-o', 'json']);
      expect({ code, stderr }, name).to.deep.equal({ code: 0, stderr: '' });
      const { items } = JSON.parse(stdout) as { items: { apiVersion: string }[] };
      return items.map(({ apiVersion }) => apiVersion);
    };
    for (const name of ['coderworkspaces', 'coderworkspace', 'cws', 'coderworkspaces.coder.com']) {
      expect(await get(name), name).to.deep.equal(['coder.com/v1alpha1']);
    }
    for (const name of [
      `coderworkspaces.${GROUP}`,
      'coderworkspaces.aggregation',
      `coderworkspaces.v1alpha1.${GROUP}`,
    ]) {
      expect(await get(name), name).to.deep.equal([`${GROUP}/v1alpha1`]);
    }
  });

  it('20. client-go maps names to resources in the same way', async () => {
    const map = async (name: string): Promise<object | undefined> =>
      (await rig.run('mapper', ['--name', name]))[0];
    expect(await map('coderworkspaces')).to.deep.include({
      group: 'coder.com',
      kind: 'CoderWorkspace',
      warnings: [],
    });
    expect(await map('codertemplate')).to.deep.include({
      group: 'coder.com',
      resource: 'codertemplates',
      warnings: [],
    });
    expect(await map(`coderworkspaces.${GROUP}`)).to.deep.include({
      group: GROUP,
      kind: 'CoderWorkspace',
      warnings: [],
    });
    expect(await map('cws')).to.deep.include({ group: 'coder.com', warnings: [] });
  });

  it('21. the OpenAPI v2 of the whole cluster is whole, as protobuf and as JSON, with ours in it', async () => {
    const document = await settled(async () => {
      const [found] = await rig.run('openapi', ['--group', GROUP]);
      return (found?.['definitions'] as string[]).length >= 2 ? found : undefined;
    }, 'our definitions in the OpenAPI of the cluster');
    const paths = document['paths'] as readonly string[];
    expect(paths).to.include(`/apis/${GROUP}/v1alpha1/namespaces/{namespace}/coderworkspaces/{name}`);
    const json = await admin.json<{ paths: object; definitions: object }>('/openapi/v2');
    expect(Object.keys(json.paths)).to.include.members([...paths]);
    expect(Object.keys(json.definitions)).to.include.members([...(document['definitions'] as string[])]);
  });

  it('21. the strict parser of kube-apiserver finds no fault in our part', async () => {
    const fragment = await rig
      .direct()
      .json<object>('/openapi/v2', [...['x-remote-user', 'system:aggregator', 'accept', 'application/json']]);
    const parser = rig.client('gnostic', ['--group', GROUP]);
    parser.send(JSON.stringify(fragment));
    const [found] = await parser.end();
    expect(found?.['definitions']).to.have.length.at.least(2);
  });

  it('22. the OpenAPI v3 has one path of ours, which is served with its hash and with an old one', async () => {
    const paths = await settled(async () => {
      const index = await admin.json<{ paths: Record<string, { serverRelativeURL: string }> }>('/openapi/v3');
      return `apis/${GROUP}/v1alpha1` in index.paths ? index.paths : undefined;
    }, 'our path in the OpenAPI v3 of the cluster');
    const ours = Object.keys(paths).filter((path) => path.includes(GROUP));
    expect(ours).to.deep.equal([`apis/${GROUP}/v1alpha1`]);
    const url = paths[ours[0] ?? '']?.serverRelativeURL ?? '';
    expect(url).to.match(/^\/openapi\/v3\/apis\/aggregation\.coder\.com\/v1alpha1\?hash=[0-9A-F]+$/i);
    const right = await admin.call(url);
    expect(right.status).to.equal(200);
    // Kube-apiserver adds a header of its own.
    expect(String(right.headers['cache-control'])).to.include('immutable');
    const old = await admin.call(url.replace(/hash=.*/, 'hash=0123'));
    expect(old.status).to.equal(200);
    expect(String(old.headers['cache-control'])).to.not.include('immutable');
    expect(JSON.parse(old.text)).to.deep.equal(JSON.parse(right.text));
  });

  it('23. kubectl explain knows every field', async () => {
    const version = `--api-version=${GROUP}/v1alpha1`;
    const explain = (...args: string[]): Promise<string> => rig.kubectl(['explain', ...args, version]);
    const top = await settled(
      () => explain('coderworkspaces').catch(() => undefined),
      'the explanation of coderworkspaces',
    );
    expect(top)
      .to.match(/GROUP:\s+aggregation\.coder\.com/)
      .and.match(/KIND:\s+CoderWorkspace/);
    expect(await explain('coderworkspaces.spec')).to.match(/running\s+<boolean>/);
    expect(await explain('coderworkspaces', '--recursive'))
      .to.include('latestBuildStatus')
      .and.include('autoShutdown');
    expect(await explain('codertemplates.status')).to.include('activeVersion');
    expect(await explain('coderworkspaces', '--output=plaintext-openapiv2')).to.include('CoderWorkspace');
  });
});
