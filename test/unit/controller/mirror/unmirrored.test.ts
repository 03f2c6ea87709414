import { expect } from 'chai';
import { Unmirrored } from '../../../../src/controller/mirror/unmirrored.ts';

describe('Unmirrored', () => {
  let unmirrored: Unmirrored;
  beforeEach(() => {
    unmirrored = new Unmirrored();
  });
  const always = (): boolean => true;
  const put = (id: string, namespace = 'team'): void =>
    unmirrored.put(namespace, id, `name-${id}`, `why ${id}`);
  const count = (namespace = 'team'): number => unmirrored.of(namespace).length;

  it('keeps each once, by namespace, until it is forgotten', () => {
    for (const id of ['a', 'b', 'a']) put(id);
    put('c', 'elsewhere');
    expect(count()).to.equal(2);
    expect(count('elsewhere')).to.equal(1);
    expect(count('nowhere')).to.equal(0);
    unmirrored.forget('team', 'a');
    unmirrored.forget('team', 'unknown');
    unmirrored.forget('nowhere', 'a');
    expect(unmirrored.of('team')).to.deep.equal([{ name: 'name-b', why: 'why b' }]);
    unmirrored.forgetAll('team');
    expect(count()).to.equal(0);
    expect(count('elsewhere')).to.equal(1);
  });

  it('has no news where there is nothing to tell', () => {
    expect(unmirrored.news('team', always)).to.equal(undefined);
  });

  it('tells of each once, with the reason', () => {
    put('a');
    expect(unmirrored.news('team', always)).to.deep.equal({ count: 1, text: 'name-a (why a)' });
    expect(unmirrored.news('team', always)).to.equal(undefined);
    put('b');
    expect(unmirrored.news('team', always)).to.deep.equal({ count: 2, text: 'name-b (why b)' });
  });

  it('does not tell again of one that was looked at again and is as before', () => {
    put('a');
    unmirrored.news('team', always);
    unmirrored.forget('team', 'a');
    put('a');
    expect(unmirrored.news('team', always)).to.equal(undefined);
  });

  it('tells again of one that could be shown meanwhile', () => {
    put('a');
    unmirrored.news('team', always);
    unmirrored.forget('team', 'a');
    unmirrored.news('team', always);
    put('a');
    expect(unmirrored.news('team', always)?.count).to.equal(1);
  });

  it('names three and counts the others', () => {
    for (const id of ['a', 'b', 'c']) put(id);
    expect(unmirrored.news('team', always)?.text).to.equal('name-a (why a); name-b (why b); name-c (why c)');
    unmirrored.forgetAll('team');
    for (const id of ['a', 'b', 'c', 'd']) put(id);
    expect(unmirrored.news('team', always)).to.deep.equal({
      count: 4,
      text: 'name-a (why a); name-b (why b); name-c (why c); …',
    });
  });

  it('forgets what Coder does not have any more, and does not tell of it', () => {
    for (const id of ['a', 'b']) put(id);
    expect(unmirrored.news('team', (id) => id === 'b')).to.deep.equal({ count: 1, text: 'name-b (why b)' });
    expect(count()).to.equal(1);
    unmirrored.news('team', () => false);
    expect(count()).to.equal(0);
  });
});
