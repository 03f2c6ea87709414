import { expect } from 'chai';
import sinon from 'sinon';
import { EventLines } from '../../../../src/apiserver/reading/events.ts';
import { parseFieldSelector } from '../../../../src/apiserver/reading/fields.ts';
import { parseLabelSelector } from '../../../../src/apiserver/reading/labels.ts';
import { selectionOf } from '../../../../src/apiserver/reading/selection.ts';
import { Shaper, type Shape } from '../../../../src/apiserver/reading/shapes.ts';
import { Watchers, type Member } from '../../../../src/apiserver/reading/watchers.ts';
import type { Change, ViewStore } from '../../../../src/apiserver/store/types.ts';
import { FakeClock } from '../../../support/clock.ts';
import { WidgetStore } from '../../../support/widget-view.ts';

const shape: Shape = { as: 'object', metaVersion: 'v1', includeObject: 'Metadata', key: 'object' };
const selection = selectionOf({
  namespace: '',
  labels: parseLabelSelector(''),
  fields: parseFieldSelector(''),
});

function setUp(): { readonly widgets: WidgetStore; readonly watchers: Watchers; readonly shaper: Shaper } {
  const clock = new FakeClock();
  const widgets = new WidgetStore(clock);
  const store = widgets.store as unknown as ViewStore;
  const shaper = new Shaper(store.kind, clock);
  const lines = new EventLines(shaper);
  return {
    widgets,
    shaper,
    watchers: new Watchers({ store, shaper, lines, isByLabels: false, onSent: () => undefined }),
  };
}

function member(): Member & { readonly send: sinon.SinonSpy; readonly lost: sinon.SinonSpy } {
  return { selection, shape, needsColumns: false, send: sinon.fake(), lost: sinon.fake() };
}

describe('Watchers', () => {
  it('takes in nobody while it has not been told itself what a new list brought', () => {
    const { widgets, watchers } = setUp();
    for (let i = 0; i < 1_200; i++) widgets.put(`w${i}`);
    widgets.list(3_000);
    const end = widgets.store.follow(3_000n, {
      takesDifferences: true,
      changed: told,
      lost: () => undefined,
    });
    let count = 0;
    function told(): void {
      count++;
    }
    for (let i = 0; i < 1_200; i++) widgets.set(`w${i}`);
    const steps = widgets.listInSteps(6_000);
    while (count === 0) steps.next();
    const late = member();
    watchers.enter(late);
    expect(watchers.join(late, 3_000n)).to.equal(false);
    while (steps.next().done !== true);
    expect(late.send.callCount).to.equal(0);
    expect(watchers.join(late, 3_000n)).to.equal(true);
    widgets.put('new');
    expect(late.send.callCount).to.equal(1);
    end?.();
  });

  it('tells all who cannot be told the truth any more, and goes on for those who come later', () => {
    const { widgets, watchers } = setUp();
    widgets.put('a').list(10);
    const [broken, beside, later] = [member(), member(), member()];
    for (const each of [broken, beside]) {
      watchers.enter(each);
      watchers.join(each, 10n);
    }
    const failure = sinon.fake.throws(new Error('broken'));
    Object.assign(broken, { send: failure });
    widgets.put('b');
    expect([broken.lost.callCount, beside.lost.callCount]).to.deep.equal([1, 1]);
    for (const each of [broken, beside]) watchers.leave(each);
    watchers.enter(later);
    expect(watchers.join(later, 11n)).to.equal(true);
    widgets.put('c');
    expect(later.send.callCount).to.equal(1);
  });
});

describe('EventLines', () => {
  it('keeps the lines of the newest changes, up to a number of bytes', () => {
    const { widgets, shaper } = setUp();
    widgets.list(1);
    const changes: Change[] = [];
    widgets.store.follow(1n, { changed: (change) => changes.push(change), lost: () => undefined });
    for (let i = 0; i < 5; i++) widgets.put(`w${i}`, { colour: 'x'.repeat(200) });
    const lines = new EventLines(shaper, 1_000);
    const line = (i: number): Buffer | undefined => {
      const change = changes[i];
      return change === undefined ? undefined : lines.line(change, 'ADDED', shape, false);
    };
    const made = changes.map((_, i) => line(i));
    expect(line(4)).to.equal(made[4]);
    expect(line(3)).to.equal(made[3]);
    const again = line(0);
    expect(again).to.deep.equal(made[0]);
    expect(again).to.not.equal(made[0]);
  });

  it('makes an object that left a selection once for all shapes', () => {
    const { widgets, shaper } = setUp();
    widgets.put('a', { colour: 'red' }).list(1);
    const changes: Change[] = [];
    widgets.store.follow(1n, { changed: (change) => changes.push(change), lost: () => undefined });
    widgets.put('a', { colour: 'blue' });
    const lines = new EventLines(shaper);
    const [change] = changes;
    const text = change === undefined ? '' : lines.line(change, 'DELETED', shape, false).toString();
    expect(text).to.include('"resourceVersion":"2"').and.include('red');
  });
});
