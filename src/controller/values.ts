import { createHash } from 'node:crypto';
import type { Cause } from '../api/conditions.ts';
import { VALUES_SECRET_TYPE } from '../api/kinds.ts';
import type { ReconcilingReason, StalledReason } from '../api/reasons.ts';
import type { ConfigMap } from './configmaps.ts';
import { readingForbidden, type Secret } from './secrets.ts';

interface KeyRef {
  readonly name: string;
  readonly key: string;
}

/** A named value, or where it is. */
export interface ValueItem {
  readonly name: string;
  readonly value?: string | undefined;
  readonly valueFrom?:
    { readonly secretKeyRef?: KeyRef | undefined; readonly configMapKeyRef?: KeyRef | undefined } | undefined;
}

export interface ResolvedValue {
  readonly name: string;
  readonly value: string;
  /** It must not be shown anywhere. */
  readonly isSecret: boolean;
}

/** What came of looking up the values of a spec. */
export type ValuesFact =
  | {
      readonly state: 'resolved';
      readonly values: readonly ResolvedValue[];
      /** The same as long as the values are. Of a Secret only its version enters it: short values could be guessed. */
      readonly hash: string;
    }
  | { readonly state: 'missing'; readonly cause: Cause<ReconcilingReason> }
  | { readonly state: 'forbidden'; readonly cause: Cause<StalledReason> };

/** Where values are read from: one namespace. */
export interface ValueSources {
  readonly namespace: string;
  readonly secret: (name: string) => Promise<Secret | undefined | 'forbidden'>;
  readonly configMap: (name: string) => Promise<ConfigMap | undefined | 'forbidden'>;
}

/** Finds the values of a spec in the namespace of its object. */
export interface ValueResolver {
  resolve(namespace: string, items: readonly ValueItem[]): Promise<ValuesFact>;
}

/** Names of the ConfigMaps that values come from, each once. */
export function referredConfigMaps(items: readonly ValueItem[] = []): readonly string[] {
  const names = items.map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name);
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** How often values from Secrets are read again, since Secrets are not watched. */
export const SECRETS_AGAIN_MS = 60_000;
/** How often a Secret is looked for that is missing or may not be read; a ConfigMap that appears wakes its objects. */
export const VALUES_AGAIN_MS = 10_000;

/** Longest value, in bytes. Coder hands values to Terraform in the environment, where there is not much room. */
const LONGEST_VALUE = 64 * 1024;

/** A value with what stands for it in the hash. */
interface Found {
  readonly value: string;
  readonly isSecret: boolean;
  readonly identity: readonly string[];
}

/** Why there is no value. */
type Lack = { readonly missing: string } | { readonly forbidden: Cause<StalledReason> };

/**
 * Looks up all values, and each Secret and ConfigMap at most once. What is missing is named all at once; what may not be
 * read comes first, since only a person can allow it.
 *
 * @throws KubeError when the API server does not answer.
 */
export async function resolveValues(items: readonly ValueItem[], sources: ValueSources): Promise<ValuesFact> {
  const once = { ...sources, secret: remembered(sources.secret), configMap: remembered(sources.configMap) };
  const values: ResolvedValue[] = [];
  const identities: string[][] = [];
  const missing = new Set<string>();
  for (const item of items) {
    const found = await look(item, once);
    if ('forbidden' in found) return { state: 'forbidden', cause: found.forbidden };
    if ('missing' in found) {
      missing.add(found.missing);
      continue;
    }
    values.push({ name: item.name, value: found.value, isSecret: found.isSecret });
    identities.push([item.name, ...found.identity]);
  }
  if (missing.size > 0) {
    return { state: 'missing', cause: { reason: 'WaitingForDependency', message: [...missing].join('; ') } };
  }
  return { state: 'resolved', values, hash: hashOf(identities) };
}

