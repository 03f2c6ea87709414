import { expect } from 'chai';
import fc from 'fast-check';
import type { CertificateFact } from '../../../../src/controller/serving/certificate.ts';
import { decideServing, namesOf, type ServingSettings } from '../../../../src/controller/serving/decide.ts';
import type { AuthorityFact, ServingFact } from '../../../../src/controller/serving/objects.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const service = { namespace: 'n', name: 's' };

/** Short lives, so that a few days hold many rotations. */
const settings: ServingSettings = {
  authorityLifetimeMs: 30 * HOUR,
  servingLifetimeMs: 12 * HOUR,
  overlapMs: 10 * MINUTE,
  keptMs: HOUR,
  lookEveryMs: MINUTE,
  secretsEveryMs: MINUTE,
};

/** A replica of the endpoint has a new certificate so long after its Secret, an API server a new bundle. */
const REPLICA_LAG = 30;
const BUNDLE_LAG = 4;

/**
 * The cluster, minute by minute: what is in the Secrets and the bundle, and what replicas and API servers make of it,
 * each in its own time. Certificates are made of nothing but their times.
 */
class World {
  minute = 0;
  authority: AuthorityFact = { state: 'empty' };
  serving: ServingFact = { state: 'empty' };
  bundle: readonly CertificateFact[] = [];
  readonly all = new Map<string, CertificateFact>();
  writes = 0;
  /** Of each minute. */
  readonly #served: Extract<ServingFact, { readonly state: 'held' }>[] = [];
  readonly #trusted: (readonly CertificateFact[])[] = [];
  /** When this leader saw the authority in the bundle. */
  #seen: { readonly id: string; readonly minute: number } | undefined;
  #made = 0;

  get now(): number {
    return this.minute * MINUTE;
  }

