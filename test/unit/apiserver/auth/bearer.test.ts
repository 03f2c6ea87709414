import { expect } from 'chai';
import {
  BEARER_PROTOCOL_PREFIX,
  bearerToken,
  isBearerProtocol,
  protocolToken,
} from '../../../../src/apiserver/auth/bearer.ts';
import { CredentialsError, headerPairs } from '../../../../src/apiserver/auth/headers.ts';

describe('bearerToken', () => {
  const token = (...values: readonly string[]): string | undefined =>
    bearerToken(headerPairs(values.flatMap((value) => ['Authorization', value])));

  it('reads the token, with the scheme in any case', () => {
    expect(token('Bearer abc.def')).to.equal('abc.def');
    expect(token('  bEARER abc ')).to.equal('abc');
    expect(token('Bearer abc more')).to.equal('abc');
    expect(token('Bearer abc', 'Bearer abc')).to.equal('abc');
  });

  it('finds none without the header', () => {
    expect([token(), token(''), token('  ')]).to.deep.equal([undefined, undefined, undefined]);
    expect(bearerToken(headerPairs(['X-Authorization', 'Bearer abc']))).to.be.undefined;
  });

  it('refuses what it cannot take for a token, and two different ones', () => {
    for (const value of ['Bearer', 'Bearer ', 'Bearer  abc', 'Basic YTpi', 'abc', 'Bearerabc', 'Bearer \xff'])
      expect(() => token(value), value).to.throw(CredentialsError);
    expect(() => token('Bearer abc', 'Bearer def')).to.throw(CredentialsError);
  });
});

describe('protocolToken', () => {
  const socket = ['Connection', 'keep-alive, Upgrade', 'Upgrade', 'WebSocket'];
  const encoded = `${BEARER_PROTOCOL_PREFIX}${Buffer.from('abc.dé').toString('base64url')}`;
  const token = (...protocols: readonly string[]): string | undefined =>
    protocolToken(headerPairs([...socket, ...protocols.flatMap((p) => ['Sec-WebSocket-Protocol', p])]));

  it('reads the token beside another protocol, in one header or two', () => {
    expect(token(`${encoded}, v4.channel.k8s.io`)).to.equal('abc.dé');
    expect(token('v4.channel.k8s.io', encoded)).to.equal('abc.dé');
  });

  it('finds none where there is none, or where it is no WebSocket', () => {
    expect([token(), token('v4.channel.k8s.io'), token(`${BEARER_PROTOCOL_PREFIX},x`)]).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
    const protocols = ['Sec-WebSocket-Protocol', `${encoded}, x`];
    for (const raw of [[], ['Upgrade', 'websocket'], ['Connection', 'upgrade', 'Upgrade', 'h2c']])
      expect(protocolToken(headerPairs([...raw, ...protocols]))).to.be.undefined;
  });

  it('refuses a token alone, two tokens, and what is not base64url of UTF-8', () => {
    expect(() => token(encoded)).to.throw(CredentialsError, /beside/);
    expect(() => token(`${encoded},${encoded},x`)).to.throw(CredentialsError, /several/);
    for (const bad of ['abc=', 'a+/b', 'a b', 'abcde', Buffer.from([0xff]).toString('base64url')])
      expect(() => token(`${BEARER_PROTOCOL_PREFIX}${bad},x`), bad).to.throw(CredentialsError);
  });

  it('tells protocols that must not be sent back', () => {
    expect([isBearerProtocol(encoded), isBearerProtocol('v4.channel.k8s.io')]).to.deep.equal([true, false]);
  });
});
