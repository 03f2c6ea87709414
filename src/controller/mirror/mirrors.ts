import type { CoderControlPlane, CoderTemplate, CoderWorkspace } from '../../api/kinds.ts';
import type { WorkQueue } from '../../kube/workqueue.ts';
import type { Context } from '../context.ts';
import type { Rest } from '../step.ts';
import type { Stores } from '../stores.ts';
import { Mirrors } from './keeper.ts';
import { templateMirrors, workspaceMirrors, type Show } from './kinds.ts';

export interface AllMirrorsOptions {
  readonly context: Context;
  readonly queue: Pick<WorkQueue, 'add'>;
  readonly stores: Stores;
  readonly controlPlaneOf: (namespace: string) => CoderControlPlane | undefined;
  /** The ordinary pass of a kind. */
  readonly show: { readonly workspaces: Show<CoderWorkspace>; readonly templates: Show<CoderTemplate> };
}

/** The mirrors of both kinds. */
export class AllMirrors {
  readonly workspaces: Mirrors;
  readonly templates: Mirrors;

  constructor({ stores, show, ...options }: AllMirrorsOptions) {
    this.workspaces = new Mirrors({ ...options, kind: workspaceMirrors(stores.workspaces, show.workspaces) });
    this.templates = new Mirrors({ ...options, kind: templateMirrors(stores.templates, show.templates) });
  }

  /** How many there are, and how many things can be shown by none; undefined while some are still to be made. */
  counts(namespace: string): { readonly mirrored: number; readonly unmirrored: number } | undefined {
    const [a, b] = [this.workspaces.counts(namespace), this.templates.counts(namespace)];
    if (a === undefined || b === undefined) return undefined;
    return { mirrored: a.mirrored + b.mirrored, unmirrored: a.unmirrored + b.unmirrored };
  }

  /** What a person has to know of them, in sentences. */
  remarks(namespace: string): readonly string[] {
    return [this.workspaces, this.templates].flatMap((mirrors) => mirrors.remarks(namespace));
  }

  /** Everything of one kind in a namespace's Coder was looked at. */
  looked(namespace: string, what: 'workspaces' | 'templates'): void {
    this[what].looked(namespace);
  }

  /** One pass over what a key of the queue names, if it is the key of a thing in Coder. */
  async appear(kind: string, key: string): Promise<Rest | undefined> {
    const at = key.indexOf('/');
    const mirrors = [this.workspaces, this.templates].find((one) => one.keyKind === kind);
    return mirrors?.appear(key.slice(0, at), key.slice(at + 1));
  }

  /** The control plane of the namespace is gone. */
  forget(namespace: string): void {
    this.workspaces.forget(namespace);
    this.templates.forget(namespace);
  }
}
