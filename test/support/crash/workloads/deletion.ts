import { workspaces } from '../../../../src/api/kinds.ts';
import { OWNER } from '../../controller-coder.ts';
import { isReady } from '../../tenant.ts';
import type { Workload } from '../workload.ts';

const NAME = 'acme.ann.web';

export const deleteIt: Workload = {
  id: 'W5',
  title: 'deleted, and in Coder with it',
  run: async (w) => {
    await w.applyWorkspace('web', { templateName: 'docker', running: true, deletionPolicy: 'Delete' });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === true);
    await w.checkpoint();
    await w.remove(workspaces, NAME);
    await w.untilGone(() => w.workspace(NAME));
    await w.checkpoint();
  },
};

export const retainIt: Workload = {
  id: 'W6',
  title: 'deleted, and kept in Coder',
  run: async (w) => {
    await w.applyWorkspace('web', { templateName: 'docker', running: true, deletionPolicy: 'Retain' });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === true);
    await w.checkpoint();
    await w.remove(workspaces, NAME);
    await w.untilGone(() => w.workspace(NAME));
    await w.checkpoint();
  },
};

export const adoptAndPrune: Workload = {
  id: 'W7',
  title: 'adopted, and pruned',
  options: {
    mirrors: true,
    prepare: (coder) => void coder.addWorkspace(OWNER.username, 'web', coder.addTemplate()),
  },
  run: async (w) => {
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.origin === 'Mirrored');
    await w.checkpoint();
    await w.remove(workspaces, NAME);
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.origin === 'Mirrored');
    await w.wish(workspaces, NAME, { running: false });
    await w.untilWorkspace(
      NAME,
      (o) => isReady(o) && o.status?.running === false && o.status.origin === 'Adopted',
    );
    await w.checkpoint();
    await w.remove(workspaces, NAME);
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.origin === 'Mirrored');
    await w.checkpoint();
  },
};
