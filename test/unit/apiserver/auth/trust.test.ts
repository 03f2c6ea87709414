import { expect } from 'chai';
import { NO_TRUST, parseTrust, type FrontProxyTrust } from '../../../../src/apiserver/auth/trust.ts';
import { OperatorError } from '../../../../src/base/errors.ts';
import { certifyCA, trustData, type Issued } from '../../../support/auth-pki.ts';

describe('parseTrust', () => {
  let ca: Issued;
  let other: Issued;

  before(async () => {
    ca = await certifyCA('CN=front-proxy-ca');
    other = await certifyCA('CN=front-proxy-ca');
  });

  const frontProxy = (data: Readonly<Record<string, unknown>>): FrontProxyTrust => {
    const trust = parseTrust(data).frontProxy;
    if (trust === undefined) throw new Error('there is no front proxy');
    return trust;
  };

  it('reads what kube-apiserver writes', () => {
    const { certificates, ...rest } = frontProxy(
      trustData([ca, other], { 'requestheader-uid-headers': '["X-Remote-Uid"]' }),
    );
    expect(certificates.map(({ der }) => der)).to.deep.equal([ca.der, other.der]);
    expect(rest).to.deep.equal({
      allowedNames: ['front-proxy-client'],
      usernameHeaders: ['x-remote-user'],
      uidHeaders: ['x-remote-uid'],
      groupHeaders: ['x-remote-group'],
      extraPrefixes: ['x-remote-extra-'],
    });
  });

  it('takes no UID from headers unless the cluster says so', () => {
    expect(frontProxy(trustData([ca])).uidHeaders).to.deep.equal([]);
  });

  it('trusts no proxy without a CA, and never the CA of people', () => {
    expect(parseTrust()).to.equal(NO_TRUST);
    expect(parseTrust({ 'client-ca-file': ca.pem })).to.equal(NO_TRUST);
    expect(parseTrust(trustData([], { 'client-ca-file': ca.pem }))).to.equal(NO_TRUST);
  });

  it('takes lists that are left out, empty or null for empty ones', () => {
    const { 'requestheader-group-headers': left, ...rest } = trustData([ca], {
      'requestheader-extra-headers-prefix': '',
      'requestheader-allowed-names': 'null',
    });
    expect(left).to.be.a('string');
    const trust = frontProxy(rest);
    expect([trust.groupHeaders, trust.extraPrefixes, trust.allowedNames]).to.deep.equal([[], [], []]);
  });

  it('reads names without regard to case and once each', () => {
    const trust = frontProxy(
      trustData([ca], { 'requestheader-group-headers': '["X-Remote-Group", " x-remote-group ", "X-Team"]' }),
    );
    expect(trust.groupHeaders).to.deep.equal(['x-remote-group', 'x-team']);
  });

  it('reads certificates amid other text', () => {
    const bundle = `# first\n${ca.pem.replaceAll('\n', '\r\n')}\nsecond:\n${other.pem}`;
    expect(frontProxy(trustData([], { 'requestheader-client-ca-file': bundle })).certificates).to.have.length(
      2,
    );
  });

  it('refuses the whole when a part of it cannot be read', () => {
    const bad: Record<string, unknown>[] = [
      { 'requestheader-allowed-names': 'front-proxy-client' },
      { 'requestheader-allowed-names': '"front-proxy-client"' },
      { 'requestheader-allowed-names': '{"0":"front-proxy-client"}' },
      { 'requestheader-allowed-names': '["a", 1]' },
      { 'requestheader-allowed-names': ['front-proxy-client'] },
      { 'requestheader-username-headers': '[""]' },
      { 'requestheader-username-headers': '["X-Remote-User"' },
      { 'requestheader-group-headers': '[" "]' },
      { 'requestheader-uid-headers': '[""]' },
      { 'requestheader-extra-headers-prefix': '["X-Remote-Extra-", ""]' },
      { 'requestheader-client-ca-file': 'no certificate' },
      { 'requestheader-client-ca-file': 7 },
      { 'requestheader-client-ca-file': ca.pem.slice(0, -40) },
      { 'requestheader-client-ca-file': ca.pem + other.pem.slice(0, -40) },
      { 'requestheader-client-ca-file': ca.pem.replace('MII', 'AII') },
      { 'requestheader-client-ca-file': ca.pem + ca.pem.replace(/\n.{64}\n/, '\n') },
    ];
    for (const part of bad) {
      expect(() => parseTrust({ ...trustData([ca]), ...part }), JSON.stringify(part))
        .to.throw(OperatorError)
        .with.property('code', 'TRUST_MALFORMED');
    }
  });
});
