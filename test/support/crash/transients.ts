import { controlPlanes, workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { isMirror } from '../../../src/api/mirrors.ts';
import { OWNER, STRANGER } from '../controller-coder.ts';
import type { World } from './world.ts';

/** Something that comes and goes while nobody looks: afterwards all is as it was. False where there is nothing to do it to. */
type Transient = (world: World) => Promise<boolean>;

export const transients: Readonly<Record<string, Transient>> = {
  /** A wish for the other state of power, taken back. */
  power: async (w) => {
    const object = wished(w);
    if (object?.spec.running === undefined) return false;
    const { name } = object.metadata;
    await w.wish(workspaces, name, { running: !object.spec.running });
    await w.wish(workspaces, name, { running: object.spec.running });
    return true;
  },
  /** An object that is made and deleted. */
  object: async (w) => {
    if (w.controlPlane?.metadata.deletionTimestamp !== undefined) return false;
    await w.applyWorkspace('brief', { templateName: 'docker', running: true });
    await w.remove(workspaces, 'acme.ann.brief');
    return true;
  },
  /** The owner stops and starts, or starts and stops, a workspace in Coder. */
  builds: (w) => {
    const all = w.coder.present;
    for (const { id, latest_build: latest } of all) {
      const order = latest.transition === 'start' ? ['stop', 'start'] : ['start', 'stop'];
      for (const transition of order) {
        w.inCoder((coder) => coder.build(transition, OWNER.id, 'dashboard', { workspaceID: id }));
        w.inCoder((coder) => coder.playOut());
      }
    }
    return Promise.resolve(all.length > 0);
  },
  /** A workspace is renamed in Coder, and back. */
  rename: (w) => {
    const [first] = w.coder.present;
    if (first === undefined) return Promise.resolve(false);
    w.inCoder((coder) => coder.rename('elsewhere', first.id));
    w.inCoder((coder) => coder.rename(first.name, first.id));
    return Promise.resolve(true);
  },
  /** Somebody's workspace comes and goes in Coder. */
  workspace: (w) => {
    const made = w.inCoder((coder) =>
      coder.addWorkspace(STRANGER.username, 'brief', coder.addTemplate(), STRANGER.id),
    );
    w.inCoder((coder) => coder.playOut());
    w.inCoder((coder) => coder.build('delete', STRANGER.id, 'dashboard', { workspaceID: made?.id ?? '' }));
    w.inCoder((coder) => coder.playOut());
    return Promise.resolve(true);
  },
  /** Everything is suspended for a moment. */
  suspend: async (w) => {
    if (w.controlPlane === undefined || w.controlPlane.metadata.deletionTimestamp !== undefined) return false;
    await w.wish(controlPlanes, 'coder', { suspend: true });
    await w.wish(controlPlanes, 'coder', { suspend: null });
    return true;
  },
};

/** The first workspace that a person wishes something of. */
function wished(world: World): CoderWorkspace | undefined {
  const all = world.objects.filter((o): o is CoderWorkspace => o.kind === workspaces.kind);
  return all.find((o) => !isMirror(o) && o.metadata.deletionTimestamp === undefined);
}
