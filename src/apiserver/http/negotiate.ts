/** In which shape an object, a list or an event is wanted. */
export interface Representation {
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** `v1` or `v1beta1` of meta.k8s.io; of no meaning for objects. */
  readonly metaVersion: 'v1' | 'v1beta1';
  readonly pretty: boolean;
}
