import type { Validation } from '../../../src/coder/errors.ts';
import type { NameValue, Preset, RichParameter } from '../../../src/coder/types.ts';
import { invalid } from './refusals.ts';

export interface ParameterRequest {
  /** What the version asks for. */
  readonly asked: readonly RichParameter[];
  /** Values of the build before; undefined for the first. */
  readonly previous: readonly NameValue[] | undefined;
  readonly given: readonly NameValue[];
  /** It goes before what is given. */
  readonly preset: Preset | undefined;
}

/**
 * The values of a new build. What is not given stays as it was in the build before, ephemeral parameters aside; values
 * that nobody asks for are dropped without a word.
 * @throws CoderError 400 with one validation for each wrong parameter
 */
export function resolveParameters(request: ParameterRequest): readonly NameValue[] {
  const { asked, previous, given, preset } = request;
  const kept = new Map((previous ?? []).map(({ name, value }) => [name, value]));
  const set = new Map(given.map(({ name, value }) => [name, value]));
  for (const { Name, Value } of preset?.Parameters ?? []) set.set(Name, Value);
  const faults: Validation[] = [];
  const values: NameValue[] = [];
  for (const parameter of asked) {
    const { name } = parameter;
    const carried = parameter.ephemeral === true ? undefined : kept.get(name);
    const value = set.get(name) ?? carried ?? (parameter.required ? undefined : parameter.default_value);
    const detail = faultOf(parameter, value, previous === undefined ? undefined : kept.get(name));
    if (detail !== undefined) faults.push({ field: name, detail });
    if (value !== undefined) values.push({ name, value });
  }
  if (faults.length > 0) {
    faults.sort((a, b) => (a.field < b.field ? -1 : 1));
    throw invalid('Unable to validate parameters', faults);
  }
  return values;
}

/** The largest preset all of whose values are among these: Coder marks a build with it although nobody named it. */
export function matchingPreset(presets: readonly Preset[], values: readonly NameValue[]): Preset | undefined {
  const matches = presets.filter(({ Parameters }) =>
    Parameters.every(({ Name, Value }) => values.some((v) => v.name === Name && v.value === Value)),
  );
  return matches.sort((a, b) => b.Parameters.length - a.Parameters.length)[0];
}

function faultOf(
  parameter: RichParameter,
  value: string | undefined,
  previous: string | undefined,
): string | undefined {
  if (!parameter.mutable && previous !== undefined && value !== previous) {
    return `Immutable parameter changed; Parameter "${parameter.name}" is not mutable, so it can't be updated after creating a workspace.`;
  }
  if (value === undefined) {
    const broken = limitBroken(parameter, '');
    if (broken !== undefined) return `${OUTSIDE}; ${broken}, and 1 other diagnostic(s)`;
    return 'Required parameter not provided; parameter value is null';
  }
  const listed = parameter.type === 'list(string)' ? listOf(value) : [value];
  if (listed === undefined)
    return `Parameter value is not of type "list(string)"; value "${value}" is not a valid list of strings`;
  const choices = parameter.options.map((option) => option.value);
  if (choices.length > 0 && !listed.every((v) => choices.includes(v))) {
    return `Value must be a valid option; the value "${value}" must be defined as one of options`;
  }
  const outside = limitBroken(parameter, value);
  if (outside !== undefined) return `${OUTSIDE}; ${outside}`;
  if (parameter.type === 'number' && !isNumber(value)) {
    return `Parameter value is not of type "number"; "${value}" is not a number`;
  }
  if (parameter.type === 'bool' && !/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(value)) {
    return `Parameter value is not of type "bool"; "${value}" is not a bool`;
  }
  return undefined;
}

const OUTSIDE = "Invalid parameter value according to 'validation' block";

/** Coder does not hold a value against the one before: `validation_monotonic` only fails in the build. */
function limitBroken(parameter: RichParameter, value: string): string | undefined {
  const { validation_regex: regex, validation_min: min, validation_max: max } = parameter;
  if (regex !== undefined && !new RegExp(regex).test(value)) {
    return `${parameter.validation_error ?? ''} (value "${value}" does not match "${regex}")`;
  }
  if (min === undefined && max === undefined && parameter.validation_monotonic === undefined)
    return undefined;
  if (!/^[+-]?\d+$/.test(value)) return `value "${value}" is not a number`;
  if (min !== undefined && Number(value) < min) return `value ${value} is less than the minimum ${min}`;
  if (max !== undefined && Number(value) > max) return `value ${value} is more than the maximum ${max}`;
  return undefined;
}

function isNumber(value: string): boolean {
  return value.trim() === value && value !== '' && Number.isFinite(Number(value));
}

function listOf(value: string): readonly string[] | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) && parsed.every((v) => typeof v === 'string') ? parsed : undefined;
  } catch {
    return undefined;
  }
}
