import type { KubeObject } from '../../../src/api/meta.ts';
import { OPERATOR, type SimulatedCoder } from '../controller-coder.ts';
import { isRecord } from '../differences.ts';
import type { World } from './world.ts';

/** What a run has led to, without what differs between any two runs. */
export interface Outcome {
  /** Objects by kind and name. */
  readonly objects: Readonly<Record<string, unknown>>;
  /** What is in Coder. */
  readonly coder: Readonly<Record<string, unknown>>;
  /** What the operator did, as the two servers have it. */
  readonly counts: Readonly<Record<string, number>>;
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z/g;
const HOST = /127\.0\.0\.1:\d+/g;
/** Of a wish with a value from a Secret, whose uid and resourceVersion go into it. */
const WISH = /^[0-9a-f]{16}$/;

export function outcomeOf(world: World): Outcome {
  return {
    objects: Object.fromEntries(
      world.objects
        .map((o): [string, unknown] => [`${o.kind ?? ''} ${o.metadata.name}`, masked(shown(o))])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
    coder: masked(inCoder(world.coder)) as Outcome['coder'],
    counts: counted(world),
  };
}

function shown({ metadata, ...object }: KubeObject): unknown {
  const { spec, status } = object as { readonly spec?: unknown; readonly status?: unknown };
  const { labels, annotations, finalizers: held, generation, deletionTimestamp } = metadata;
  return {
    spec,
    status,
    labels,
    annotations,
    generation,
    // The order is that of their arrival.
    finalizers: [...(held ?? [])].sort(),
    isBeingDeleted: deletionTimestamp !== undefined,
  };
}

function inCoder(coder: SimulatedCoder): Outcome['coder'] {
  const nameOf = new Map(coder.allVersions.map((v) => [v.id, v.name]));
  const templateOf = new Map(coder.presentTemplates.map((t) => [t.id, t.name]));
  const builds = new Map<string, string[]>();
  for (const { build } of coder.history) {
    const line = `${build.transition} by ${build.initiator_name ?? ''}: ${build.status}`;
    builds.set(build.workspace_id, [...(builds.get(build.workspace_id) ?? []), line]);
  }
  const present = coder.present.map((w): [string, unknown] => [
    `${w.owner_name}/${w.name}`,
    {
      template: w.template_name,
      version: nameOf.get(w.latest_build.template_version_id),
      ttl: w.ttl_ms,
      schedule: w.autostart_schedule,
      updates: w.automatic_updates,
      isDormant: w.dormant_at !== undefined,
      values: coder.valuesOf(w.id),
      builds: builds.get(w.id),
    },
  ]);
  const ids = new Set(coder.present.map((w) => w.id));
  return {
    workspaces: Object.fromEntries(present),
    deleted: [...builds]
      .filter(([id]) => !ids.has(id))
      .map(([, lines]) => lines.join(', '))
      .sort(),
    templates: Object.fromEntries(
      coder.presentTemplates.map((t) => [
        t.name,
        { active: nameOf.get(t.active_version_id), displayName: t.display_name, description: t.description },
      ]),
    ),
    versions: coder.allVersions
      .map((v) => `${templateOf.get(v.template_id ?? '') ?? 'none'} ${v.name}: ${v.job.status}`)
      .sort(),
  };
}

/**
 * Effects, not requests: what the servers have done for the operator. A request whose answer was lost may be sent again
 * where that has no second effect.
 */
function counted({ coder, kubeWire, coderWire }: World): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  const add = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1);
  const ours = coder.history.filter(({ build }) => build.initiator_id === OPERATOR.id);
  for (const { build } of ours) add(`builds ${build.transition}`);
  for (const version of coder.allVersions) {
    const { initiator_id: by } = version.job as { readonly initiator_id?: string };
    if (by === OPERATOR.id) add(`versions ${version.name}`);
  }
  const files = coder.uploads.filter((u) => u.creatorID === OPERATOR.id && u.fileID !== undefined);
  for (const file of new Set(files.map((u) => u.fileID))) if (file !== undefined) add('files');
  for (const call of [...kubeWire.calls, ...coderWire.calls]) {
    if (call.code === undefined || call.code >= 300) continue;
    const isMirror = /^(POST|DELETE)-(cws|ctpl)\//.test(call.key);
    const isTemplate = /^(POST-templates|DELETE-templates|PATCH-versions)\//.test(call.key);
    const isSetting = /^(PUT-(ttl|autostart|autoupdates)|PATCH-templates)\//.test(call.key);
    if (isMirror || isTemplate || isSetting) add(call.key);
  }
  return counts;
}

function masked(value: unknown, key = ''): unknown {
  if (typeof value === 'string') {
    return value.replace(UUID, 'UUID').replace(TIME, 'TIME').replace(HOST, 'HOST').replace(WISH, 'WISH');
  }
  if (Array.isArray(value)) return value.map((each) => masked(each, key));
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).filter(([name, each]) => each !== undefined && !PASSING.has(name));
  return Object.fromEntries(entries.map(([name, each]) => [name, masked(each, name)]));
}

/** Of a status: what depends on when the operator looked, and not on what there is to see. */
const PASSING = new Set(['lastTransitionTime', 'lastUsedAt']);
