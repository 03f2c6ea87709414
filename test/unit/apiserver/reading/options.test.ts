import { expect } from 'chai';
import { parseTarget } from '../../../../src/apiserver/http/requestinfo.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { readListOptions, type ListOptions } from '../../../../src/apiserver/reading/options.ts';
import type { ViewKind } from '../../../../src/apiserver/view/types.ts';
import { WIDGETS_PATH } from '../../../support/reading.ts';
import { widgetView } from '../../../support/widget-view.ts';

const kind = widgetView as unknown as ViewKind;

function read(target: string, name?: string): ListOptions {
  const { info, query } = parseTarget('GET', `${WIDGETS_PATH}${target}`);
  return readListOptions(query, name === undefined ? info : { ...info, name }, kind);
}

describe('readListOptions', () => {
  it('reads everything that is asked for, and ignores what it does not know', () => {
    const { selection, ...options } = read(
      '/namespaces/team/widgets?limit=500&timeoutSeconds=30&allowWatchBookmarks=true&resourceVersion=7' +
        '&resourceVersionMatch=NotOlderThan&shardSelector=x&labelSelector=a%3Db&fieldSelector=metadata.name%3Dc',
    );
    expect(options).to.deep.equal({
      resourceVersion: 7n,
      match: 'NotOlderThan',
      limit: 500,
      continue: '',
      timeoutSeconds: 30,
      allowWatchBookmarks: true,
      sendInitialEvents: undefined,
    });
    expect([selection.namespace, selection.name, selection.isWhole]).to.deep.equal(['team', 'c', false]);
  });

  it('takes nothing for all objects of the newest version', () => {
    const { selection, ...options } = read('/widgets');
    expect(options).to.include({ resourceVersion: undefined, match: '', limit: 0, continue: '' });
    expect(options).to.include({ timeoutSeconds: undefined, allowWatchBookmarks: false });
    expect([selection.namespace, selection.name, selection.isWhole]).to.deep.equal([
      undefined,
      undefined,
      true,
    ]);
    expect(read('/widgets?limit=-1').limit).to.equal(0);
  });

  it('reads yes and no as Kubernetes does', () => {
    const isAsked = (query: string): boolean => read(`/widgets?${query}`).allowWatchBookmarks;
    for (const query of ['allowWatchBookmarks=true', 'allowWatchBookmarks=', 'allowWatchBookmarks=no']) {
      expect(isAsked(query), query).to.equal(true);
    }
    for (const query of ['', 'allowWatchBookmarks=0', 'allowWatchBookmarks=False']) {
      expect(isAsked(query), query).to.equal(false);
    }
  });

  it('begins a watch from anywhere with what is there, as ever', () => {
    for (const query of ['watch=1', 'watch=1&resourceVersion=0', 'watch=1&resourceVersion=']) {
      expect(read(`/widgets?${query}`), query).to.include({ sendInitialEvents: true, match: 'NotOlderThan' });
    }
    expect(read('/widgets?watch=1&resourceVersion=5')).to.include({
      sendInitialEvents: undefined,
      match: '',
    });
    const off = 'watch=1&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan';
    expect(read(`/widgets?${off}`).sendInitialEvents).to.equal(false);
  });

  it('tells those apart who ask for different things, and no others', () => {
    const key = (target: string): string => read(target).selection.key;
    expect(key('/widgets?labelSelector=a,b')).to.equal(key('/widgets?labelSelector=b,%20a&watch=1'));
    const keys = [
      '/widgets',
      '/namespaces/x/widgets',
      '/widgets?fieldSelector=metadata.namespace%3Dx',
      '/widgets?labelSelector=x',
      '/widgets?fieldSelector=metadata.name%3Dx',
    ].map(key);
    expect(new Set(keys).size).to.equal(keys.length);
  });

  it('takes the name that was authorized for the one that is selected', () => {
    expect(read('/widgets?watch=1', 'a').selection.name).to.equal('a');
    expect(read('/widgets?fieldSelector=metadata.name%3Da', 'a').selection.name).to.equal('a');
    for (const selector of ['metadata.name%3Db', 'metadata.name!%3Da', 'metadata.namespace%3Da']) {
      expect(() => read(`/widgets?fieldSelector=${selector}`, 'a'))
        .to.throw(StatusError, "fieldSelector metadata.name doesn't match requested name")
        .with.property('reason', 'BadRequest');
    }
  });
});
