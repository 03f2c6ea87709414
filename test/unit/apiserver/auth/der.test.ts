import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { parseCertificate } from '../../../../src/apiserver/auth/certificate.ts';
import {
  booleanOf,
  countOf,
  DerReader,
  oidOf,
  timeOf,
  type Element,
} from '../../../../src/apiserver/auth/der.ts';
import { OperatorError } from '../../../../src/base/errors.ts';
import { certify, certifyCA, NOW } from '../../../support/auth-pki.ts';

const element = (hex: string): Element => new DerReader(Buffer.from(hex, 'hex')).next();
const text = (tag: number, content: string): Element =>
  new DerReader(Buffer.concat([Buffer.from([tag, content.length]), Buffer.from(content)])).next();

describe('DerReader', () => {
  const refused = (read: () => unknown): void => {
    expect(read).to.throw(OperatorError).with.property('code', 'DER_MALFORMED');
  };

  it('reads what it was given, in order', () => {
    const reader = new DerReader(Buffer.from('300602010505000101ff', 'hex'));
    const inner = reader.within(0x30);
    expect(countOf(inner.next(0x02))).to.equal(5);
    expect(inner.optional(0x01)).to.be.undefined;
    expect(inner.optional(0x05)?.content).to.have.length(0);
    refused(() => inner.next());
  });

  it('refuses every other encoding than the one that DER allows', () => {
    const bad = {
      'an indefinite length': '30800000',
      'a long form of a short length': '3081050000000000',
      'a length with a leading zero': `30820080${'00'.repeat(128)}`,
      'a length of five bytes': '308500000000010a',
      'more than there is': '300501',
      'a cut length': '3082',
      'a tag of several bytes': '1f0100',
      nothing: '',
    };
    for (const [what, hex] of Object.entries(bad)) {
      expect(() => element(hex), what)
        .to.throw(OperatorError)
        .with.property('code', 'DER_MALFORMED');
    }
    refused(() => new DerReader(Buffer.from('0500', 'hex')).next(0x02));
    refused(() => new DerReader(Buffer.from('0500', 'hex')).end());
    expect(element(`308180${'00'.repeat(128)}`).content).to.have.length(128);
  });

  it('reads identifiers', () => {
    expect(oidOf(element('0603551d25'))).to.equal('2.5.29.37');
    expect(oidOf(element('06082b06010505070302'))).to.equal('1.3.6.1.5.5.7.3.2');
    expect(oidOf(element('06028837'))).to.equal('2.999');
    for (const hex of ['0600', '06028001', '060181', '060affffffffffffffffff7f'])
      refused(() => oidOf(element(hex)));
  });

  it('reads truth values and counts', () => {
    expect([booleanOf(element('0101ff')), booleanOf(element('010100'))]).to.deep.equal([true, false]);
    expect([countOf(element('020100')), countOf(element('02020080'))]).to.deep.equal([0, 128]);
    for (const hex of ['010101', '0100', '0102ffff']) refused(() => booleanOf(element(hex)));
    for (const hex of ['0200', '0201ff', '02020005', '02050100000000']) refused(() => countOf(element(hex)));
  });

  it('reads times', () => {
    expect(timeOf(text(0x17, '260101000000Z'))).to.equal(NOW);
    expect(timeOf(text(0x17, '491231235959Z'))).to.equal(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(timeOf(text(0x17, '500101000000Z'))).to.equal(Date.UTC(1950, 0, 1));
    expect(timeOf(text(0x18, '20500101000000Z'))).to.equal(Date.UTC(2050, 0, 1));
    const bad = ['2601010000Z', '260101000000+0100', '260230000000Z', '261301000000Z', '260101240000Z'];
    for (const time of [...bad, '260101006000Z', '260101000060Z', ''])
      refused(() => timeOf(text(0x17, time)));
    for (const time of ['20260101000000.5Z', '260101000000Z']) refused(() => timeOf(text(0x18, time)));
    refused(() => timeOf(text(0x0c, '260101000000Z')));
  });

  it('throws nothing else for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const reader = new DerReader(Buffer.from(bytes));
          while (!reader.done) {
            const next = reader.next();
            for (const read of [oidOf, booleanOf, countOf, timeOf]) {
              try {
                read(next);
              } catch (error) {
                expect(error).to.be.instanceOf(OperatorError);
              }
            }
          }
        } catch (error) {
          expect(error).to.be.instanceOf(OperatorError);
        }
      }),
    );
  });
});

describe('parseCertificate', () => {
  it('reads the same as OpenSSL', async () => {
    const issuer = await certifyCA('CN=some ca,O=acme', { ca: 3, keyUsage: 'keyCertSign' });
    const leaf = await certify({
      subject: 'O=acme,CN=Zoë',
      issuer,
      notAfter: Date.UTC(2061, 1, 3, 4, 5, 6),
      usages: ['clientAuth', 'serverAuth'],
    });
    for (const { der } of [issuer, leaf]) {
      const ours = parseCertificate(der);
      const theirs = new X509Certificate(der);
      expect(ours.isCA).to.equal(theirs.ca);
      expect([ours.notBefore, ours.notAfter]).to.deep.equal([
        Date.parse(theirs.validFrom),
        Date.parse(theirs.validTo),
      ]);
      expect(ours.usages && [...ours.usages]).to.deep.equal(theirs.keyUsage);
      expect(theirs.subject.split('\n')).to.include(`CN=${ours.commonName ?? ''}`);
      expect(ours.publicKeyInfo.equals(theirs.publicKey.export({ type: 'spki', format: 'der' }))).to.be.true;
      expect(ours.hasStrongSignature).to.be.true;
      expect(ours.unsupported).to.be.undefined;
    }
    const { maxPathLength, subject } = parseCertificate(issuer.der);
    expect(maxPathLength).to.equal(3);
    expect(parseCertificate(leaf.der).issuer.equals(subject)).to.be.true;
  });

  it('takes no name from a subject with several common names, or none', async () => {
    for (const subject of [
      'CN=a,CN=front-proxy-client',
      'CN=front-proxy-client+CN=b',
      'O=front-proxy-client',
    ])
      expect(parseCertificate((await certify({ subject })).der).commonName, subject).to.be.undefined;
  });

  it('refuses a certificate with one extension twice', async () => {
    const { der } = await certify({
      subject: 'CN=a',
      usages: ['serverAuth'],
      keyUsage: 'digitalSignature',
    });
    // Makes the key usage a second extended key usage.
    const at = der.indexOf(Buffer.from('0603551d0f', 'hex'));
    const twice = Buffer.from(der);
    twice[at + 4] = 0x25;
    expect(() => parseCertificate(twice)).to.throw(OperatorError, 'an extension twice');
  });
});
