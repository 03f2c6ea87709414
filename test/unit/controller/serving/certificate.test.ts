import '../../../../hack/stack/reflect.ts';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, PemConverter, X509CertificateGenerator } from '@peculiar/x509';
import { expect } from 'chai';
import { createAuthority, issueServing, type KeyPair } from '../../../../src/controller/serving/authority.ts';
import {
  isIssuedBy,
  readAuthorityPair,
  readCertificates,
  readServingPair,
} from '../../../../src/controller/serving/certificate.ts';

describe('reading certificates', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  let authority: KeyPair;
  let serving: KeyPair;

  before(async () => {
    authority = await createAuthority({ now, notAfter: now + 1_000_000 });
    const issuer = { certificate: authority.certificate, key: createPrivateKey(authority.key) };
    serving = await issueServing(issuer, { now, notAfter: now + 500_000, names: ['a.b.svc', '127.0.0.1'] });
  });

  const faultOf = (read: ReturnType<typeof readServingPair>): string =>
    'fault' in read ? read.fault : 'none';

  it('reads what was made', () => {
    const read = readServingPair(serving.certificate, serving.key);
    expect('fact' in read && read.fact).to.deep.include({
      pem: serving.certificate,
      notBefore: now - 300_000,
      notAfter: now + 500_000,
      isAuthority: false,
      names: ['a.b.svc', '127.0.0.1'],
    });
    const signer = readAuthorityPair(authority.certificate, authority.key);
    expect('fact' in signer && signer.fact).to.deep.include({ isAuthority: true, names: [] });
  });

  it('knows who has signed', async () => {
    const [leaf, issuer, other] = readCertificates(
      serving.certificate +
        authority.certificate +
        (await createAuthority({ now, notAfter: now + 1_000_000 })).certificate,
    ).map(({ x509 }) => x509);
    expect(leaf !== undefined && issuer !== undefined && isIssuedBy(leaf, issuer)).to.equal(true);
    expect(leaf !== undefined && other !== undefined && isIssuedBy(leaf, other)).to.equal(false);
  });

  it('passes over what is no certificate in a bundle', () => {
    const junk = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const read = readCertificates(
      `# a comment\n${junk}${authority.certificate}trailing ${serving.certificate}`,
    );
    expect(read.map(({ fact }) => fact.pem)).to.deep.equal([authority.certificate, serving.certificate]);
    expect(readCertificates('')).to.deep.equal([]);
  });

  it('says what is wrong with a pair, and nothing of what it holds', () => {
    expect(faultOf(readServingPair('', ''))).to.match(/no certificate/);
    expect(faultOf(readServingPair('tampered', serving.key))).to.match(/no certificate/);
    expect(faultOf(readServingPair(serving.certificate, 'tampered'))).to.match(/no private key/);
    expect(faultOf(readServingPair(serving.certificate, authority.key))).to.match(
      /not that of its certificate/,
    );
    expect(faultOf(readServingPair(authority.certificate, authority.key))).to.match(/not for servers/);
    expect(faultOf(readAuthorityPair(serving.certificate, serving.key))).to.match(/not that of an authority/);
  });

  /** A self-signed authority that was not made here. */
  async function foreignPair(
    algorithm: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams,
  ): Promise<KeyPair> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        name: 'CN=Somebody',
        keys,
        signingAlgorithm: { ...algorithm, hash: 'SHA-256' },
        extensions: [new BasicConstraintsExtension(true, undefined, true)],
      },
      webcrypto,
    );
    const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { certificate: certificate.toString('pem'), key: PemConverter.encode(key, 'PRIVATE KEY') };
  }

  it('takes no authority that somebody else has made', async () => {
    const { certificate, key } = await foreignPair({ name: 'ECDSA', namedCurve: 'P-256' });
    expect(faultOf(readAuthorityPair(certificate, key))).to.match(/not made by this controller/);
  });

  it('takes no key of another algorithm', async () => {
    const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 };
    const pairs = [
      await foreignPair({ ...rsa, publicExponent: Uint8Array.of(1, 0, 1) }),
      await foreignPair({ name: 'ECDSA', namedCurve: 'P-384' }),
    ];
    for (const { certificate, key } of pairs) {
      expect(faultOf(readAuthorityPair(certificate, key))).to.match(/P-256/);
    }
  });
});
