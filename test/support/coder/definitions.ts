import { randomUUID } from 'node:crypto';
import type { Preset, RichParameter } from '../../../src/coder/types.ts';

/** What a template version holds, for the scripted Coder and, through the echo provisioner, for a real one. */
export interface VersionContent {
  readonly parameters?: readonly ParameterDefinition[];
  readonly presets?: readonly PresetDefinition[];
  readonly variables?: readonly VariableDefinition[];
  /** Tags that it names itself, each with the variable that its value comes from. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Of each start; there are none after a stop. */
  readonly agents?: readonly AgentDefinition[];
  /** How every build of it ends. Default `succeed`; with `hang` it goes on until it is cancelled. */
  readonly builds?: 'succeed' | 'fail' | 'hang';
  /** How its import ends. Default `succeed`; with `hang` it waits for a provisioner that does not come. */
  readonly imports?: 'succeed' | 'fail' | 'hang';
}

export interface ParameterDefinition {
  readonly name: string;
  /** Default `string`. */
  readonly type?: 'string' | 'number' | 'bool' | 'list(string)';
  /** Left out, a value is required. */
  readonly default?: string;
  /** Default true. */
  readonly mutable?: boolean;
  /** Default false. */
  readonly ephemeral?: boolean;
  /** The values that may be chosen. Default: any. */
  readonly options?: readonly string[];
  readonly regex?: string;
  readonly min?: number;
  readonly max?: number;
  readonly monotonic?: 'increasing' | 'decreasing';
}

export interface VariableDefinition {
  readonly name: string;
  readonly type?: string;
  /** Left out, a value is required. */
  readonly default?: string;
  /** Default false. */
  readonly sensitive?: boolean;
}

export interface PresetDefinition {
  readonly name: string;
  readonly values: Readonly<Record<string, string>>;
}

export interface AgentDefinition {
  readonly name: string;
  /** After so many seconds without a connection it counts as failing. Default 0: never. */
  readonly connectionTimeoutSeconds?: number;
}

/** What Coder says when a value does not match the regular expression. */
export const REGEX_ERROR = 'It does not look right';

/** The parameter as Coder shows it. */
export function richParameter(definition: ParameterDefinition): RichParameter {
  const { name, type = 'string', mutable = true, ephemeral = false, options = [] } = definition;
  return {
    name,
    type,
    mutable,
    ephemeral,
    required: definition.default === undefined,
    default_value: definition.default ?? '',
    options: options.map((value) => ({ name: value, value })),
    ...(definition.regex === undefined
      ? {}
      : { validation_regex: definition.regex, validation_error: REGEX_ERROR }),
    ...(definition.min === undefined ? {} : { validation_min: definition.min }),
    ...(definition.max === undefined ? {} : { validation_max: definition.max }),
    ...(definition.monotonic === undefined ? {} : { validation_monotonic: definition.monotonic }),
  };
}

export function preset(definition: PresetDefinition): Preset {
  return {
    ID: randomUUID(),
    Name: definition.name,
    Parameters: Object.entries(definition.values).map(([Name, Value]) => ({ Name, Value })),
  };
}
