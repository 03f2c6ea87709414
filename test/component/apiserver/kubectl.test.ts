import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { toolEnvironment } from '../../../hack/stack/tools.ts';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { aggregated, AGGREGATED_WITHIN_MS, type Aggregated } from '../../support/aggregated.ts';
import {
  condition,
  createTemplate,
  createWorkspace,
  label,
  RUNNING,
} from '../../support/aggregated-objects.ts';
import { settled } from '../../support/settled.ts';

const RESOURCE = 'coderworkspaces.aggregation.coder.com';

/** kubectl that goes on by itself until it is ended. */
class Following {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #closed: Promise<number | null>;

  constructor(rig: Aggregated, args: readonly string[]) {
    const { kubectlPath, adminKubeconfig } = rig.stack.kubernetes;
    this.#child = spawn(kubectlPath, ['--kubeconfig', adminKubeconfig, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...toolEnvironment(), KUBECACHEDIR: `${adminKubeconfig}.cache` },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
    this.#closed = new Promise((resolve) => this.#child.once('close', resolve));
  }

  until(text: string | RegExp, withinMs = 20_000): Promise<string> {
    return settled(
      () =>
        Promise.resolve(
          this.lines.find((line) => (typeof text === 'string' ? line.includes(text) : text.test(line))),
        ),
      `${String(text)} (kubectl said ${this.lines.join(' | ')})`,
      withinMs,
    );
  }

