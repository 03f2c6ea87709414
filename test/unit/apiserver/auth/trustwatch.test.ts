import { expect } from 'chai';
import { NO_TRUST, trustConfigMaps } from '../../../../src/apiserver/auth/trust.ts';
import { TrustWatch } from '../../../../src/apiserver/auth/trustwatch.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import type { ListOptions } from '../../../../src/kube/client.ts';
import { certifyCA, trustData, type Issued } from '../../../support/auth-pki.ts';
import { FakeClock } from '../../../support/clock.ts';
import { eventually } from '../../../support/eventually.ts';
import { forbidden, WatchedKube } from '../../../support/watched-kube.ts';

const NAMESPACE = 'kube-system';
const NAME = 'extension-apiserver-authentication';

describe('TrustWatch', () => {
  let ca: Issued;
  let next: Issued;
  let kube: WatchedKube;
  let clock: FakeClock;
  let watch: TrustWatch;
  let warnings: string[];
  let selectors: (string | undefined)[];
  let stop: () => Promise<void>;

  before(async () => {
    ca = await certifyCA('CN=front-proxy-ca');
    next = await certifyCA('CN=front-proxy-ca');
  });

  beforeEach(() => {
    kube = new WatchedKube();
    clock = new FakeClock();
    warnings = [];
    selectors = [];
    const { client } = kube;
    watch = new TrustWatch({
      client: {
        list: (resource, namespace, options?: ListOptions) => {
          selectors.push(options?.fieldSelector);
          return client.list(resource, namespace, { ...options, limit: 1 });
        },
        watch: (resource, namespace, options) => {
          selectors.push(options.fieldSelector);
          return client.watch(resource, namespace, options);
        },
      },
      clock,
      logger: { ...silentLogger, warn: (message) => warnings.push(message) },
    });
    const controller = new AbortController();
    const running = watch.run(controller.signal);
    stop = async () => {
      controller.abort();
      await running;
    };
  });

  afterEach(() => stop());

  const put = (data: Record<string, string>): void => kube.put(trustConfigMaps, NAMESPACE, NAME, { data });
  const watching = (): Promise<void> => eventually(() => kube.watched.length === 1);
  const trusted = (): Buffer[] => watch.current.frontProxy?.certificates.map(({ der }) => der) ?? [];
  const changed = async (change: () => void): Promise<void> => {
    const before = watch.current;
    change();
    await eventually(() => watch.current !== before);
  };
  /** A change that is to have no effect, then one that shows that it was seen. */
  const unchanged = async (change: () => void, seen: () => boolean): Promise<void> => {
    const before = watch.current;
    change();
    await eventually(seen);
    expect(watch.current).to.equal(before);
  };

  it('trusts nobody and has read nothing before it has seen the ConfigMap', async () => {
    await watching();
    expect([watch.current, watch.isRead]).to.deep.equal([NO_TRUST, false]);
    await changed(() => put(trustData([ca])));
    expect(watch.isRead).to.be.true;
    expect(trusted()).to.deep.equal([ca.der]);
  });

  it('asks for this one object only, as its Role allows', async () => {
    await watching();
    expect(selectors).to.deep.equal([`metadata.name=${NAME}`, `metadata.name=${NAME}`]);
    expect(kube.calls).to.deep.equal([`list configmaps ${NAMESPACE}`, `watch configmaps ${NAMESPACE}`]);
  });

  it('13. follows a new CA, new names and new headers', async () => {
    await watching();
    await changed(() => put(trustData([ca])));
    await changed(() => put(trustData([ca, next])));
    expect(trusted()).to.deep.equal([ca.der, next.der]);
    await changed(() => put(trustData([next], { 'requestheader-allowed-names': '["a", "b"]' })));
    expect(watch.current.frontProxy?.allowedNames).to.deep.equal(['a', 'b']);
    await changed(() => put(trustData([next], { 'requestheader-username-headers': '["X-User"]' })));
    expect(watch.current.frontProxy?.usernameHeaders).to.deep.equal(['x-user']);
  });

  it('13. keeps what held when the ConfigMap is deleted, and takes what comes after', async () => {
    await watching();
    await changed(() => put(trustData([ca])));
    await unchanged(
      () => kube.remove(trustConfigMaps, NAMESPACE, NAME),
      () => warnings.length === 1,
    );
    expect(trusted()).to.deep.equal([ca.der]);
    await changed(() => put(trustData([next])));
    expect(trusted()).to.deep.equal([next.der]);
  });

  it('keeps what held when the ConfigMap is malformed, all of it', async () => {
    await watching();
    await changed(() => put(trustData([ca])));
    const half = trustData([next], { 'requestheader-allowed-names': 'front-proxy-client' });
    await unchanged(
      () => put(half),
      () => warnings.length === 1,
    );
    expect(trusted()).to.deep.equal([ca.der]);
  });

  it('trusts nobody any more when the ConfigMap names no CA: that is how one is withdrawn', async () => {
    await watching();
    await changed(() => put(trustData([ca])));
    await changed(() => put({ 'client-ca-file': ca.pem }));
    expect([watch.current, watch.isRead]).to.deep.equal([NO_TRUST, true]);
    expect(warnings).to.have.length(1);
  });

  it('is not ready by a malformed ConfigMap', async () => {
    await watching();
    await unchanged(
      () => put({ 'requestheader-client-ca-file': 'nonsense' }),
      () => warnings.length === 1,
    );
    expect(watch.isRead).to.be.false;
  });

  it('stays the same value when nothing of it has changed, so that verified chains stay so', async () => {
    await watching();
    await changed(() => put(trustData([ca])));
    await unchanged(
      () => {
        put(trustData([ca]));
        kube.remove(trustConfigMaps, NAMESPACE, NAME);
        put(trustData([ca]));
        put({ 'requestheader-client-ca-file': 'nonsense' });
        put(trustData([ca]));
        kube.remove(trustConfigMaps, NAMESPACE, NAME);
      },
      () => warnings.length === 3,
    );
  });

  it('keeps what held, and goes on trying, when the watch ends and lists fail', async () => {
    await watching();
    await changed(() => put(trustData([ca])));
    kube.refuse(forbidden);
    kube.endWatches();
    await eventually(() => clock.pending > 0 && kube.watched.length === 0);
    expect(trusted()).to.deep.equal([ca.der]);
    kube.refuse();
    await clock.advance(60_000);
    await watching();
    await changed(() => put(trustData([next])));
    expect(trusted()).to.deep.equal([next.der]);
  });
});
