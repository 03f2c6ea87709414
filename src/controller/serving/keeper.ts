import { createPrivateKey } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { errorText, OperatorError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isAborted } from '../../kube/deadline.ts';
import { isConflict, KubeError } from '../../kube/errors.ts';
import type { EventRecorder } from '../../kube/events.ts';
import { NotLeadingError } from '../../kube/leader.ts';
import { createAuthority, issueServing } from './authority.ts';
import { IncompleteError, ServingCalls, type ServingCallsOptions } from './calls.ts';
import type { CertificateFact } from './certificate.ts';
import {
  decideServing,
  servingSettings,
  type ServingInput,
  type ServingSettings,
  type ServingStep,
} from './decide.ts';
import {
  apiServiceFact,
  dataOf,
  names,
  secretFacts,
  type ApiService,
  type AuthorityFact,
  type SecretPair,
} from './objects.ts';
import { ServerTime } from './servertime.ts';

/** The namespace is the controller's own. */
export interface ServingKeeperOptions extends ServingCallsOptions {
  readonly kube: Pick<KubeClient, 'get' | 'create' | 'replace' | 'mergePatch'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly settings?: ServingSettings;
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number;
}

/** An authority, the bundle, a certificate, the bundle again, with what is read and asked between them. */
const MOST_STEPS = 10;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 300_000;

/** What one pass knows. */
interface Held {
  readonly apiService: ApiService;
  /** Undefined while they were not read. */
  readonly pair: SecretPair | undefined;
}

/** How a pass ended, and after how many milliseconds the Secrets are to be looked at again. */
interface Rested {
  readonly apiService: ApiService;
  readonly ms: number;
}

/**
 * Keeps the authority and the serving certificate of the aggregated endpoint in two Secrets, and the bundle of its
 * APIService. For one term of leadership; whatever it knows is in the cluster, so the next leader goes on.
 */
export class ServingKeeper {
  readonly #options: ServingKeeperOptions;
  readonly #settings: ServingSettings;
  readonly #logger: Logger;
  readonly #calls: ServingCalls;
  readonly #time: ServerTime;
  /** The APIService as it was when all was last found well, or none of our business. Undefined: there was none. */
  #seen: string | undefined;
  /** On the monotonic clock: then the Secrets are looked at even if the APIService is as it was. */
  #nextFullLook = 0;
  /** The authority that the bundle was seen to hold, and since when on the monotonic clock. */
  #trusted: { readonly fingerprint: string; readonly since: number } | undefined;
  #said: string | undefined;

  constructor(options: ServingKeeperOptions) {
    this.#options = options;
    this.#settings = options.settings ?? servingSettings;
    this.#logger = options.logger.child({ part: 'endpoint certificates' });
    this.#calls = new ServingCalls(options);
    this.#time = new ServerTime({ kube: options.kube, clock: options.clock, logger: this.#logger });
  }

  /** Works until the signal aborts. Never rejects: nothing else of the controller depends on it. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random = Math.random } = this.#options;
    let failures = 0;
    while (!isAborted(signal)) {
      let ms: number;
      try {
        ms = await this.#look(signal);
        failures = 0;
      } catch (error) {
        if (isAborted(signal)) return;
        this.#seen = undefined;
        this.#tellFailure(error);
        const delay = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** Math.min(failures, 30));
        const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
        ms = Math.max(asked, delay * (0.5 + random() / 2));
        failures++;
      }
      await clock.sleep(ms, signal).catch(() => undefined);
    }
  }

  /** One look, with all that follows from it. Answers after how many milliseconds the next one is due. */
  async #look(signal: AbortSignal): Promise<number> {
    const { clock } = this.#options;
    const { lookEveryMs } = this.#settings;
    const apiService = await this.#calls.apiService(signal);
    if (apiService === undefined || apiService === 'forbidden') {
      this.#seen = undefined;
      const [level, why] =
        apiService === undefined
          ? (['debug', 'there is no APIService'] as const)
          : (['info', 'the controller may not read the APIService'] as const);
      this.#say(level, `the endpoint's certificates are not kept: ${why} ${names.apiService}`);
      return lookEveryMs;
    }
    if (stateOf(apiService) !== this.#seen || clock.monotonic() >= this.#nextFullLook) {
      const rested = await this.#settle(apiService, signal);
      this.#seen = stateOf(rested.apiService);
      this.#nextFullLook = clock.monotonic() + rested.ms;
    }
    return Math.max(0, Math.min(lookEveryMs, this.#nextFullLook - clock.monotonic()));
  }

  /** Decides and writes until there is nothing left to write. */
  async #settle(apiService: ApiService, signal: AbortSignal): Promise<Rested> {
    const { secretsEveryMs, lookEveryMs } = this.#settings;
    let held: Held = { apiService, pair: undefined };
    let isTimeFresh = false;
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const step = decideServing(this.#input(held));
      if (step.do === 'rest') {
        this.#say('info', "the endpoint's certificates are in order");
        return { apiService: held.apiService, ms: Math.min(step.ms, secretsEveryMs) };
      }
      if (step.do === 'leave') {
        this.#say(step.say, `the endpoint's certificates are not kept: ${step.why}`, held.apiService);
        // A warning is about to be heeded, maybe by what the APIService does not show.
        return { apiService: held.apiService, ms: step.say === 'warn' ? lookEveryMs : secretsEveryMs };
      }
      const isFirstRead = step.do === 'read' && !this.#time.isKnown;
      const isMaking = step.do === 'makeAuthority' || step.do === 'issue';
      if (isFirstRead || (isMaking && !isTimeFresh)) {
        // Decided again by the time that counts. Ours may be far off, or have jumped since.
        await this.#time.ask(signal);
        isTimeFresh = true;
        continue;
      }
      try {
        held = await this.#carryOut(step, held, signal);
      } catch (error) {
        if (!(error instanceof IncompleteError)) throw error;
        this.#say('warn', `the endpoint's certificates are not kept: ${error.message}`, held.apiService);
        return { apiService: held.apiService, ms: lookEveryMs };
      }
    }
    throw new OperatorError('CERTIFICATES_UNSETTLED', 'certificates change again and again within one look', {
      retryable: true,
    });
  }

