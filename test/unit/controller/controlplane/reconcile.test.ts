import { expect } from 'chai';
import type { CoderControlPlaneSpec, CoderControlPlaneStatus } from '../../../../src/api/generated.ts';
import type { KubeObject, ResourceType } from '../../../../src/api/meta.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { Connections } from '../../../../src/controller/connections.ts';
import { ControlPlaneReconciler } from '../../../../src/controller/controlplane/reconcile.ts';
import type { Rest } from '../../../../src/controller/step.ts';
import type { KubeClient } from '../../../../src/kube/client.ts';
import { KubeError } from '../../../../src/kube/errors.ts';
import { FakeClock } from '../../../support/clock.ts';
import { HeldObject } from '../../../support/controller-kube.ts';
import { shown } from '../../../support/controller-records.ts';
import { SETTINGS } from '../../../support/controller-world.ts';

type Data = Readonly<Record<string, string>>;

/** A control plane, the API server's answer to a read of its Secret, and no network. */
class Bench {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly held = new HeldObject<CoderControlPlaneSpec, CoderControlPlaneStatus>('coder', {
    credentialsSecretRef: { name: 'login' },
  });
  readonly asked: string[] = [];
  secret: Data | KubeError = {};
  readonly connections = new Connections({
    clock: this.clock,
    logger: silentLogger,
    signal: this.stop.signal,
    controlPlaneOf: () => 'coder',
    onChange: () => undefined,
    onFirstLook: () => undefined,
    onSuspicion: () => undefined,
    onWorkspace: () => undefined,
    onTemplate: () => undefined,
  });
  readonly reconciler = new ControlPlaneReconciler({
    context: {
      kube: {
        get: (resource: ResourceType, namespace: string | undefined, name: string): Promise<KubeObject> => {
          this.asked.push(`${resource.plural} ${namespace ?? ''}/${name}`);
          if (this.secret instanceof KubeError) return Promise.reject(this.secret);
          const data = Object.entries(this.secret).map(([k, v]) => [k, Buffer.from(v).toString('base64')]);
          const secret = {
            metadata: { name },
            type: 'coder.com/credentials',
            data: Object.fromEntries(data) as Data,
          };
          return Promise.resolve(secret);
        },
      } as unknown as KubeClient,
      writer: this.held.writer,
      connections: this.connections,
      settings: SETTINGS,
      clock: this.clock,
      logger: silentLogger,
      epoch: 'one',
      assertLeading: () => undefined,
      emit: () => undefined,
      signal: this.stop.signal,
    },
    coder: { policy: { httpHosts: [], allowLoopback: false } },
    isThere: () => true,
    olderOne: () => undefined,
    held: () => ({ count: 0, some: [] }),
  });

  pass(): Promise<Rest | undefined> {
    const { object } = this.held;
    if (object === undefined) throw new Error('it is gone');
    return this.reconciler.reconcile(object);
  }
}

const refusal = (status: number, reason: string): KubeError =>
  new KubeError('KUBE_REFUSED', 'x', { status, reason });

describe('ControlPlaneReconciler', () => {
  const cases: [string, Data | KubeError, string][] = [
    ['a Secret that is not there', refusal(404, 'NotFound'), 'WaitingForDependency'],
    ['a Secret that may not be read', refusal(403, 'Forbidden'), 'SecretForbidden'],
    ['a Secret without a token', { url: 'https://coder.example.com' }, 'InvalidCredentials'],
    ['a URL that is none', { url: 'coder', token: 'abc' }, 'InvalidCredentials'],
    [
      'plain http to a host that no flag names',
      { url: 'http://coder.example.com', token: 'abc' },
      'InvalidCredentials',
    ],
    ['an address of this very machine', { url: 'https://127.0.0.1:1', token: 'abc' }, 'InvalidCredentials'],
  ];
  for (const [name, secret, reason] of cases) {
    it(`${name}: ${reason}, and every object of the namespace learns why`, async () => {
      const bench = new Bench();
      bench.secret = secret;
      expect(await bench.pass()).to.deep.include({ until: 'time' });
      expect(bench.asked).to.deep.equal(['secrets team/login']);
      const ready = shown(bench.held.object?.status)[0];
      expect(ready).to.equal(`Ready=False/${reason}`);
      expect(bench.connections.fact('team')).to.deep.include({ state: 'unavailable', controlPlane: 'coder' });
      bench.stop.abort();
    });
  }

  it('lets the queue try again when the API server does not answer', async () => {
    const bench = new Bench();
    bench.secret = refusal(500, 'InternalError');
    expect(await bench.pass().catch((error: unknown) => error)).to.equal(bench.secret);
    expect(bench.held.writes).to.equal(0);
  });
});
