import { expect } from 'chai';
import { silentLogger } from '../../../src/base/logger.ts';
import { configMaps as resource, ConfigMaps } from '../../../src/controller/configmaps.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { forbidden, unknownKind, WatchedKube } from '../../support/watched-kube.ts';

describe('ConfigMaps', () => {
  let kube: WatchedKube;
  let clock: FakeClock;
  let stop: AbortController;
  let changes: string[];
  let configMaps: ConfigMaps;

  beforeEach(() => {
    kube = new WatchedKube();
    kube.put(resource, 'team', 'settings', { data: { region: 'eu' } });
    clock = new FakeClock();
    stop = new AbortController();
    changes = [];
    configMaps = new ConfigMaps({
      kube: kube.client,
      clock,
      logger: silentLogger,
      signal: stop.signal,
      onChange: (namespace, name) => changes.push(`${namespace}/${name}`),
    });
  });

  afterEach(async () => {
    stop.abort();
    await settle();
    expect(kube.watched, 'no watch is left').to.deep.equal([]);
    expect(clock.pending, 'no timer is left').to.equal(0);
  });

  const read = async (): Promise<unknown> => {
    const answer = await configMaps.read('team', 'settings');
    return typeof answer === 'object' ? answer.data : answer;
  };

  it('reads the data once for each version, for whomever it is', async () => {
    configMaps.refer('team', 'CoderWorkspace team/a.b.c', ['settings']);
    configMaps.refer('team', 'CoderTemplate team/a.b', ['settings']);
    expect(await Promise.all([read(), read()])).to.deep.equal([{ region: 'eu' }, { region: 'eu' }]);
    kube.put(resource, 'team', 'settings', { data: { region: 'us' } });
    await settle();
    expect(changes).to.deep.equal(['team/settings']);
    expect(await Promise.all([read(), read()])).to.deep.equal([{ region: 'us' }, { region: 'us' }]);
    expect(kube.count('get')).to.equal(2);
  });

  it('asks for none by a name that none can have', async () => {
    for (const name of ['.', '..', '../../other/configmaps/settings', 'other/settings']) {
      expect(await configMaps.read('team', name), name).to.equal(undefined);
    }
    expect(kube.count('get')).to.equal(0);
  });

  it('ends with the last reference, and when it is closed', async () => {
    configMaps.refer('team', 'a', ['settings']);
    configMaps.refer('other', 'b', ['settings']);
    await settle();
    configMaps.refer('team', 'a', []);
    await settle();
    expect(kube.watched).to.deep.equal(['configmaps other']);
    configMaps.close();
    await settle();
    expect(kube.watched).to.deep.equal([]);
  });

  it('says that the right is missing', async () => {
    kube.refuse(forbidden);
    configMaps.refer('team', 'a', ['settings']);
    expect(await read()).to.equal('forbidden');
  });

  it('takes an answer that knows no ConfigMaps for a failure, and for no proof that one is missing', async () => {
    kube.refuse(unknownKind);
    configMaps.refer('team', 'a', ['settings']);
    const error = await read().catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(KubeError).with.property('retryable', true);
    kube.refuse();
    await clock.advance(15_000);
    expect(changes).to.deep.equal(['team/settings']);
    expect(await read()).to.deep.equal({ region: 'eu' });
  });
});
