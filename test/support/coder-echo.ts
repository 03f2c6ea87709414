import type { ArchiveFiles } from '../../src/coder/layout.ts';
import {
  REGEX_ERROR,
  type AgentDefinition,
  type ParameterDefinition,
  type PresetDefinition,
  type VariableDefinition,
  type VersionContent,
} from './coder/definitions.ts';
import { isBefore } from './coder/versions.ts';

/**
 * Content for Coder's `echo` provisioner, which plays recorded answers instead of running Terraform: one serialised
 * protobuf message a stage. The format has changed with Coder 2.30: before that there were three stages.
 */
export interface EchoOptions extends VersionContent {
  /** Keeps every start, stop and delete running until it is cancelled. Default false. */
  readonly blocked?: boolean;
  /** Lets the import fail with this error. */
  readonly importError?: string;
  /** Tells one content from another that plays the same. */
  readonly note?: string;
}

/** A log line and then nothing more: the job waits for the end of the stage. */
const HANGING = Buffer.from('0a090802120568656c6c6f', 'hex');
const APPLY_ERROR = 'terraform says no';

/** @param version of the Coder that is to play it, such as `2.30`, which is the default */
export function echoFiles(options: EchoOptions = {}, version = '2.30'): ArchiveFiles {
  const { note = '', builds = options.blocked === true ? 'hang' : 'succeed' } = options;
  const { parameters = [], presets = [], agents = [], variables = [], tags = {} } = options;
  const importError = options.importError ?? (options.imports === 'fail' ? 'main.tf is wrong' : undefined);
  const terraform = [
    ...parameters.map(terraformOf),
    ...variables.map(terraformVariable),
    ...(Object.keys(tags).length === 0 ? [] : [terraformTags(tags)]),
  ];
  const stages = isBefore(version, '2.30') ? stagesBefore230 : stagesFrom230;
  return {
    'README.md': note,
    '0.parse.protobuf': message(
      2,
      ...(importError === undefined ? [] : [text(1, importError)]),
      ...variables.map(parsedVariable),
    ),
    ...stages({ parameters, presets, agents }, builds),
    ...(terraform.length === 0 ? {} : { 'main.tf': terraform.join('\n') }),
  };
}

type Found = Required<Pick<VersionContent, 'parameters' | 'presets' | 'agents'>>;
type Ending = Required<VersionContent>['builds'];

/** With a plan, Coder takes what the parameters are from main.tf, as it does for a real template. */
const PLAN = '{}';

function stagesFrom230({ parameters, presets, agents }: Found, builds: Ending): ArchiveFiles {
  const graph = [...parameters.map((p) => parameter(4, p)), ...presets.map((p) => preset(6, p))];
  const resources = agents.length === 0 ? [] : [resource(3, agents)];
  const applied = { succeed: message(5), hang: HANGING, fail: message(5, text(2, APPLY_ERROR)) };
  return {
    '0.init.protobuf': message(3),
    '0.plan.protobuf': message(4, text(3, PLAN)),
    '0.apply.protobuf': applied[builds],
    '0.graph.protobuf': message(6, ...graph),
    '0.start.graph.protobuf': message(6, ...resources, ...graph),
  };
}

/** There was no initialising and no graph: what there is was told by the plan and, of a build, when it was applied. */
function stagesBefore230({ parameters, presets, agents }: Found, builds: Ending): ArchiveFiles {
  const plan = [
    ...parameters.map((p) => parameter(3, p)),
    ...presets.map((p) => preset(8, p)),
    text(9, PLAN),
  ];
  const planned = agents.length === 0 ? [] : [resource(2, agents)];
  const resources = agents.length === 0 ? [] : [resource(3, agents)];
  const applied = (...found: readonly Buffer[]): Buffer =>
    ({ succeed: message(4, ...found), hang: HANGING, fail: message(4, text(2, APPLY_ERROR)) })[builds];
  return {
    '0.plan.protobuf': message(3, ...plan),
    '0.start.plan.protobuf': message(3, ...planned, ...plan),
    '0.apply.protobuf': applied(),
    '0.start.apply.protobuf': applied(...resources),
  };
}

