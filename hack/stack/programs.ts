import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { goBuild, goBuildFlags, moduleFiles, requireGo, versionIn } from './build.ts';
import { cached, cacheFolder, cacheKey } from './cache.ts';
import { StackError } from './errors.ts';
import type { Guardian } from './guardian.ts';
import type { Progress } from './progress.ts';
import { toolEnvironment, wantedCoder } from './tools.ts';

/** The programs that are built from the Go modules in hack/tools. */
export type ProgramName =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kubectl'
  | 'coder'
  | 'terraform-provider-coder'
  | 'clients';

interface Program {
  /** Folder under hack/tools; of Coder, the one of the newest release. */
  readonly tools: string;
  readonly package: string;
  /** The module whose version the program calls itself. */
  readonly versionOf: string;
  /** Variables to stamp, given that version without its leading v. */
  readonly stamps: (version: string) => Readonly<Record<string, string>>;
}

const kubernetes = (command: string): Program => ({
  tools: 'kubernetes',
  package: `k8s.io/kubernetes/cmd/${command}`,
  versionOf: 'k8s.io/kubernetes',
  stamps: (version) => {
    const [major = '', minor = ''] = version.split('.');
    const variable = 'k8s.io/component-base/version';
    return {
      [`${variable}.gitVersion`]: `v${version}`,
      [`${variable}.gitMajor`]: major,
      [`${variable}.gitMinor`]: minor,
    };
  },
});

const programs: Readonly<Record<ProgramName, Program>> = {
  etcd: {
    tools: 'etcd',
    package: 'go.etcd.io/etcd/server/v3',
    versionOf: 'go.etcd.io/etcd/server/v3',
    stamps: () => ({}),
  },
  'kube-apiserver': kubernetes('kube-apiserver'),
  'kube-controller-manager': kubernetes('kube-controller-manager'),
  kubectl: kubernetes('kubectl'),
  coder: {
    tools: 'coder',
    package: 'github.com/coder/coder/v2/cmd/coder',
    versionOf: 'github.com/coder/coder/v2',
    stamps: (version) => ({ 'github.com/coder/coder/v2/buildinfo.tag': version }),
  },
  'terraform-provider-coder': {
    tools: 'coder',
    package: 'github.com/coder/terraform-provider-coder/v2',
    versionOf: 'github.com/coder/terraform-provider-coder/v2',
    stamps: () => ({}),
  },
  // Our own. Its modules are those of Kubernetes, so that hardly anything has to be compiled for it.
  clients: {
    tools: 'clients',
    package: '.',
    versionOf: 'k8s.io/client-go',
    stamps: () => ({}),
  },
};

const toolsFolder = new URL('../tools/', import.meta.url);

/**
 * The folder under hack/tools of the Coder that is wished: `coder` for the newest, `coder-2.29` and the like for older
 * ones, that tests can be run against. `2.29` is enough for 2.29.1.
 * @throws StackError BUILD_FAILED when there is none of that version.
 */
export function coderTools(wanted: string | undefined): string {
  const { tools: newest, versionOf } = programs.coder;
  if (wanted === undefined) return newest;
  const pinned = readdirSync(toolsFolder)
    .filter((folder) => folder === newest || folder.startsWith(`${newest}-`))
    .map((folder) => ({ folder, version: versionIn(goModOf(folder), versionOf).slice(1) }));
  const found = pinned.find(({ version }) => version === wanted || version.startsWith(`${wanted}.`));
  if (found !== undefined) return found.folder;
  const versions = pinned.map(({ version }) => version).join(', ');
  throw new StackError('BUILD_FAILED', `There is no Coder ${wanted} in hack/tools, but ${versions}.`);
}

function toolsOf(name: ProgramName): string {
  return name === 'coder' ? coderTools(wantedCoder()) : programs[name].tools;
}

function goModOf(folder: string): string {
  return readFileSync(new URL(`${folder}/go.mod`, toolsFolder), 'utf8');
}

export interface BuildOptions {
  readonly progress: Progress;
  readonly guardian: Guardian;
  readonly signal?: AbortSignal | undefined;
  /** Folder of the cache. Default: see `cacheFolder`. */
  readonly cache?: string | undefined;
}

/**
 * The paths of these programs, each built first when the cache does not hold it. One after the other: the Go compiler
 * uses all processors by itself.
 * @throws StackError TOOL_MISSING, BUILD_FAILED, ABORTED.
 */
export async function buildPrograms<N extends ProgramName>(
  names: readonly N[],
  options: BuildOptions,
): Promise<Readonly<Record<N, string>>> {
  const paths: Partial<Record<N, string>> = {};
  for (const name of names) paths[name] = await buildProgram(name, options);
  return paths as Record<N, string>;
}

async function buildProgram(name: ProgramName, options: BuildOptions): Promise<string> {
  const program = programs[name];
  const module = fileURLToPath(new URL(`${toolsOf(name)}/`, toolsFolder));
  const [goMod, goSum] = moduleFiles(module).map((file) => readFileSync(file, 'utf8')) as [string, string];
  const stamps = program.stamps(programVersion(name).slice(1));
  const { progress, guardian, signal } = options;
  return cached({
    cache: options.cache ?? cacheFolder(toolEnvironment()['XDG_CACHE_HOME']),
    program: name,
    file: name,
    key: cacheKey([
      goMod,
      goSum,
      program.package,
      ...goBuildFlags(stamps),
      process.platform,
      process.arch,
      ...sourcesIn(module),
    ]),
    progress,
    signal,
    build: async (folder) => {
      progress.step(
        `building ${name} (once; minutes when nothing of it has been built on this machine before)`,
      );
      await requireGo(module, versionIn(goMod, 'go'), signal);
      const output = join(folder, name);
      await goBuild({
        name,
        module,
        package: program.package,
        stamps,
        output,
        scratch: folder,
        progress,
        guardian,
        signal,
      });
    },
  });
}

/** What of a program is not in its modules: files of ours in this folder and those below. */
function sourcesIn(module: string): readonly string[] {
  const files = readdirSync(module, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.go'),
  );
  return files.sort().flatMap((name) => [name, readFileSync(join(module, name), 'utf8')]);
}

/** The version of a program as its go.mod names it, such as `v1.36.3`. */
export function programVersion(name: ProgramName): string {
  return versionIn(goModOf(toolsOf(name)), programs[name].versionOf);
}
