/** The API group of the endpoint. No CustomResourceDefinition may ever be in it: that would shadow the endpoint. */
export const AGGREGATION_GROUP = 'aggregation.coder.com';

export const AGGREGATION_VERSION = 'v1alpha1';

/** The `apiVersion` of every object that the endpoint shows. */
export const AGGREGATION_GROUP_VERSION = `${AGGREGATION_GROUP}/${AGGREGATION_VERSION}`;
