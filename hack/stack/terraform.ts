import { linkSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StackError } from './errors.ts';
import { programVersion } from './programs.ts';
import { runTool } from './tools.ts';

/** Coder accepts every Terraform from 1.1 on, and would try to download one otherwise. */
const install =
  'Install Terraform 1.1 or newer (https://developer.hashicorp.com/terraform/install) and put it on PATH: Coder runs templates with it.';

/**
 * Makes sure that Coder will find a Terraform that it accepts.
 * @throws StackError TOOL_MISSING with what to install.
 */
export async function requireTerraform(signal?: AbortSignal): Promise<void> {
  const answer = await runTool('terraform', ['version', '-json'], { signal });
  if (answer === undefined) {
    throw new StackError('TOOL_MISSING', `The terraform command was not found. ${install}`);
  }
  const version = /"terraform_version":\s*"(\d+)\.(\d+)[^"]*"/.exec(answer.stdout);
  const tooOld = version !== null && Number(version[1]) === 1 && Number(version[2]) < 1;
  if (answer.code !== 0 || version === null || Number(version[1]) < 1 || tooOld) {
    throw new StackError(
      'TOOL_MISSING',
      `The terraform command on PATH is too old or does not run. ${install}`,
    );
  }
}

/**
 * Writes a Terraform CLI configuration that serves Coder's own provider from the built program, so that templates with
 * agents and parameters need no registry; every other provider comes from where it always does.
 * @returns the path of the configuration, for TF_CLI_CONFIG_FILE.
 */
export function writeTerraformConfig(folder: string, provider: string): string {
  const version = programVersion('terraform-provider-coder').slice(1);
  const platform = `${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const mirror = join(folder, 'mirror');
  const place = join(mirror, 'registry.terraform.io', 'coder', 'coder', version, platform);
  rmSync(mirror, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  linkOrCopy(provider, join(place, `terraform-provider-coder_v${version}`));
  const file = join(folder, 'terraform.tfrc');
  const lines = [
    'disable_checkpoint = true',
    'provider_installation {',
    '  filesystem_mirror {',
    `    path    = ${JSON.stringify(mirror)}`,
    '    include = ["registry.terraform.io/coder/coder"]',
    '  }',
    '  direct {',
    '    exclude = ["registry.terraform.io/coder/coder"]',
    '  }',
    '}',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

/** A second name for the same file where the file system allows it. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
