import { expect } from 'chai';
import { templates, workspaces, type CoderTemplate, type CoderWorkspace } from '../../../../src/api/kinds.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { Template, Workspace } from '../../../../src/coder/types.ts';
import type { LiveConnection } from '../../../../src/controller/connections.ts';
import type { Scope } from '../../../../src/controller/facts.ts';
import {
  templateMirrors,
  withBinding,
  workspaceMirrors,
  type MirrorKind,
} from '../../../../src/controller/mirror/kinds.ts';
import { Observer } from '../../../../src/controller/observer/observer.ts';
import { createStores } from '../../../../src/controller/stores.ts';
import { FakeClock } from '../../../support/clock.ts';
import { OTHER_ORGANIZATION, SimulatedCoder } from '../../../support/controller-coder.ts';

const POLL_MS = 60_000;
const everywhere: Scope = { organizations: [], owners: [] };

/** A Coder with two workspaces of one template, as far as an observer knows it. */
class Bench {
  readonly clock = new FakeClock();
  readonly coder = new SimulatedCoder(this.clock);
  readonly stop = new AbortController();
  readonly template = this.coder.addTemplate('Docker');
  readonly mine = this.#added('ann', 'Dev');
  readonly shown: [string, boolean][] = [];
  readonly observer = new Observer({
    client: this.coder.client,
    clock: this.clock,
    logger: silentLogger,
    pollIntervalMs: POLL_MS,
    onWorkspace: () => undefined,
    onTemplate: () => undefined,
    onFirstLook: () => undefined,
    onError: () => undefined,
  });
  readonly live = { client: this.coder.client, observer: this.observer } as unknown as LiveConnection;
  readonly stores = createStores(silentLogger);
  readonly workspaces = workspaceMirrors(this.stores.workspaces, (object, isUnseen) =>
    this.#show(object, isUnseen),
  );
  readonly templates = templateMirrors(this.stores.templates, (object, isUnseen) =>
    this.#show(object, isUnseen),
  );

  async look(): Promise<void> {
    if (!this.observer.hasLooked) void this.observer.run(this.stop.signal);
    await this.clock.advance(POLL_MS);
  }

  /** Looks at one thing by its id. */
  check(kind: MirrorKind, id: string): ReturnType<MirrorKind['check']> {
    return kind.check(this.live, id, this.clock.monotonic(), this.stop.signal);
  }

  #added(owner: string, name: string): Workspace {
    const added = this.coder.addWorkspace(owner, name, this.template);
    if (added === undefined) throw new Error('Coder does not make it');
    // A build under way would have it read again and again.
    this.coder.finishBuilds('succeeded');
    return added;
  }

  #show({ metadata }: CoderTemplate | CoderWorkspace, isUnseen: boolean): Promise<undefined> {
    this.shown.push([metadata.name, isUnseen]);
    return Promise.resolve(undefined);
  }
}

