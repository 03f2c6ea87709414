import { mirrorLabels } from '../../api/mirrors.ts';
import type { KubeObject } from '../../api/meta.ts';

/** What a mirror's labels say beside that it is one. Each is a name in Coder. */
export interface MirrorNames {
  readonly organization: string;
  readonly owner?: string | undefined;
  readonly template: string;
}

/** The labels of a mirror. In lower case, as its name: Coder compares without case, and selectors do not. */
export function labelsOf({ organization, owner, template }: MirrorNames): Readonly<Record<string, string>> {
  return {
    [mirrorLabels.mirror]: 'true',
    ...valid(mirrorLabels.organization, organization),
    ...valid(mirrorLabels.owner, owner),
    ...valid(mirrorLabels.template, template),
  };
}

/** Kubernetes' rule for the values of labels (apimachinery, IsValidLabelValue), of names that are not empty. */
const VALUE = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

/** A label is left out where an old name in Coder breaks its rule: without it the mirror still shows all there is. */
function valid(key: string, name: string | undefined): Readonly<Record<string, string>> {
  const value = name?.toLowerCase() ?? '';
  return VALUE.test(value) ? { [key]: value } : {};
}

/** Whether somebody else than we has put the label on that makes a mirror: as a manifest in git may. */
export function isAppliedByOthers(live: KubeObject, ourManager: string): boolean {
  return !labelsToGiveUp(live, ourManager).includes(mirrorLabels.mirror);
}

/** Whether the mirror bears all of these labels; others on it are somebody else's and stay. */
export function hasLabels({ metadata }: KubeObject, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value);
}

interface ManagedFields {
  readonly manager?: string;
  readonly fieldsV1?: unknown;
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Which of our labels go when an object becomes a user's: those that nobody else has set too. One that is in the user's
 * own manifest must stay, or the tool that applied it would find the object changed.
 *
 * @param live the object with its managedFields and annotations, as the API server has it.
 */
export function labelsToGiveUp(live: KubeObject, ourManager: string): readonly string[] {
  const { managedFields = [] } = live.metadata as { readonly managedFields?: readonly ManagedFields[] };
  const others = managedFields
    .filter(({ manager }) => manager !== ourManager)
    .map(({ fieldsV1 }) => fieldsV1);
  const applied = parsed(live.metadata.annotations?.[LAST_APPLIED]);
  return Object.values(mirrorLabels).filter(
    (key) =>
      live.metadata.labels?.[key] !== undefined &&
      !others.some((fields) => has(fields, 'f:metadata', 'f:labels', `f:${key}`)) &&
      !has(applied, 'metadata', 'labels', key),
  );
}

function parsed(json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? 'null') as unknown;
  } catch {
    // A person has broken the annotation by hand; kubectl does not read it any more either.
    return undefined;
  }
}

function has(value: unknown, ...path: readonly string[]): boolean {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return false;
    at = (at as Readonly<Record<string, unknown>>)[key];
  }
  return true;
}
