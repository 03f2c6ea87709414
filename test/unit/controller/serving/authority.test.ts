import '../../../../hack/stack/reflect.ts';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate as OtherReader,
} from '@peculiar/x509';
import { expect } from 'chai';
import { createAuthority, issueServing, type KeyPair } from '../../../../src/controller/serving/authority.ts';
import { namesOf } from '../../../../src/controller/serving/decide.ts';
import { handshake } from '../../../support/handshake.ts';
import { SERVER_NAME } from '../../../support/serving-kube.ts';

const DAY_MS = 24 * 3_600_000;
const names = namesOf({ namespace: 'coder-operator', name: 'coder-operator-apiserver' });

describe('the authority of the endpoint', () => {
  const now = Date.now();
  let authority: KeyPair;
  let serving: KeyPair;

  const issue = (from: KeyPair, wanted: readonly string[] = names, notAfter = now + 90 * DAY_MS) =>
    issueServing(
      { certificate: from.certificate, key: createPrivateKey(from.key) },
      { now, notAfter, names: wanted },
    );
  const pairOf = (pair: KeyPair): { cert: string; key: string } => ({
    cert: pair.certificate,
    key: pair.key,
  });

  before(async () => {
    authority = await createAuthority({ now, notAfter: now + 365 * DAY_MS });
    serving = await issue(authority);
  });

  it('2. the certificate is for <service>.<namespace>.svc, the name that the API server asks for', async () => {
    const ca = authority.certificate;
    expect(await handshake(pairOf(serving), { ca, name: SERVER_NAME })).to.equal('trusted');
    for (const name of ['coder-operator-apiserver', 'localhost']) {
      expect(await handshake(pairOf(serving), { ca, name })).to.equal('trusted');
    }
  });

  it('2. a server of another name is not taken for the endpoint', async () => {
    const other = await issue(authority, ['other.coder-operator.svc']);
    const answer = await handshake(pairOf(other), { ca: authority.certificate, name: SERVER_NAME });
    expect(answer).to.have.property('code', 'ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('2. another authority is not trusted, and is together with the former in one bundle', async () => {
    const other = await createAuthority({ now, notAfter: now + 365 * DAY_MS });
    const alone = await handshake(pairOf(serving), { ca: other.certificate, name: SERVER_NAME });
    expect(alone).to.be.instanceOf(Error);
    const ofOther = await issue(other);
    for (const ca of [authority.certificate + other.certificate, other.certificate + authority.certificate]) {
      expect(await handshake(pairOf(serving), { ca, name: SERVER_NAME })).to.equal('trusted');
      expect(await handshake(pairOf(ofOther), { ca, name: SERVER_NAME })).to.equal('trusted');
    }
  });

  it('begins a little before now, and ends with its authority at the latest', async () => {
    const read = new X509Certificate(serving.certificate);
    expect(now - Date.parse(read.validFrom)).to.be.within(5 * 60_000, 5 * 60_000 + 1000);
    expect(Date.parse(read.validTo)).to.be.closeTo(now + 90 * DAY_MS, 1000);
    const long = new X509Certificate((await issue(authority, names, now + 9999 * DAY_MS)).certificate);
    expect(long.validTo).to.equal(new X509Certificate(authority.certificate).validTo);
  });

  it('has a key of its own, on P-256', () => {
    const read = new X509Certificate(serving.certificate);
    expect(read.checkPrivateKey(createPrivateKey(serving.key))).to.equal(true);
    expect(read.publicKey.asymmetricKeyDetails).to.deep.equal({ namedCurve: 'prime256v1' });
    expect(serving.key).to.match(/^-----BEGIN PRIVATE KEY-----/);
    expect(serving.key).to.not.equal(authority.key);
  });

  it('says to another reader what it may be used for', () => {
    const ca = new OtherReader(authority.certificate);
    expect(ca.getExtension(BasicConstraintsExtension)).to.include({
      ca: true,
      pathLength: 0,
      critical: true,
    });
    expect(ca.getExtension(KeyUsagesExtension)).to.include({
      usages: KeyUsageFlags.keyCertSign,
      critical: true,
    });

    const leaf = new OtherReader(serving.certificate);
    expect(leaf.getExtension(BasicConstraintsExtension)).to.include({ ca: false, critical: true });
    expect(leaf.getExtension(KeyUsagesExtension)).to.include({
      usages: KeyUsageFlags.digitalSignature,
      critical: true,
    });
    expect(leaf.getExtension(ExtendedKeyUsageExtension)?.usages).to.deep.equal(['1.3.6.1.5.5.7.3.1']);
    const san = leaf.getExtension(SubjectAlternativeNameExtension)?.names.toJSON();
    expect(san).to.deep.equal(names.map((value) => ({ type: value === '127.0.0.1' ? 'ip' : 'dns', value })));
    expect(leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId).to.equal(
      ca.getExtension(SubjectKeyIdentifierExtension)?.keyId,
    );
    expect(leaf.issuer).to.equal(ca.subject);
  });

  it('gives serial numbers that are random, positive and 126 bits long', async () => {
    const serials = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const serial = new X509Certificate((await issue(authority)).certificate).serialNumber;
      expect(serial).to.match(/^[4-7][0-9A-F]{31}$/);
      serials.add(serial);
    }
    expect(serials.size).to.equal(20);
  });

  it('gives each authority a name of its own', async () => {
    const other = await createAuthority({ now, notAfter: now + DAY_MS });
    const nameOf = (pair: KeyPair): string => new X509Certificate(pair.certificate).subject;
    expect(nameOf(other)).to.match(/^CN=coder-operator-apiserver-ca-[0-9a-f]{8}$/);
    expect(nameOf(other)).to.not.equal(nameOf(authority));
  });

  it('writes dates beyond 2049', async () => {
    const from = Date.parse('2049-12-31T12:00:00Z');
    const late = new X509Certificate(
      (await createAuthority({ now: from, notAfter: Date.parse('2051-02-03T04:05:06Z') })).certificate,
    );
    expect([late.validFrom, late.validTo].map((date) => new Date(date).toISOString())).to.deep.equal([
      '2049-12-31T11:55:00.000Z',
      '2051-02-03T04:05:06.000Z',
    ]);
  });
});
