import { expect } from 'chai';
import type { CertificateFact } from '../../../../src/controller/serving/certificate.ts';
import {
  decideServing,
  namesOf,
  servingSettings,
  type ServingInput,
  type ServingStep,
} from '../../../../src/controller/serving/decide.ts';
import type {
  ApiServiceFact,
  AuthorityFact,
  ServingFact,
} from '../../../../src/controller/serving/objects.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.parse('2026-06-01T00:00:00Z');
const service = { namespace: 'coder-operator', name: 'coder-operator-apiserver' };
const wantedNames = namesOf(service);
const { authorityLifetimeMs, servingLifetimeMs, overlapMs, keptMs } = servingSettings;

/** Made `ago` milliseconds before NOW. */
function authorityCertificate(id: string, ago: number, lifetime = authorityLifetimeMs): CertificateFact {
  return {
    pem: `${id}\n`,
    fingerprint: id,
    notBefore: NOW - ago,
    notAfter: NOW - ago + lifetime,
    isAuthority: true,
    names: [],
  };
}

function servingCertificate(ago: number, lifetime = servingLifetimeMs): CertificateFact {
  const fact = authorityCertificate('serving', ago, lifetime);
  return { ...fact, isAuthority: false, names: wantedNames };
}

const A = authorityCertificate('A', 60 * DAY);
const B = authorityCertificate('B', MINUTE);

const bundleOf = (...certificates: readonly CertificateFact[]): ApiServiceFact['bundle'] => ({
  text: certificates.map(({ pem }) => pem).join(''),
  certificates,
});

const apiService = (change: Partial<ApiServiceFact> = {}): ApiServiceFact => ({
  isDeleting: false,
  isOurs: true,
  injector: undefined,
  service,
  isInsecure: false,
  bundle: bundleOf(A),
  ...change,
});

const signer = (certificate: CertificateFact): AuthorityFact => ({ state: 'held', certificate });
const server = (
  issuer: CertificateFact | undefined,
  certificate = servingCertificate(30 * DAY),
): ServingFact => ({ state: 'held', certificate, issuer });

/** All is well, but for what a test changes. */
function decide(
  change: Partial<Omit<ServingInput, 'secrets'>> & {
    readonly authority?: AuthorityFact;
    readonly serving?: ServingFact;
    readonly unread?: true;
  } = {},
): ServingStep {
  const { authority = signer(A), serving = server(A), unread, ...input } = change;
  return decideServing({
    namespace: 'coder-operator',
    apiService: apiService(),
    secrets: unread === true ? undefined : { authority, serving },
    trustedForMs: DAY,
    now: NOW,
    settings: servingSettings,
    ...input,
  });
}

