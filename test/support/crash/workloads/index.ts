import type { Workload } from '../workload.ts';
import { controlPlaneLife, namespaceDeleted } from './controlplane.ts';
import { adoptAndPrune, deleteIt, retainIt } from './deletion.ts';
import { mirrorPromoted, mirrorsComeAndGo } from './mirrors.ts';
import { createRunning, createStopped, startStopStart } from './power.ts';
import { changeAndRestart } from './restart.ts';
import { templateLife } from './template.ts';

/** All that people do with the three kinds, in twelve stories. */
export const workloads: readonly Workload[] = [
  createRunning,
  createStopped,
  startStopStart,
  changeAndRestart,
  deleteIt,
  retainIt,
  adoptAndPrune,
  mirrorsComeAndGo,
  mirrorPromoted,
  templateLife,
  controlPlaneLife,
  namespaceDeleted,
];
