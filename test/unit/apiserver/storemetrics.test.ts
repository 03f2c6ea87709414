import { expect } from 'chai';
import { Registry } from 'prom-client';
import { registerStoreMetrics } from '../../../src/apiserver/storemetrics.ts';
import { ObjectStore } from '../../../src/apiserver/store/store.ts';
import { workspaceView } from '../../../src/apiserver/view/workspace.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { CoderWorkspace } from '../../../src/api/kinds.ts';
import { FakeClock } from '../../support/clock.ts';

describe('registerStoreMetrics', () => {
  it('tells what the stores hold at the moment of the look', async () => {
    const registry = new Registry();
    const store = new ObjectStore<CoderWorkspace>({
      kind: workspaceView,
      clock: new FakeClock(),
      logger: silentLogger,
    });
    registerStoreMetrics(registry, [store]);
    const series = (): Promise<string> => registry.metrics();
    const line = 'coder_operator_endpoint_objects{resource="coderworkspaces"}';
    expect(await series()).to.contain(`${line} 0`);
    const object: CoderWorkspace = {
      metadata: { namespace: 'a', name: 'coder.admin.dev', uid: 'u', resourceVersion: '5' },
      spec: {},
    };
    const steps = store.replaceInSteps([store.prepare(object)], '7', 0);
    while (steps.next().done !== true);
    expect(await series()).to.contain(`${line} 1`);
    const changed = { ...object, metadata: { ...object.metadata, resourceVersion: '8' } };
    store.apply({ type: 'MODIFIED', object: changed });
    expect(await series()).to.contain('coder_operator_endpoint_history_events{resource="coderworkspaces"} 1');
  });
});
