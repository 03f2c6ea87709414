import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { bearerToken, protocolToken } from '../../../src/apiserver/auth/bearer.ts';
import { parseCertificate } from '../../../src/apiserver/auth/certificate.ts';
import { verifyChain } from '../../../src/apiserver/auth/chain.ts';
import { bitsOf, booleanOf, countOf, DerReader, oidOf, timeOf } from '../../../src/apiserver/auth/der.ts';
import { identityOf } from '../../../src/apiserver/auth/frontproxy.ts';
import { CredentialsError, headerPairs } from '../../../src/apiserver/auth/headers.ts';
import { parseTrust, type FrontProxyTrust } from '../../../src/apiserver/auth/trust.ts';
import { OperatorError } from '../../../src/base/errors.ts';
import { certify, certifyCA, NOW, trustData, type Issued } from '../../support/auth-pki.ts';
import {
  bent,
  damaged,
  damages,
  type Damage,
  fuzz,
  fuzzLong,
  keeps,
  phrases,
  refusedOr,
} from '../../support/fuzzing.ts';

describe('fuzzing: certificates', () => {
  let ca: Issued;
  let leaf: Issued;

  before(async () => {
    ca = await certifyCA('CN=front-proxy-ca', { ca: 1, keyUsage: 'keyCertSign' });
    leaf = await certify({ subject: 'CN=front-proxy-client', issuer: ca, usages: ['clientAuth'] });
  });

  const element = fc.letrec<{ element: Buffer }>((tie) => ({
    element: fc.oneof(
      { maxDepth: 3 },
      fc
        .tuple(
          fc.constantFrom(0x01, 0x02, 0x03, 0x04, 0x06, 0x0c, 0x13, 0x17, 0x18),
          fc.uint8Array({ maxLength: 20 }),
        )
        .map(([tag, content]) => der(tag, Buffer.from(content))),
      fc
        .tuple(fc.constantFrom(0x30, 0x31, 0xa0, 0xa3), fc.array(tie('element'), { maxLength: 3 }))
        .map(([tag, all]) => der(tag, Buffer.concat(all))),
    ),
  })).element;

  function der(tag: number, content: Buffer): Buffer {
    const { length } = content;
    const head =
      length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
    return Buffer.concat([Buffer.from([tag, ...head]), content]);
  }

  /** Reads everything that is there, and says what it was made of. */
  function walk(bytes: Buffer): Buffer {
    const reader = new DerReader(bytes);
    const found: Buffer[] = [];
    while (!reader.done) {
      const next = reader.next();
      for (const read of [oidOf, booleanOf, bitsOf, countOf, timeOf])
        refusedOr(OperatorError, () => read(next));
      found.push(next.raw);
    }
    return Buffer.concat(found);
  }

  it('as DER are read to their last byte, or refused', () => {
    const inputs = fc.tuple(fc.array(element, { maxLength: 3 }), damages, keeps);
    fuzz({ parser: 'DER', inputs, part: 3 }, ([elements, changes, keep]) => {
      const bytes = damaged(Buffer.concat(elements), changes, keep);
      const found = refusedOr(OperatorError, () => walk(bytes));
      if (found !== undefined) expect(found.equals(bytes)).to.equal(true);
      else expect(changes.length > 0 || keep !== undefined, 'good DER').to.equal(true);
    });
  });

  it('that were changed are refused, or are read as OpenSSL reads them', () => {
    const inputs = fc.tuple(fc.boolean(), damages, keeps);
    // The right to sign, said to be a bit that is not used: OpenSSL takes it for no right.
    const at = ca.der.indexOf(Buffer.from('03020204', 'hex')) + 2;
    expect(at).to.be.above(2);
    const examples: [boolean, readonly Damage[], undefined][] = [[true, [{ at, to: 3 }], undefined]];
    fuzz<[boolean, readonly Damage[], number | undefined]>(
      { parser: 'certificates', inputs, examples },
      ([isCA, changes, keep]) => {
        const bytes = damaged(isCA ? ca.der : leaf.der, changes, keep);
        let ours;
        try {
          ours = parseCertificate(bytes);
        } catch (error) {
          // Of ours, or of OpenSSL, which has its say too.
          expect(error).to.satisfy(
            (e: unknown) =>
              e instanceof OperatorError ||
              (e as NodeJS.ErrnoException).code?.startsWith('ERR_OSSL') === true,
            String(error),
          );
          return;
        }
        const theirs = new X509Certificate(bytes);
        expect(ours.isCA && !theirs.ca, 'a CA that OpenSSL takes for none').to.equal(false);
        const { notBefore, notAfter } = ours;
        expect([notBefore, notAfter]).to.deep.equal([
          Date.parse(theirs.validFrom),
          Date.parse(theirs.validTo),
        ]);
      },
    );
  });

  it('that were changed by one bit are never trusted', () => {
    const roots = (): ReturnType<typeof parseCertificate>[] => [parseCertificate(ca.der)];
    const change = fc.record({ at: fc.nat(), bit: fc.nat(7) });
    expect(verifyChain([leaf.der], roots(), NOW)).to.include({ trusted: true });
    fuzz({ parser: 'certificate chains', inputs: change, part: 0.5 }, ({ at, bit }) => {
      const bytes = Buffer.from(leaf.der);
      const where = at % bytes.length;
      bytes[where] = (bytes[where] ?? 0) ^ (1 << bit);
      expect(verifyChain([bytes], roots(), NOW)).to.include({ trusted: false });
    });
  });

  const keys = [
    'requestheader-client-ca-file',
    'requestheader-allowed-names',
    'requestheader-group-headers',
    'requestheader-extra-headers-prefix',
  ];

  it('and what the cluster says of whom to trust are taken whole or not at all', () => {
    const pem = fc.oneof(
      phrases(['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '\n', 'MIIB', '=', '-----', ' ']),
      fc.tuple(fc.nat(3), fc.array(fc.nat(), { maxLength: 2 })).map(([count, cuts]) => {
        const text = ca.pem.repeat(count);
        return cuts.reduce(
          (rest, cut) => rest.slice(0, cut % (rest.length + 1)) + rest.slice((cut % (rest.length + 1)) + 1),
          text,
        );
      }),
    );
    const list = fc.oneof(
      fc.json(),
      fc.constantFrom('', '[]', '["X-Remote-User"]', '[" "]', 'null', '[1]', '{}'),
    );
    const data = fc.record({ bundle: pem, lists: fc.dictionary(fc.constantFrom(...keys.slice(1)), list) });
    fuzz({ parser: 'trust (PEM and lists)', inputs: data, part: 0.5 }, ({ bundle, lists }) => {
      const trust = refusedOr(OperatorError, () =>
        parseTrust({ ...trustData([]), ...lists, 'requestheader-client-ca-file': bundle }),
      );
      const { frontProxy } = trust ?? {};
      if (frontProxy === undefined) return;
      expect(frontProxy.certificates).to.have.lengthOf(
        bundle.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0,
      );
      for (const name of [
        ...frontProxy.usernameHeaders,
        ...frontProxy.groupHeaders,
        ...frontProxy.extraPrefixes,
      ]) {
        expect(name).to.equal(name.trim().toLowerCase()).and.not.equal('');
      }
    });
  });

  it('of any length are read at once', () => {
    const words = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', 'A', '\n', '-', '='];
    fuzzLong({ parser: 'trust', words }, (bundle) => {
      refusedOr(OperatorError, () => parseTrust({ 'requestheader-client-ca-file': bundle }));
    });
  });
});

describe('fuzzing: headers that say who asks', () => {
  const trust: FrontProxyTrust = {
    certificates: [],
    allowedNames: [],
    usernameHeaders: ['x-remote-user', 'x-other-user'],
    uidHeaders: ['x-remote-uid'],
    groupHeaders: ['x-remote-group'],
    extraPrefixes: ['x-remote-extra-'],
  };
  const header = fc.constantFrom(
    ...[
      'X-Remote-User',
      'x-other-user',
      'X-REMOTE-UID',
      'X-Remote-Group',
      'X-Remote-Extra-a',
      'X-Remote-Extra-__proto__',
    ],
    ...[
      'X-Remote-Extra-%2e',
      'X-Remote-Extra-%',
      'X-Remote-User ',
      'X_Remote_User',
      'Authorization',
      'X-Remote-Groups',
    ],
  );
  // As Node has them: one character for each byte.
  const value = fc.oneof(
    fc.constantFrom('', 'ann', 'system:masters', 'a,b', ' ', '\xc3\xa9', '\xff', '\xed\xa0\x80'),
    fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const raw = fc.array(fc.tuple(header, value), { maxLength: 8 });

  it('name exactly those whom they name, or nobody', () => {
    fuzz({ parser: 'front-proxy headers', inputs: raw, part: 3 }, (pairs) => {
      const user = refusedOr(CredentialsError, () => identityOf(headerPairs(pairs.flat()), trust));
      if (user === undefined) return;
      const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
      const sent = (name: RegExp): string[] => pairs.filter(([n]) => name.test(n)).map(([, v]) => v);
      const names = sent(/^x-remote-user$/i).filter((v) => v !== '');
      const others = sent(/^x-other-user$/i).filter((v) => v !== '');
      expect(names.length > 0 ? names : others).to.include(bytes(user.name));
      expect(user.groups.map(bytes)).to.deep.equal(sent(/^x-remote-group$/i).filter((v) => v !== ''));
      expect(Object.values(user.extra).flat().map(bytes).sort()).to.deep.equal(
        sent(/^x-remote-extra-/i).sort(),
      );
      expect(Object.getPrototypeOf(user.extra)).to.equal(null);
    });
  });

  it('bear the token that was sent, or none', () => {
    const token = phrases(['Bearer ', 'bearer ', 'Basic ', ' ', 'abc', '\xc3\xa9', '\xff', '=', '.', ','], 6);
    const protocol = phrases(
      ['base64url.bearer.authorization.k8s.io.', 'YWJj', ',', ' ', 'v1.channel', '=', '_', '-', 'x'],
      8,
    );
    const inputs = fc.tuple(fc.array(token, { maxLength: 2 }), fc.array(protocol, { maxLength: 2 }));
    fuzz({ parser: 'bearer tokens', inputs, part: 2 }, ([tokens, protocols]) => {
      const headers = headerPairs([
        ...tokens.flatMap((text) => ['Authorization', text]),
        ...['Upgrade', 'websocket', 'Connection', 'Upgrade'],
        ...protocols.flatMap((text) => ['Sec-WebSocket-Protocol', text]),
      ]);
      const bearer = refusedOr(CredentialsError, () => bearerToken(headers));
      if (bearer !== undefined) {
        expect(bearer).not.to.equal('');
        const bytes = Buffer.from(bearer, 'utf8').toString('latin1');
        expect(tokens.every((text) => text.includes(bytes))).to.equal(true);
      }
      const other = refusedOr(CredentialsError, () => protocolToken(headers));
      if (other === undefined) return;
      const prefix = 'base64url.bearer.authorization.k8s.io.';
      const sent = protocols
        .flatMap((text) => text.split(','))
        .map((text) => text.trim())
        .filter((text) => text.startsWith(prefix))
        .map((text) => Buffer.from(text.slice(prefix.length), 'base64url').toString());
      expect(sent).to.deep.equal([other]);
    });
  });

  it('of any length are read at once', () => {
    const words = ['a', ' ', '%', '%2', ',', '\xc3', 'Bearer '];
    fuzzLong({ parser: 'front-proxy headers', words }, (text) => {
      const pairs = headerPairs([
        'X-Remote-User',
        text,
        `X-Remote-Extra-${text}`,
        text,
        'Authorization',
        text,
      ]);
      refusedOr(CredentialsError, () => identityOf(pairs, trust));
      refusedOr(CredentialsError, () => bearerToken(pairs));
    });
  });

  it('made of bent ones are never taken for others', () => {
    const names = bent(fc.constantFrom('X-Remote-User'), ['-', '_', ' ', 'x', '\u212a']);
    fuzz({ parser: 'front-proxy headers', inputs: names }, (name) => {
      const user = identityOf(headerPairs([name, 'root']), trust);
      expect(user?.name).to.equal(name.toLowerCase() === 'x-remote-user' ? 'root' : undefined);
    });
  });
});
