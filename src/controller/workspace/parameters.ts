import { cleanText } from '../../coder/redact.ts';
import type { NameValue, RichParameter } from '../../coder/types.ts';
import { listOf } from '../values.ts';
import { certainlyMisses } from './pattern.ts';

/** A parameter as the spec wishes it, with its value found out. */
export interface WishedParameter {
  readonly name: string;
  readonly value: string;
  /** Whether the value comes from a Secret and must not be shown. */
  readonly isSecret: boolean;
}

export interface ParameterCheck {
  readonly wished: readonly WishedParameter[];
  /** What the version that is built with asks for. */
  readonly definitions: readonly RichParameter[];
  /** The parameters of the last build; undefined when the workspace is yet to be created. */
  readonly current: readonly NameValue[] | undefined;
  /** What a new workspace is given by its preset, which Coder lets win over the wished values. */
  readonly presetValues?: readonly NameValue[] | undefined;
}

/** Longest part of a foreign text that is shown, in bytes. */
const LONGEST_SHOWN = 64;
const LONGEST_SAYING = 256;
const MOST_NAMES = 10;

/**
 * What Coder would refuse for certain, one part of a sentence for each parameter at fault. The rules are those of Coder
 * (codersdk/richparameters.go and its Terraform provider); what only Coder can tell is left to it. Of a secret value
 * nothing is told.
 */
export function parameterProblems(options: ParameterCheck): readonly string[] {
  const { wished, definitions, current, presetValues = [] } = options;
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  const currently = valuesByName(current ?? []);
  const preset = valuesByName(presetValues);
  const problems: string[] = [];
  for (const parameter of wished) {
    const definition = byName.get(parameter.name);
    const problem =
      definition === undefined
        ? `is unknown: ${namesOf(definitions)}`
        : (valueProblem(definition, parameter) ??
          changeProblem(definition, parameter, currently.get(parameter.name)) ??
          presetProblem(
            definition,
            parameter,
            current === undefined ? preset.get(parameter.name) : undefined,
          ));
    if (problem !== undefined) problems.push(`${quoted(parameter.name)} ${problem}`);
  }
  const given = new Set([...wished.map(({ name }) => name), ...currently.keys(), ...preset.keys()]);
  for (const { name, required } of definitions) {
    if (required && !given.has(name))
      problems.push(`${quoted(name)} is missing: the template has no default for it`);
  }
  return problems;
}

/**
 * Names of the parameters that have another value than is wished. Values are compared as they are kept in Coder: as the
 * text that was sent. An ephemeral one counts for one build only, so it never differs.
 */
export function differingParameters(
  wished: readonly WishedParameter[],
  current: readonly NameValue[],
  definitions: readonly RichParameter[],
): readonly string[] {
  const lasting = new Set(definitions.filter(({ ephemeral }) => ephemeral !== true).map(({ name }) => name));
  const currently = valuesByName(current);
  return wished
    .filter(({ name, value }) => lasting.has(name) && currently.get(name) !== value)
    .map(({ name }) => name);
}

/** What is wrong with a value by itself. Coder checks the default in place of an empty one. */
function valueProblem(definition: RichParameter, parameter: WishedParameter): string | undefined {
  if (parameter.value === '') return definition.required ? 'must not be empty' : undefined;
  return (
    typeProblem(definition, parameter) ??
    optionProblem(definition, parameter) ??
    limitProblem(definition, parameter)
  );
}

function typeProblem({ type }: RichParameter, parameter: WishedParameter): string | undefined {
  const { value } = parameter;
  switch (type) {
    case 'bool':
      return value === 'true' || value === 'false' ? undefined : `must be true or false${and(parameter)}`;
    case 'number':
      return isNumber(value) ? undefined : `must be a number${and(parameter)}`;
    case 'list(string)':
      return listOf(value) === undefined
        ? `must be a JSON list of texts such as ["a","b"]${and(parameter)}`
        : undefined;
    default:
      return undefined;
  }
}

/**
 * A list may be chosen from the options item by item, or be one of them as a whole: that depends on how Coder's form
 * shows it.
 */
