import { randomBytes } from 'node:crypto';
import { request } from 'undici';
import { StackError } from './errors.ts';

/** The accounts that a stack makes in its Coder. */
export interface CoderAccounts {
  readonly adminEmail: string;
  readonly adminUser: string;
  readonly adminPassword: string;
  /** Token of the first user, who is Owner. */
  readonly adminToken: string;
  /** Name of the user whose token the operator holds: organization-admin, no login of its own. */
  readonly operatorUser: string;
  readonly operatorToken: string;
  /** The default organization, which is called `coder`. */
  readonly organizationId: string;
}

/** Coder counts the lifetime of a token in nanoseconds; the largest that a JavaScript number holds exactly is 104 days. */
const tokenLifetimeNs = 100 * 24 * 3600 * 1e9;

/** Something that Coder takes for a good password; also for Postgres. */
export function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

/**
 * Makes the first user of a fresh Coder, and the operator's user with the least role that does its job: one that may
 * create workspaces for others and read the provisioner jobs of the organization.
 * @throws StackError CODER_REFUSED with Coder's message.
 */
export async function createAccounts(url: string, signal?: AbortSignal): Promise<CoderAccounts> {
  const adminUser = 'admin';
  const adminEmail = 'admin@example.com';
  const adminPassword = newPassword();
  const operatorUser = 'operator';
  const call = caller(url, signal);

  const first = await call('POST', '/users/first', {
    email: adminEmail,
    username: adminUser,
    password: adminPassword,
    trial: false,
  });
  const organizationId = text(first, 'organization_id');
  const login = await call('POST', '/users/login', { email: adminEmail, password: adminPassword });
  const asAdmin = caller(url, signal, text(login, 'session_token'));
  const adminToken = await asAdmin('POST', '/users/me/keys/tokens', {
    token_name: 'local',
    lifetime: tokenLifetimeNs,
  });

  await asAdmin('POST', '/users', {
    email: 'operator@example.com',
    username: operatorUser,
    login_type: 'none',
    organization_ids: [organizationId],
  });
  await asAdmin('PUT', `/organizations/${organizationId}/members/${operatorUser}/roles`, {
    roles: ['organization-admin'],
  });
  const operatorToken = await asAdmin('POST', `/users/${operatorUser}/keys/tokens`, {
    token_name: 'operator',
    lifetime: tokenLifetimeNs,
  });
  return {
    adminEmail,
    adminUser,
    adminPassword,
    adminToken: text(adminToken, 'key'),
    operatorUser,
    operatorToken: text(operatorToken, 'key'),
    organizationId,
  };
}

type Call = (method: 'POST' | 'PUT', path: string, body: unknown) => Promise<unknown>;

function caller(url: string, signal: AbortSignal | undefined, token?: string): Call {
  return async (method, path, body) => {
    const timeout = AbortSignal.timeout(30_000);
    const answer = await request(`${url}/api/v2${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { 'coder-session-token': token }),
      },
      body: JSON.stringify(body),
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    const content = await answer.body.text();
    if (answer.statusCode >= 300) {
      throw new StackError(
        'CODER_REFUSED',
        `Coder refused ${method} ${path} with ${answer.statusCode}: ${content}`,
      );
    }
    return content === '' ? undefined : (JSON.parse(content) as unknown);
  };
}

function text(value: unknown, field: string): string {
  const found = (value as Record<string, unknown> | undefined)?.[field];
  if (typeof found === 'string') return found;
  throw new StackError('CODER_REFUSED', `Coder's answer holds no ${field}.`);
}
