import type { World, WorldOptions } from './world.ts';

/** What people do, as a script with waits for what they wait for. */
export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly options?: WorldOptions;
  readonly run: (world: World) => Promise<void>;
}
