import { OPERATOR, type Person } from './people.ts';
import type { WorkspaceRow } from './workspaces.ts';

/**
 * What the client's token may see. A person has a role in the organization; without it, only what is open to every member
 * and what belongs to the person itself is left. Other people see everything.
 */
export class Sight {
  /** Whether the token's user has a role in the organization. */
  hasRole = true;
  readonly #hidden = new Set<string>();

  /** Takes a workspace or a template out of sight, as one in an organization that the token has no say in. */
  hide(id: string): void {
    this.#hidden.add(id);
  }

  show(id: string): void {
    this.#hidden.delete(id);
  }

  ofWorkspace(row: WorkspaceRow): boolean {
    return !this.#hidden.has(row.id) && (this.hasRole || row.owner.id === OPERATOR.id);
  }

  ofPerson({ id }: Person): boolean {
    return this.hasRole || id === OPERATOR.id;
  }

  /** Every member may see the templates of the organization. */
  ofTemplate(id: string): boolean {
    return !this.#hidden.has(id);
  }
}
