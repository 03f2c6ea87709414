import type { ViewMetadata } from '../view/types.ts';
import type { Schema } from './schema.ts';

const time = (description: string): Schema => ({ type: 'string', format: 'date-time', description });
const text = (description: string): Schema => ({ type: 'string', description });
const number = (description: string): Schema => ({ type: 'integer', format: 'int64', description });
const texts = (description: string): Schema => ({
  type: 'object',
  description,
  additionalProperties: { type: 'string' },
});

/** The metadata of an object of the view, all of it that can be there. */
const objectFields: Readonly<Record<keyof ViewMetadata, Schema>> = {
  name: text('Name of the object: the names in Coder, joined by dots.'),
  namespace: text('Namespace of the control plane that it belongs to.'),
  uid: text('Identity of the object of coder.com that is shown here. That of Coder is status.id.'),
  resourceVersion: text('Version of the object of coder.com that is shown here.'),
  generation: number('Counts the wishes: it grows with each change of spec in coder.com.'),
  creationTimestamp: time('When the object was created in Kubernetes.'),
  deletionTimestamp: time('When its deletion was asked for.'),
  deletionGracePeriodSeconds: number('Seconds between the request for its deletion and deletionTimestamp.'),
  labels: texts('Labels of the object of coder.com, without those by which tools find what they applied.'),
  annotations: texts(
    'Annotations of the object of coder.com, without those by which tools find what they applied.',
  ),
};

export const objectMetaSchema: Schema = {
  type: 'object',
  description: 'Metadata of an object, as every kind has it. What only writers need is not shown.',
  required: ['name', 'namespace', 'resourceVersion', 'uid'],
  properties: objectFields,
};

export const listMetaSchema: Schema = {
  type: 'object',
  description: 'Metadata of a list.',
  properties: {
    resourceVersion: text('Version that the list was made at: a watch may begin there.'),
    continue: text('Where the next part of the list begins, when a limit cut it.'),
    remainingItemCount: number('How many objects come after this part, when that is known.'),
  },
};

export const apiVersionSchema: Schema = text('Group and version of the object.');
export const kindSchema: Schema = text('Kind of the object.');