describe('mirrors by kind', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.look();
  });
  afterEach(() => {
    bench.stop.abort(new Error('the test is over'));
  });

  describe('workspaces', () => {
    it('are called by their organization, owner and name in lower case', () => {
      const { workspaces: kind, observer, mine } = bench;
      expect([kind.resource, kind.setting]).to.deep.equal([workspaces, 'workspaces']);
      const thing = { id: mine.id, name: 'acme.ann.dev', isForeign: false };
      expect(kind.thing(observer, everywhere, mine.id)).to.deep.equal(thing);
      expect(kind.named(observer, everywhere, 'acme.ann.dev')).to.deep.equal(thing);
      expect([...kind.all(observer, everywhere)]).to.deep.equal([thing]);
      expect(kind.thing(observer, everywhere, 'unknown')).to.equal(undefined);
      expect(kind.named(observer, everywhere, 'acme.ann.other')).to.equal(undefined);
      expect([kind.isKnown(observer, mine.id), kind.isKnown(observer, 'unknown')]).to.deep.equal([
        true,
        false,
      ]);
    });

    it('are labelled with what they are selected by', () => {
      expect(bench.workspaces.labels(bench.observer, 'unknown')).to.equal(undefined);
      expect(bench.workspaces.labels(bench.observer, bench.mine.id)).to.deep.equal({
        'coder.com/mirror': 'true',
        'coder.com/organization': 'acme',
        'coder.com/owner': 'ann',
        'coder.com/template': 'docker',
      });
    });

    const scopes: [string, Scope, boolean][] = [
      ['all', everywhere, false],
      ['its organization and owner', { organizations: ['ACME'], owners: ['Ann'] }, false],
      ['another organization', { organizations: ['other'], owners: [] }, true],
      ['another owner', { organizations: ['acme'], owners: ['bob'] }, true],
    ];
    for (const [name, scope, isOutside] of scopes) {
      it(`are ${isOutside ? 'foreign' : 'ours'} where the scope is ${name}`, () => {
        const { workspaces: kind, observer, mine } = bench;
        expect(kind.thing(observer, scope, mine.id)?.isForeign).to.equal(isOutside);
        expect(kind.named(observer, scope, 'acme.ann.dev')?.isForeign).to.equal(isOutside);
        expect([...kind.all(observer, scope)].map(({ isForeign }) => isForeign)).to.deep.equal([isOutside]);
        expect(kind.isOutside(scope, 'acme.ann.dev')).to.equal(isOutside);
      });
    }

    it('are foreign as long as they are made in advance', async () => {
      const prebuild = bench.coder.addPrebuild(bench.template);
      await bench.look();
      const { workspaces: kind, observer } = bench;
      expect(kind.thing(observer, everywhere, prebuild?.id ?? '')?.isForeign).to.equal(true);
      expect([...kind.all(observer, everywhere)].filter(({ isForeign }) => isForeign)).to.have.length(1);
    });

    it('have a fault where no object can bear their name', async () => {
      bench.coder.forceName(bench.mine.id, 'a--b');
      await bench.look();
      const { workspaces: kind, observer, mine } = bench;
      expect(kind.thing(observer, everywhere, mine.id)?.nameFault).to.contain('"a--b"');
      expect(kind.isOutside({ organizations: ['other'], owners: [] }, 'no.name')).to.equal(false);
    });

    it('are gone when Coder says so, and nothing that was asked for before brings them back', async () => {
      const { coder, mine, observer, workspaces: kind } = bench;
      const asked = await coder.client.workspace(mine.id);
      coder.build('delete');
      coder.finishBuilds('succeeded');
      expect(kind.isGone(observer, mine.id)).to.equal(false);
      expect(await bench.check(kind, mine.id)).to.equal('gone');
      expect(kind.isGone(observer, mine.id)).to.equal(true);
      observer.learn(asked, bench.clock.monotonic() - 1);
      expect(kind.isKnown(observer, mine.id)).to.equal(false);
    });

    it('are found when only the list has lost them', async () => {
      bench.coder.ofList = () => [];
      // Coder counts it and does not list it: that is believed when it is so twice.
      for (let i = 0; i < 2; i++) await bench.look();
      const { mine, observer, workspaces: kind } = bench;
      expect(kind.isKnown(observer, mine.id)).to.equal(false);
      expect(await bench.check(kind, mine.id)).to.equal('found');
      expect(kind.isKnown(observer, mine.id)).to.equal(true);
    });

    it('are unseen when Coder shows them, or their template, to us no longer', async () => {
      expect(await bench.check(bench.workspaces, 'unknown')).to.equal('unseen');
      bench.coder.hide(bench.template.id);
      expect(await bench.check(bench.workspaces, bench.mine.id)).to.equal('unseen');
    });

    it('are nothing of that when Coder does not answer', async () => {
      bench.coder.outage = new CoderError('Unreachable', 'no answer');
      const checked = await bench.check(bench.workspaces, bench.mine.id).catch((error: unknown) => error);
      expect(checked).to.equal(bench.coder.outage);
    });
  });

  describe('templates', () => {
    it('are called by their organization and name in lower case', () => {
      const { templates: kind, observer, template } = bench;
      expect([kind.resource, kind.setting]).to.deep.equal([templates, 'templates']);
      const thing = { id: template.id, name: 'acme.docker', isForeign: false };
      expect(kind.thing(observer, everywhere, template.id)).to.deep.equal(thing);
      expect(kind.named(observer, everywhere, 'acme.docker')).to.deep.equal(thing);
      expect([...kind.all(observer, everywhere)]).to.deep.equal([thing]);
      expect(kind.named(observer, everywhere, 'acme.other')).to.equal(undefined);
      expect(kind.isKnown(observer, template.id)).to.equal(true);
      expect(kind.labels(observer, template.id)).to.deep.equal({
        'coder.com/mirror': 'true',
        'coder.com/organization': 'acme',
        'coder.com/template': 'docker',
      });
    });

    it('have no owner to be in scope', () => {
      const { templates: kind, observer, template } = bench;
      const scopes: [Scope, boolean][] = [
        [{ organizations: ['Acme'], owners: ['bob'] }, false],
        [{ organizations: ['other'], owners: [] }, true],
      ];
      for (const [scope, isOutside] of scopes) {
        expect(kind.thing(observer, scope, template.id)?.isForeign).to.equal(isOutside);
        expect([...kind.all(observer, scope)].map(({ isForeign }) => isForeign)).to.deep.equal([isOutside]);
        expect(kind.isOutside(scope, 'acme.docker')).to.equal(isOutside);
      }
    });

    it('are of another name when they move', async () => {
      const another: Template = bench.coder.addTemplate('nomad');
      bench.coder.moveTemplate(another.id, OTHER_ORGANIZATION);
      await bench.look();
      expect(bench.templates.thing(bench.observer, everywhere, another.id)?.name).to.equal('other.nomad');
    });

    it('are gone when Coder lists them among the deleted ones only', async () => {
      const another = bench.coder.addTemplate('nomad');
      expect(await bench.check(bench.templates, another.id)).to.equal('found');
      expect(bench.templates.isKnown(bench.observer, another.id)).to.equal(true);
      bench.coder.removeTemplate(another.id);
      expect(bench.templates.isGone(bench.observer, another.id)).to.equal(false);
      expect(await bench.check(bench.templates, another.id)).to.equal('gone');
      expect(bench.templates.isKnown(bench.observer, another.id)).to.equal(false);
      expect(bench.templates.isGone(bench.observer, another.id)).to.equal(true);
      expect(await bench.check(bench.templates, 'unknown')).to.equal('unseen');
      bench.coder.hide(another.id);
      expect(await bench.check(bench.templates, another.id), 'hidden after all').to.equal('unseen');
    });

    it('are looked at when both lists are in, and workspaces before that', async () => {
      const other = new Bench();
      other.coder.client.templates = () => Promise.reject(new CoderError('Forbidden', 'no'));
      await other.look();
      expect(other.workspaces.hasLooked(other.observer)).to.equal(true);
      expect(other.templates.hasLooked(other.observer)).to.equal(false);
      expect(bench.templates.hasLooked(bench.observer)).to.equal(true);
      other.stop.abort(new Error('the test is over'));
    });
  });

  it('show an object as their ordinary pass does', async () => {
    const object = { metadata: { name: 'acme.ann.dev' }, spec: {} };
    await bench.workspaces.show(object, true);
    await bench.templates.show({ ...object, metadata: { name: 'acme.docker' } }, false);
    expect(bench.shown).to.deep.equal([
      ['acme.ann.dev', true],
      ['acme.docker', false],
    ]);
  });
});

describe('withBinding', () => {
  it('adds the binding to what the status says', () => {
    const binding = { id: 'w1', deploymentID: 'd1', origin: 'Mirrored' } as const;
    const object: CoderWorkspace = { metadata: { name: 'a' }, spec: {}, status: { observedGeneration: -1 } };
    expect(withBinding(object, binding)).to.deep.equal({
      ...object,
      status: { observedGeneration: -1, ...binding },
    });
    expect(object.status, 'objects are shared').to.deep.equal({ observedGeneration: -1 });
  });
});
