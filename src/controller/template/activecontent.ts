import type { VersionContents } from '../observer/versions.ts';
import type { FilesContent } from './content.ts';

/** What the active version of a template consists of. */
export interface ActiveContent extends VersionContents {
  readonly versionID: string;
}

/** Tags that Coder gives to every version. */
const OWN_TAGS = new Set(['scope', 'owner']);

/**
 * Whether a version is already what is wished, whoever made it. What cannot be compared counts as different: a sensitive
 * variable is never shown.
 */
export function holdsContent(active: ActiveContent, content: FilesContent): boolean {
  return (
    active.filesHash === content.filesHash && hasVariables(active, content) && hasTags(active, content.tags)
  );
}

/** A variable that is not wished is not managed. */
function hasVariables({ variables }: ActiveContent, content: FilesContent): boolean {
  return content.variables.every(({ name, value }) => {
    const held = variables.find((variable) => variable.name === name);
    return held !== undefined && !held.sensitive && held.value === value;
  });
}

function hasTags({ tags }: ActiveContent, wished: FilesContent['tags']): boolean {
  if (wished === undefined) return true;
  const held = Object.entries(tags).filter(([name]) => !OWN_TAGS.has(name) || Object.hasOwn(wished, name));
  return (
    held.length === Object.keys(wished).length &&
    held.every(([name, value]) => Object.hasOwn(wished, name) && wished[name] === value)
  );
}
