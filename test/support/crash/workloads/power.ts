import { workspaces } from '../../../../src/api/kinds.ts';
import { isReady } from '../../tenant.ts';
import type { Workload } from '../workload.ts';

const NAME = 'acme.ann.web';

export const createRunning: Workload = {
  id: 'W1',
  title: 'a workspace that runs',
  run: async (w) => {
    await w.applyWorkspace('web', { templateName: 'docker', running: true, ttlMillis: 3_600_000 });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === true);
    await w.checkpoint();
  },
};

export const createStopped: Workload = {
  id: 'W2',
  title: 'a workspace that is stopped from the beginning',
  run: async (w) => {
    await w.applyWorkspace('web', { templateName: 'docker', running: false });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === false);
    await w.checkpoint();
  },
};

export const startStopStart: Workload = {
  id: 'W3',
  title: 'started, stopped and started',
  run: async (w) => {
    await w.applyWorkspace('web', { templateName: 'docker', running: true });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === true);
    await w.checkpoint();
    await w.wish(workspaces, NAME, { running: false });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === false);
    await w.checkpoint();
    await w.wish(workspaces, NAME, { running: true });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === true);
    await w.checkpoint();
  },
};