async function look(item: ValueItem, sources: ValueSources): Promise<Found | Lack> {
  const { secretKeyRef, configMapKeyRef } = item.valueFrom ?? {};
  if (secretKeyRef !== undefined) {
    const secret = await sources.secret(secretKeyRef.name);
    if (secret === 'forbidden') {
      return { forbidden: readingForbidden(`the Secret ${secretKeyRef.name}`, sources.namespace) };
    }
    return inSecret(secret, secretKeyRef);
  }
  if (configMapKeyRef !== undefined) {
    const configMap = await sources.configMap(configMapKeyRef.name);
    if (configMap === 'forbidden')
      return { forbidden: readingForbidden('the ConfigMaps', sources.namespace) };
    return inConfigMap(configMap, configMapKeyRef);
  }
  const value = item.value ?? '';
  return { value, isSecret: false, identity: ['value', value] };
}

/** Of any other type nothing is used: whoever writes a spec must not get at a Secret that was not made for this. */
function inSecret(secret: Secret | undefined, { name, key }: KeyRef): Found | Lack {
  if (secret === undefined) {
    return {
      missing: `there is no Secret ${name}: create it with the type ${VALUES_SECRET_TYPE} and the key ${key}`,
    };
  }
  if (secret.type !== VALUES_SECRET_TYPE) {
    return {
      missing: `the Secret ${name} is of the type ${secret.type ?? 'Opaque'} and not ${VALUES_SECRET_TYPE}, the only one from which values are used; none was: put the value into a Secret of that type`,
    };
  }
  const data = ownField(secret.data, key);
  if (data === undefined) return { missing: `the Secret ${name} has no key ${key}` };
  const value = textOf(Buffer.from(data, 'base64'));
  if (typeof value !== 'string') return { missing: `the key ${key} of the Secret ${name} ${value.problem}` };
  const { uid = '', resourceVersion = '' } = secret.metadata;
  return { value, isSecret: true, identity: ['secret', uid, resourceVersion, key] };
}

function inConfigMap(configMap: ConfigMap | undefined, { name, key }: KeyRef): Found | Lack {
  if (configMap === undefined) return { missing: `there is no ConfigMap ${name}` };
  const text = ownField(configMap.data, key);
  const binary = ownField(configMap.binaryData, key);
  if (text === undefined && binary === undefined)
    return { missing: `the ConfigMap ${name} has no key ${key}` };
  const value = textOf(text === undefined ? Buffer.from(binary ?? '', 'base64') : Buffer.from(text));
  if (typeof value !== 'string')
    return { missing: `the key ${key} of the ConfigMap ${name} ${value.problem}` };
  return { value, isSecret: false, identity: ['value', value] };
}

/** A key of these maps may be any name, also one that JavaScript gives every object. */
export function ownField(
  fields: Readonly<Record<string, string>> | undefined,
  key: string,
): string | undefined {
  return fields !== undefined && Object.hasOwn(fields, key) ? fields[key] : undefined;
}

/** What Coder can keep: its database takes texts without the character NUL. */
function textOf(bytes: Buffer): string | { readonly problem: string } {
  if (bytes.length > LONGEST_VALUE) return { problem: `is longer than ${LONGEST_VALUE / 1024} KiB` };
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch {
    // Told below.
  }
  return { problem: 'is not a text in UTF-8' };
}

function hashOf(identities: readonly (readonly string[])[]): string {
  const sorted = identities.map((identity) => JSON.stringify(identity)).sort();
  return createHash('sha256').update(sorted.join('\n')).digest('hex').slice(0, 16);
}

function remembered<T>(read: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const answers = new Map<string, Promise<T>>();
  return (name) => {
    const known = answers.get(name) ?? read(name);
    answers.set(name, known);
    return known;
  };
}

/** Texts that must not be shown when Coder repeats them: secret values, and the items of secret lists. */
export function secretTexts(wished: readonly ResolvedValue[]): readonly string[] {
  const texts = wished
    .filter(({ isSecret }) => isSecret)
    .flatMap(({ value }) => [value, ...(listOf(value) ?? [])]);
  return texts.filter((text) => text !== '');
}

/** The items of a JSON list of texts. Go reads null as an empty list or text. */
export function listOf(text: string): readonly string[] | undefined {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (list === null) return [];
  if (!Array.isArray(list)) return undefined;
  const items = (list as readonly unknown[]).map((item) => item ?? '');
  return items.every((item) => typeof item === 'string') ? items : undefined;
}
