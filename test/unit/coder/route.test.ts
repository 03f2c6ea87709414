import { expect } from 'chai';
import fc from 'fast-check';
import { urlOf } from '../../../src/coder/route.ts';

const BASE = new URL('https://coder.example.com');

describe('urlOf', () => {
  it('puts the API below the base, whatever its path', () => {
    const of = (base: string): string => urlOf(new URL(base), '/users/{user}', { user: 'me' }).href;
    expect(of('https://coder.example.com')).to.equal('https://coder.example.com/api/v2/users/me');
    expect(of('https://example.com/coder/')).to.equal('https://example.com/coder/api/v2/users/me');
    expect(of('https://example.com/a/b')).to.equal('https://example.com/a/b/api/v2/users/me');
  });

  it('encodes the query and leaves undefined values out', () => {
    const query = { q: 'owner:a&b status:running', limit: 0, none: undefined };
    expect(urlOf(BASE, '/workspaces', {}, query).search).to.equal(
      '?q=owner%3Aa%26b+status%3Arunning&limit=0',
    );
  });

  for (const value of ['', '.', '..', '...', 'a/b', '../x', String.raw`a\b`, 'a\nb', 'a\0', '\ud800']) {
    it(`refuses ${JSON.stringify(value)} as a segment`, () => {
      expect(() => urlOf(BASE, '/users/{user}', { user: value }))
        .to.throw()
        .with.property('code', 'INVALID_PATH_SEGMENT');
    });
  }

  it('refuses a route whose parameter is missing', () => {
    expect(() => urlOf(BASE, '/users/{user}', {}))
      .to.throw()
      .with.property('code', 'INVALID_PATH_SEGMENT');
  });

  it('never leaves the origin nor the segment', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (user) => {
        let url: URL;
        try {
          url = urlOf(BASE, '/users/{user}/keys', { user });
        } catch {
          return;
        }
        expect(url.origin).to.equal(BASE.origin);
        expect(url.search + url.hash).to.equal('');
        const parts = url.pathname.split('/');
        expect(parts).to.have.length(6);
        expect(decodeURIComponent(parts[4] ?? '')).to.equal(user);
      }),
    );
  });
});
