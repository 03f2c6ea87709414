import { findCondition } from '../../../src/api/conditions.ts';
import {
  controlPlanes,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../../src/api/kinds.ts';
import { isMirror } from '../../../src/api/mirrors.ts';
import type { ResourceType } from '../../../src/api/meta.ts';
import type { Workspace } from '../../../src/coder/types.ts';
import type { TemplateRow } from '../coder/templates.ts';
import { ORGANIZATION, OWNER } from '../controller-coder.ts';
import {
  CONTROL_PLANE_EFFECTS,
  effectFor,
  TEMPLATE_EFFECTS,
  WORKSPACE_EFFECTS,
  type Effects,
} from './effects.ts';
import type { Meanings, Seed, Spec } from './mutations.ts';
import { masked, restOf } from './oracles.ts';
import type { Realm } from './realm.ts';
import {
  controlPlaneMeanings,
  controlPlaneSeeds,
  templateMeanings,
  templateSeeds,
  workspaceMeanings,
  workspaceSeeds,
  type Facts,
} from './seeds.ts';
import type { Managed } from './world.ts';

/** What was made in Coder for an object until now. */
export interface Made {
  readonly builds: number;
  readonly versions: number;
}

/** The seeds of a kind, and what its values mean. */
export interface KindOfSubject {
  readonly resource: ResourceType;
  readonly seeds: (facts: Facts) => readonly Seed[];
  readonly meanings: (facts: Facts) => Meanings;
  readonly effects: Effects<never>;
}

export const KINDS: readonly KindOfSubject[] = [
  {
    resource: workspaces,
    seeds: workspaceSeeds,
    meanings: workspaceMeanings,
    effects: WORKSPACE_EFFECTS,
  },
  { resource: templates, seeds: templateSeeds, meanings: templateMeanings, effects: TEMPLATE_EFFECTS },
  {
    resource: controlPlanes,
    seeds: controlPlaneSeeds,
    meanings: controlPlaneMeanings,
    effects: CONTROL_PLANE_EFFECTS,
  },
];

/** One object that is mutated, with all that is to be seen of it. */
export abstract class Subject<Object extends Managed = Managed> {
  abstract readonly resource: ResourceType;
  readonly realm: Realm;
  readonly name: string;
  /** Its mutations until now. */
  readonly past: string[] = [];
  #seed: Seed | undefined;

  constructor(realm: Realm, name: string) {
    this.realm = realm;
    this.name = name;
  }

  get object(): Object | undefined {
    const { world, namespace } = this.realm;
    return world.find(this.resource, namespace, this.name) as Object | undefined;
  }

  /** The good spec. */
  get seed(): Seed {
    if (this.#seed === undefined) throw new TypeError(`${this.name} is not there yet`);
    return this.#seed;
  }

  /** What its values refer to. */
  abstract get facts(): Facts;

  /** All that must be the same again after a mutation was taken back; undefined while something moves. */
  abstract snapshot(): unknown;

  /** What was made in Coder for it. */
  abstract made(): Made;

  /** Fields of a spec that have no effect although the object says that all is as wished. */
  abstract ignored(spec: Spec): Promise<readonly string[]>;

  /** What went wrong with it inside the operator until now. */
  get faults(): readonly string[] {
    return this.realm.world.faultsIn(this.realm.namespace, `/${this.name}`);
  }

  /** What to tell of it when something is wrong. */
  tell(): string {
    const { world, server } = this.realm;
    const [, , last = this.name] = this.name.split('.');
    const changes = server.changes.filter(({ path, body }) => `${path} ${body}`.includes(last)).slice(-20);
    return [
      JSON.stringify({
        metadata: { ...this.object?.metadata, managedFields: undefined },
        status: this.object?.status,
      }),
      ...changes.map((r) => `asked Coder: ${r.method} ${r.path} ${r.body.slice(0, 300)}`),
      ...world.logOf(`${this.realm.namespace}/${this.name}`).slice(-30),
    ].join('\n');
  }

  /** Applies the good spec for the first time and waits until it is carried out. */
  async begin(seed: Seed): Promise<this> {
    this.#seed = seed;
    const { world, namespace } = this.realm;
    const applied = await world.apply(this.resource, namespace, this.name, seed.spec);
    if (applied.then === 'refused') {
      throw new Error(`The seed ${seed.name} is refused: ${applied.status.message ?? ''}`);
    }
    await world.until(
      `the seed ${seed.name} is ready`,
      async () =>
        restOf(this.object) === 'ready' && (await this.ignored(seed.spec)).length === 0
          ? this.snapshot()
          : undefined,
      async () => [...(await this.ignored(seed.spec)), this.tell()].join('\n'),
    );
    return this;
  }

  /** Complaints of the effects, but for what the object says itself to differ. */
  protected complaints<View extends { readonly spec: object }>(
    effects: Effects<View>,
    seen: Omit<View, 'spec'> & { readonly spec: Spec },
  ): readonly string[] {
    // Whatever the API server has taken is a spec of the kind.
    const view = seen as unknown as View;
    const drifted = findCondition(this.object?.status?.conditions, 'Drifted')?.message ?? '';
    return Object.keys(effects).flatMap((field) => {
      const effect = effectFor(effects, field);
      if (typeof effect !== 'function') return [];
      const isSaid = (SAYINGS[field] ?? [`spec.${field}`]).some((word) => drifted.includes(word));
      const complaint = isSaid ? undefined : effect(view);
      return complaint === undefined ? [] : [`spec.${field}: ${complaint}`];
    });
  }
}

/** By what a Drifted condition speaks of a field, where that is not its name. */
const SAYINGS: Readonly<Record<string, readonly string[]>> = {
  templateVersionID: ['template version'],
  templateVersionName: ['template version'],
  parameters: ['parameter'],
};

export class WorkspaceSubject extends Subject<CoderWorkspace> {
  readonly resource = workspaces;

  static async open(realm: Realm, name: string, seedName: string): Promise<WorkspaceSubject> {
    const subject = new WorkspaceSubject(realm, `${ORGANIZATION.name}.${OWNER.username}.${name}`);
    return subject.begin(seedNamed(workspaceSeeds(realm.facts), seedName));
  }

  get facts(): Facts {
    return this.realm.facts;
  }

  snapshot(): unknown {
    const [{ object }, workspace] = [this, this.#inCoder];
    if (object === undefined || workspace === undefined) return undefined;
    const { latest_build: build, ...lasting } = workspace;
    if (build.job.completed_at === undefined) return undefined;
    const { transition, status, template_version_id: version } = build;
    const values = this.realm.coder.valuesOf(workspace.id);
    const coder = { ...lasting, last_used_at: undefined, transition, status, version, values };
    return { object: masked(object), coder };
  }

  made(): Made {
    const id = this.#inCoder?.id;
    return {
      builds: this.realm.coder.history.filter(({ build }) => build.workspace_id === id).length,
      versions: 0,
    };
  }

  ignored(spec: Spec): Promise<readonly string[]> {
    const [{ object, realm }, workspace] = [this, this.#inCoder];
    return Promise.resolve(
      object === undefined || workspace === undefined
        ? ['The workspace is not there']
        : this.complaints(WORKSPACE_EFFECTS, { spec, object, realm, workspace }),
    );
  }

  get #inCoder(): Workspace | undefined {
    return this.realm.coder.present.find(({ id }) => id === this.object?.status?.id);
  }
}

export class TemplateSubject extends Subject<CoderTemplate> {
  readonly resource = templates;
  readonly facts: Facts;

  private constructor(realm: Realm, name: string, facts: Facts) {
    super(realm, name);
    this.facts = facts;
  }

  static async open(realm: Realm, name: string, seedName: string): Promise<TemplateSubject> {
    // Only a template that is there already has versions to choose from.
    const facts = seedName === 'version' ? realm.addTemplate(name) : realm.facts;
    const subject = new TemplateSubject(realm, `${ORGANIZATION.name}.${name}`, facts);
    return subject.begin(seedNamed(templateSeeds(facts), seedName));
  }

  snapshot(): unknown {
    const [{ object }, template] = [this, this.#inCoder];
    if (object === undefined || template === undefined) return undefined;
    return { object: masked(object), coder: { ...template, updated_at: undefined } };
  }

  made(): Made {
    const id = this.#inCoder?.id;
    return { builds: 0, versions: this.realm.coder.allVersions.filter((v) => v.template_id === id).length };
  }

  async ignored(spec: Spec): Promise<readonly string[]> {
    const { object, realm } = this;
    const template = this.#inCoder;
    const active = realm.coder.allVersions.find(({ id }) => id === template?.active_version_id);
    if (object === undefined || template === undefined || active === undefined) {
      return ['The template is not there'];
    }
    const { files, variables } = await realm.contentOf(active);
    return this.complaints(TEMPLATE_EFFECTS, { spec, object, realm, template, active, files, variables });
  }

  get #inCoder(): TemplateRow | undefined {
    const templatesInCoder = this.realm.coder.presentTemplates as readonly TemplateRow[];
    return templatesInCoder.find(({ id }) => id === this.object?.status?.id);
  }
}

export class ControlPlaneSubject extends Subject<CoderControlPlane> {
  readonly resource = controlPlanes;

  /** In a namespace of its own, which has a workspace that somebody else made, and more in Coder that nobody manages. */
  static async open(realm: Realm, seedName: string): Promise<ControlPlaneSubject> {
    const subject = new ControlPlaneSubject(realm, 'coder');
    const { coder, world, namespace } = realm;
    const dev = coder.presentTemplates.find((t) => t.name === 'dev');
    if (dev === undefined) throw new TypeError('There is no template dev');
    for (const [owner, name] of [
      ['ann', 'kept'],
      ['ann', 'loose'],
      ['bob', 'loose'],
    ] as const) {
      coder.addWorkspace(owner, name, dev);
    }
    const kept = { running: true, deletionPolicy: 'Delete' };
    await world.apply(workspaces, namespace, KEPT, kept);
    return subject.begin(seedNamed(controlPlaneSeeds(), seedName));
  }

  get facts(): Facts {
    return this.realm.facts;
  }

  snapshot(): unknown {
    const [{ object }, kept] = [this, this.#kept];
    // Everything in Coder is counted after the first look at it.
    if (object?.status?.counts?.mirrored === undefined) return undefined;
    if (kept === undefined || restOf(kept) !== 'ready') return undefined;
    return { object: masked(object), kept: masked(kept), mirrors: this.#mirrors };
  }

  made(): Made {
    const { coder } = this.realm;
    return { builds: coder.history.length, versions: coder.allVersions.length };
  }

  ignored(spec: Spec): Promise<readonly string[]> {
    const { object } = this;
    return Promise.resolve(
      object === undefined
        ? ['The control plane is not there']
        : this.complaints(CONTROL_PLANE_EFFECTS, { spec, object, kept: this.#kept, mirrors: this.#mirrors }),
    );
  }

  /** Everything in the namespace is its own. */
  override get faults(): readonly string[] {
    return this.realm.world.faultsIn(this.realm.namespace);
  }

  get #kept(): CoderWorkspace | undefined {
    const { world, namespace } = this.realm;
    return world.find(workspaces, namespace, KEPT) as CoderWorkspace | undefined;
  }

  get #mirrors(): readonly string[] {
    const { world, namespace } = this.realm;
    const objects = [...world.all(workspaces, namespace), ...world.all(templates, namespace)];
    return objects
      .filter((o) => isMirror(o as CoderWorkspace))
      .map((o) => o.metadata.name)
      .sort();
  }
}

const KEPT = 'acme.ann.kept';

function seedNamed(seeds: readonly Seed[], name: string): Seed {
  const seed = seeds.find((s) => s.name === name);
  if (seed === undefined) throw new TypeError(`There is no seed ${name}`);
  return seed;
}
