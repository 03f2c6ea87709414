import { expect } from 'chai';
import { credentialsIn, forbidden } from '../../../../src/controller/controlplane/credentials.ts';
import type { Secret } from '../../../../src/controller/secrets.ts';

function secret(data: Record<string, string>, type = 'coder.com/credentials'): Secret {
  return {
    metadata: { name: 'coder' },
    type,
    data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString('base64')])),
  };
}
const good = { url: 'https://coder.example.com', token: 'abc-DEF' };

describe('credentialsIn', () => {
  it('reads URL and token, without the line ends that editors leave', () => {
    expect(credentialsIn(secret({ url: `${good.url}\n`, token: ' abc-DEF\r\n' }), 'coder')).to.deep.equal({
      state: 'read',
      credentials: { ...good, caCertificates: undefined },
    });
  });

  it('reads a certificate authority', () => {
    expect(credentialsIn(secret({ ...good, 'ca.crt': 'PEM\n' }), 'coder')).to.deep.equal({
      state: 'read',
      credentials: { ...good, caCertificates: 'PEM' },
    });
  });

  const wrong: [string, Secret | undefined, string, string][] = [
    [
      'no Secret',
      undefined,
      'WaitingForDependency',
      'create it with the type coder.com/credentials and the keys url and token',
    ],
    [
      'another type',
      secret(good, 'Opaque'),
      'InvalidCredentials',
      'is of the type Opaque and not coder.com/credentials',
    ],
    ['no type', { metadata: { name: 'coder' } }, 'InvalidCredentials', 'is of the type Opaque'],
    [
      'values meant for workspaces',
      secret(good, 'coder.com/values'),
      'InvalidCredentials',
      'coder.com/values',
    ],
    ['no token', secret({ url: good.url }), 'InvalidCredentials', 'lacks token'],
    ['no url', secret({ token: good.token }), 'InvalidCredentials', 'lacks url'],
    ['neither', secret({}), 'InvalidCredentials', 'lacks url and token'],
    ['an empty token', secret({ ...good, token: ' \n' }), 'InvalidCredentials', 'lacks token'],
    [
      'two lines of token',
      secret({ ...good, token: 'a\nb' }),
      'InvalidCredentials',
      'characters that no token has',
    ],
    ['no ASCII', secret({ ...good, token: 'tökën' }), 'InvalidCredentials', 'characters that no token has'],
  ];
  for (const [name, given, reason, text] of wrong) {
    it(`says what is wrong with ${name}, and never the token`, () => {
      const fact = credentialsIn(given, 'coder');
      if (fact.state !== 'wrong') throw new Error('expected it to be wrong');
      expect(fact.cause.reason).to.equal(reason);
      expect(fact.cause.message).to.contain('Secret coder').and.to.contain(text).and.not.contain(good.token);
    });
  }
});

describe('forbidden', () => {
  it('prints the command that gives the right', () => {
    const fact = forbidden('coder', 'team');
    expect(fact).to.deep.include({ state: 'forbidden' });
    if (fact.state === 'forbidden') {
      expect(fact.cause.reason).to.equal('SecretForbidden');
      expect(fact.cause.message).to.contain('kubectl apply -n team -k config/tenant');
    }
  });
});