function parsedVariable({ name, type, default: value, sensitive = false }: VariableDefinition): Buffer {
  return nested(
    2,
    text(1, name),
    ...(type === undefined ? [] : [text(3, type)]),
    ...(value === undefined ? [number(5, 1)] : [text(4, value)]),
    number(6, sensitive ? 1 : 0),
  );
}

function parameter(field: number, definition: ParameterDefinition): Buffer {
  const { name, type = 'string', mutable = true, ephemeral = false, options = [], monotonic } = definition;
  const { default: value, regex, min, max } = definition;
  return nested(
    field,
    text(1, name),
    text(3, type),
    number(4, mutable ? 1 : 0),
    ...(value === undefined ? [number(13, 1)] : [text(5, value)]),
    ...options.map((option) => nested(7, text(1, option), text(3, option))),
    ...(regex === undefined ? [] : [text(8, regex), text(9, REGEX_ERROR)]),
    ...(min === undefined ? [] : [number(10, min)]),
    ...(max === undefined ? [] : [number(11, max)]),
    ...(monotonic === undefined ? [] : [text(12, monotonic)]),
    number(17, ephemeral ? 1 : 0),
  );
}

function preset(field: number, { name, values }: PresetDefinition): Buffer {
  const parameters = Object.entries(values).map(([key, value]) => nested(2, text(1, key), text(2, value)));
  return nested(field, text(1, name), ...parameters);
}

function resource(field: number, agents: readonly AgentDefinition[]): Buffer {
  return nested(
    field,
    text(1, 'dev'),
    text(2, 'compute'),
    ...agents.map(({ name, connectionTimeoutSeconds = 0 }) =>
      nested(3, text(2, name), text(5, 'linux'), text(6, 'amd64'), number(11, connectionTimeoutSeconds)),
    ),
  );
}

function terraformOf(definition: ParameterDefinition): string {
  const { name, type = 'string', mutable = true, ephemeral = false, options = [], monotonic } = definition;
  const { default: value, regex, min, max } = definition;
  const limits = [
    ...(regex === undefined ? [] : [`regex = ${JSON.stringify(regex)}`, `error = "${REGEX_ERROR}"`]),
    ...(min === undefined ? [] : [`min = ${min}`]),
    ...(max === undefined ? [] : [`max = ${max}`]),
    ...(monotonic === undefined ? [] : [`monotonic = "${monotonic}"`]),
  ];
  return [
    `data "coder_parameter" "${name}" {`,
    `name = "${name}"`,
    `type = "${type}"`,
    `mutable = ${mutable}`,
    `ephemeral = ${ephemeral}`,
    ...(value === undefined ? [] : [`default = ${JSON.stringify(value)}`]),
    ...options.map((option) => `option {\nname = "${option}"\nvalue = "${option}"\n}`),
    ...(limits.length === 0 ? [] : [`validation {\n${limits.join('\n')}\n}`]),
    '}',
  ].join('\n');
}

function terraformVariable({ name, type, default: value, sensitive = false }: VariableDefinition): string {
  return [
    `variable "${name}" {`,
    ...(type === undefined ? [] : [`type = ${type}`]),
    ...(value === undefined ? [] : [`default = ${JSON.stringify(value)}`]),
    `sensitive = ${sensitive}`,
    '}',
  ].join('\n');
}

/** Each tag with the variable that its value comes from. */
function terraformTags(tags: Readonly<Record<string, string>>): string {
  const values = Object.entries(tags).map(([tag, variable]) => `"${tag}" = var.${variable}`);
  return ['data "coder_workspace_tags" "all" {', 'tags = {', ...values, '}', '}'].join('\n');
}

/** An answer of a stage: the field of `Response` that says which stage, and what is in it. */
function message(field: number, ...content: readonly Buffer[]): Buffer {
  return nested(field, ...content);
}

/** A protobuf field that holds bytes: its tag, their number, the bytes. */
function nested(field: number, ...content: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(content);
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function text(field: number, value: string): Buffer {
  return nested(field, Buffer.from(value));
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function varint(value: number): Buffer {
  if (value < 0) throw new RangeError('Only numbers from 0 on are supported');
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}
