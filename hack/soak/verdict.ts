import { quantile } from '../bench/figures.ts';

/** How the operator was at one time. */
export interface SoakSample {
  /** Since the beginning. */
  readonly seconds: number;
  readonly rssMB: number;
  readonly heapMB: number;
  readonly sockets: number;
  /** Since the beginning, as the following two. */
  readonly passes: number;
  readonly kubeWrites: number;
  readonly coderWrites: number;
}

export interface Verdict {
  /** How fast memory grows in the end, when all caches have been filled. */
  readonly mbPerHour: number;
  /** By how much that has let it grow, and by how much it may. */
  readonly grownMB: number;
  readonly mayGrowMB: number;
  /** Open at the beginning and at the end, in the middle of their samples. */
  readonly socketsBefore: number;
  readonly socketsAfter: number;
  /** What is wrong, in words. */
  readonly faults: readonly string[];
}

/** The first part of a run is left out: caches fill, and the engine has not yet settled on the size of its heap. */
const WARM_UP = 1 / 3;
/** Memory moves by itself by so much of all of it, also when nothing leaks. */
const MAY_MOVE = 0.1;
/** Connections come and go. */
const MORE_SOCKETS = 8;

/** Whether memory is flat and connections are given back. */
export function judge(samples: readonly SoakSample[]): Verdict {
  const end = samples.at(-1)?.seconds ?? 0;
  const settled = samples.filter((s) => s.seconds >= WARM_UP * end);
  const perSecond = slope(settled.map((s) => [s.seconds, s.rssMB]));
  const grownMB = perSecond * (end - (settled[0]?.seconds ?? 0));
  const mayGrowMB =
    MAY_MOVE *
    quantile(
      settled.map((s) => s.rssMB),
      0.5,
    );
  const part = Math.max(1, Math.floor(samples.length / 4));
  const sockets = samples.map((s) => s.sockets);
  const socketsBefore = quantile(sockets.slice(0, part), 0.5);
  const socketsAfter = quantile(sockets.slice(-part), 0.5);
  const faults = [
    ...(settled.length < 10 ? ['there are too few samples to tell anything: let it run longer'] : []),
    ...(grownMB > mayGrowMB
      ? [
          `memory grows: by ${grownMB.toFixed(0)} MB where ${mayGrowMB.toFixed(0)} MB are within what it moves by itself`,
        ]
      : []),
    ...(socketsAfter > socketsBefore + MORE_SOCKETS
      ? [`connections are left open: ${socketsBefore} at the beginning, ${socketsAfter} at the end`]
      : []),
  ];
  return { mbPerHour: perSecond * 3600, grownMB, mayGrowMB, socketsBefore, socketsAfter, faults };
}

/** Of the straight line that fits the points best; 0 when there is none. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (axis: 0 | 1): number => points.reduce((sum, p) => sum + p[axis], 0) / points.length;
  const [x0, y0] = [mean(0), mean(1)];
  const square = points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  return square === 0 ? 0 : points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0) / square || 0;
}
