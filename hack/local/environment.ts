import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CoderAccounts } from '../stack/accounts.ts';

export interface LocalEnvironment {
  readonly kubeconfig: string;
  readonly coderUrl: string;
  readonly accounts: CoderAccounts;
  /** Folder with the built programs. */
  readonly bin: string;
}

/** A word that every POSIX shell takes literally, whatever is in it. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Lines for `source`; sourcing them twice changes nothing more. */
export function environmentText(environment: LocalEnvironment): string {
  const { accounts } = environment;
  const variables = {
    KUBECONFIG: environment.kubeconfig,
    CODER_URL: environment.coderUrl,
    CODER_ADMIN_TOKEN: accounts.adminToken,
    CODER_OPERATOR_TOKEN: accounts.operatorToken,
  };
  const bin = shellQuote(environment.bin);
  return [
    '# Written by `npm run local -- up`; to be used as: source .local/env',
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${shellQuote(value)}`),
    `case ":$PATH:" in *:${bin}:*) ;; *) export PATH=${bin}:"$PATH" ;; esac`,
    '',
  ].join('\n');
}

/** Writes `env` into the stack's folder, whole or not at all, readable by its owner only: it holds tokens. */
export function writeEnvironment(dir: string, environment: LocalEnvironment): void {
  const file = join(dir, 'env');
  writeFileSync(`${file}.partial`, environmentText(environment), { mode: 0o600 });
  renameSync(`${file}.partial`, file);
}
