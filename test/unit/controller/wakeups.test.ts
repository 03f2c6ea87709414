import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import {
  controlPlanes,
  finalizers,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../../src/api/kinds.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { createStores, held, type Stores } from '../../../src/controller/stores.ts';
import { parseKey, Wakeups, type MirrorWakeups } from '../../../src/controller/wakeups.ts';
import { WorkQueue } from '../../../src/kube/workqueue.ts';
import { FakeClock } from '../../support/clock.ts';
import { templateRecord } from '../../support/controller-records.ts';

interface Parts {
  readonly namespace?: string;
  readonly metadata?: object;
  readonly status?: object;
  readonly spec?: object;
}

function object(name: string, parts: Parts = {}): CoderControlPlane & CoderTemplate & CoderWorkspace {
  const { namespace = 'team', metadata, spec = {}, status } = parts;
  return {
    metadata: { name, namespace, uid: `uid-${namespace}-${name}`, resourceVersion: '1', ...metadata },
    spec,
    ...(status === undefined ? {} : { status }),
  } as unknown as CoderControlPlane & CoderTemplate & CoderWorkspace;
}

const CP = 'CoderControlPlane:team/coder';
const T = 'CoderTemplate:team/acme.docker';
const W = 'CoderWorkspace:team/acme.ann.dev';

interface Bench {
  readonly stores: Stores;
  readonly wakeups: Wakeups;
  /** What was woken since the last look, in order of priority. */
  woken(): Promise<string[]>;
  own: boolean;
  /** What mirrors were asked for since the last look: ids, namespaces to sweep, objects that are gone. */
  mirrors(): string[];
  /** Writes under way: whoever waits for their end. */
  readonly waiting: (() => void)[];
  isWriting: boolean;
}

function bench(parts: { readonly workspace?: Parts; readonly template?: Parts } = {}): Bench {
  const stores = createStores(silentLogger);
  stores.controlPlanes.replace([object('coder')], '1');
  stores.templates.replace([object('acme.docker', parts.template)], '1');
  stores.workspaces.replace(
    [
      object('acme.ann.dev', parts.workspace),
      object('acme.zoe.far', { namespace: 'elsewhere', status: { id: 'w1' } }),
    ],
    '1',
  );
  const queue = new WorkQueue({ clock: new FakeClock() });
  let asked: string[] = [];
  const mirrorsOf = (kind: string): MirrorWakeups => ({
    wake: (namespace, id) => asked.push(`${kind} ${namespace}/${id}`),
    sweep: (namespace) => asked.push(`${kind} of ${namespace}`),
    objectGone: ({ metadata }) => asked.push(`${kind} without ${metadata.name}`),
  });
  const self: Bench = {
    stores,
    own: false,
    isWriting: false,
    waiting: [],
    wakeups: new Wakeups({
      clock: systemClock,
      queue,
      stores,
      isOwnWrite: () => self.own,
      afterWrite: (_, _object, then) => (self.isWriting ? self.waiting.push(then) : then()),
      mirrors: { workspaces: mirrorsOf('workspaces'), templates: mirrorsOf('templates') },
    }),
    mirrors() {
      const [...last] = asked;
      asked = [];
      return last;
    },
    async woken() {
      const keys: string[] = [];
      while (queue.length > 0) {
        const key = await queue.next(new AbortController().signal);
        if (key === undefined) break;
        keys.push(key);
        queue.done(key);
      }
      return keys;
    },
  };
  return self;
}

const only = (bench_: Bench, name: 'templates' | 'workspaces'): CoderTemplate & CoderWorkspace =>
  bench_.stores[name].byIndex('namespace', 'team')[0] as CoderTemplate & CoderWorkspace;

describe('Wakeups', () => {
  it('begins with the control planes, then everything', async () => {
    const b = bench();
    b.wakeups.everything();
    expect(await b.woken()).to.deep.equal([CP, T, W, 'CoderWorkspace:elsewhere/acme.zoe.far']);
  });

  it('wakes a changed object, unless we changed it', async () => {
    const b = bench();
    const event = {
      type: 'modified',
      key: 'x',
      object: only(b, 'workspaces'),
      previous: only(b, 'workspaces'),
    } as const;
    b.wakeups.workspaceEvent(event);
    expect(await b.woken()).to.deep.equal([W]);
    b.own = true;
    b.wakeups.workspaceEvent(event);
    expect(await b.woken()).to.deep.equal([]);
  });

  it('knows whose change it was only when no write of ours is under way', async () => {
    const b = bench();
    const previous = only(b, 'workspaces');
    const event = { type: 'modified', key: 'x', object: previous, previous } as const;
    for (const own of [true, false]) {
      b.isWriting = true;
      b.own = false;
      b.wakeups.workspaceEvent(event);
      expect(await b.woken(), 'while it is written').to.deep.equal([]);
      b.own = own;
      for (const then of b.waiting.splice(0)) then();
      expect(await b.woken()).to.deep.equal(own ? [] : [W]);
    }
  });

  it('wakes every control plane of a namespace when one comes or goes', async () => {
    const b = bench();
    b.own = true;
    for (const type of ['added', 'deleted'] as const) {
      b.wakeups.controlPlaneEvent({ type, key: 'x', object: object('younger') });
      expect(await b.woken()).to.deep.equal([CP]);
    }
  });

  it('wakes what is being deleted when deletions are released, though we wrote that ourselves', async () => {
    const b = bench({ workspace: { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } } });
    b.own = true;
    const previous = object('coder');
    const released = object('coder', { status: { deletionsReleasedAt: '2026-01-01T00:00:01Z' } });
    b.wakeups.controlPlaneEvent({ type: 'modified', key: 'x', object: released, previous });
    expect(await b.woken()).to.deep.equal([W]);
    b.wakeups.controlPlaneEvent({ type: 'modified', key: 'x', object: released, previous: released });
    expect(await b.woken()).to.deep.equal([]);
    const resting = bench();
    resting.own = true;
    resting.wakeups.controlPlaneEvent({ type: 'modified', key: 'x', object: released, previous });
    expect(await resting.woken()).to.deep.equal([]);
  });

  it('wakes everything of a namespace when its control plane is suspended, and when that ends', async () => {
    const b = bench({ workspace: { status: { id: 'w1' } }, template: { status: { id: 't1' } } });
    const on = object('coder', { spec: { suspend: true } });
    const off = object('coder');
    for (const [previous, next] of [
      [off, on],
      [on, off],
    ] as const) {
      b.wakeups.controlPlaneEvent({ type: 'modified', key: 'x', object: next, previous });
      expect(await b.woken()).to.have.members([CP, T, W]);
      b.wakeups.controlPlaneEvent({ type: 'modified', key: 'x', object: next, previous: next });
      expect(await b.woken(), 'nothing of it changed').to.deep.equal([CP]);
    }
  });

  it('wakes everything of a namespace when its control plane mirrors other things than before', async () => {
    const b = bench({ workspace: { status: { id: 'w1' } }, template: { status: { id: 't1' } } });
    const some = object('coder', { spec: { mirror: { workspaces: 'Disabled' } } });
    b.wakeups.controlPlaneEvent({ type: 'modified', key: 'x', object: some, previous: object('coder') });
    expect(await b.woken()).to.have.members([CP, T, W]);
    expect(b.mirrors()).to.deep.equal(['templates of team', 'workspaces of team']);
    const same = object('coder', { spec: { mirror: { workspaces: 'Disabled' } } });
    b.wakeups.controlPlaneEvent({ type: 'modified', key: 'x', object: same, previous: some });
    expect(await b.woken()).to.deep.equal([CP]);
    expect(b.mirrors()).to.deep.equal([]);
  });

  it('wakes everything of a namespace after the first look, and the control plane that counts it', async () => {
    const b = bench();
    b.wakeups.firstLook('team');
    expect(await b.woken()).to.have.members([CP, T, W]);
  });

  it('wakes the control plane when an object of its namespace takes or leaves our finalizer', async () => {
    const b = bench();
    const bare = only(b, 'workspaces');
    const holding = { ...bare, metadata: { ...bare.metadata, finalizers: [finalizers.workspace] } };
    b.own = true;
    b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: holding, previous: bare });
    expect(await b.woken()).to.deep.equal([CP]);
    b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: bare, previous: holding });
    expect(await b.woken()).to.deep.equal([CP]);
    b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: holding, previous: holding });
    expect(await b.woken()).to.deep.equal([]);
  });

  it('wakes templates that wait for their last workspace to go', async () => {
    const waiting = bench({ template: { metadata: { deletionTimestamp: 'now' } } });
    waiting.wakeups.workspaceEvent({ type: 'deleted', key: 'x', object: only(waiting, 'workspaces') });
    expect(await waiting.woken()).to.include(T);
    const resting = bench();
    resting.wakeups.workspaceEvent({ type: 'deleted', key: 'x', object: only(resting, 'workspaces') });
    expect(await resting.woken()).to.not.include(T);
  });

  it('wakes those that had to leave their workspace to an older object when one goes', async () => {
    const status = { conditions: [{ type: 'Stalled', status: 'True', reason: 'DuplicateClaim' }] };
    const b = bench({ workspace: { status }, template: { status } });
    b.wakeups.workspaceEvent({ type: 'deleted', key: 'x', object: object('acme.ann.older') });
    expect(await b.woken())
      .to.include(W)
      .and.not.include(T);
    b.wakeups.templateEvent({ type: 'deleted', key: 'x', object: object('acme.older') });
    expect(await b.woken())
      .to.include(T)
      .and.not.include(W);
  });

  it('wakes an object that has just got its UUID: what changed in Coder before woke nobody', async () => {
    const bound: Parts = { status: { id: 'w7' } };
    const b = bench({ workspace: bound, template: { status: { id: 't7' } } });
    b.own = true;
    const [before, now] = [object('acme.ann.dev'), only(b, 'workspaces')];
    b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: now, previous: before });
    expect(await b.woken()).to.deep.equal([W]);
    b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: now, previous: now });
    b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: before, previous: now });
    expect(await b.woken()).to.deep.equal([]);
    b.wakeups.templateEvent({
      type: 'modified',
      key: 'x',
      object: only(b, 'templates'),
      previous: object('acme.docker'),
    });
    expect(await b.woken()).to.deep.equal([T]);
  });

  it('wakes the others that are bound to the UUID which an object has just got: a mirror makes room', async () => {
    const status = { id: 'w1' };
    const b = bench({ workspace: { status } });
    const mirror = object('acme.ann.old', { status, metadata: { labels: { 'coder.com/mirror': 'true' } } });
    const now = only(b, 'workspaces');
    b.stores.workspaces.replace([mirror, now, object('acme.ann.free')], '2');
    b.own = true;
    b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: now, previous: object('acme.ann.dev') });
    expect(await b.woken()).to.have.members([W, 'CoderWorkspace:team/acme.ann.old']);
  });

  it('wakes an object by its UUID in Coder, in the namespace of that Coder only', async () => {
    const b = bench({ workspace: { status: { id: 'w1' } }, template: { status: { id: 't1' } } });
    b.wakeups.workspaceChanged('team', 'w1', 'acme.ann.dev');
    expect(await b.woken()).to.deep.equal([W]);
    b.wakeups.templateChanged('team', 't1', undefined);
    expect(await b.woken()).to.deep.equal([T]);
    b.wakeups.workspaceChanged('team', 'unknown', undefined);
    expect(await b.woken()).to.deep.equal([]);
  });

  it('wakes the workspaces of the namespace whose values come from a ConfigMap that changed', async () => {
    const parameters = [
      { name: 'a', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a' } } },
      { name: 'b', valueFrom: { configMapKeyRef: { name: 'settings', key: 'b' } } },
      { name: 'c', valueFrom: { secretKeyRef: { name: 'hidden', key: 'c' } } },
    ];
    const b = bench({ workspace: { spec: { parameters } } });
    b.wakeups.configMapChanged('team', 'settings');
    expect(await b.woken()).to.deep.equal([W]);
    b.wakeups.configMapChanged('team', 'hidden');
    b.wakeups.configMapChanged('elsewhere', 'settings');
    expect(await b.woken()).to.deep.equal([]);
  });

  it('wakes the templates of the namespace whose content is in a ConfigMap that changed', async () => {
    const b = bench({ template: { spec: { source: { configMapRef: { name: 'content' } } } } });
    b.wakeups.configMapChanged('team', 'content');
    expect(await b.woken()).to.deep.equal([T]);
    b.wakeups.configMapChanged('team', 'other');
    b.wakeups.configMapChanged('elsewhere', 'content');
    expect(await b.woken()).to.deep.equal([]);
  });

  it('wakes both kinds that refer to one ConfigMap', async () => {
    const parameters = [{ name: 'a', valueFrom: { configMapKeyRef: { name: 'shared', key: 'a' } } }];
    const b = bench({
      workspace: { spec: { parameters } },
      template: { spec: { source: { configMapRef: { name: 'shared' } } } },
    });
    b.wakeups.configMapChanged('team', 'shared');
    expect(await b.woken()).to.have.members([T, W]);
  });

  it('wakes the templates of the namespace whose content is in a source of Flux that changed', async () => {
    const b = bench({ template: { spec: { source: { sourceRef: { kind: 'Bucket', name: 'content' } } } } });
    b.wakeups.sourceChanged('team', { kind: 'Bucket', name: 'content' });
    expect(await b.woken()).to.deep.equal([T]);
    b.wakeups.sourceChanged('team', { kind: 'GitRepository', name: 'content' });
    b.wakeups.sourceChanged('team', { kind: 'Bucket', name: 'other' });
    b.wakeups.sourceChanged('elsewhere', { kind: 'Bucket', name: 'content' });
    b.wakeups.configMapChanged('team', 'content');
    expect(await b.woken()).to.deep.equal([]);
  });

  const uses = { templateName: 'docker' };
  const waiting: [string, Parts, boolean][] = [
    ['not there yet', { spec: uses }, true],
    ['that failed', { spec: uses, status: { id: 'w1', failures: { what: 'start', count: 6 } } }, true],
    ['at rest', { spec: uses, status: { id: 'w1' } }, false],
    ['of another template', { spec: { templateName: 'nomad' } }, false],
  ];
  for (const [name, workspace, wakes] of waiting) {
    it(`${wakes ? 'wakes' : 'leaves'} a workspace ${name} when its template changes`, async () => {
      const b = bench({ workspace });
      b.wakeups.templateChanged('team', 't1', templateRecord({ name: 'Docker', organizationName: 'Acme' }));
      expect(await b.woken()).to.deep.equal(wakes ? [W] : []);
      b.wakeups.templateChanged('team', 't1', templateRecord({ organizationName: 'other' }));
      expect(await b.woken()).to.deep.equal([]);
      const before = only(b, 'templates');
      const after = { ...before, status: { activeVersion: { id: 'v2' } } };
      b.own = true;
      b.wakeups.templateEvent({ type: 'modified', key: 'x', object: after, previous: before });
      expect(await b.woken()).to.deep.equal(wakes ? [W] : []);
    });
  }

  it('looks first at what waits when a connection changes', async () => {
    const b = bench({ template: { status: { id: 't1' } } });
    b.wakeups.connectionChanged('team', true);
    expect(await b.woken()).to.deep.equal([W, T]);
  });

  const imports: [string, object, object, boolean][] = [
    ['an import under way', {}, { jobStatus: 'running' }, true],
    ['an import under way, to be promoted by hand', { promotion: 'Manual' }, { jobStatus: 'running' }, true],
    ['a version that is about to be promoted', {}, { jobStatus: 'succeeded' }, true],
    ['a version that somebody is to promote', { promotion: 'Manual' }, { jobStatus: 'succeeded' }, false],
  ];
  for (const [name, spec, pendingVersion, waits] of imports) {
    it(`takes a template with ${name} for one that ${waits ? 'waits' : 'rests'}`, async () => {
      const status = { id: 't1', pendingVersion: { name: 'k8s-1', id: 'v1', ...pendingVersion } };
      const b = bench({ template: { spec, status }, workspace: { status: { id: 'w1' } } });
      b.wakeups.connectionChanged('team', false);
      expect(await b.woken()).to.deep.equal(waits ? [T] : []);
    });
  }

  it('leaves what rests alone until everything in Coder was looked at once', async () => {
    const b = bench({ template: { status: { id: 't1' } } });
    b.wakeups.connectionChanged('team', false);
    expect(await b.woken()).to.deep.equal([W]);
    expect(b.mirrors()).to.deep.equal([]);
  });

  describe('mirrors', () => {
    const bound: Parts = { status: { id: 'w1' } };

    const label = { labels: { 'coder.com/mirror': 'true' } };

    it('have their turn behind what people wait for, also when all are woken', async () => {
      const b = bench({ template: { metadata: label, status: { id: 't1' } } });
      b.wakeups.templateChanged('team', 't1', undefined);
      b.wakeups.workspaceEvent({ type: 'added', key: 'x', object: only(b, 'workspaces') });
      expect(await b.woken()).to.deep.equal([W, T]);
    });

    it('that a user takes over claim what they showed: whoever has it too is woken', async () => {
      const b = bench({ workspace: { ...bound, spec: { running: true } } });
      const previous = object('acme.ann.dev', { ...bound, metadata: label });
      b.own = true;
      const now = only(b, 'workspaces');
      b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: now, previous });
      expect(await b.woken()).to.deep.equal([W, 'CoderWorkspace:elsewhere/acme.zoe.far']);
    });

    it('that go leave nothing that a control plane waits for', async () => {
      const b = bench({ workspace: { ...bound, metadata: label } });
      b.wakeups.workspaceEvent({ type: 'deleted', key: 'x', object: only(b, 'workspaces') });
      expect(await b.woken()).to.deep.equal([]);
    });

    it('may be needed by anything in a Coder that was looked at', () => {
      const b = bench();
      b.wakeups.connectionChanged('team', true);
      expect(b.mirrors()).to.deep.equal(['templates of team', 'workspaces of team']);
      b.wakeups.firstLook('team');
      expect(b.mirrors()).to.deep.equal(['templates of team', 'workspaces of team']);
    });

    it('may be needed by a workspace that no object of its name shows', () => {
      const b = bench({ workspace: bound });
      b.wakeups.workspaceChanged('team', 'w1', 'acme.ann.dev');
      expect(b.mirrors(), 'it has its object').to.deep.equal([]);
      b.wakeups.workspaceChanged('team', 'w1', 'acme.ann.other');
      expect(b.mirrors(), 'it has another name now').to.deep.equal(['workspaces team/w1']);
      b.wakeups.workspaceChanged('team', 'w2', 'acme.ann.dev');
      expect(b.mirrors(), 'the object of its name shows another one').to.deep.equal(['workspaces team/w2']);
      b.wakeups.workspaceChanged('elsewhere', 'w1', 'acme.ann.dev');
      expect(b.mirrors(), 'its object is in another namespace').to.deep.equal(['workspaces elsewhere/w1']);
      b.wakeups.workspaceChanged('team', 'w3', undefined);
      expect(b.mirrors(), 'it is not seen any more').to.deep.equal([]);
    });

    it('may be needed by a template that no object of its name shows', () => {
      const b = bench({ template: { status: { id: 't1' } } });
      b.wakeups.templateChanged('team', 't1', templateRecord({ name: 'Docker', organizationName: 'Acme' }));
      expect(b.mirrors()).to.deep.equal([]);
      b.wakeups.templateChanged('team', 't1', templateRecord({ name: 'other' }));
      b.wakeups.templateChanged('team', 't2', templateRecord());
      expect(b.mirrors()).to.deep.equal(['templates team/t1', 'templates team/t2']);
      b.wakeups.templateChanged('team', 't3', undefined);
      expect(b.mirrors()).to.deep.equal([]);
    });

    it('may be needed when an object goes', () => {
      const b = bench({ workspace: bound });
      b.wakeups.workspaceEvent({ type: 'deleted', key: 'x', object: only(b, 'workspaces') });
      b.wakeups.templateEvent({ type: 'deleted', key: 'x', object: only(b, 'templates') });
      expect(b.mirrors()).to.deep.equal(['workspaces without acme.ann.dev', 'templates without acme.docker']);
    });

    it('may be needed by what an object was bound to before', () => {
      const b = bench();
      const [before, after] = [
        object('acme.ann.dev', bound),
        object('acme.ann.dev', { status: { id: 'w2' } }),
      ];
      b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: after, previous: before });
      expect(b.mirrors()).to.deep.equal(['workspaces team/w1']);
      b.wakeups.workspaceEvent({
        type: 'modified',
        key: 'x',
        object: object('acme.ann.dev'),
        previous: after,
      });
      expect(b.mirrors()).to.deep.equal(['workspaces team/w2']);
      b.wakeups.workspaceEvent({ type: 'modified', key: 'x', object: after, previous: after });
      b.wakeups.workspaceEvent({ type: 'added', key: 'x', object: after });
      expect(b.mirrors(), 'nothing was left').to.deep.equal([]);
      const boundTo = (id: string): CoderTemplate => object('acme.docker', { status: { id } });
      b.wakeups.templateEvent({
        type: 'modified',
        key: 'x',
        object: boundTo('t2'),
        previous: boundTo('t1'),
      });
      expect(b.mirrors()).to.deep.equal(['templates team/t1']);
    });
  });
});

