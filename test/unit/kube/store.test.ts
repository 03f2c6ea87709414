import { expect } from 'chai';
import fc from 'fast-check';
import { Store, type StoreEvent, type WatchChange } from '../../../src/kube/store.ts';
import { widget, type Widget } from '../../support/kube-objects.ts';

function recorded(store: Store<Widget>): string[] {
  const seen: string[] = [];
  store.subscribe(({ type, key, object }) =>
    seen.push(`${type} ${key} ${object.metadata.uid ?? ''}@${object.metadata.resourceVersion ?? ''}`),
  );
  return seen;
}

describe('Store', () => {
  it('is synced with the first complete list', async () => {
    const store = new Store<Widget>();
    expect(store.synced).to.equal(false);
    store.replace([], '5');
    expect(store.synced).to.equal(true);
    await store.hasSynced;
  });

  it('emits the differences of a new list', () => {
    const store = new Store<Widget>();
    store.replace([widget('kept'), widget('changed'), widget('gone')], '1');
    const seen = recorded(store);
    store.replace([widget('kept'), widget('changed', { rv: 7 }), widget('new', { rv: 6 })], '8');
    expect(seen).to.deep.equal([
      'deleted default/gone uid-gone@1',
      'modified default/changed uid-changed@7',
      'added default/new uid-new@6',
    ]);
    expect(store.keys()).to.have.members(['default/kept', 'default/changed', 'default/new']);
  });

  describe('in steps', () => {
    const many = (count: number, rv = 1): Widget[] =>
      Array.from({ length: count }, (_, i) => widget(`w${i}`, { rv }));

    it('takes a long list piece by piece, and is synced after the last', () => {
      const store = new Store<Widget>();
      const steps = store.replaceInSteps(many(1200), '5');
      const sizes: number[] = [];
      while (steps.next().done !== true) sizes.push(store.size);
      expect(sizes).to.deep.equal([500, 1000]);
      expect([store.size, store.synced]).to.deep.equal([1200, true]);
      const removing = store.replaceInSteps([], '6');
      removing.next();
      expect(store.size).to.equal(700);
      const unfinished = new Store<Widget>();
      unfinished.replaceInSteps(many(600), '5').next();
      expect(unfinished.synced).to.equal(false);
    });

    it('removes what is gone before it shows what took its place', () => {
      const store = new Store<Widget>();
      store.replace([...many(600), widget('old')], '1');
      const steps = store.replaceInSteps([widget('new', { rv: 3 }), ...many(600, 2)], '4');
      while (steps.next().done !== true) {
        expect(store.get('default/old') !== undefined && store.get('default/new') !== undefined).to.equal(
          false,
        );
      }
      expect(store.get('default/new')).to.not.equal(undefined);
    });

    it('keeps our own writes that come between the steps, and lets old answers bring nothing back', () => {
      const store = new Store<Widget>();
      store.replace([...many(1200), widget('gone')], '10');
      const steps = store.replaceInSteps(many(1200, 15), '20');
      steps.next();
      store.assume(widget('gone', { rv: 12 }));
      store.assume(widget('w1199', { rv: 30, colour: 'ours' }));
      store.assume(widget('ours', { rv: 31 }));
      while (steps.next().done !== true);
      expect(store.get('default/gone')).to.equal(undefined);
      expect(store.get('default/w1199')?.spec?.colour).to.equal('ours');
      expect(store.size).to.equal(1201);
    });
  });

  it('shows an object that was deleted and created again as both, in a list and in a watch', () => {
    const store = new Store<Widget>();
    store.replace([widget('a', { uid: 'one', rv: 1 })], '1');
    const seen = recorded(store);
    store.replace([widget('a', { uid: 'two', rv: 5 })], '6');
    store.apply({ type: 'ADDED', object: widget('a', { uid: 'three', rv: 9 }) });
    expect(seen).to.deep.equal([
      'deleted default/a one@1',
      'added default/a two@5',
      'deleted default/a two@5',
      'added default/a three@9',
    ]);
  });

  it('tells what a modified object was before', () => {
    const store = new Store<Widget>();
    store.replace([widget('a', { colour: 'red' })], '1');
    const events: StoreEvent<Widget>[] = [];
    store.subscribe((event) => events.push(event));
    store.apply({ type: 'MODIFIED', object: widget('a', { rv: 2, colour: 'blue' }) });
    expect(events.map(({ previous, object }) => [previous?.spec?.colour, object.spec?.colour])).to.deep.equal(
      [['red', 'blue']],
    );
  });

  it('finds objects by index, also after they changed or went', () => {
    const store = new Store<Widget>({
      indexers: { colour: ({ spec }) => (spec?.colour ? [spec.colour] : []) },
    });
    const red = (): string[] => store.byIndex('colour', 'red').map(({ metadata }) => metadata.name);
    store.replace([widget('a', { colour: 'red' }), widget('b', { colour: 'red' }), widget('c')], '1');
    expect(red()).to.have.members(['a', 'b']);
    store.apply({ type: 'MODIFIED', object: widget('a', { rv: 2, colour: 'blue' }) });
    expect(red()).to.deep.equal(['b']);
    store.apply({ type: 'DELETED', object: widget('b', { rv: 3 }) });
    expect(red()).to.deep.equal([]);
    expect(() => store.byIndex('size', '1')).to.throw(RangeError, 'size');
  });

  it('survives a handler that throws, and the others still hear', () => {
    const store = new Store<Widget>();
    store.subscribe(() => {
      throw new Error('bad handler');
    });
    const seen = recorded(store);
    store.apply({ type: 'ADDED', object: widget('a') });
    expect(seen).to.deep.equal(['added default/a uid-a@1']);
  });

  it('tells nothing any more after the subscription ended', () => {
    const store = new Store<Widget>();
    const seen: string[] = [];
    const stop = store.subscribe(({ key }) => seen.push(key));
    stop();
    store.apply({ type: 'ADDED', object: widget('a') });
    expect(seen).to.deep.equal([]);
  });

  it('keeps what the transform makes of an object, without managedFields', () => {
    const store = new Store<Widget>({ transform: (object) => ({ ...object, spec: {} }) });
    const object = widget('a', { colour: 'red' });
    store.assume({ ...object, metadata: { ...object.metadata, ...{ managedFields: [{}] } } });
    expect(store.get('default/a')).to.deep.equal(widget('a'));
  });

  describe('assume', () => {
    it('shows our own write at once and lets no older event roll it back', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { rv: 10 })], '10');
      const seen = recorded(store);
      store.assume(widget('a', { rv: 15 }));
      store.apply({ type: 'MODIFIED', object: widget('a', { rv: 12 }) });
      expect(store.get('default/a')?.metadata.resourceVersion).to.equal('15');
      store.apply({ type: 'MODIFIED', object: widget('a', { rv: 15 }) });
      store.apply({ type: 'MODIFIED', object: widget('a', { rv: 16 }) });
      expect(seen).to.deep.equal(['modified default/a uid-a@15', 'modified default/a uid-a@16']);
    });

    it('ignores an answer that the watch has already passed', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { rv: 10 })], '10');
      store.apply({ type: 'MODIFIED', object: widget('a', { rv: 12 }) });
      store.assume(widget('a', { rv: 11 }));
      expect(store.get('default/a')?.metadata.resourceVersion).to.equal('12');
    });

    it('does not bring a deleted object back to life', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { rv: 10 })], '10');
      store.apply({ type: 'DELETED', object: widget('a', { rv: 13 }) });
      store.assume(widget('a', { rv: 12 }));
      expect(store.get('default/a')).to.equal(undefined);
    });

    it('does not take the answer to the last finalizer for a living object', () => {
      const store = new Store<Widget>();
      store.replace([], '10');
      store.assume(widget('a', { rv: 12, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [] }));
      expect(store.size).to.equal(0);
    });

    it('gives way to a deletion of the same object, whatever its version', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { rv: 10 })], '10');
      store.assume(widget('a', { rv: 15 }));
      store.apply({ type: 'DELETED', object: widget('a', { rv: 14 }) });
      expect(store.size).to.equal(0);
    });

    it('is not undone by the late end of a namesake', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { uid: 'old', rv: 10 })], '10');
      store.assume(widget('a', { uid: 'new', rv: 20 }));
      store.apply({ type: 'MODIFIED', object: widget('a', { uid: 'old', rv: 11 }) });
      store.apply({ type: 'DELETED', object: widget('a', { uid: 'old', rv: 12 }) });
      expect(store.get('default/a')?.metadata.uid).to.equal('new');
    });

    it('outlives a list that is older than it, changed or created', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { rv: 10 })], '10');
      store.assume(widget('a', { rv: 21 }));
      store.assume(widget('b', { rv: 22 }));
      store.replace([widget('a', { rv: 10 })], '20');
      expect(store.list().map(({ metadata }) => metadata.resourceVersion)).to.have.members(['21', '22']);
      store.replace([], '30');
      expect(store.size).to.equal(0);
    });

    it('yields to a server whose data went back in time', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { rv: 100 })], '100');
      store.assume(widget('a', { rv: 105 }));
      store.replace([widget('a', { rv: 40 })], '50');
      expect(store.get('default/a')?.metadata.resourceVersion).to.equal('40');
    });

    it('trusts the watch when versions cannot be compared', () => {
      const store = new Store<Widget>();
      store.replace([widget('a', { rv: 'x1' })], 'x1');
      store.assume(widget('a', { rv: 'x2' }));
      expect(store.get('default/a')?.metadata.resourceVersion).to.equal('x1');
      store.apply({ type: 'MODIFIED', object: widget('a', { rv: 'x0' }) });
      expect(store.get('default/a')?.metadata.resourceVersion).to.equal('x0');
    });
  });

  /** Plays a server: writes to objects named a–d, each with a new version and, after a deletion, a new uid. */
  function history(writes: readonly (readonly [string, boolean])[]): WatchChange<Widget>[] {
    const living = new Map<string, Widget>();
    const changes: WatchChange<Widget>[] = [];
    let rv = 0;
    for (const [name, remove] of writes) {
      const known = living.get(name);
      if (remove && known === undefined) continue;
      rv++;
      const object = widget(name, { rv, uid: known?.metadata.uid ?? `${name}-${rv}` });
      if (remove) living.delete(name);
      else living.set(name, object);
      changes.push({ type: remove ? 'DELETED' : known === undefined ? 'ADDED' : 'MODIFIED', object });
    }
    return changes;
  }

  const anyWrites = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.boolean()), { maxLength: 40 });

  it('ends where the server is, from any list on, with our answers arriving early or late', () => {
    fc.assert(
      fc.property(anyWrites, fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat())), (writes, at, answers) => {
        const changes = history(writes);
        const listed = at % (changes.length + 1);
        const stateAt = (count: number): Map<string, Widget> => {
          const state = new Map<string, Widget>();
          for (const { type, object } of changes.slice(0, count)) {
            if (type === 'DELETED') state.delete(object.metadata.name);
            else state.set(object.metadata.name, object);
          }
          return state;
        };
        const store = new Store<Widget>({ indexers: { name: ({ metadata }) => [metadata.name] } });
        const replica = new Map<string, Widget>();
        store.subscribe(({ type, key, object }) => {
          expect(replica.has(key)).to.equal(type !== 'added');
          if (type === 'deleted') replica.delete(key);
          else replica.set(key, object);
        });
        store.replace([...stateAt(listed).values()], String(listed));
        for (let i = listed; i <= changes.length; i++) {
          for (const [when, which] of answers) {
            if (when % (changes.length + 1) !== i) continue;
            const answer = changes[which % Math.max(1, changes.length)];
            if (answer !== undefined && answer.type !== 'DELETED') store.assume(answer.object);
          }
          const change = changes[i];
          if (change !== undefined) store.apply(change);
        }
        const final = [...stateAt(changes.length).values()];
        expect(store.list()).to.have.deep.members(final);
        expect([...replica.values()]).to.have.deep.members(final);
        for (const name of ['a', 'b', 'c', 'd']) {
          expect(store.byIndex('name', name)).to.deep.equal(
            final.filter(({ metadata }) => metadata.name === name),
          );
        }
      }),
    );
  });
});
