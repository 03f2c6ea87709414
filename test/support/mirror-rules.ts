import type { CoderTemplate, CoderWorkspace } from '../../src/api/kinds.ts';
import { isMirror } from '../../src/api/mirrors.ts';
import { InvalidNameError, parseTemplateName, parseWorkspaceName } from '../../src/api/names.ts';
import type { Template, Workspace } from '../../src/coder/types.ts';
import { PREBUILDS, type SimulatedCoder } from './controller-coder.ts';

/** What there is in the namespace and behind its control plane, when all has come to rest. */
export interface Scene {
  readonly coder: SimulatedCoder;
  readonly workspaces: readonly CoderWorkspace[];
  readonly templates: readonly CoderTemplate[];
  /** Lower case; empty: all. */
  readonly owners: readonly string[];
  readonly organizations: readonly string[];
}

type Mirrored = CoderTemplate | CoderWorkspace;

interface Wanted {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What is wrong with the mirrors of both kinds, in short sentences: they are a function of what Coder shows. */
export function faultsOfMirrors(scene: Scene): readonly string[] {
  const { coder, workspaces, templates } = scene;
  return [
    ...faultsOf(coder, workspaces, wantedWorkspaces(scene)),
    ...faultsOf(coder, templates, wantedTemplates(scene)),
    ...faultsOfStatuses(scene),
  ];
}

/** What is to have an object in the namespace, with the name that the object is to bear. */
export function wantedWorkspaces({ coder, owners, organizations }: Scene): readonly Wanted[] {
  return coder.listed.workspaces
    .filter((w) => w.owner_id !== PREBUILDS.id)
    .filter((w) => isWithin(owners, w.owner_name) && isWithin(organizations, w.organization_name))
    .map((w) => ({ id: w.id, name: nameOf(w), labels: labelsOf(w) }))
    .filter(({ name }) => isName(name, parseWorkspaceName));
}

function wantedTemplates({ coder, organizations }: Scene): readonly Wanted[] {
  return coder.listed.templates
    .filter((t) => isWithin(organizations, t.organization_name))
    .map((t) => ({ id: t.id, name: templateNameOf(t), labels: labelsOfTemplate(t) }))
    .filter(({ name }) => isName(name, parseTemplateName));
}

function faultsOf(
  coder: SimulatedCoder,
  objects: readonly Mirrored[],
  wanted: readonly Wanted[],
): readonly string[] {
  const faults: string[] = [];
  const users = objects.filter((o) => !isMirror(o));
  const claimed = new Set(users.map((o) => o.status?.id));
  const taken = new Set(users.map((o) => o.metadata.name));
  const expected = new Map(
    wanted.filter(({ id, name }) => !claimed.has(id) && !taken.has(name)).map((w) => [w.name, w]),
  );
  const listed = new Set([...coder.listed.workspaces, ...coder.listed.templates].map(({ id }) => id));
  for (const { metadata, status } of objects.filter((o) => isMirror(o))) {
    const { id = '' } = status ?? {};
    const want = expected.get(metadata.name);
    expected.delete(metadata.name);
    // What is not shown any more and not proven gone either keeps its mirror.
    if (want === undefined && !listed.has(id) && !coder.provesGone(id)) continue;
    if (want?.id !== id) {
      faults.push(`the mirror ${metadata.name} shows ${id}, and it should show ${want?.id ?? 'nothing'}`);
    } else if (status?.origin !== 'Mirrored') {
      faults.push(`the mirror ${metadata.name} has the origin ${status?.origin ?? 'none'}`);
    }
    if (want !== undefined && !isSame(want.labels, metadata.labels ?? {})) {
      faults.push(`the mirror ${metadata.name} has the labels ${JSON.stringify(metadata.labels)}`);
    }
  }
  for (const { name, id } of expected.values()) faults.push(`${name} (${id}) has no mirror`);
  return faults;
}

/** What a mirror says is what Coder says. */
function faultsOfStatuses({ coder, workspaces }: Scene): readonly string[] {
  const listed = new Map(coder.listed.workspaces.map((w) => [w.id, w]));
  return workspaces.filter(isMirror).flatMap(({ metadata, status }) => {
    const workspace = listed.get(status?.id ?? '');
    if (workspace === undefined) return [];
    const shown = [status?.ownerName, status?.templateName, status?.latestBuild?.number];
    const said = [workspace.owner_name, workspace.template_name, workspace.latest_build.build_number];
    return isSame(shown, said)
      ? []
      : [`the mirror ${metadata.name} says ${shown.join()}, and Coder ${said.join()}`];
  });
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export function nameOf(w: Workspace): string {
  return `${w.organization_name}.${w.owner_name}.${w.name}`.toLowerCase();
}

export function templateNameOf(t: Template): string {
  return `${t.organization_name}.${t.name}`.toLowerCase();
}

function labelsOf(w: Workspace): Readonly<Record<string, string>> {
  return {
    'coder.com/mirror': 'true',
    'coder.com/organization': w.organization_name.toLowerCase(),
    'coder.com/owner': w.owner_name.toLowerCase(),
    'coder.com/template': w.template_name.toLowerCase(),
  };
}

function labelsOfTemplate(t: Template): Readonly<Record<string, string>> {
  return {
    'coder.com/mirror': 'true',
    'coder.com/organization': t.organization_name.toLowerCase(),
    'coder.com/template': t.name.toLowerCase(),
  };
}

function isWithin(names: readonly string[], name: string): boolean {
  return names.length === 0 || names.includes(name.toLowerCase());
}

function isName(name: string, parse: (name: string) => unknown): boolean {
  try {
    parse(name);
    return true;
  } catch (error) {
    if (error instanceof InvalidNameError) return false;
    throw error;
  }
}
