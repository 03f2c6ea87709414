import type { CoderControlPlaneSpec } from '../../src/api/generated.ts';
import {
  annotations,
  controlPlanes,
  workspaces,
  type CoderControlPlane,
  type CoderWorkspace,
} from '../../src/api/kinds.ts';
import { isMirror } from '../../src/api/mirrors.ts';
import type { Workspace } from '../../src/coder/types.ts';
import { OWNER } from './controller-coder.ts';
import { Loop, type LoopOptions } from './loop.ts';
import { faultsOfMirrors, nameOf } from './mirror-rules.ts';

const ASK_MS = 500;

/** The mirrors of a loop, as people see them. */
export class LoopMirrors {
  readonly loop: Loop;
  #scope: CoderControlPlaneSpec['scope'];

  private constructor(loop: Loop, scope: CoderControlPlaneSpec['scope']) {
    this.loop = loop;
    this.#scope = scope;
  }

  /** A loop with mirrors, which are there already. */
  static async open({ controlPlane = {}, ...options }: LoopOptions = {}): Promise<LoopMirrors> {
    const loop = await Loop.open({ ...options, mirrors: true, controlPlane });
    const mirrors = new LoopMirrors(loop, controlPlane.scope);
    await mirrors.untilRight();
    return mirrors;
  }

  get coder(): Loop['coder'] {
    return this.loop.coder;
  }

  /** Names of the objects that are mirrors of workspaces. */
  get names(): readonly string[] {
    return this.loop.workspaces
      .filter(isMirror)
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  /** Somebody makes a workspace of the template `docker` by hand. */
  add(name: string, owner = OWNER.username): Workspace {
    const made = this.coder.addWorkspace(owner, name, this.coder.addTemplate());
    if (made === undefined) throw new Error(`${owner} has a workspace ${name} already`);
    return made;
  }

  /** The same, and its mirror is there. */
  async added(name: string, owner?: string): Promise<Workspace> {
    const workspace = this.add(name, owner);
    await this.untilRight();
    return workspace;
  }

  object(name: string): CoderWorkspace | undefined {
    return this.loop.workspace(name);
  }

  /** The mirror, or whatever object bears the workspace's name. */
  objectOf(workspace: Workspace): CoderWorkspace {
    const object = this.object(nameOf(workspace));
    if (object === undefined) throw new Error(`There is no CoderWorkspace ${nameOf(workspace)}`);
    return object;
  }

  /** Waits until the mirrors are what Coder's present state says. */
  async untilRight(): Promise<void> {
    await this.loop.until(
      () => this.#faults(),
      (faults) => faults.length === 0,
    );
  }

  until(name: string, isSo: (object: CoderWorkspace) => boolean): Promise<CoderWorkspace> {
    return this.loop.until(() => this.object(name), isSo);
  }

  /** Waits until there is no object of that name. */
  async untilGone(name: string): Promise<void> {
    await this.loop.until(
      () => ({ object: this.object(name) }),
      ({ object }) => object === undefined,
    );
  }

  /** Left out: everything. */
  async scope(scope?: CoderControlPlaneSpec['scope']): Promise<void> {
    this.#scope = scope;
    await this.loop.kube.mergePatch(controlPlanes, this.loop.namespace, 'coder', {
      spec: { scope: scope ?? null },
    });
  }

  /** Waits until people have been told of it at the control plane. */
  async untilTold(reason: string, text: string): Promise<void> {
    const { uid = '' } = this.loop.controlPlane?.metadata ?? {};
    await this.loop.until(
      () => this.loop.eventsOf(uid),
      (all) => all.some((e) => e.reason === reason && e.message.includes(text)),
    );
  }

  /** Waits for what the control plane says, and keeps asking it to look: by itself it does so once a minute. */
  async untilControlPlane(isSo: (object: CoderControlPlane) => boolean): Promise<CoderControlPlane> {
    let asked = 0;
    const ask = (): void => {
      const value = `${this.loop.namespace}-${++asked}`;
      void this.annotate({ [annotations.reconcileRequestedAt]: value }).catch(() => undefined);
    };
    const asking = setInterval(ask, ASK_MS);
    try {
      return await this.loop.untilControlPlane(isSo);
    } finally {
      clearInterval(asking);
    }
  }

  /** A person says which Coder is meant. */
  async annotate(values: Readonly<Record<string, string>>): Promise<void> {
    const metadata = { annotations: values };
    await this.loop.kube.mergePatch(controlPlanes, this.loop.namespace, 'coder', { metadata });
  }

  /** A person wishes something of the object. */
  async wish(name: string, spec: object): Promise<void> {
    await this.loop.kube.mergePatch(workspaces, this.loop.namespace, name, { spec });
  }

  /** What the operator has asked the API server to delete. */
  get removals(): number {
    return this.loop.kubeRequests.filter(({ verb }) => verb === 'delete').length;
  }

  /** What the operator has written, but for the Lease. */
  get writes(): readonly string[] {
    return this.loop.kubeRequests
      .filter(({ verb, resource }) => !['get', 'list', 'watch'].includes(verb) && resource !== 'leases')
      .map(({ verb, resource }) => `${verb} ${resource}`);
  }

  #faults(): readonly string[] {
    const { owners = [], organizations = [] } = this.#scope ?? {};
    const { coder, workspaces, templates } = this.loop;
    return faultsOfMirrors({ coder, workspaces, templates, owners, organizations });
  }
}
