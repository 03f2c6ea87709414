import { templates, type CoderTemplate } from '../../api/kinds.ts';
import { isDeprecated } from './deprecation.ts';
import { templateStatusFields } from './fields.ts';
import { AGGREGATION_GROUP, AGGREGATION_GROUP_VERSION, AGGREGATION_VERSION } from './group.ts';
import { viewMetadata } from './metadata.ts';
import { namePart } from './names.ts';
import { filled, picked, present } from './present.ts';
import { tableOf } from './table.ts';
import { templateColumns } from './templatecolumns.ts';
import type { ViewKind, ViewObject } from './types.ts';

export const templateView: ViewKind<CoderTemplate> = {
  resource: { ...templates, group: AGGREGATION_GROUP, version: AGGREGATION_VERSION },
  source: templates,
  singular: 'codertemplate',
  ...tableOf(templateColumns),
  view: viewOf,
};

function viewOf(object: CoderTemplate): ViewObject {
  return {
    kind: templates.kind,
    apiVersion: AGGREGATION_GROUP_VERSION,
    metadata: viewMetadata(object),
    spec: specOf(object),
    status: statusOf(object),
  };
}

/** What Coder has; of a template that it does not have yet, or of which that is not known, the wish. */
function specOf({ metadata, spec, status }: CoderTemplate): object {
  const settings = status?.observed ?? spec;
  return present({
    organization: status?.organizationName ?? spec.organization ?? namePart(metadata.name, 0),
    versionID: status?.activeVersion?.id ?? spec.versionID ?? '',
    displayName: filled(settings.displayName),
    description: filled(settings.description),
    icon: filled(settings.icon),
    files: spec.files,
  });
}

function statusOf({ status = {} }: CoderTemplate): object {
  return present({
    id: status.id ?? '',
    activeVersionID: status.activeVersion?.id,
    deprecated: isDeprecated(status),
    ...picked(status, templateStatusFields),
  });
}