function optionProblem(definition: RichParameter, parameter: WishedParameter): string | undefined {
  const allowed = new Set(definition.options.map(({ value }) => value));
  if (allowed.size === 0 || allowed.has(parameter.value)) return undefined;
  const missing = definition.type === 'list(string)' ? (listOf(parameter.value) ?? []) : [parameter.value];
  const strangers = missing.filter((item) => !allowed.has(item));
  if (definition.type === 'list(string)' && strangers.length === 0) return undefined;
  const stranger = parameter.isSecret ? '' : `, and ${shown(strangers[0] ?? '')} is none of them`;
  return `must be one of the options ${listed([...allowed])}${stranger}`;
}

function limitProblem(definition: RichParameter, parameter: WishedParameter): string | undefined {
  const { type, validation_regex: regex, validation_error: saying } = definition;
  const { validation_min: min, validation_max: max, validation_monotonic: monotonic } = definition;
  const { value } = parameter;
  if (type === 'string' && regex !== undefined && certainlyMisses(regex, value)) {
    const why = saying === undefined ? '' : ` (${cleanText(saying, LONGEST_SAYING)})`;
    return `must match ${cleanText(regex, LONGEST_SAYING)}${why}${and(parameter)}`;
  }
  if (type !== 'number' || (min === undefined && max === undefined && monotonic === undefined))
    return undefined;
  const number = wholeNumber(value);
  if (number === undefined) return `must be a whole number${and(parameter)}`;
  if (min !== undefined && number < min) return `must not be below ${min}${and(parameter)}`;
  if (max !== undefined && number > max) return `must not be above ${max}${and(parameter)}`;
  return undefined;
}

/** What a value may not become, after what it is. */
function changeProblem(
  definition: RichParameter,
  parameter: WishedParameter,
  current: string | undefined,
): string | undefined {
  if (current === undefined || current === parameter.value) return undefined;
  if (!definition.mutable) {
    return 'cannot be changed any more: the template lets it be set only when a workspace is created';
  }
  if (definition.type !== 'number') return undefined;
  const [before, after] = [wholeNumber(current), wholeNumber(parameter.value)];
  if (before === undefined || after === undefined) return undefined;
  if (definition.validation_monotonic === 'increasing' && after < before) {
    return 'must not become smaller: the template lets it only grow';
  }
  if (definition.validation_monotonic === 'decreasing' && after > before) {
    return 'must not become larger: the template lets it only shrink';
  }
  return undefined;
}

/** A wish that the preset overrules can be carried out later, unless it can never be. */
function presetProblem(
  { mutable }: RichParameter,
  { value }: WishedParameter,
  preset: string | undefined,
): string | undefined {
  if (mutable || preset === undefined || preset === value) return undefined;
  return 'is given another value by the preset, and cannot be changed after that: leave it out, or take another preset';
}

/** A number as Coder reads one where there are no limits. Of the odd forms that Go knows, Coder is the judge. */
function isNumber(text: string): boolean {
  if (/^[+-]?(?:inf(?:inity)?|nan|0x[\da-f_.]+p[+-]?\d+)$/i.test(text)) return true;
  const digits = text.replace(/(?<=\d)_(?=\d)/g, '');
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(digits) && Number.isFinite(Number(digits));
}

/** A number as Coder reads one where there are limits: 64 bits, with a sign. */
function wholeNumber(text: string): bigint | undefined {
  if (!/^[+-]?\d{1,32}$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ''));
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function valuesByName(values: readonly NameValue[]): ReadonlyMap<string, string> {
  return new Map(values.map(({ name, value }) => [name, value]));
}

function namesOf(definitions: readonly RichParameter[]): string {
  return definitions.length === 0
    ? 'the template version asks for no parameters'
    : `the template version asks for ${listed(definitions.map(({ name }) => name))}`;
}

function listed(texts: readonly string[]): string {
  const more = texts.length - MOST_NAMES;
  return `${texts.slice(0, MOST_NAMES).map(shown).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What the value is, where it may be told. */
function and({ value, isSecret }: WishedParameter): string {
  return isSecret ? '' : `, and is ${quoted(value)}`;
}

function quoted(text: string): string {
  return `"${shown(text)}"`;
}

function shown(text: string): string {
  return cleanText(text, LONGEST_SHOWN);
}
