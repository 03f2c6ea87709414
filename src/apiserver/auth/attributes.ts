import { StatusError } from '../http/status.ts';
import type { RequestInfo, UserInfo } from '../http/types.ts';
import { parseFieldSelector } from '../reading/fields.ts';
import { parseLabelSelector, type LabelRequirement } from '../reading/labels.ts';

/** `spec` of a SubjectAccessReview of authorization.k8s.io/v1; what is empty is left out. */
export interface AccessSpec {
  readonly user: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly resourceAttributes?: ResourceAttributes;
  readonly nonResourceAttributes?: { readonly path: string; readonly verb: string };
}

export interface ResourceAttributes {
  readonly namespace?: string;
  readonly verb: string;
  readonly group?: string;
  readonly version?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly fieldSelector?: { readonly requirements: readonly Requirement[] };
  readonly labelSelector?: { readonly requirements: readonly Requirement[] };
}

export interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

/** Other verbs take no selectors. */
const VERBS_WITH_SELECTORS: ReadonlySet<string> = new Set(['list', 'watch', 'deletecollection']);

/** The question whether somebody may do something (apiserver/plugin/pkg/authorizer/webhook/webhook.go). */
export function accessSpec(user: UserInfo, info: RequestInfo, query: URLSearchParams): AccessSpec {
  const { name, uid = '', groups, extra } = user;
  return {
    user: name,
    ...filled({ uid }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
    ...(info.isResourceRequest
      ? { resourceAttributes: resourceAttributes(info, query) }
      : { nonResourceAttributes: { path: info.path, verb: info.verb } }),
  };
}

/** The same text for the same question; the keys of `extra` come in any order. */
export function accessKey(spec: AccessSpec): string {
  const extra = Object.entries(spec.extra ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({ ...spec, extra });
}

function resourceAttributes(info: RequestInfo, query: URLSearchParams): ResourceAttributes {
  const { namespace, verb, apiGroup: group, apiVersion: version, resource, subresource, name } = info;
  const attributes = { verb, ...filled({ namespace, group, version, resource, subresource, name }) };
  if (!VERBS_WITH_SELECTORS.has(verb)) return attributes;
  return {
    ...attributes,
    ...selector('fieldSelector', fieldRequirements(query.get('fieldSelector') ?? '')),
    ...selector('labelSelector', labelRequirements(query.get('labelSelector') ?? '')),
  };
}

/**
 * Selectors can only narrow what is asked for, so one that cannot be parsed, or told to an authorizer, is left out: the
 * question is then a broader one. The parsers are those that select the objects afterwards. With others, a selector
 * that the two read differently would show objects that nobody was asked about.
 */
function fieldRequirements(text: string): Requirement[] {
  const { terms } = parsed(text, parseFieldSelector) ?? { terms: [] };
  return terms.map(({ field, isEqual, value }) => ({
    key: field,
    operator: isEqual ? 'In' : 'NotIn',
    values: [value],
  }));
}

const OPERATORS: Readonly<Partial<Record<LabelRequirement['operator'], Requirement['operator']>>> = {
  in: 'In',
  notin: 'NotIn',
  exists: 'Exists',
  absent: 'DoesNotExist',
};

function labelRequirements(text: string): Requirement[] {
  const { requirements } = parsed(text, parseLabelSelector) ?? { requirements: [] };
  return requirements.flatMap(({ key, operator, values }) => {
    const known = OPERATORS[operator];
    if (known === undefined) return [];
    return [{ key, operator: known, ...(values.length === 0 ? {} : { values }) }];
  });
}

function parsed<T>(text: string, parse: (text: string) => T): T | undefined {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof StatusError) return undefined;
    throw error;
  }
}

function selector<K extends string>(
  key: K,
  requirements: readonly Requirement[],
): Partial<Record<K, { readonly requirements: readonly Requirement[] }>> {
  if (requirements.length === 0) return {};
  return { [key]: { requirements } } as Record<K, { readonly requirements: readonly Requirement[] }>;
}

function filled<T extends Readonly<Record<string, string>>>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '')) as Partial<T>;
}
