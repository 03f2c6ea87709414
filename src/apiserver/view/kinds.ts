import { templateView } from './template.ts';
import type { ViewKind } from './types.ts';
import { workspaceView } from './workspace.ts';

/** All that the endpoint serves, in the order of discovery. */
export const viewKinds: readonly ViewKind[] = [templateView, workspaceView];
