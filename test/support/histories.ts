/** Random histories that are played of each kind of object; `npm run test:property` plays many more. */
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 300);

/** The number of runs of one property that gets this part of them. */
export function runs(part: number): number {
  return Math.ceil(RUNS * part);
}
