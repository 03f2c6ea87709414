import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { parse } from 'yaml';
import { moduleFiles, requireGo, versionIn } from './build.ts';
import { StackError, throwIfAborted } from './errors.ts';
import { runTool, toolEnvironment } from './tools.ts';

/** Has the CRDs of Flux's sources in its sources; `hack/tools/flux` names its version and pins its bytes. */
const sourceController = 'github.com/fluxcd/source-controller';

/** The sources that a template's content may come from; the module holds more. */
const plurals = ['gitrepositories', 'ocirepositories', 'buckets', 'externalartifacts'] as const;

/** As much of a CustomResourceDefinition as is needed to install it; the rest passes through as it is. */
export interface Crd {
  readonly metadata: { readonly name: string };
}

/**
 * The CRDs of Flux's source-controller for GitRepository, OCIRepository, Bucket and ExternalArtifact. The first time the
 * module is downloaded, by Go's own client and checked against our go.sum; later it comes from Go's module cache. Nothing
 * is compiled.
 * @throws StackError TOOL_MISSING, TOOL_FAILED with what the go command said, ABORTED.
 */
export async function fluxCrds(signal?: AbortSignal): Promise<readonly Crd[]> {
  return readCrds(join(await moduleFolder(signal), 'config', 'crd', 'bases'));
}

/** Reads them from a folder with one file each. @throws StackError TOOL_FAILED when one is not what it should be. */
export function readCrds(folder: string): readonly Crd[] {
  return plurals.map((plural) => {
    const name = `${plural}.source.toolkit.fluxcd.io`;
    const file = join(folder, `source.toolkit.fluxcd.io_${plural}.yaml`);
    let crd: (Partial<Crd> & { readonly kind?: unknown }) | null;
    try {
      crd = parse(readFileSync(file, 'utf8')) as typeof crd;
    } catch (cause) {
      throw new StackError('TOOL_FAILED', `The CRD ${name} cannot be read from ${file}.`, { cause });
    }
    if (crd?.kind !== 'CustomResourceDefinition' || crd.metadata?.name !== name) {
      throw new StackError('TOOL_FAILED', `${file} does not hold the CRD ${name}.`);
    }
    return crd as Crd;
  });
}

/** The folder with the module's files. */
async function moduleFolder(signal: AbortSignal | undefined): Promise<string> {
  const module = fileURLToPath(new URL('../tools/flux/', import.meta.url));
  const [goMod] = moduleFiles(module);
  await requireGo(module, versionIn(readFileSync(goMod, 'utf8'), 'go'), signal);
  // As in builds: settings of a person's own for the go command must not decide what it does here.
  const env = { ...toolEnvironment(), GOFLAGS: '', GOWORK: 'off' };
  const args = ['mod', 'download', '-json', sourceController];
  const answer = await runTool('go', args, { cwd: module, env, signal });
  throwIfAborted(signal);
  const download = parsed(answer?.stdout);
  if (answer?.code === 0 && download.Dir !== undefined) return download.Dir;
  throw new StackError(
    'TOOL_FAILED',
    `The CRDs of Flux could not be fetched: go ${args.join(' ')} in hack/tools/flux failed. ` +
      `The go command said: ${download.Error ?? (answer?.stderr.trim() || 'nothing')}`,
  );
}

/** What `go mod download -json` tells of a module; when it fails early it writes no JSON. */
function parsed(stdout = ''): { readonly Dir?: string; readonly Error?: string } {
  try {
    return JSON.parse(stdout) as { readonly Dir?: string; readonly Error?: string };
  } catch {
    return {};
  }
}
