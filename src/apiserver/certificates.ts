import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { OperatorError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { isAborted } from '../kube/deadline.ts';

/** A certificate and the key that belongs to it, both PEM. */
export interface ServingPair {
  /** The certificate first, then those between it and its authority, if any. */
  readonly cert: string;
  readonly key: string;
  /** Its life, in milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What the server shows itself with, which may change at any time. */
export interface ServingCertificate {
  /** Undefined until there is one. */
  current(): ServingPair | undefined;
  /** Calls for every pair from now on; the answer ends that. */
  onChange(listener: (pair: ServingPair) => void): () => void;
}

export interface CertificateFilesOptions {
  /** Where `tls.crt` and `tls.key` are: a Secret that the kubelet has mounted, or any other folder. */
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two looks, in milliseconds; default 5000. */
  readonly everyMs?: number;
}

/** A pair that cannot be used, and why. */
class PairError extends OperatorError {
  constructor(message: string) {
    super('UNUSABLE_CERTIFICATE', message);
  }
}

const EVERY_MS = 5_000;
/** With less than this part of its life left a certificate should have been renewed: a third is usual. */
const ENDING = 0.1;

/**
 * A serving certificate from two files, read again every few seconds. They are compared by what they hold: the kubelet
 * changes a mounted Secret by moving a symbolic link, which watching a file or its times does not show.
 *
 * Only a pair that fits together and has not ended is taken; until the next good one the last one stays. A pair is
 * complained of when it is found twice: the first time somebody may be in the middle of writing it.
 */
export class CertificateFiles implements ServingCertificate {
  readonly #options: CertificateFilesOptions;
  readonly #listeners = new Set<(pair: ServingPair) => void>();
  #current: ServingPair | undefined;
  /** What the last look found, good or not. */
  #found = '';
  #said: string | undefined;

  constructor(options: CertificateFilesOptions) {
    this.#options = options;
  }

  current(): ServingPair | undefined {
    return this.#current;
  }

  onChange(listener: (pair: ServingPair) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks until the signal aborts. Files that are not there yet are waited for. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs = EVERY_MS } = this.#options;
    while (!isAborted(signal)) {
      await this.#look();
      await clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { folder, clock, logger } = this.#options;
    let pair: ServingPair;
    try {
      const cert = await read(folder, 'tls.crt');
      const key = await read(folder, 'tls.key');
      const found = JSON.stringify([cert, key]);
      const isFirstSight = found !== this.#found;
      this.#found = found;
      if (cert === this.#current?.cert && key === this.#current.key) {
        this.#tellEnd(this.#current);
        return;
      }
      try {
        pair = checked(cert, key, clock.now());
      } catch (error) {
        if (isFirstSight) return;
        throw error;
      }
    } catch (error) {
      if (!(error instanceof PairError)) throw error;
      const rest = this.#current === undefined ? 'waiting for one' : 'the last good one stays in use';
      this.#say(`${error.message}: ${rest}`);
      return;
    }
    this.#said = undefined;
    this.#current = pair;
    logger.info('the serving certificate was loaded', { notAfter: new Date(pair.notAfter).toISOString() });
    for (const listener of this.#listeners) listener(pair);
  }

  #tellEnd({ notBefore, notAfter }: ServingPair): void {
    if (notAfter - this.#options.clock.now() > (notAfter - notBefore) * ENDING) {
      this.#said = undefined;
      return;
    }
    this.#say(`the serving certificate ends at ${new Date(notAfter).toISOString()} and was not renewed`);
  }

  /** Once, until there is something else to say. */
  #say(message: string): void {
    if (message === this.#said) return;
    this.#said = message;
    this.#options.logger.warn(message, { folder: this.#options.folder });
  }
}

/** @throws PairError with the file's name and the system's code. */
async function read(folder: string, name: string): Promise<string> {
  try {
    return await readFile(join(folder, name), 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new PairError(`the file ${name} of the serving certificate cannot be read (${code})`);
  }
}

/** @throws PairError with a message that holds nothing of either file. */
function checked(cert: string, key: string, now: number): ServingPair {
  const x509 = parsed('tls.crt holds no certificate', () => new X509Certificate(cert));
  const privateKey = parsed('tls.key holds no private key', () => createPrivateKey(key));
  if (!x509.checkPrivateKey(privateKey)) throw new PairError('tls.key is not the key of tls.crt');
  const notAfter = Date.parse(x509.validTo);
  if (notAfter <= now)
    throw new PairError(`the certificate in tls.crt ended at ${new Date(notAfter).toISOString()}`);
  // What comes after the first certificate is read here only.
  parsed('tls.crt and tls.key cannot be used by TLS', () => createSecureContext({ cert, key }));
  return { cert, key, notBefore: Date.parse(x509.validFrom), notAfter };
}

function parsed<T>(fault: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new PairError(fault);
  }
}
