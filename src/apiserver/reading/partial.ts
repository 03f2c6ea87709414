import type { Entry } from '../store/types.ts';
import type { Run } from './blocks.ts';

/** The versions of meta.k8s.io in which tables and metadata are asked for. */
export type MetaVersion = 'v1' | 'v1beta1';

/** A PartialObjectMetadata: the metadata of the object as they stand in its bytes. */
export function partialRuns(entry: Entry, metaVersion: MetaVersion): Run[] {
  return [partialHead(metaVersion), entry.json.subarray(...entry.metadata), '}'];
}

/** How many bytes that are. */
export function partialBytes({ metadata: [start, end] }: Entry, metaVersion: MetaVersion): number {
  return partialHead(metaVersion).length + (end - start) + 1;
}

/** What stands before the metadata. */
export function partialHead(metaVersion: MetaVersion): string {
  return `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${metaVersion}","metadata":`;
}
