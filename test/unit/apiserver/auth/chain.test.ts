import { BasicConstraintsExtension, Extension } from '@peculiar/x509';
import { expect } from 'chai';
import { parseCertificate } from '../../../../src/apiserver/auth/certificate.ts';
import { verifyChain, type ChainVerdict } from '../../../../src/apiserver/auth/chain.ts';
import { certify, certifyCA, newKeys, NOW, type Issued } from '../../../support/auth-pki.ts';

const HOUR_MS = 3_600_000;
/** GeneralSubtrees that permit example.com. */
const NAME_CONSTRAINTS = Buffer.from('3011a00f300d820b6578616d706c652e636f6d', 'hex');
const CLIENT = 'CN=front-proxy-client';

describe('verifyChain', () => {
  let root: Issued;

  before(async () => {
    root = await certifyCA('CN=front-proxy-ca');
  });

  const verify = (presented: readonly Issued[], roots: readonly Issued[] = [root], now = NOW): ChainVerdict =>
    verifyChain(
      presented.map(({ der }) => der),
      roots.map(({ der }) => parseCertificate(der)),
      now,
    );

  const reasonOf = (verdict: ChainVerdict): string => {
    if (verdict.trusted) throw new Error('the chain was trusted');
    return `${verdict.isOfCA ? 'refused' : 'unrelated'}: ${verdict.reason}`;
  };

  it('trusts a certificate that the CA signed, as long as both are valid', async () => {
    const leaf = await certify({ subject: CLIENT, issuer: root, notAfter: NOW + HOUR_MS / 2 });
    const verdict = verify([leaf]);
    if (!verdict.trusted) throw new Error(verdict.reason);
    expect(verdict.leaf.commonName).to.equal('front-proxy-client');
    expect([verdict.notBefore, verdict.notAfter]).to.deep.equal([NOW - HOUR_MS, NOW + HOUR_MS / 2]);
  });

  it('trusts an RSA chain, one signed with SHA-384 and one of a CA that was signed with SHA-1 by itself', async () => {
    const rsa = await certifyCA('CN=rsa', { rsa: true });
    const old = await certifyCA('CN=old', { hash: 'SHA-1' });
    const leaves = [
      await certify({ subject: CLIENT, issuer: rsa }),
      await certify({ subject: CLIENT, issuer: root, hash: 'SHA-384' }),
      await certify({ subject: CLIENT, issuer: old }),
    ];
    for (const leaf of leaves) expect(verify([leaf], [root, rsa, old]).trusted).to.be.true;
  });

  it('knows nothing of no certificate, of a foreign one and of bytes that are none', async () => {
    const foreign = await certify({ subject: CLIENT, issuer: await certifyCA('CN=other-ca') });
    const own = await certify({ subject: CLIENT });
    expect(reasonOf(verify([]))).to.match(/^unrelated/);
    expect(reasonOf(verify([foreign]))).to.match(/^unrelated/);
    expect(reasonOf(verify([own]))).to.match(/^unrelated/);
    for (const bytes of [Buffer.alloc(0), Buffer.from('not DER'), foreign.der.subarray(0, -1)])
      expect(reasonOf(verifyChain([bytes], [parseCertificate(root.der)], NOW))).to.match(/^unrelated/);
    const longer = Buffer.concat([(await certify({ subject: CLIENT, issuer: root })).der, Buffer.from([0])]);
    expect(reasonOf(verifyChain([longer], [parseCertificate(root.der)], NOW))).to.match(/^unrelated/);
    expect(reasonOf(verify([await certify({ subject: CLIENT, issuer: root })], []))).to.match(/^unrelated/);
  });

  it('does not take the name of the CA for its signature', async () => {
    const namesake = await certifyCA('CN=front-proxy-ca');
    const leaf = await certify({ subject: CLIENT, issuer: namesake });
    expect(reasonOf(verify([leaf]))).to.equal('unrelated: another CA signed it');
    // Nor does it help to bring that CA along.
    expect(reasonOf(verify([leaf, namesake]))).to.equal('unrelated: another CA signed it');
  });

  it('does not take the signature of the CA for its name', async () => {
    const leaf = await certify({ subject: CLIENT, issuer: root, issuerName: 'CN=somebody-else' });
    expect(reasonOf(verify([leaf]))).to.match(/^unrelated/);
  });

  it('finds the CA that signed among several of one name, whatever their keys and order', async () => {
    const rsa = await certifyCA('CN=front-proxy-ca', { rsa: true });
    const renewed = await certifyCA('CN=front-proxy-ca');
    const leaves = await Promise.all(
      [root, rsa, renewed].map((issuer) => certify({ subject: CLIENT, issuer })),
    );
    for (const leaf of leaves) {
      expect(verify([leaf], [rsa, renewed, root]).trusted).to.be.true;
      expect(verify([leaf], [root, renewed, rsa]).trusted).to.be.true;
    }
  });

  it('trusts a CA that was renewed with the same key, while the old one has expired', async () => {
    const expired = await certifyCA('CN=front-proxy-ca', { keys: root.keys, notAfter: NOW - 1000 });
    const leaf = await certify({ subject: CLIENT, issuer: root });
    expect(verify([leaf], [expired, root]).trusted).to.be.true;
    expect(reasonOf(verify([leaf], [expired]))).to.equal('refused: the CA has expired');
  });

  it('refuses what has expired or is not yet valid, to the second', async () => {
    const leaf = await certify({ subject: CLIENT, issuer: root, notBefore: NOW, notAfter: NOW + 2000 });
    expect(reasonOf(verify([leaf], [root], NOW - 1))).to.equal('refused: the certificate is not yet valid');
    expect(verify([leaf], [root], NOW).trusted).to.be.true;
    expect(verify([leaf], [root], NOW + 2000).trusted).to.be.true;
    expect(reasonOf(verify([leaf], [root], NOW + 2001))).to.equal('refused: the certificate has expired');
    const late = await certify({ subject: CLIENT, issuer: root, notAfter: NOW + 3 * HOUR_MS });
    expect(reasonOf(verify([late], [root], NOW + 2 * HOUR_MS))).to.equal('refused: the CA has expired');
  });

  it('reads dates beyond 2049, which are encoded in another way', async () => {
    const far = Date.UTC(2051, 5, 1);
    const ca = await certifyCA('CN=long', { notAfter: far });
    const leaf = await certify({ subject: CLIENT, issuer: ca, notAfter: far });
    expect(verify([leaf], [ca], far).trusted).to.be.true;
    expect(reasonOf(verify([leaf], [ca], far + 1))).to.match(/has expired/);
  });

  describe('with intermediates', () => {
    it('needs them from the client, in any order', async () => {
      const upper = await certifyCA('CN=upper', { issuer: root });
      const lower = await certifyCA('CN=lower', { issuer: upper });
      const leaf = await certify({ subject: CLIENT, issuer: lower });
      expect(verify([leaf, lower, upper]).trusted).to.be.true;
      expect(verify([leaf, upper, root, lower]).trusted).to.be.true;
      expect(reasonOf(verify([leaf, lower]))).to.match(/^unrelated/);
    });

    it('never takes a certificate that is no CA for one', async () => {
      const leaf = await certify({ subject: 'CN=ann', issuer: root });
      const forged = await certify({ subject: CLIENT, issuer: leaf });
      expect(reasonOf(verify([forged, leaf]))).to.match(/^unrelated/);
      const said = new BasicConstraintsExtension(false, undefined, true);
      const honest = await certify({ subject: 'CN=ann', issuer: root, extensions: [said] });
      expect(verify([await certify({ subject: CLIENT, issuer: honest }), honest]).trusted).to.be.false;
    });

    it('heeds a key usage that does not allow to sign certificates', async () => {
      const keyUsage = 'digitalSignature';
      const wrong = await certifyCA('CN=wrong', { issuer: root, keyUsage });
      expect(verify([await certify({ subject: CLIENT, issuer: wrong }), wrong]).trusted).to.be.false;
      const right = await certifyCA('CN=right', { issuer: root, keyUsage: 'keyCertSign' });
      expect(verify([await certify({ subject: CLIENT, issuer: right }), right]).trusted).to.be.true;
      const ca = await certifyCA('CN=ca', { keyUsage });
      expect(reasonOf(verify([await certify({ subject: CLIENT, issuer: ca })], [ca]))).to.equal(
        'refused: the CA may not sign certificates',
      );
    });

    it('heeds path lengths', async () => {
      const none = await certifyCA('CN=none', { ca: 0 });
      const one = await certifyCA('CN=one', { ca: 1 });
      for (const [ca, allowed] of [
        [none, 0],
        [one, 1],
      ] as const) {
        const upper = await certifyCA('CN=upper', { issuer: ca });
        const lower = await certifyCA('CN=lower', { issuer: upper });
        const direct = await certify({ subject: CLIENT, issuer: ca });
        const underUpper = await certify({ subject: CLIENT, issuer: upper });
        const underLower = await certify({ subject: CLIENT, issuer: lower });
        expect(verify([direct], [ca]).trusted).to.be.true;
        expect(verify([underUpper, upper], [ca]).trusted).to.equal(allowed >= 1);
        expect(reasonOf(verify([underLower, lower, upper], [ca]))).to.equal(
          'refused: the CA does not allow so many intermediates',
        );
      }
      const upper = await certifyCA('CN=upper', { issuer: root, ca: 0 });
      const lower = await certifyCA('CN=lower', { issuer: upper });
      expect(reasonOf(verify([await certify({ subject: CLIENT, issuer: lower }), lower, upper]))).to.equal(
        'refused: an intermediate CA does not allow so many intermediates',
      );
    });

    it('refuses an expired one, and takes another of the same key that is valid', async () => {
      const keys = await newKeys();
      const old = await certifyCA('CN=upper', { issuer: root, keys, notAfter: NOW - 1000 });
      const renewed = await certifyCA('CN=upper', { issuer: root, keys });
      const leaf = await certify({ subject: CLIENT, issuer: old });
      expect(reasonOf(verify([leaf, old]))).to.equal('refused: an intermediate CA has expired');
      expect(verify([leaf, old, renewed]).trusted).to.be.true;
      expect(verify([leaf, renewed, old]).trusted).to.be.true;
    });

    it('finds its way through cross-signed ones, and does not walk in circles', async () => {
      const [aKeys, bKeys] = [await newKeys(), await newKeys()];
      const a = await certifyCA('CN=a', { keys: aKeys });
      const b = await certifyCA('CN=b', { keys: bKeys });
      const aByB = await certifyCA('CN=a', { keys: aKeys, issuer: b });
      const bByA = await certifyCA('CN=b', { keys: bKeys, issuer: a });
      const leaf = await certify({ subject: CLIENT, issuer: a });
      expect(verify([leaf, aByB, bByA]).trusted).to.be.false;
      expect(verify([leaf, aByB, bByA], [b]).trusted).to.be.true;
      expect(verify([leaf, aByB, bByA], [a]).trusted).to.be.true;
      const aByRoot = await certifyCA('CN=a', { keys: aKeys, issuer: root });
      expect(verify([leaf, aByB, bByA, aByRoot]).trusted).to.be.true;
    });

    it('looks at ten certificates at most', async () => {
      const leaf = await certify({ subject: CLIENT, issuer: root });
      expect(verify([leaf, ...new Array<Issued>(9).fill(leaf)]).trusted).to.be.true;
      expect(reasonOf(verify([leaf, ...new Array<Issued>(10).fill(leaf)]))).to.match(/^unrelated: more than/);
    });

    it('checks a bounded number of signatures', async () => {
      // By their names each of them could be signed by each of the CAs.
      const namesakes = await Promise.all(new Array(20).fill(0).map(() => certifyCA('CN=same')));
      const strangers = await Promise.all(new Array(10).fill(0).map(() => certifyCA('CN=same')));
      const leaf = await certify({ subject: CLIENT, issuer: strangers[0]! });
      const reason = reasonOf(verify([leaf, ...strangers.slice(1)], namesakes));
      expect(reason).to.equal('unrelated: too many signatures to check');
    });
  });

  describe('usages', () => {
    it('takes certificates for clients, for anything, and those without a restriction', async () => {
      for (const usages of [undefined, ['clientAuth'], ['serverAuth', 'clientAuth'], ['any']] as const) {
        const leaf = await certify({ subject: CLIENT, issuer: root, ...(usages && { usages }) });
        expect(verify([leaf]).trusted).to.be.true;
      }
    });

    it('refuses a certificate for servers only', async () => {
      const leaf = await certify({ subject: CLIENT, issuer: root, usages: ['serverAuth'] });
      expect(reasonOf(verify([leaf]))).to.equal('refused: the certificate is not for client authentication');
    });

    it('lets no certificate do what a CA above it may not', async () => {
      const upper = await certifyCA('CN=upper', { issuer: root, usages: ['serverAuth'] });
      const leaf = await certify({ subject: CLIENT, issuer: upper, usages: ['clientAuth'] });
      expect(reasonOf(verify([leaf, upper]))).to.equal(
        'refused: an intermediate CA is not for client authentication',
      );
    });
  });

  it('refuses signatures that can be forged', async () => {
    const leaf = await certify({ subject: CLIENT, issuer: root, hash: 'SHA-1' });
    expect(reasonOf(verify([leaf]))).to.equal('refused: the certificate has a weak or unknown signature');
  });

  it('refuses restrictions that it does not implement', async () => {
    const unknown = new Extension('1.2.3.4', true, Buffer.from('0500', 'hex'));
    const marked = await certify({ subject: CLIENT, issuer: root, extensions: [unknown] });
    expect(reasonOf(verify([marked]))).to.match(/^refused: the certificate has the extension 1\.2\.3\.4/);
    const harmless = new Extension('1.2.3.4', false, Buffer.from('0500', 'hex'));
    expect(verify([await certify({ subject: CLIENT, issuer: root, extensions: [harmless] })]).trusted).to.be
      .true;
    const constraints = new Extension('2.5.29.30', false, NAME_CONSTRAINTS);
    const ca = await certifyCA('CN=narrow', { extensions: [constraints] });
    expect(reasonOf(verify([await certify({ subject: CLIENT, issuer: ca })], [ca]))).to.match(
      /^refused: the CA has the extension 2\.5\.29\.30/,
    );
  });

  it('trusts a certificate that is itself in the bundle, if it is valid and for clients', async () => {
    const leaf = await certify({ subject: CLIENT, issuer: await certifyCA('CN=gone') });
    expect(verify([leaf], [leaf]).trusted).to.be.true;
    expect(reasonOf(verify([leaf], [leaf], NOW + 2 * HOUR_MS))).to.equal(
      'refused: the certificate has expired',
    );
    const server = await certify({ subject: CLIENT, usages: ['serverAuth'] });
    expect(verify([server], [server]).trusted).to.be.false;
  });

  it('refuses every certificate in which one byte was changed', async () => {
    const { der } = await certify({ subject: CLIENT, issuer: root, usages: ['clientAuth'] });
    const roots = [parseCertificate(root.der)];
    for (let i = 0; i < der.length; i++) {
      const changed = Buffer.from(der);
      changed[i] = (changed[i] ?? 0) ^ 0x01;
      expect(verifyChain([changed], roots, NOW).trusted, `byte ${i}`).to.be.false;
    }
  });
});
