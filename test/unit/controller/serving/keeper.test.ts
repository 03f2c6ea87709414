import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { until } from '../../../../hack/stack/wait.ts';
import { servingSettings, type ServingSettings } from '../../../../src/controller/serving/decide.ts';
import { ServingKeeper } from '../../../../src/controller/serving/keeper.ts';
import { apiServices, base64, names } from '../../../../src/controller/serving/objects.ts';
import { secrets } from '../../../../src/controller/secrets.ts';
import { KubeError } from '../../../../src/kube/errors.ts';
import { NotLeadingError } from '../../../../src/kube/leader.ts';
import { FakeClock } from '../../../support/clock.ts';
import { handshake } from '../../../support/handshake.ts';
import { LogBook } from '../../../support/log-book.ts';
import { emptied, NAMESPACE, refusal, SERVER_NAME, ServingKube } from '../../../support/serving-kube.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const LOOK = servingSettings.lookEveryMs;

/** For tests of months. */
const seldom: ServingSettings = { ...servingSettings, lookEveryMs: 10 * DAY, secretsEveryMs: 10 * DAY };

const MAKE_AUTHORITY = `update secrets/${names.authoritySecret}`;
const WRITE_BUNDLE = `patch apiservices/${names.apiService}`;
const ISSUE = `update secrets/${names.servingSecret}`;

