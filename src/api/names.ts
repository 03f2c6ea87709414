import { OperatorError } from '../base/errors.ts';

/** A `metadata.name` that cannot be a Coder name; the CRD's rules refuse it at apply. */
export class InvalidNameError extends OperatorError {
  constructor(message: string) {
    super('INVALID_NAME', message);
  }
}

export interface TemplateName {
  readonly organization: string;
  readonly template: string;
}

export interface WorkspaceName {
  readonly organization: string;
  readonly owner: string;
  readonly workspace: string;
}

/** Coder's rule for users, organizations, templates and workspaces, in lower case (codersdk/name.go). */
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const RESERVED = new Set(['new', 'create']);
const LONGEST = 32;

/** `<organization>.<template>`. @throws InvalidNameError */
export function parseTemplateName(name: string): TemplateName {
  const [organization = '', template = ''] = parts(name, 2, '<organization>.<template>');
  return { organization, template };
}

/** `<organization>.<user>.<workspace>`. @throws InvalidNameError */
export function parseWorkspaceName(name: string): WorkspaceName {
  const [organization = '', owner = '', workspace = ''] = parts(name, 3, '<organization>.<user>.<workspace>');
  if (owner === 'me')
    throw new InvalidNameError(`"${name}": "me" is an alias of a user: write the real name`);
  return { organization, owner, workspace };
}

/** Whether two names mean the same to Coder, which compares without case. */
export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function parts(name: string, wanted: number, shape: string): string[] {
  const found = name.split('.');
  if (found.length !== wanted) {
    throw new InvalidNameError(`"${name}" must be ${shape}; it has ${found.length} part(s)`);
  }
  for (const part of found) {
    if (part.length > LONGEST || !NAME.test(part) || RESERVED.has(part)) {
      throw new InvalidNameError(
        `"${part}" in "${name}" is not a name that Coder accepts: 1 to ${LONGEST} lower-case letters and digits, single hyphens between them, not new or create`,
      );
    }
  }
  if (found[0] === 'default') {
    throw new InvalidNameError(`"${name}": "default" is an alias of an organization: write its real name`);
  }
  return found;
}