  /** One pass of the keeper, which crashes after so many writes. */
  look(writesBeforeCrash = Infinity): void {
    for (let writes = 0; ; writes++) {
      if (writes > 10) throw new Error('it goes round in circles');
      if (writes >= writesBeforeCrash) {
        this.restart();
        return;
      }
      const step = decideServing({
        namespace: service.namespace,
        apiService: {
          isDeleting: false,
          isOurs: true,
          injector: undefined,
          service,
          isInsecure: false,
          bundle: { text: this.bundle.map((c) => c.pem).join(''), certificates: this.bundle },
        },
        secrets: { authority: this.authority, serving: this.serving },
        trustedForMs: this.#trustedForMs(),
        now: this.now,
        settings,
      });
      if (step.do === 'rest') return;
      this.writes++;
      switch (step.do) {
        case 'makeAuthority':
          this.authority = { state: 'held', certificate: this.#make(settings.authorityLifetimeMs, true) };
          break;
        case 'trust':
          this.bundle = step.bundle
            .split('\n')
            .filter((id) => id !== '')
            .map((id) => this.all.get(id)!);
          break;
        case 'issue':
          if (this.authority.state !== 'held') throw new Error('nobody can sign');
          this.serving = {
            state: 'held',
            certificate: {
              ...this.#make(settings.servingLifetimeMs, false, this.authority.certificate.notAfter),
              names: step.names,
            },
            issuer: this.authority.certificate,
          };
          break;
        default:
          throw new Error(`unexpected: ${step.do}`);
      }
    }
  }

  /** Another process leads. */
  restart(): void {
    this.#seen = undefined;
  }

  tick(): void {
    this.minute++;
    const last = this.#served.at(-1);
    // Replicas keep what they have when there is nothing else.
    const served = this.serving.state === 'held' ? this.serving : last;
    if (served !== undefined) this.#served.push(served);
    this.#trusted.push(this.bundle);
  }

  /** @throws Error when some API server cannot verify some replica in the minute that is now. */
  assertVerified(): void {
    const bundles = new Set(this.#trusted.slice(-BUNDLE_LAG - 1));
    for (const { certificate, issuer } of new Set(this.#served.slice(-REPLICA_LAG - 1))) {
      const minute = `minute ${this.minute}: a replica shows ${certificate.fingerprint}`;
      if (certificate.notAfter <= this.now) throw new Error(`${minute}, which is over`);
      for (const bundle of bundles) {
        if (!bundle.some((c) => c.fingerprint === issuer?.fingerprint)) {
          const trusted = bundle.map((c) => c.fingerprint).join(' ');
          throw new Error(`${minute} of ${issuer?.fingerprint ?? 'nobody'}; an API server trusts ${trusted}`);
        }
      }
    }
  }

  #make(lifetimeMs: number, isAuthority: boolean, most = Infinity): CertificateFact {
    const id = `${isAuthority ? 'authority' : 'serving'}-${this.#made++}`;
    const made = {
      pem: `${id}\n`,
      fingerprint: id,
      notBefore: this.now - 5 * MINUTE,
      notAfter: Math.min(most, this.now + lifetimeMs),
      isAuthority,
      names: [],
    };
    this.all.set(id, made);
    return made;
  }

  #trustedForMs(): number {
    const { authority } = this;
    if (authority.state !== 'held') return 0;
    const id = authority.certificate.fingerprint;
    if (!this.bundle.some((c) => c.fingerprint === id)) {
      this.#seen = undefined;
      return 0;
    }
    if (this.#seen?.id !== id) this.#seen = { id, minute: this.minute };
    return (this.minute - this.#seen.minute) * MINUTE;
  }
}

interface Event {
  readonly wait: number;
  readonly what: 'restart' | 'crash' | 'loseAuthority' | 'breakAuthority' | 'absent';
  readonly writes: number;
}

const harmless = fc.record<Event>({
  wait: fc.integer({ min: 1, max: 240 }),
  what: fc.constantFrom('restart', 'crash', 'loseAuthority', 'breakAuthority', 'absent'),
  writes: fc.integer({ min: 0, max: 3 }),
});

const interference = fc.constantFrom(
  'loseAuthority',
  'loseServing',
  'breakServing',
  'loseBoth',
  'emptyBundle',
  'forgetIssuer',
  'futureServing',
  'crash',
  'restart',
);

describe('the rotation of the endpoint’s certificates', () => {
  /** Installed, and everybody has what there is. */
  function installed(): World {
    const world = new World();
    world.look();
    for (let i = 0; i <= REPLICA_LAG; i++) world.tick();
    return world;
  }

  it('4. never lets an API server meet a certificate that it cannot verify', () => {
    fc.assert(
      fc.property(fc.array(harmless, { minLength: 1, maxLength: 40 }), (events) => {
        const world = installed();
        for (const { wait, what, writes } of events) {
          // Nobody leads for at most an hour; a third of a certificate's life is more.
          let absent = what === 'absent' ? Math.min(wait, 60) : 0;
          if (what === 'restart') world.restart();
          if (what === 'loseAuthority') world.authority = { state: 'empty' };
          if (what === 'breakAuthority') world.authority = { state: 'broken', why: 'broken' };
          for (let minute = 0; minute < wait; minute++, absent--) {
            if (absent <= 0) world.look(what === 'crash' && minute === 0 ? writes : Infinity);
            world.tick();
            world.assertVerified();
          }
          if (absent > 0) world.restart();
        }
      }),
      { numRuns: 50 },
    );
  });

  it('comes to rest in the same state whatever was lost or edited, and then writes nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(interference, fc.integer({ min: 0, max: 90 }), fc.integer({ min: 0, max: 3 })), {
          maxLength: 12,
        }),
        (edits) => {
          const world = installed();
          for (const [edit, wait, writes] of edits) {
            if (edit === 'loseAuthority' || edit === 'loseBoth') world.authority = { state: 'empty' };
            if (edit === 'loseServing' || edit === 'loseBoth') world.serving = { state: 'empty' };
            if (edit === 'breakServing') world.serving = { state: 'broken', why: 'broken' };
            if (edit === 'emptyBundle') world.bundle = [];
            if (edit === 'restart') world.restart();
            if (world.serving.state === 'held') {
              const { serving } = world;
              if (edit === 'forgetIssuer') world.serving = { ...serving, issuer: undefined };
              if (edit === 'futureServing') {
                const certificate = { ...serving.certificate, notBefore: world.now + 24 * HOUR };
                world.serving = { ...serving, certificate };
              }
            }
            if (edit === 'crash') world.look(writes);
            for (let minute = 0; minute < wait; minute++) {
              world.look();
              world.tick();
            }
          }
          // The overlap, and the time for which former authorities stay.
          for (let minute = 0; minute < 100; minute++) {
            world.look();
            world.tick();
          }
          const { authority, serving, bundle } = world;
          if (authority.state !== 'held' || serving.state !== 'held') throw new Error('nothing is held');
          expect(serving.issuer).to.equal(authority.certificate);
          expect(serving.certificate.names).to.deep.equal(namesOf(service));
          const isYoung = world.now - serving.certificate.notBefore < settings.keptMs;
          if (!isYoung) expect(bundle).to.deep.equal([authority.certificate]);
          expect(bundle).to.include(authority.certificate);
          const { writes } = world;
          world.look();
          world.restart();
          world.look();
          expect(world.writes).to.equal(writes);
        },
      ),
    );
  });
});