describe('parseKey', () => {
  it('takes a key apart', () => {
    for (const { kind } of [controlPlanes, templates, workspaces]) {
      expect(parseKey(`${kind}:team/acme.ann.dev`)).to.deep.equal({ kind, objectKey: 'team/acme.ann.dev' });
    }
  });
});

describe('held', () => {
  it('names the first three objects that hold our finalizer', () => {
    const stores = createStores(silentLogger);
    const holding = { metadata: { finalizers: [finalizers.workspace] } };
    stores.workspaces.replace(
      [
        ...['a', 'b', 'c', 'd'].map((n) => object(`acme.ann.${n}`, holding)),
        object('acme.ann.free', { metadata: { finalizers: ['example.com/other'] } }),
        object('acme.ann.far', { namespace: 'elsewhere', ...holding }),
      ],
      '1',
    );
    expect(held(stores, 'team')).to.deep.equal({
      count: 4,
      some: ['CoderWorkspace acme.ann.a', 'CoderWorkspace acme.ann.b', 'CoderWorkspace acme.ann.c'],
    });
    expect(held(stores, 'nowhere')).to.deep.equal({ count: 0, some: [] });
  });

  it('finds objects by our own writes at once', () => {
    const stores = createStores(silentLogger);
    stores.workspaces.replace([object('acme.ann.dev')], '1');
    stores.assume(
      workspaces,
      object('acme.ann.dev', { status: { id: 'w1' }, metadata: { resourceVersion: '2' } }),
    );
    stores.assume(
      templates,
      object('acme.docker', { status: { id: 't1' }, metadata: { resourceVersion: '3' } }),
    );
    expect(stores.workspaces.byIndex('id', 'w1')).to.have.length(1);
    expect(stores.templates.byIndex('id', 'w1')).to.have.length(0);
  });
});
