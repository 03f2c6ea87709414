import { expect } from 'chai';
import sinon from 'sinon';
import { silentLogger } from '../../../src/base/logger.ts';
import { ReferredObjects, type ReferredAnswer } from '../../../src/controller/referred.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { widgets, type Widget } from '../../support/kube-objects.ts';
import { down, forbidden, unknownKind, WatchedKube } from '../../support/watched-kube.ts';

describe('ReferredObjects', () => {
  let clock: FakeClock;
  let kube: WatchedKube;
  let stop: AbortController;
  let changes: string[];
  let objects: ReferredObjects<Widget>;

  beforeEach(() => {
    clock = new FakeClock();
    kube = new WatchedKube();
    put('settings', 'red');
    stop = new AbortController();
    changes = [];
    objects = whole();
  });

  afterEach(async () => {
    stop.abort();
    await settle();
    expect(kube.watched, 'no watch is left').to.deep.equal([]);
    expect(clock.pending, 'no timer is left').to.equal(0);
  });

  const shared = (): Pick<
    ConstructorParameters<typeof ReferredObjects<Widget>>[0],
    'kube' | 'clock' | 'logger' | 'signal' | 'resource' | 'onChange'
  > => ({
    kube: kube.client,
    clock,
    logger: silentLogger,
    signal: stop.signal,
    resource: widgets,
    onChange: (namespace, name) => changes.push(`${namespace}/${name}`),
  });

  /** Keeps names and versions, and reads the rest. */
  function whole(): ReferredObjects<Widget> {
    return new ReferredObjects<Widget>({
      ...shared(),
      keep: ({ metadata }) => ({ metadata: { ...metadata, annotations: {} } }),
      answers: 'whole',
    });
  }

  /** Keeps the colour, whose changes alone are told. */
  function kept(): ReferredObjects<Widget> {
    return new ReferredObjects<Widget>({
      ...shared(),
      keep: ({ metadata, spec = {} }) => ({ metadata: { ...metadata, annotations: {} }, spec }),
      answers: 'kept',
      differs: (before, after) => before.spec?.colour !== after.spec?.colour,
    });
  }

  function put(name: string, colour: string, phase = 'new'): void {
    kube.put(widgets, 'team', name, { spec: { colour }, status: { phase } });
  }

  async function watching(...names: readonly string[]): Promise<void> {
    objects.refer('team', 'w1', names);
    await settle();
    kube.calls.length = 0;
  }

  const colourOf = (answer: ReferredAnswer<Widget>): unknown =>
    typeof answer === 'object' ? answer.spec?.colour : answer;
  const read = async (name = 'settings'): Promise<unknown> => colourOf(await objects.read('team', name));
  /** What was told since the last look. */
  const told = (): string[] => changes.splice(0);

  describe('watching', () => {
    it('begins with the first reference of a namespace and ends with the last', async () => {
      expect(kube.calls).to.deep.equal([]);
      objects.refer('team', 'w1', ['settings']);
      objects.refer('team', 'w2', ['settings', 'more']);
      objects.refer('other', 'w3', ['x']);
      objects.refer('bare', 'w4', []);
      await settle();
      expect(kube.calls).to.have.members([
        'list widgets team',
        'list widgets other',
        'watch widgets team',
        'watch widgets other',
      ]);
      objects.refer('team', 'w1', []);
      objects.refer('other', 'w3', []);
      await settle();
      expect(kube.watched).to.deep.equal(['widgets team']);
      objects.refer('team', 'w2', ['another']);
      await settle();
      expect(kube.watched, 'it goes on for another name').to.deep.equal(['widgets team']);
      objects.refer('team', 'w2', []);
      await settle();
      expect(kube.watched).to.deep.equal([]);
      await watching('settings');
      expect(kube.watched, 'and begins again').to.deep.equal(['widgets team']);
    });

    it('ends when nothing works on any more', async () => {
      await watching('settings');
      objects.close();
      await settle();
      expect(kube.watched).to.deep.equal([]);
    });

    it('begins no more once it has ended', async () => {
      stop.abort();
      objects.refer('team', 'w1', ['settings']);
      await settle();
      expect(kube.calls).to.deep.equal([]);
    });

    for (const [what, failure] of [
      ['the right is missing', forbidden],
      ['the kind is unknown', unknownKind],
      ['the API server is down', down],
    ] as const) {
      it(`leaves no timer when the last reference goes while ${what}`, async () => {
        kube.refuse(failure);
        await watching('settings');
        expect(clock.pending).to.be.above(0);
        objects.refer('team', 'w1', []);
        await settle();
        expect(clock.pending).to.equal(0);
      });
    }
  });

  describe('telling changes', () => {
    it('tells when one that is referred to comes, changes or goes', async () => {
      await watching('settings', 'late');
      expect(changes, 'the first list is no change').to.deep.equal([]);
      put('late', 'blue');
      await settle();
      put('settings', 'green');
      await settle();
      kube.remove(widgets, 'team', 'settings');
      await settle();
      expect(changes).to.deep.equal(['team/late', 'team/settings', 'team/settings']);
    });

    it('tells nothing of the others, nor of those that nobody refers to any more', async () => {
      objects.refer('team', 'w2', ['keeps-the-watch']);
      await watching('settings');
      objects.refer('team', 'w1', []);
      put('unrelated', 'blue');
      put('settings', 'green');
      await settle();
      expect(changes).to.deep.equal([]);
    });

    it('tells nothing of an outage', async () => {
      await watching('settings');
      await read();
      kube.failing.set('watch', down);
      kube.endWatches();
      await clock.advance(60_000);
      kube.failing.clear();
      await clock.advance(15_000);
      expect(kube.watched).to.deep.equal(['widgets team']);
      expect(changes).to.deep.equal([]);
    });
  });

  describe('reading whole objects', () => {
    it('reads once what many ask for, until it changes', async () => {
      await watching('settings');
      expect(await Promise.all([read(), read(), read()])).to.deep.equal(['red', 'red', 'red']);
      expect(kube.count('get')).to.equal(1);
      put('settings', 'green');
      await settle();
      expect(await read()).to.equal('green');
      expect(await read()).to.equal('green');
      expect(kube.count('get')).to.equal(2);
    });

    it('knows without a call what is not there, and what has come', async () => {
      await watching('late');
      expect(await read('late')).to.equal(undefined);
      expect(kube.count('get')).to.equal(0);
      put('late', 'blue');
      await settle();
      expect(await read('late')).to.equal('blue');
      kube.remove(widgets, 'team', 'late');
      await settle();
      expect(await read('late')).to.equal(undefined);
    });

    it('does not remember what nobody refers to any more', async () => {
      objects.refer('team', 'w2', ['keeps-the-watch']);
      await watching('settings');
      await read();
      objects.refer('team', 'w1', []);
      objects.refer('team', 'w1', ['settings']);
      await read();
      expect(kube.count('get')).to.equal(2);
      expect(await read('unrelated')).to.equal(undefined);
    });

    it('reads what nothing is watched for', async () => {
      expect(await read()).to.equal('red');
      expect(await read('nothing')).to.equal(undefined);
      kube.failing.set('get', forbidden);
      expect(await read()).to.equal('forbidden');
      kube.failing.set('get', unknownKind);
      expect(await read()).to.equal('unknownKind');
      expect(kube.watched).to.deep.equal([]);
    });

    it('does not remember a failure, nor an answer of no use', async () => {
      await watching('settings');
      for (const failure of [down, forbidden, unknownKind]) {
        kube.failing.set('get', failure);
        expect(await read().catch((error: unknown) => error)).to.satisfy(
          (answer: unknown) =>
            answer === 'forbidden' || answer === 'unknownKind' || answer instanceof KubeError,
        );
      }
      kube.failing.clear();
      expect(await read()).to.equal('red');
    });

    it('waits for the first list', async () => {
      objects.refer('team', 'w1', ['settings']);
      expect(await read()).to.equal('red');
      expect(kube.calls.slice(0, 2)).to.deep.equal(['list widgets team', 'get widgets team/settings']);
    });

    it('does not wait longer than five seconds, and tells when the list is in', async () => {
      kube.failing.set('list', down);
      objects.refer('team', 'w1', ['settings', 'late']);
      const answers = Promise.all([read(), read('late')]);
      await clock.advance(4_999);
      expect(kube.count('get')).to.equal(0);
      await clock.advance(1);
      expect(await answers).to.deep.equal(['red', undefined]);
      expect(await read(), 'and nobody waits after that').to.equal('red');
      expect(changes).to.deep.equal([]);
      kube.failing.clear();
      await clock.advance(15_000);
      expect(changes).to.have.members(['team/settings', 'team/late']);
    });

    it('lets no reader hang when the last reference goes meanwhile', async () => {
      kube.isSilent = true;
      objects.refer('team', 'w1', ['settings']);
      const answer = read();
      await settle();
      objects.refer('team', 'w1', []);
      expect(await answer).to.equal('red');
    });
  });

  describe('reading what is kept', () => {
    beforeEach(() => {
      objects = kept();
    });

    it('reads nothing but the list and the watch', async () => {
      objects.refer('team', 'w1', ['settings', 'late']);
      expect(await read()).to.equal('red');
      expect(await read('late')).to.equal(undefined);
      put('settings', 'green');
      await settle();
      expect(await read()).to.equal('green');
      expect(kube.count('get')).to.equal(0);
    });

    it('answers the same of an object with the list and without it', async () => {
      kube.failing.set('list', down);
      objects.refer('team', 'w1', ['settings']);
      const early = objects.read('team', 'settings');
      await clock.advance(5_000);
      kube.failing.clear();
      await clock.advance(15_000);
      const known = await objects.read('team', 'settings');
      expect(known).to.have.nested.property('spec.colour', 'red');
      expect(known).to.not.have.property('status');
      const withoutKind = ({ metadata, spec }: Widget): object => ({ metadata, spec });
      expect(withoutKind((await early) as Widget)).to.deep.equal(withoutKind(known as Widget));
    });

    it('tells only a change that readers care for', async () => {
      await watching('settings');
      put('settings', 'red', 'old');
      await settle();
      expect(changes).to.deep.equal([]);
      put('settings', 'green', 'old');
      await settle();
      expect(changes).to.deep.equal(['team/settings']);
      kube.remove(widgets, 'team', 'settings');
      await settle();
      put('settings', 'green', 'old');
      await settle();
      expect(changes, 'going and coming always are').to.have.length(3);
    });
  });

  for (const [answer, failure] of [
    ['forbidden', forbidden],
    ['unknownKind', unknownKind],
  ] as const) {
    describe(`while the answer is ${answer}`, () => {
      it('says so at once, and tells when it can be read', async () => {
        kube.refuse(failure);
        objects.refer('team', 'w1', ['settings', 'unread']);
        expect(await read()).to.equal(answer);
        expect(kube.count('get')).to.equal(0);
        await clock.advance(30_000);
        expect(changes).to.deep.equal([]);
        kube.refuse();
        await clock.advance(15_000);
        expect(changes).to.deep.equal(['team/settings']);
        expect(await read()).to.equal('red');
        await clock.advance(60_000);
        expect(changes, 'it tells once').to.have.length(1);
      });

      it('looks again every 15 seconds at most, and not much more often', async () => {
        sinon.stub(Math, 'random').returns(1);
        kube.refuse(failure);
        await watching('settings');
        await clock.advance(60_000);
        for (let i = 0; i < 3; i++) {
          kube.calls.length = 0;
          await clock.advance(15_000);
          expect(kube.calls).to.deep.equal(['list widgets team']);
        }
      });

      it('tells when what was readable is not any more, and when it is again', async () => {
        await watching('settings', 'missing', 'unread');
        expect([await read(), await read('missing')]).to.deep.equal(['red', undefined]);
        for (let i = 0; i < 2; i++) {
          kube.refuse(failure);
          kube.endWatches();
          await clock.advance(15_000);
          expect(told()).to.have.members(['team/settings', 'team/missing']);
          expect([await read(), await read('missing')]).to.deep.equal([answer, answer]);
          kube.refuse();
          await clock.advance(15_000);
          expect(told()).to.have.members(['team/settings', 'team/missing']);
          expect([await read(), await read('missing')]).to.deep.equal(['red', undefined]);
        }
      });

      it('tells who was answered before it was known', async () => {
        kube.failing.set('list', down);
        objects.refer('team', 'w1', ['settings']);
        const early = read();
        await clock.advance(5_000);
        expect(await early).to.equal('red');
        kube.refuse(failure);
        await clock.advance(15_000);
        expect(changes).to.deep.equal(['team/settings']);
        expect(await read()).to.equal(answer);
      });

      it('tells nobody twice who has not asked again', async () => {
        await watching('settings');
        await read();
        kube.refuse(failure);
        kube.endWatches();
        await clock.advance(15_000);
        kube.refuse();
        await clock.advance(15_000);
        expect(changes).to.deep.equal(['team/settings']);
      });

      it('remembers nothing of what it may not read any more', async () => {
        await watching('settings');
        await read();
        kube.refuse(failure);
        kube.endWatches();
        await clock.advance(15_000);
        kube.refuse();
        await clock.advance(15_000);
        expect(await read()).to.equal('red');
        expect(kube.count('get')).to.equal(2);
      });

      it('tells nothing of a name that was asked for without a reference', async () => {
        kube.refuse(failure);
        await watching('settings');
        expect(await read('unrelated')).to.equal(answer);
        kube.refuse();
        await clock.advance(15_000);
        expect(changes).to.deep.equal([]);
      });

      it('tells nobody who refers to nothing any more', async () => {
        kube.refuse(failure);
        objects.refer('team', 'w1', ['settings']);
        objects.refer('team', 'w2', ['keeps-the-watch']);
        expect(await read()).to.equal(answer);
        objects.refer('team', 'w1', []);
        kube.refuse();
        await clock.advance(15_000);
        expect(changes).to.deep.equal([]);
      });
    });
  }

  it('tells when a missing right turns into an unknown kind', async () => {
    kube.refuse(forbidden);
    objects.refer('team', 'w1', ['settings']);
    expect(await read()).to.equal('forbidden');
    kube.refuse(unknownKind);
    await clock.advance(15_000);
    expect(told()).to.deep.equal(['team/settings']);
    expect(await read()).to.equal('unknownKind');
  });

  it('shows nothing of what a kind held that went and came back', async () => {
    objects = kept();
    await watching('settings', 'new');
    expect(await read()).to.equal('red');
    kube.refuse(unknownKind);
    kube.endWatches();
    await clock.advance(15_000);
    kube.remove(widgets, 'team', 'settings');
    put('new', 'blue');
    expect(await read()).to.equal('unknownKind');
    kube.refuse();
    await clock.advance(15_000);
    expect([await read(), await read('new')]).to.deep.equal([undefined, 'blue']);
  });
});
