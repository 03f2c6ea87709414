import { controlPlanes } from '../../../src/api/kinds.ts';
import type { Template, TemplateVersion } from '../../../src/coder/types.ts';
import { sha256Of } from '../archives.ts';
import { CoderServer, SCRIPTED_TOKEN } from '../coder/server.ts';
import { filesIn, tarOf } from '../coder/tar.ts';
import { ORGANIZATION, OTHER_ORGANIZATION, SimulatedCoder, STRANGER } from '../controller-coder.ts';
import { FluxObject } from '../flux.ts';
import { isReady } from '../tenant.ts';
import type { Spec } from './mutations.ts';
import { DEV, TERRAFORM, VALUES, type Facts } from './seeds.ts';
import type { ArchiveName, MutationWorld } from './world.ts';

/** Builds and imports end after so long at most. */
const PLAY_MS = 10;
const CONTROL_PLANE: Spec = {
  credentialsSecretRef: { name: 'coder' },
  requestsPerMinute: 10_000,
  mirror: { workspaces: 'Disabled', templates: 'Disabled' },
};

interface Content {
  readonly files: ReadonlyMap<string, string>;
  /** Sensitive ones hidden. */
  readonly variables: Readonly<Record<string, string>>;
}

/** One namespace with all that a spec may refer to, and the Coder that it is connected to. */
export class Realm {
  readonly world: MutationWorld;
  readonly namespace: string;
  readonly server: CoderServer;
  /** Of the template `dev`. */
  readonly facts: Facts;
  readonly #playing: NodeJS.Timeout;
  readonly #contents = new Map<string, Promise<Content>>();

  private constructor(world: MutationWorld, namespace: string, server: CoderServer) {
    this.world = world;
    this.namespace = namespace;
    this.server = server;
    this.coder.license();
    this.coder.addProvisioner({ team: 'a' });
    this.coder.addTemplate('other', ORGANIZATION, DEV);
    this.coder.addTemplate('abroad', OTHER_ORGANIZATION);
    this.facts = this.#withVersions(this.coder.addTemplate('dev', ORGANIZATION, DEV));
    this.#playing = setInterval(() => this.coder.playOut(), PLAY_MS);
  }

  /** With a control plane that is good and mirrors nothing. */
  static async open(world: MutationWorld): Promise<Realm> {
    const realm = await Realm.furnished(world);
    await realm.#connect();
    return realm;
  }

  /** Without a control plane. */
  static async furnished(world: MutationWorld): Promise<Realm> {
    const server = await CoderServer.start(new SimulatedCoder(world.clock));
    const realm = new Realm(world, await world.namespace(), server);
    await realm.#furnish();
    return realm;
  }

  get coder(): SimulatedCoder {
    return this.server.coder;
  }

  async #connect(): Promise<void> {
    const { world, namespace } = this;
    const applied = await world.apply(controlPlanes, namespace, 'coder', CONTROL_PLANE);
    if (applied.then === 'refused') throw new Error(applied.status.message);
    await world.until(
      'the control plane is ready',
      () => {
        const object = world.find(controlPlanes, namespace, 'coder');
        return object !== undefined && isReady(object) ? object : undefined;
      },
      () => JSON.stringify(world.find(controlPlanes, namespace, 'coder'), undefined, 2),
    );
  }

  /** A template that somebody made, with versions of it, which is to be the one with this name. */
  addTemplate(name: string): Facts {
    const file = this.coder.uploadBy(STRANGER, tarOf({ 'main.tf': TERRAFORM }));
    const template = this.coder.addTemplate(name);
    this.coder.promote(template.id, this.coder.addVersionOf(file, { templateID: template.id }).id);
    return this.#withVersions(template);
  }

  /** What a version holds, which never changes. */
  contentOf(version: TemplateVersion): Promise<Content> {
    const known = this.#contents.get(version.id) ?? this.#read(version);
    this.#contents.set(version.id, known);
    return known;
  }

  async #read({ id, job }: TemplateVersion): Promise<Content> {
    const variables = await this.coder.templateVersionVariables(id);
    return {
      files: filesIn(await this.coder.file(job.file_id ?? '')),
      variables: Object.fromEntries(variables.map(({ name, value }) => [name, value])),
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#playing);
    await this.server.close();
  }

  #withVersions(template: Template): Facts {
    const { coder, world } = this;
    const { id } = template;
    const active = coder.presentTemplates.find((t) => t.id === id)?.active_version_id ?? '';
    const first = coder.allVersions.find((v) => v.id === active);
    const other = coder.presentTemplates.find((t) => t.name === 'other')?.id;
    if (first === undefined) throw new TypeError(`The template ${template.name} has no version`);
    return {
      versions: {
        first,
        next: coder.addVersion(id, DEV, 'next'),
        failed: coder.addVersion(id, { ...DEV, imports: 'fail' }, 'failed'),
        broken: coder.addVersion(id, { ...DEV, builds: 'fail' }, 'broken'),
        foreign: coder.addVersion(other, DEV),
      },
      archives: world.archives.url('/').replace(/\/$/, ''),
      sha256: { dev: sha256Of(world.archive('dev').bytes), next: sha256Of(world.archive('next').bytes) },
      otherNamespace: world.otherNamespace,
    };
  }

  async #furnish(): Promise<void> {
    const { world, namespace, server } = this;
    const url = { url: server.url };
    const secret = (name: string, type: string, stringData: object): Promise<void> =>
      world.create('Secret', namespace, name, { type, stringData });
    const configMap = (name: string, data: object): Promise<void> =>
      world.create('ConfigMap', namespace, name, { data });
    const repository = async (name: string, archive: ArchiveName): Promise<void> => {
      const object = await FluxObject.create(world.kube, namespace, 'GitRepository', name);
      await object.publish(world.archive(archive));
    };
    await Promise.all([
      secret('coder', 'coder.com/credentials', { ...url, token: SCRIPTED_TOKEN }),
      secret('wrong-token', 'coder.com/credentials', { ...url, token: 'wrong' }),
      secret('without-url', 'coder.com/credentials', { token: SCRIPTED_TOKEN }),
      secret('opaque', 'Opaque', { ...VALUES, ...url, token: SCRIPTED_TOKEN }),
      secret('values', 'coder.com/values', VALUES),
      configMap('values', VALUES),
      configMap('sizes', VALUES),
      configMap('code', { main: '# from another ConfigMap\n' }),
      repository('code', 'dev'),
      repository('next', 'next'),
    ]);
  }
}