describe('decideServing', () => {
  describe('what is none of its business', () => {
    const left = (step: ServingStep): string => (step.do === 'leave' ? `${step.say}: ${step.why}` : step.do);

    it('is an APIService that is being deleted', () => {
      expect(left(decide({ apiService: apiService({ isDeleting: true }), unread: true }))).to.match(
        /^info: /,
      );
    });

    it("is another project's APIService", () => {
      const step = decide({ apiService: apiService({ isOurs: false }), unread: true });
      expect(left(step)).to.match(/^warn: .*another project's/);
    });

    it('is one that cert-manager was asked to look after', () => {
      const injector = 'cert-manager.io/inject-ca-from';
      const step = decide({ apiService: apiService({ injector }), unread: true });
      expect(left(step)).to.match(/^info: .*cert-manager.io\/inject-ca-from/);
    });

    it('is one with a Service of another namespace, or none', () => {
      const elsewhere = apiService({ service: { ...service, namespace: 'other' } });
      expect(left(decide({ apiService: elsewhere, unread: true }))).to.match(/^warn: .*namespace other/);
      expect(left(decide({ apiService: apiService({ service: undefined }), unread: true }))).to.match(
        /^warn: /,
      );
    });

    it('is one that is not checked at all', () => {
      const step = decide({ apiService: apiService({ isInsecure: true }), unread: true });
      expect(left(step)).to.match(/^warn: .*insecureSkipTLSVerify/);
    });

    it("is a Secret of somebody else's, whichever it is", () => {
      const foreign = { state: 'foreign', why: 'it is not ours' } as const;
      expect(left(decide({ authority: foreign }))).to.equal('warn: it is not ours');
      expect(left(decide({ serving: foreign }))).to.equal('warn: it is not ours');
      expect(left(decide({ authority: { state: 'empty' }, serving: foreign }))).to.match(/^warn: /);
    });
  });

  it('asks for the Secrets only when it has to do with them', () => {
    expect(decide({ unread: true })).to.deep.equal({ do: 'read' });
  });

  it('rests until the next renewal when all is well', () => {
    // Two thirds of 90 days are 60, of which 30 are over.
    expect(decide()).to.deep.equal({ do: 'rest', ms: 30 * DAY });
    const old = authorityCertificate('A', 240 * DAY);
    const step = decide({
      authority: signer(old),
      serving: server(old),
      apiService: apiService({ bundle: bundleOf(old) }),
    });
    expect(step).to.deep.equal({ do: 'rest', ms: (authorityLifetimeMs * 2) / 3 - 240 * DAY });
  });

  describe('at first', () => {
    const missing = { state: 'empty' } as const;

    it('makes the authority, then has it trusted, then issues', () => {
      const empty = apiService({ bundle: bundleOf() });
      expect(decide({ authority: missing, serving: missing, apiService: empty }).do).to.equal(
        'makeAuthority',
      );
      const trust = decide({ authority: signer(B), serving: missing, apiService: empty, trustedForMs: 0 });
      expect(trust).to.deep.equal({ do: 'trust', bundle: 'B\n', why: 'it is empty' });
      const issue = decide({
        authority: signer(B),
        serving: missing,
        apiService: apiService({ bundle: bundleOf(B) }),
        trustedForMs: 0,
      });
      expect(issue).to.deep.include({ do: 'issue', names: wantedNames });
    });
  });

  describe('the serving certificate', () => {
    it('is renewed after two thirds of its life', () => {
      const at = (ago: number): string => decide({ serving: server(A, servingCertificate(ago)) }).do;
      expect(at(60 * DAY - 1)).to.equal('rest');
      expect(at(60 * DAY)).to.equal('issue');
    });

    it('is issued at once when it is missing, broken, or of an authority that nobody knows', () => {
      expect(decide({ serving: { state: 'empty' } }).do).to.equal('issue');
      expect(decide({ serving: { state: 'broken', why: 'it is broken' } })).to.include({
        why: 'it is broken',
      });
      expect(decide({ serving: server(undefined) }).do).to.equal('issue');
    });

    it('is issued at once when it is not valid: over, or of a clock that was ahead', () => {
      expect(decide({ serving: server(A, servingCertificate(91 * DAY)) }).do).to.equal('issue');
      expect(decide({ serving: server(A, servingCertificate(-HOUR)) }).do).to.equal('issue');
    });

    it('is issued again when the Service has another name', () => {
      const renamed = { ...service, name: 'other' };
      expect(decide({ apiService: apiService({ service: renamed }) })).to.deep.include({
        do: 'issue',
        names: namesOf(renamed),
      });
      const more = { ...servingCertificate(DAY), names: [...wantedNames, 'example.com'] };
      expect(decide({ serving: server(A, more) }).do).to.equal('issue');
      const reordered = { ...servingCertificate(30 * DAY), names: wantedNames.toReversed() };
      expect(decide({ serving: server(A, reordered) }).do).to.equal('rest');
    });
  });

  describe('the authority', () => {
    it('is made anew after two thirds of its life', () => {
      const at = (ago: number): string => {
        const old = authorityCertificate('A', ago);
        const bundle = bundleOf(old);
        return decide({ authority: signer(old), serving: server(old), apiService: apiService({ bundle }) })
          .do;
      };
      expect(at((authorityLifetimeMs * 2) / 3 - 1)).to.equal('rest');
      expect(at((authorityLifetimeMs * 2) / 3)).to.equal('makeAuthority');
    });

    it('is made anew when its Secret is lost or broken, or when it is not valid', () => {
      expect(decide({ authority: { state: 'empty' } }).do).to.equal('makeAuthority');
      expect(decide({ authority: { state: 'broken', why: 'it is broken' } })).to.include({
        do: 'makeAuthority',
        why: 'it is broken',
      });
      expect(decide({ authority: signer(authorityCertificate('A', -HOUR)) }).do).to.equal('makeAuthority');
    });

    it('is trusted beside the former one before it signs', () => {
      const step = decide({ authority: signer(B), trustedForMs: 0 });
      expect(step).to.deep.include({ do: 'trust', bundle: 'B\nA\n' });
    });

    it('signs after the overlap, and not before', () => {
      const both = { authority: signer(B), apiService: apiService({ bundle: bundleOf(B, A) }) };
      expect(decide({ ...both, trustedForMs: 0 })).to.deep.equal({ do: 'rest', ms: overlapMs });
      expect(decide({ ...both, trustedForMs: overlapMs - 1_500 })).to.deep.equal({ do: 'rest', ms: 1_500 });
      expect(decide({ ...both, trustedForMs: overlapMs }).do).to.equal('issue');
    });

    it('does not wait for the end of the overlap when the certificate in use ends before', () => {
      const ending = servingCertificate(90 * DAY - 2 * MINUTE);
      const both = {
        authority: signer(B),
        apiService: apiService({ bundle: bundleOf(B, A) }),
        trustedForMs: 0,
      };
      expect(decide({ ...both, serving: server(A, ending) })).to.deep.equal({ do: 'rest', ms: 2 * MINUTE });
      expect(decide({ ...both, serving: server(A, ending), now: NOW + 2 * MINUTE }).do).to.equal('issue');
    });

    it('leaves the bundle a day after its successor has signed', () => {
      const at = (ago: number): ServingStep =>
        decide({
          authority: signer(B),
          serving: server(B, servingCertificate(ago)),
          apiService: apiService({ bundle: bundleOf(B, A) }),
        });
      expect(at(HOUR)).to.deep.equal({ do: 'rest', ms: keptMs - HOUR });
      expect(at(keptMs)).to.deep.include({ do: 'trust', bundle: 'B\n' });
    });
  });

  describe('the bundle', () => {
    it('is written again when somebody has emptied or changed it', () => {
      expect(decide({ apiService: apiService({ bundle: bundleOf() }) })).to.deep.include({
        do: 'trust',
        bundle: 'A\n',
      });
      const commented = { ...bundleOf(A), text: '# mine\nA\n' };
      expect(decide({ apiService: apiService({ bundle: commented }) })).to.deep.include({
        do: 'trust',
        bundle: 'A\n',
      });
    });

    it('gets back the authority of the certificate in use', () => {
      const step = decide({ authority: signer(B), apiService: apiService({ bundle: bundleOf() }) });
      expect(step).to.deep.include({ do: 'trust', bundle: 'B\nA\n' });
    });

    it('keeps what was trusted while the certificate in use is lost', () => {
      const other = authorityCertificate('C', 300 * DAY);
      const step = decide({
        authority: signer(B),
        serving: { state: 'empty' },
        apiService: apiService({ bundle: bundleOf(A, other) }),
      });
      expect(step).to.deep.include({ do: 'trust', bundle: 'B\nA\nC\n' });
    });

    it('keeps no authority that is over, and nothing that is none', () => {
      const over = authorityCertificate('over', 400 * DAY);
      const leaf = { ...servingCertificate(DAY), fingerprint: 'leaf', pem: 'leaf\n' };
      const step = decide({
        authority: signer(B),
        serving: { state: 'empty' },
        apiService: apiService({ bundle: bundleOf(over, leaf, A) }),
      });
      expect(step).to.deep.include({ do: 'trust', bundle: 'B\nA\n' });
    });

    it('stays small, and keeps the two that count', () => {
      const others = Array.from({ length: 9 }, (_, i) => authorityCertificate(`X${i}`, (i + 2) * MINUTE));
      const step = decide({
        authority: signer(B),
        apiService: apiService({ bundle: bundleOf(...others, A) }),
      });
      expect(step).to.deep.include({ do: 'trust', bundle: 'B\nX0\nX1\nA\n' });
    });
  });
});