  async #carryOut(
    step: Exclude<ServingStep, { readonly do: 'leave' | 'rest' }>,
    { apiService, pair: known }: Held,
    signal: AbortSignal,
  ): Promise<Held> {
    const { authorityLifetimeMs, servingLifetimeMs } = this.#settings;
    const pair = known ?? (await this.#calls.secrets(signal));
    const now = this.#time.now();
    switch (step.do) {
      case 'read':
        return { apiService, pair };
      case 'makeAuthority': {
        const made = await createAuthority({ now, notAfter: now + authorityLifetimeMs });
        const authority = await this.#calls.writePair(pair.authority, made, signal);
        this.#tellWrite(apiService, 'AuthorityMade', 'An authority for the endpoint was made', step.why);
        return { apiService, pair: { ...pair, authority } };
      }
      case 'issue': {
        const certificate = dataOf(pair.authority, 'tls.crt');
        const key = createPrivateKey(dataOf(pair.authority, 'tls.key'));
        const request = { now, notAfter: now + servingLifetimeMs, names: step.names };
        const made = await issueServing({ certificate, key }, request);
        const serving = await this.#calls.writePair(pair.serving, made, signal, certificate);
        this.#tellWrite(
          apiService,
          'CertificateIssued',
          'A certificate for the endpoint was issued',
          step.why,
        );
        return { apiService, pair: { ...pair, serving } };
      }
      case 'trust': {
        const written = await this.#calls.writeBundle(apiService, step.bundle, signal);
        this.#tellWrite(apiService, 'BundleWritten', 'The caBundle of the APIService was written', step.why);
        return { apiService: written, pair };
      }
    }
  }

  #input({ apiService, pair }: Held): ServingInput {
    const fact = apiServiceFact(apiService);
    const facts = pair === undefined ? undefined : secretFacts(pair, fact.bundle);
    return {
      namespace: this.#options.namespace,
      apiService: fact,
      secrets: facts,
      trustedForMs: facts === undefined ? 0 : this.#trustedForMs(facts.authority, fact.bundle.certificates),
      now: this.#time.now(),
      settings: this.#settings,
    };
  }

  #trustedForMs(authority: AuthorityFact, bundle: readonly CertificateFact[]): number {
    const now = this.#options.clock.monotonic();
    const held = authority.state === 'held' ? authority.certificate.fingerprint : undefined;
    const seen = bundle.find(({ fingerprint }) => fingerprint === held)?.fingerprint;
    if (seen === undefined) this.#trusted = undefined;
    else if (this.#trusted?.fingerprint !== seen) this.#trusted = { fingerprint: seen, since: now };
    return this.#trusted === undefined ? 0 : now - this.#trusted.since;
  }

  #tellWrite(apiService: ApiService, reason: string, what: string, why: string): void {
    this.#logger.info(what, { why });
    this.#options.events.record(apiService, 'Normal', reason, `${what}: ${why}`);
  }

  #tellFailure(error: unknown): void {
    const isOrdinary = isConflict(error) || error instanceof NotLeadingError;
    this.#say(isOrdinary ? 'debug' : 'warn', `the endpoint's certificates wait: ${errorText(error)}`);
  }

  /** Says a thing once, until there is another one to say; a warning is also an event of the APIService. */
  #say(level: 'debug' | 'info' | 'warn', message: string, apiService?: ApiService): void {
    if (message === this.#said) return;
    this.#said = message;
    this.#logger[level](message);
    if (level === 'warn' && apiService !== undefined) {
      this.#options.events.record(apiService, 'Warning', 'CertificatesNotKept', message);
    }
  }
}

/** What has to change for the APIService to be worth another look: not its status. */
function stateOf(apiService: ApiService): string {
  const { uid, labels, annotations, deletionTimestamp } = apiService.metadata;
  return JSON.stringify([uid, labels, annotations, deletionTimestamp, apiService.spec]);
}
