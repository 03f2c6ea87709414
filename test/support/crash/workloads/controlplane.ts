import {
  annotations,
  controlPlanes,
  templates,
  workspaces,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../../../src/api/kinds.ts';
import type { ResourceType } from '../../../../src/api/meta.ts';
import { CONTENT_FILE } from '../../coder/content.ts';
import { SCRIPTED_TOKEN } from '../../coder/server.ts';
import { has, isReady } from '../../tenant.ts';
import { TOKEN_CANARY } from '../oracles.ts';
import type { Workload } from '../workload.ts';
import type { World } from '../world.ts';

const files = { [CONTENT_FILE]: '{}', 'main.tf': '# one' };

async function withChildren(w: World): Promise<void> {
  await w.create(templates, 'acme.tools', { spec: { files } });
  await w.applyWorkspace('web', { templateName: 'docker', running: true });
  await w.untilTemplate('acme.tools', isReady);
  await w.untilWorkspace('acme.ann.web', (o) => isReady(o) && o.status?.running === true);
}

export const controlPlaneLife: Workload = {
  id: 'W11',
  title: 'a control plane: its token rotated, suspended, and deleted with what hangs on it',
  run: async (w) => {
    await withChildren(w);
    await w.checkpoint();
    await w.patchSecret('coder', { token: TOKEN_CANARY });
    await w.ask(controlPlanes, 'coder', 'one');
    await w.untilControlPlane((c) => has(c, 'Ready', 'False'));
    await w.patchSecret('coder', { token: SCRIPTED_TOKEN });
    await w.untilControlPlane((c) => has(c, 'Ready', 'True'));
    await w.checkpoint();
    await w.wish(controlPlanes, 'coder', { suspend: true });
    await w.wish(workspaces, 'acme.ann.web', { running: false });
    await w.untilWorkspace('acme.ann.web', (o) => has(o, 'Suspended', 'True'));
    await w.wish(controlPlanes, 'coder', { suspend: null });
    await w.untilWorkspace('acme.ann.web', (o) => isReady(o) && o.status?.running === false);
    await w.checkpoint();
    await w.remove(controlPlanes, 'coder');
    await w.untilControlPlane((c) => has(c, 'Reconciling', 'True', 'InUse'));
    await w.remove(workspaces, 'acme.ann.web');
    await w.remove(templates, 'acme.tools');
    await w.untilGone(() => w.controlPlane);
  },
};

export const namespaceDeleted: Workload = {
  id: 'W12',
  title: 'a namespace that is deleted with everything in it',
  run: async (w) => {
    await withChildren(w);
    await w.checkpoint();
    await w.endNamespace();
    await w.removeSecret('coder');
    await w.remove(controlPlanes, 'coder');
    await w.remove(templates, 'acme.tools');
    await w.remove(workspaces, 'acme.ann.web');
    await goneOrLetGo(w, workspaces, 'acme.ann.web', () => w.workspace('acme.ann.web'));
    await goneOrLetGo(w, templates, 'acme.tools', () => w.template('acme.tools'));
    await w.untilGone(() => w.controlPlane);
  },
};

/**
 * The token is in memory alone once its Secret is gone. Where a process died with it, a person reads that in the status,
 * and lets go of what cannot be deleted any more.
 */
async function goneOrLetGo(
  w: World,
  resource: ResourceType,
  name: string,
  look: () => CoderTemplate | CoderWorkspace | undefined,
): Promise<void> {
  const isStuck = (o: CoderTemplate | CoderWorkspace): boolean =>
    o.status?.conditions?.some((c) => c.message.includes('there is no Secret coder')) === true;
  const left = await w.until(`gone, or said why not: ${name}`, () => {
    const object = look();
    if (object === undefined) return { uid: undefined };
    return w.starts > 1 && isStuck(object) && { uid: object.metadata.uid };
  });
  if (left.uid === undefined) return;
  await w.patch(resource, name, { metadata: { annotations: { [annotations.forceRelease]: left.uid } } });
  await w.untilGone(look);
}
