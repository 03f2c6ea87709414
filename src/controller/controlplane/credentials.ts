import type { Cause } from '../../api/conditions.ts';
import { CREDENTIALS_SECRET_TYPE } from '../../api/kinds.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import { readingForbidden, type Secret } from '../secrets.ts';

/** Where Coder is and how to enter. Both come from one Secret, so that nobody can send the token elsewhere. */
export interface Credentials {
  readonly url: string;
  readonly token: string;
  readonly caCertificates: string | undefined;
}

/** What came of reading the Secret. */
export type SecretFact =
  | { readonly state: 'read'; readonly credentials: Credentials }
  | { readonly state: 'wrong'; readonly cause: Cause<ReconcilingReason> }
  | { readonly state: 'forbidden'; readonly cause: Cause<StalledReason> };

/** The credentials in a Secret, or what is wrong with it. `undefined` means that there is no such Secret. */
export function credentialsIn(secret: Secret | undefined, name: string): SecretFact {
  if (secret === undefined) {
    return wrong(
      'WaitingForDependency',
      `there is no Secret ${name}: create it with the type ${CREDENTIALS_SECRET_TYPE} and the keys url and token`,
    );
  }
  if (secret.type !== CREDENTIALS_SECRET_TYPE) {
    return wrong(
      'InvalidCredentials',
      `the Secret ${name} is of the type ${secret.type ?? 'Opaque'} and not ${CREDENTIALS_SECRET_TYPE}, the only one that is read: delete it and create it again with that type`,
    );
  }
  const url = text(secret, 'url');
  const token = text(secret, 'token');
  if (url === '' || token === '') {
    const missing = [...(url === '' ? ['url'] : []), ...(token === '' ? ['token'] : [])].join(' and ');
    return wrong('InvalidCredentials', `the Secret ${name} lacks ${missing}`);
  }
  if (!/^[\x21-\x7e]+$/.test(token)) {
    return wrong('InvalidCredentials', `the token in the Secret ${name} holds characters that no token has`);
  }
  const ca = text(secret, 'ca.crt');
  return { state: 'read', credentials: { url, token, caCertificates: ca === '' ? undefined : ca } };
}

export function forbidden(name: string, namespace: string): SecretFact {
  return { state: 'forbidden', cause: readingForbidden(`the Secret ${name}`, namespace) };
}

function wrong(reason: ReconcilingReason, message: string): SecretFact {
  return { state: 'wrong', cause: { reason, message } };
}

/** A value as text, without the line end that editors leave. */
function text(secret: Secret, key: string): string {
  return Buffer.from(secret.data?.[key] ?? '', 'base64')
    .toString('utf8')
    .trim();
}