  get ended(): Promise<number | null> {
    return this.#closed;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}

describe('kubectl on the endpoint', function () {
  this.timeout(60_000);
  const namespace = 'kubectl';
  let rig: Aggregated;
  let following: Following[] = [];

  before(async function () {
    this.timeout(AGGREGATED_WITHIN_MS);
    rig = await aggregated();
    await rig.namespace(namespace);
    const labels = { team: 'red' };
    await createWorkspace(rig.kube, namespace, 'coder.alice.dev', { metadata: { labels }, status: RUNNING });
    for (const name of ['coder.alice.second', 'coder.bob.one', 'coder.bob.three', 'coder.bob.two']) {
      await createWorkspace(rig.kube, namespace, name);
    }
    await createTemplate(rig.kube, namespace, 'coder.docker');
    await settled(
      async () => ((await rows('-n', namespace, '--no-headers')).length === 5 ? true : undefined),
      'all objects',
    );
  });
  afterEach(async () => {
    await Promise.all(following.map((f) => f.kill()));
    following = [];
    await rig.tidy();
  });

  /** What `kubectl get` prints, by rows. */
  async function rows(...args: readonly string[]): Promise<readonly string[]> {
    return (await rig.kubectl(['get', RESOURCE, ...args])).trimEnd().split('\n');
  }

  function follow(...args: readonly string[]): Following {
    const f = new Following(rig, args);
    following.push(f);
    return f;
  }

  it('25. get shows our columns, and more of them when asked', async () => {
    const [header = '', ...all] = await rows('-n', namespace);
    expect(header.split(/\s{2,}/)).to.include.members([
      'NAME',
      'OWNER',
      'WORKSPACE',
      'TEMPLATE',
      'STATUS',
      'OUTDATED',
      'AGE',
    ]);
    expect(all).to.have.length(5);
    expect(all[0]?.split(/\s{2,}/).slice(0, 5)).to.deep.equal([
      'coder.alice.dev',
      'alice',
      'dev',
      'docker',
      'running',
    ]);
    expect(all[0]?.trimEnd()).to.match(/\d+[smhd]$/);
    const [wide = ''] = await rows('-n', namespace, '-o', 'wide');
    expect(wide).to.include('ORGANIZATION').and.include('VERSION');
    expect(header).to.not.include('ORGANIZATION');
  });

  it('25. get -A, -L, --show-labels, --sort-by and --no-headers work', async () => {
    const [header = '', ...all] = await rows('-A');
    expect(header).to.match(/^NAMESPACE\s+NAME/);
    expect(all.filter((row) => row.startsWith(namespace))).to.have.length(5);
    const labelled = await rows('-n', namespace, '-L', 'team', '--show-labels');
    expect(labelled[0]).to.match(/TEAM\s+LABELS$/);
    expect(labelled[1]).to.match(/red\s+team=red$/);
    const sorted = await rows('-n', namespace, '--sort-by=.metadata.name', '--no-headers');
    expect(sorted.map((row) => row.split(/\s/)[0])).to.deep.equal([
      ...['coder.alice.dev', 'coder.alice.second', 'coder.bob.one', 'coder.bob.three', 'coder.bob.two'],
    ]);
    expect(await rows('-n', namespace, '--sort-by=.metadata.creationTimestamp')).to.have.length(6);
  });

  it('25. two kinds in one command have their kind before the name', async () => {
    const both = await rig.kubectl([
      'get',
      `${RESOURCE},codertemplates.aggregation.coder.com`,
      '-n',
      namespace,
    ]);
    expect(both).to.include('coderworkspace.aggregation.coder.com/coder.alice.dev');
    expect(both).to.include('codertemplate.aggregation.coder.com/coder.docker');
  });

  it('25. an object as JSON and YAML is the one that the endpoint shows', async () => {
    const [json] = [await rig.kubectl(['get', RESOURCE, 'coder.alice.dev', '-n', namespace, '-o', 'json'])];
    const object = JSON.parse(json) as { apiVersion: string; spec: object; status: object };
    expect(object.apiVersion).to.equal('aggregation.coder.com/v1alpha1');
    expect(object.spec).to.include({ running: true, templateName: 'docker', ttlMillis: 3_600_000 });
    expect(object.status).to.include({
      id: RUNNING.id,
      latestBuildID: RUNNING.latestBuild?.id,
      latestBuildStatus: 'running',
    });
    expect(await rig.kubectl(['get', RESOURCE, 'coder.alice.dev', '-n', namespace, '-o', 'yaml'])).to.include(
      'running: true',
    );
  });

  it('25. selectors of labels and fields choose', async () => {
    expect(await rows('-n', namespace, '-l', 'team in (red,blue)', '--no-headers')).to.have.length(1);
    expect(await rows('-n', namespace, '-l', '!team', '--no-headers')).to.have.length(4);
    expect(
      await rows('-A', '--field-selector', `metadata.namespace=${namespace}`, '--no-headers'),
    ).to.have.length(5);
  });

  it('32. pages of two hold every object once', async () => {
    const names = (await rows('-n', namespace, '--chunk-size=2', '-o', 'name')).map(
      (name) => name.split('/')[1],
    );
    expect(names)
      .to.deep.equal([...new Set(names)])
      .and.have.length(5);
  });

  it('40. get NAME -w prints the object, and then the first change', async () => {
    const watching = follow(
      'get',
      RESOURCE,
      'coder.bob.one',
      '-n',
      namespace,
      '-w',
      '--no-headers',
      '--show-labels',
    );
    await watching.until('coder.bob.one');
    await label(rig.kube, namespace, 'coder.bob.one', { first: 'yes' });
    await watching.until('first=yes');
    await label(rig.kube, namespace, 'coder.bob.one', { second: 'yes' });
    await watching.until('second=yes');
  });

  it('52. wait sees a condition, a value and an end', async () => {
    const name = 'coder.carol.wait';
    const created = await createWorkspace(rig.kube, namespace, name, {
      status: {
        ...RUNNING,
        running: false,
        latestBuild: undefined,
        conditions: [condition('Ready', 'False')],
      },
    });
    const target = [`${RESOURCE}/${name}`, '-n', namespace, '--timeout=30s'];
    const ready = follow('wait', '--for=condition=Ready', ...target);
    const running = follow('wait', '--for=jsonpath={.spec.running}=true', ...target);
    await rig.kube.putStatus<CoderWorkspace>(workspaces, created, RUNNING);
    expect(await ready.ended, ready.lines.join('\n')).to.equal(0);
    expect(await running.ended, running.lines.join('\n')).to.equal(0);
    const deleted = follow('wait', '--for=delete', ...target);
    await rig.kube.delete(workspaces, namespace, name);
    expect(await deleted.ended, deleted.lines.join('\n')).to.equal(0);
  });

  it('52. describe shows the fields, and the events of the object itself', async () => {
    const { metadata } = await rig.kube.get<CoderWorkspace>(workspaces, namespace, 'coder.alice.dev');
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'dev.1', namespace },
      involvedObject: {
        apiVersion: 'coder.com/v1alpha1',
        kind: 'CoderWorkspace',
        namespace,
        name: metadata.name,
        uid: metadata.uid,
      },
      reason: 'Started',
      message: 'It was started',
      type: 'Normal',
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
    };
    await rig.kubectl(['create', '-f', '-'], JSON.stringify(event));
    const text = await rig.kubectl(['describe', RESOURCE, 'coder.alice.dev', '-n', namespace]);
    expect(text).to.match(/API Version:\s+aggregation\.coder\.com\/v1alpha1/);
    expect(text).to.match(/Latest Build Status:\s+running/);
    expect(text).to.include('It was started');
  });

  it('52. get -w prints whole events as JSON', async () => {
    const watching = follow('get', RESOURCE, '-n', namespace, '-w', '-o', 'json', '--output-watch-events');
    await watching.until('coder.alice.dev');
    await createWorkspace(rig.kube, namespace, 'coder.carol.fresh');
    await watching.until('coder.carol.fresh');
    await rig.kube.delete(workspaces, namespace, 'coder.carol.fresh');
    await watching.until(/"type": ?"DELETED"/);
  });
});
