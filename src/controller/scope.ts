import type { Scope } from './facts.ts';

/** What a scope is asked about; templates have no owner. */
export interface Scoped {
  readonly organizationName: string;
  readonly ownerName?: string;
}

/** Tells many things apart by a scope: sets, since there may be ten thousand workspaces and hundreds of owners. */
export function scopeMatcher({ organizations, owners }: Scope): (thing: Scoped) => boolean {
  const isOrganization = matcher(organizations);
  const isOwner = matcher(owners);
  return ({ organizationName, ownerName }) =>
    isOrganization(organizationName) && (ownerName === undefined || isOwner(ownerName));
}

function matcher(names: readonly string[]): (name: string) => boolean {
  if (names.length === 0) return () => true;
  const known = new Set(names.map((name) => name.toLowerCase()));
  return (name) => known.has(name.toLowerCase());
}
