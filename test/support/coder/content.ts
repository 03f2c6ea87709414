import type { VariableDefinition, VersionContent } from './definitions.ts';
import type { ImportFault } from './imports.ts';
import { filesIn } from './tar.ts';

/** The file of an archive that says how the scripted Coder plays it. The real one does not look at it. */
export const CONTENT_FILE = 'content.json';

/** What an archive holds: what its own file says, or else the variables of its Terraform. */
export function contentOf(tar: Buffer): VersionContent {
  const files = filesIn(tar);
  const said = files.get(CONTENT_FILE);
  if (said !== undefined) return JSON.parse(said) as VersionContent;
  return { variables: terraformOf(files).flatMap(variablesIn) };
}

/** Why a provisioner can do nothing with an archive. What Terraform says of it is in the log alone. */
export function faultOf(tar: Buffer, provisioner: string): ImportFault | undefined {
  const files = filesIn(tar);
  if (files.has(CONTENT_FILE)) return undefined;
  if (provisioner === 'echo') {
    const file = '0.init.protobuf';
    if (files.has(file)) return undefined;
    return { error: `template import init error: no state: stat ${file}: no such file or directory` };
  }
  const texts = terraformOf(files);
  if (texts.length === 0) {
    const step = 'template import provision for start: plan during template import provision error';
    return { error: `${step}: terraform plan: exit status 1`, log: ['Error: No configuration files'] };
  }
  if (texts.every(isBalanced)) return undefined;
  return {
    error: 'template import init error: initialize terraform: exit status 1',
    log: ['Error: Argument or block definition required'],
  };
}

/** Terraform reads the files at the root alone. */
function terraformOf(files: ReadonlyMap<string, string>): readonly string[] {
  return [...files].filter(([path]) => /^[^/]+\.tf$/.test(path)).map(([, text]) => text);
}

/** Says no only where no Terraform is: what is wrong otherwise is not looked for. */
function isBalanced(text: string): boolean {
  let depth = 0;
  for (const brace of text.replace(/"(?:[^"\\]|\\.)*"/g, '').match(/[{}]/g) ?? []) {
    depth += brace === '{' ? 1 : -1;
    if (depth < 0) return false;
  }
  return depth === 0;
}

/** The blocks as people write them: one attribute a line, the closing brace on a line of its own. */
function variablesIn(text: string): readonly VariableDefinition[] {
  return [...text.matchAll(/^variable\s+"([^"]+)"\s*\{(\}|[\s\S]*?^\})/gm)].map(
    ([, name = '', body = '']) => {
      const type = attribute(body, 'type');
      const fallback = attribute(body, 'default');
      return {
        name,
        ...(type === undefined ? {} : { type }),
        ...(fallback === undefined || fallback === 'null' ? {} : { default: unquoted(fallback) }),
        sensitive: attribute(body, 'sensitive') === 'true',
      };
    },
  );
}

function attribute(block: string, name: string): string | undefined {
  return new RegExp(`^\\s*${name}\\s*=\\s*(.*\\S)`, 'm').exec(block)?.[1];
}

function unquoted(value: string): string {
  return /^"(.*)"$/.exec(value)?.[1] ?? value;
}