describe('ServingKeeper', () => {
  let clock: FakeClock;
  let kube: ServingKube;
  let logger: LogBook;
  let events: string[];
  let isLeading: boolean;
  let leaders: { readonly stop: AbortController; readonly running: Promise<void> }[];

  beforeEach(() => {
    // TLS checks certificates by the true time, which has to be within the life of those that are made here.
    clock = new FakeClock(new Date(Date.now() - 40 * DAY));
    kube = new ServingKube(clock);
    logger = new LogBook();
    events = [];
    isLeading = true;
    leaders = [];
  });

  afterEach(async () => {
    await depose();
    expect(clock.pending, 'no timer is left').to.equal(0);
  });

  /** A keeper begins its work; the answer comes when it rests. */
  async function lead(settings: ServingSettings = servingSettings): Promise<void> {
    const stop = new AbortController();
    const keeper = new ServingKeeper({
      kube: kube.client,
      namespace: NAMESPACE,
      clock,
      logger,
      settings,
      random: () => 1,
      events: {
        record: (object, type, reason, message) => {
          events.push(`${object.metadata.name} ${type} ${reason} ${message}`);
        },
      },
      assertLeading: () => {
        if (!isLeading) throw new NotLeadingError();
      },
    });
    leaders.push({ stop, running: keeper.run(stop.signal) });
    await resting();
  }

  async function depose(): Promise<void> {
    for (const { stop } of leaders) stop.abort(new Error('the test is over'));
    await Promise.all(leaders.map(({ running }) => running));
    leaders = [];
  }

  /** Keys are made outside of the event loop, so a look is over when the keeper sleeps again. */
  async function resting(): Promise<void> {
    const rests = await until(() => clock.pending >= leaders.length || undefined, {
      withinMs: 5_000,
      everyMs: 1,
    });
    expect(rests, 'it rests').to.equal(true);
  }

  /** Time goes on in steps, with every look carried out. */
  async function pass(ms: number, stepMs = ms): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await clock.advance(Math.min(stepMs, ms - passed));
      await resting();
    }
  }

  async function install(settings?: ServingSettings): Promise<void> {
    kube.putApiService();
    await lead(settings);
    kube.writes.length = 0;
    kube.calls.length = 0;
  }

  /** Whether the API server would reach an endpoint that has the Secret's certificate. */
  const reached = (): Promise<'trusted' | Error> =>
    handshake(kube.serving, { ca: kube.bundle, name: SERVER_NAME });

  const certificateIn = (name: string): X509Certificate =>
    new X509Certificate(Buffer.from(kube.secret(name)?.data?.['tls.crt'] ?? '', 'base64'));
  const bundleSize = (): number => kube.bundle.match(/BEGIN CERTIFICATE/g)?.length ?? 0;

  describe('without an endpoint', () => {
    it('writes nothing, reads no Secret, and keeps quiet', async () => {
      await lead();
      await pass(5 * MINUTE, LOOK);
      expect(new Set(kube.calls)).to.deep.equal(new Set(['get apiservices']));
      expect(kube.writes).to.deep.equal([]);
      expect(logger.of('info').concat(logger.of('warn'))).to.deep.equal([]);
    });

    it('says once that it may not look, and goes on looking', async () => {
      kube.forbidden.add('get apiservices');
      await lead();
      await pass(2 * MINUTE, LOOK);
      expect(kube.calls).to.deep.equal(Array(1 + (2 * MINUTE) / LOOK).fill('get apiservices'));
      expect(logger.texts).to.have.lengthOf(1);
      expect(logger.of('info')[0]).to.match(/may not read the APIService v1alpha1.aggregation.coder.com/);

      kube.forbidden.clear();
      kube.putApiService();
      await pass(LOOK);
      expect(kube.writes).to.have.lengthOf(3);
    });
  });

  describe('when the endpoint is installed', () => {
    it('2. makes an authority, has it trusted, then issues the certificate that the API server asks for', async () => {
      kube.putApiService();
      await lead();
      expect(kube.writes).to.deep.equal([MAKE_AUTHORITY, WRITE_BUNDLE, ISSUE]);
      expect(await reached()).to.equal('trusted');
      expect(certificateIn(names.servingSecret).subjectAltName).to.match(new RegExp(`DNS:${SERVER_NAME}`));
    });

    it('takes notice within seconds when that is later', async () => {
      await lead();
      await pass(MINUTE, LOOK);
      kube.putApiService();
      await pass(LOOK);
      expect(await reached()).to.equal('trusted');
    });

    it('keeps the key of the authority out of the Secret that the endpoint mounts', async () => {
      await install();
      const mounted = kube.secret(names.servingSecret);
      expect(Object.keys(mounted?.data ?? {})).to.have.members(['tls.crt', 'tls.key', 'ca.crt']);
      expect(mounted?.type).to.equal('Opaque');
      const key = kube.secret(names.authoritySecret)?.data?.['tls.key'] ?? '';
      expect(key).to.have.length.above(100);
      expect(JSON.stringify(mounted)).to.not.contain(key);
      expect(Buffer.from(mounted?.data?.['ca.crt'] ?? '', 'base64').toString()).to.equal(kube.bundle);
    });

    it('changes nothing of the APIService but its bundle', async () => {
      kube.putApiService((object) => ({
        ...object,
        spec: { ...object.spec, groupPriorityMinimum: 500 },
        status: { conditions: [] },
      }));
      const { metadata: before } = kube.apiService!;
      await lead();
      const { metadata, spec, ...rest } = kube.apiService!;
      expect({ ...metadata, resourceVersion: '' }).to.deep.equal({ ...before, resourceVersion: '' });
      expect(spec).to.deep.include({ groupPriorityMinimum: 500 });
      expect(rest).to.deep.include({ status: { conditions: [] } });
    });

    it('tells what it did, in the log and by events, and never a key', async () => {
      await install();
      const said = [...logger.texts, ...events].join('\n');
      expect(events).to.have.lengthOf(3);
      expect(events[2]).to.match(/^v1alpha1.aggregation.coder.com Normal CertificateIssued /);
      expect(logger.of('info')).to.have.lengthOf(4);
      for (const name of [names.authoritySecret, names.servingSecret]) {
        const key = kube.secret(name)?.data?.['tls.key'] ?? '';
        for (const line of Buffer.from(key, 'base64').toString().split('\n').slice(0, 2)) {
          expect(said).to.not.contain(line);
        }
        expect(said).to.not.contain(key.slice(0, 40));
      }
    });
  });

  describe('at rest', () => {
    it('writes nothing, and reads the Secrets every ten minutes', async () => {
      await install();
      await pass(HOUR, LOOK);
      expect(kube.writes).to.deep.equal([]);
      expect(kube.calls.filter((call) => call === 'get secrets')).to.have.lengthOf(2 * 6);
      expect(kube.calls.filter((call) => call === 'get apiservices')).to.have.lengthOf(HOUR / LOOK);
      expect(kube.calls).to.have.lengthOf(2 * 6 + HOUR / LOOK);
    });

    it('writes nothing when another process takes over', async () => {
      await install();
      await depose();
      await lead();
      expect(kube.writes).to.deep.equal([]);
    });

    it('is not disturbed by a change of the status', async () => {
      await install();
      kube.putApiService((object) => ({ ...object, status: { conditions: [{ type: 'Available' }] } }));
      await pass(LOOK);
      expect(kube.calls).to.deep.equal(['get apiservices']);
    });
  });

  describe('what others do', () => {
    it('2. writes the bundle again within seconds when the APIService was replaced', async () => {
      await install();
      kube.putApiService(({ spec: { service }, ...object }) => ({
        ...object,
        spec: service === undefined ? {} : { service },
      }));
      expect(kube.bundle).to.equal('');
      await pass(LOOK);
      expect(kube.writes).to.deep.equal([WRITE_BUNDLE]);
      expect(await reached()).to.equal('trusted');
    });

    it('issues a certificate again when its Secret was emptied or edited', async () => {
      await install();
      kube.putSecret(names.servingSecret, emptied);
      await pass(10 * MINUTE, LOOK);
      expect(kube.writes).to.deep.equal([ISSUE]);
      kube.putSecret(names.servingSecret, (secret) => ({
        ...secret,
        metadata: { ...secret.metadata, annotations: { note: 'mine' } },
        data: { ...secret.data, 'tls.key': base64('tampered with') },
      }));
      await pass(10 * MINUTE, LOOK);
      expect(kube.writes).to.deep.equal([ISSUE, ISSUE]);
      expect(await reached()).to.equal('trusted');
      expect(kube.secret(names.servingSecret)?.metadata.annotations).to.deep.equal({ note: 'mine' });
    });

    it('makes a new authority when the key of the former one is lost, and goes over to it without a gap', async () => {
      await install({ ...servingSettings, lookEveryMs: HOUR, secretsEveryMs: HOUR });
      const former = kube.serving;
      kube.putSecret(names.authoritySecret, emptied);
      await pass(HOUR);
      expect(kube.writes).to.deep.equal([MAKE_AUTHORITY, WRITE_BUNDLE]);
      expect(kube.serving).to.deep.equal(former);
      expect(await reached()).to.equal('trusted');
      await pass(10 * MINUTE);
      expect(kube.writes).to.deep.equal([MAKE_AUTHORITY, WRITE_BUNDLE, ISSUE]);
      expect(await reached()).to.equal('trusted');
      expect(await handshake(former, { ca: kube.bundle, name: SERVER_NAME })).to.equal('trusted');
      await pass(DAY);
      expect(bundleSize()).to.equal(1);
      expect(await reached()).to.equal('trusted');
      expect(await handshake(former, { ca: kube.bundle, name: SERVER_NAME })).to.be.instanceOf(Error);
    });

    it('follows the name of the Service', async () => {
      await install();
      kube.putApiService((object) => ({
        ...object,
        spec: { ...object.spec, service: { namespace: NAMESPACE, name: 'renamed' } },
      }));
      await pass(LOOK);
      expect(kube.writes).to.deep.equal([ISSUE]);
      expect(certificateIn(names.servingSecret).subjectAltName).to.match(/DNS:renamed.coder-operator.svc,/);
    });

    for (const [who, change] of Object.entries({
      'cert-manager, by its annotation': {
        annotations: { 'cert-manager.io/inject-ca-from': 'coder-operator/coder-operator-apiserver' },
      },
      'another project, without our label': { labels: {} },
    })) {
      it(`leaves everything to ${who}`, async () => {
        kube.putApiService((object) => ({ ...object, metadata: { ...object.metadata, ...change } }));
        await lead();
        await pass(20 * MINUTE, LOOK);
        expect(kube.writes).to.deep.equal([]);
        expect(kube.calls).to.not.include('get secrets');
        expect(logger.texts).to.have.lengthOf(1);
      });
    }

    it('leaves a Secret alone that somebody else has made, says so once, and takes over when it is gone', async () => {
      kube.putApiService();
      kube.putSecret(names.servingSecret, ({ metadata }) => ({
        metadata: { ...metadata, labels: {} },
        data: { 'tls.crt': base64('theirs') },
      }));
      await lead();
      await pass(20 * MINUTE, LOOK);
      expect(kube.writes).to.deep.equal([]);
      expect(logger.of('warn')).to.have.lengthOf(1);
      expect(logger.of('warn')[0]).to.match(/Secret coder-operator-apiserver-tls is not this controller's/);
      expect(events).to.have.lengthOf(1);
      expect(events[0]).to.match(/Warning CertificatesNotKept/);

      kube.remove(secrets, names.servingSecret);
      kube.putSecret(names.servingSecret, emptied);
      await pass(10 * MINUTE, LOOK);
      expect(await reached()).to.equal('trusted');
    });

    for (const name of [names.authoritySecret, names.servingSecret]) {
      it(`creates no Secret (${name}): says once what is missing, and goes on when it is there`, async () => {
        kube.putApiService();
        kube.remove(secrets, name);
        await lead();
        await pass(5 * MINUTE, LOOK);
        expect(kube.writes).to.deep.equal([]);
        expect(kube.calls).to.not.include('create secrets');
        expect(logger.of('warn')).to.have.lengthOf(1);
        expect(logger.of('warn')[0]).to.contain(
          `there is no Secret coder-operator/${name}; config/apiserver brings it, empty`,
        );
        expect(events.filter((event) => event.includes(' Warning '))).to.have.lengthOf(1);
        kube.putSecret(name, emptied);
        await pass(LOOK);
        expect(await reached()).to.equal('trusted');
      });
    }

    it('keeps nothing any more once the APIService is gone, and deletes nothing', async () => {
      await install(seldom);
      kube.remove(apiServices, names.apiService);
      await pass(80 * DAY, 20 * DAY);
      expect(kube.writes).to.deep.equal([]);
      expect(kube.secret(names.servingSecret)).to.not.equal(undefined);
    });
  });

  describe('in the course of time', () => {
    it('renews the certificate a month before its end', async () => {
      await install(seldom);
      const former = certificateIn(names.servingSecret);
      expect(Date.parse(former.validTo) - clock.now()).to.be.closeTo(90 * DAY, SECOND);
      await pass(59 * DAY, DAY);
      expect(kube.writes).to.deep.equal([]);
      await pass(DAY);
      expect(kube.writes).to.deep.equal([ISSUE]);
      const renewed = certificateIn(names.servingSecret);
      expect(Date.parse(renewed.validTo) - clock.now()).to.be.closeTo(90 * DAY, DAY);
      expect(renewed.verify(certificateIn(names.authoritySecret).publicKey)).to.equal(true);
    });

    it('4. rotates the authority: trusted beside the former one, then signing, then alone', async () => {
      await install(seldom);
      const former = certificateIn(names.authoritySecret);
      // Four months before its end. The certificates in between are renewed as ever.
      await pass(243 * DAY, DAY);
      expect(new Set(kube.writes)).to.deep.equal(new Set([ISSUE]));
      kube.writes.length = 0;
      await pass(DAY, 30 * MINUTE);
      expect(kube.writes.slice(0, 2)).to.deep.equal([MAKE_AUTHORITY, WRITE_BUNDLE]);
      expect(kube.writes[2]).to.equal(ISSUE);
      expect(bundleSize()).to.equal(2);
      const authority = certificateIn(names.authoritySecret);
      expect(authority.fingerprint256).to.not.equal(former.fingerprint256);
      expect(certificateIn(names.servingSecret).verify(authority.publicKey)).to.equal(true);
      await pass(DAY, 30 * MINUTE);
      expect(kube.bundle).to.equal(authority.toString());
      expect(kube.writes).to.have.lengthOf(4);
    });

    it("goes by the API server's clock, and says that its own is wrong", async () => {
      kube.putApiService();
      kube.now = () => clock.now() + 200 * DAY;
      await lead();
      const { validFrom } = certificateIn(names.servingSecret);
      expect(Date.parse(validFrom)).to.be.closeTo(clock.now() + 200 * DAY - 5 * MINUTE, 2 * SECOND);
      expect(logger.of('warn')).to.have.lengthOf(1);
      expect(logger.of('warn')[0]).to.match(/clock differs/);
    });

    it('is not misled by a jump of its own clock', async () => {
      await install(seldom);
      // Only ours goes on, by 70 days.
      const then = clock.now();
      kube.now = () => then;
      await pass(70 * DAY);
      expect(kube.writes).to.deep.equal([]);
      expect(logger.of('warn')).to.have.lengthOf(1);
    });

    it('takes its own clock where the API server does not tell', async () => {
      kube.forbidden.add('create selfsubjectreviews');
      kube.putApiService();
      await lead();
      expect(await reached()).to.equal('trusted');
    });

    it('replaces what a clock that was ahead has made', async () => {
      kube.putApiService();
      kube.now = () => clock.now() + 400 * DAY;
      await lead();
      await depose();
      kube.now = () => clock.now();
      kube.writes.length = 0;
      await lead();
      expect(kube.writes).to.deep.equal([MAKE_AUTHORITY, WRITE_BUNDLE, ISSUE]);
      expect(await reached()).to.equal('trusted');
    });
  });

  describe('crashes and failures', () => {
    for (const [n, what] of ['the authority', 'the bundle', 'the certificate'].entries()) {
      it(`ends in the same state after a crash right after writing ${what}`, async () => {
        kube.putApiService();
        kube.onWritten = () => {
          if (kube.writes.length !== n + 1) return;
          isLeading = false;
          throw new Error('the process has ended');
        };
        await lead();
        expect(kube.writes).to.have.lengthOf(n + 1);
        await depose();
        kube.onWritten = () => undefined;
        isLeading = true;
        await lead();
        expect(kube.writes).to.deep.equal([MAKE_AUTHORITY, WRITE_BUNDLE, ISSUE]);
        expect(await reached()).to.equal('trusted');
      });
    }

    it('looks again when an answer was lost, and repeats nothing', async () => {
      kube.putApiService();
      kube.onWritten = () => {
        throw new KubeError('KUBE_TIMEOUT', 'no answer', { retryable: true, unclear: true });
      };
      await lead();
      await pass(20 * SECOND, SECOND);
      expect(kube.writes).to.deep.equal([MAKE_AUTHORITY, WRITE_BUNDLE, ISSUE]);
      expect(await reached()).to.equal('trusted');
    });

    it('two that both take themselves for the leader end in one state', async () => {
      kube.putApiService();
      await Promise.all([lead(), lead()]);
      await pass(30 * MINUTE, LOOK);
      expect(await reached()).to.equal('trusted');
      kube.writes.length = 0;
      await pass(30 * MINUTE, LOOK);
      expect(kube.writes).to.deep.equal([]);
    });

    it('fails on a stale copy, and decides anew', async () => {
      await install();
      kube.putSecret(names.servingSecret, emptied);
      kube.onCall = (call) => {
        if (call !== 'update secrets') return;
        kube.onCall = () => undefined;
        // Somebody restores a backup in between.
        kube.putSecret(names.servingSecret, (secret) => ({
          ...secret,
          data: { 'tls.crt': base64('old') },
        }));
      };
      await pass(10 * MINUTE, LOOK);
      await pass(10 * SECOND, SECOND);
      expect(kube.writes).to.deep.equal([ISSUE]);
      expect(await reached()).to.equal('trusted');
      expect(logger.of('warn')).to.deep.equal([]);
    });

    it('writes nothing when it cannot be sure to lead', async () => {
      kube.putApiService();
      isLeading = false;
      await lead();
      await pass(MINUTE, SECOND);
      expect(kube.writes).to.deep.equal([]);
      isLeading = true;
      await pass(5 * MINUTE, LOOK);
      expect(await reached()).to.equal('trusted');
    });

    it('tries again with growing pauses, and warns once', async () => {
      kube.putApiService();
      kube.onCall = (call) => {
        if (call === 'get apiservices') kube.calls.push('attempt');
        throw refusal(503, 'ServiceUnavailable');
      };
      await lead();
      await pass(30 * SECOND, SECOND);
      // After 0, 1, 3, 7 and 15 seconds.
      expect(kube.calls).to.have.lengthOf(5);
      expect(logger.of('warn')).to.have.lengthOf(1);
      kube.onCall = () => undefined;
      await pass(MINUTE, SECOND);
      expect(await reached()).to.equal('trusted');
    });

    for (const [right, text] of Object.entries({
      'get secrets': 'get the Secret coder-operator/coder-operator-apiserver-ca',
      'update secrets': 'update the Secret coder-operator/coder-operator-apiserver-ca',
      'patch apiservices': 'patch the APIService v1alpha1.aggregation.coder.com',
    })) {
      it(`says once which right is missing (${right}), and goes on when it has it`, async () => {
        kube.putApiService();
        kube.forbidden.add(right);
        await lead();
        await pass(5 * MINUTE, LOOK);
        expect(logger.of('warn')).to.have.lengthOf(1);
        expect(logger.of('warn')[0]).to.contain(`may not ${text}; config/apiserver gives it that right`);
        expect(events.filter((event) => event.includes(' Warning '))).to.have.lengthOf(1);
        kube.forbidden.clear();
        await pass(LOOK);
        expect(await reached()).to.equal('trusted');
      });
    }
  });

  it('ends at once when leadership does', async () => {
    await install();
    await depose();
    expect(clock.pending).to.equal(0);
  });
});
