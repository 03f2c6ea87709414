import { findCondition } from '../../src/api/conditions.ts';
import { isMirror } from '../../src/api/mirrors.ts';
import type { CoderTemplate, CoderWorkspace, Origin } from '../../src/api/kinds.ts';
import type { KubeObject } from '../../src/api/meta.ts';
import type { Template, Workspace } from '../../src/coder/types.ts';

/** What an object says otherwise than Coder, in sentences; none when all is as it should be. */
export function workspaceDifferences(
  inCoder: readonly Workspace[],
  objects: readonly CoderWorkspace[],
): readonly string[] {
  return differences(
    inCoder,
    objects,
    (w) => `${w.organization_name}.${w.owner_name}.${w.name}`,
    (w) => ({
      build: w.latest_build.build_number,
      status: w.latest_build.status,
      running: w.latest_build.transition === 'start' && w.latest_build.job.status === 'succeeded',
      template: w.template_name,
      ttl: w.ttl_ms ?? 0,
    }),
    ({ status }) => ({
      build: status?.latestBuild?.number,
      status: status?.latestBuild?.status,
      running: status?.running,
      template: status?.templateName,
      ttl: status?.observed?.ttlMillis,
    }),
  );
}

export function templateDifferences(
  inCoder: readonly Template[],
  objects: readonly CoderTemplate[],
): readonly string[] {
  return differences(
    inCoder,
    objects,
    (t) => `${t.organization_name}.${t.name}`,
    (t) => ({ version: t.active_version_id, description: t.description }),
    ({ status }) => ({
      version: status?.activeVersion?.id,
      description: status?.observed?.description ?? '',
    }),
  );
}

interface Shown extends KubeObject {
  readonly spec: object;
  readonly status?: { readonly id?: string | undefined; readonly origin?: Origin | undefined };
}

function differences<Thing extends { readonly id: string }, Object extends Shown>(
  things: readonly Thing[],
  objects: readonly Object[],
  nameOf: (thing: Thing) => string,
  factsOf: (thing: Thing) => Readonly<Record<string, unknown>>,
  saidBy: (object: Object) => Readonly<Record<string, unknown>>,
): readonly string[] {
  const found: string[] = [];
  const byID = new Map<string, Object>();
  for (const object of objects) {
    const id = object.status?.id ?? '';
    const other = byID.get(id);
    if (other !== undefined)
      found.push(`${other.metadata.name} and ${object.metadata.name} both stand for ${id}`);
    byID.set(id, object);
  }
  for (const thing of things) {
    const name = nameOf(thing).toLowerCase();
    const object = byID.get(thing.id);
    byID.delete(thing.id);
    if (object === undefined) {
      found.push(`${name} is in Coder, and no object shows it`);
      continue;
    }
    // An object of a user keeps its name when the thing in Coder gets another one.
    if (isMirror(object) && object.metadata.name !== name) {
      found.push(`${object.metadata.name} shows what is called ${name} in Coder`);
    }
    const [fact, said] = [factsOf(thing), saidBy(object)];
    for (const [key, value] of Object.entries(fact)) {
      if (said[key] !== value)
        found.push(`${name}: ${key} is ${String(value)} in Coder and ${String(said[key])} in the object`);
    }
  }
  for (const object of byID.values())
    found.push(`${object.metadata.name} stands for nothing that is in Coder`);
  return found;
}

/** The user's own objects that are not as they were wished, by name and what was wished. */
export function wishDifferences(
  wishes: ReadonlyMap<string, boolean>,
  objects: readonly CoderWorkspace[],
): readonly string[] {
  const byName = new Map(objects.map((o) => [o.metadata.name, o]));
  return [...wishes].flatMap(([name, running]) => {
    const object = byName.get(name);
    const ready = findCondition(object?.status?.conditions, 'Ready');
    if (ready?.status === 'True' && object?.status?.running === running) return [];
    return [
      `${name} is not ${running ? 'running' : 'stopped'} as it was wished: ${ready?.message ?? 'it is not there'}`,
    ];
  });
}
