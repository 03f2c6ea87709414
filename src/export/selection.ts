import { OperatorError } from '../base/errors.ts';
import { sameName } from '../api/names.ts';
import type { CoderClient } from '../coder/client.ts';
import { isNotFound, isUnknownUser } from '../coder/errors.ts';
import { cleanText } from '../coder/redact.ts';
import type { Template, Workspace } from '../coder/types.ts';

/** What a person has asked for, by name. An empty list is everything. */
export interface Filters {
  readonly organizations: readonly string[];
  readonly owners: readonly string[];
  /** `TEMPLATE`, in whatever organization, or `ORGANIZATION.TEMPLATE`. */
  readonly templates: readonly string[];
}

/** What is exported: names that Coder knows. */
export class Selection {
  readonly #filters: Filters;

  constructor(filters: Filters) {
    this.#filters = filters;
  }

  hasTemplate({
    organization_name: organization,
    name,
  }: Pick<Template, 'organization_name' | 'name'>): boolean {
    return this.hasOrganization(organization) && this.#isOf(organization, name);
  }

  hasWorkspace(workspace: Workspace): boolean {
    const { organization_name: organization, owner_name: owner, template_name: template } = workspace;
    return this.hasOrganization(organization) && this.hasOwner(owner) && this.#isOf(organization, template);
  }

  hasOrganization(name: string): boolean {
    return includes(this.#filters.organizations, name);
  }

  hasOwner(name: string): boolean {
    return includes(this.#filters.owners, name);
  }

  /** Whether one of a kind can be told by its own name alone to be asked for. */
  get isByTemplate(): boolean {
    return this.#filters.templates.length > 0;
  }

  /** For Coder's search, as narrow as it can be said there; what comes is sifted again. */
  get query(): string {
    const { organizations, owners, templates } = this.#filters;
    const [template = ''] = templates;
    return [
      ...only('organization', organizations),
      ...only('owner', owners),
      ...only('template', templates.length === 1 ? [template.slice(template.indexOf('.') + 1)] : []),
    ].join(' ');
  }

  #isOf(organization: string, template: string): boolean {
    const { templates } = this.#filters;
    return includes(templates, template) || includes(templates, `${organization}.${template}`);
  }
}

/**
 * The filters with the names that Coder has, all of which must be there: a mistyped one would export nothing and look
 * like an empty Coder.
 *
 * @param templates all that the token may see.
 * @throws {OperatorError} `UNKNOWN_NAME`
 */
export async function select(
  filters: Filters,
  templates: readonly Template[],
  client: Pick<CoderClient, 'organization' | 'user'>,
  signal: AbortSignal,
): Promise<Selection> {
  const organizations: string[] = [];
  for (const name of filters.organizations) {
    const found = await known(() => client.organization(name, { signal }), `organization "${name}"`);
    organizations.push(found.name);
  }
  const owners: string[] = [];
  for (const name of filters.owners) {
    const found = await known(() => client.user(name, { signal }), `user "${name}"`);
    owners.push(found.username);
  }
  for (const name of filters.templates) {
    const one = new Selection({ organizations, owners: [], templates: [name] });
    if (!templates.some((template) => one.hasTemplate(template))) {
      throw unknown(
        `template "${name}"${organizations.length === 0 ? '' : ` in ${organizations.join(', ')}`}`,
      );
    }
  }
  return new Selection({ organizations, owners, templates: filters.templates });
}

async function known<T>(read: () => Promise<T>, what: string): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isNotFound(error) || isUnknownUser(error)) throw unknown(what);
    throw error;
  }
}

function unknown(what: string): OperatorError {
  return new OperatorError(
    'UNKNOWN_NAME',
    `There is no ${cleanText(what)} in this Coder, or the user of the token may not see it`,
  );
}

function includes(names: readonly string[], name: string): boolean {
  return names.length === 0 || names.some((given) => sameName(given, name));
}

function only(key: string, values: readonly string[]): readonly string[] {
  return values.length === 1 ? [`${key}:${values[0] ?? ''}`] : [];
}
