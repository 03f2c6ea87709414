import type { CoderTemplate } from '../../api/kinds.ts';
import { isDeprecated } from './deprecation.ts';
import { namePart } from './names.ts';
import { line, readyColumns, type ShownColumn } from './table.ts';

export const templateColumns: readonly ShownColumn<CoderTemplate>[] = [
  {
    name: 'Organization',
    description: 'Organization in Coder',
    cell: ({ metadata, status }) => line(status?.organizationName ?? namePart(metadata.name, 0)),
  },
  {
    name: 'Template',
    description: 'Name of the template in Coder',
    cell: ({ metadata, status }) => line(status?.templateName ?? namePart(metadata.name, 1)),
  },
  {
    name: 'Active Version',
    description: 'Version that new workspaces get',
    cell: ({ status }) => line(status?.activeVersion?.name ?? status?.activeVersion?.id),
  },
  {
    name: 'Workspaces',
    type: 'integer',
    description: 'Workspaces in Coder that use it',
    cell: ({ status }) => status?.workspaces ?? null,
  },
  {
    name: 'Deprecated',
    type: 'boolean',
    description: 'Whether Coder refuses new workspaces from it',
    cell: ({ status = {} }) => isDeprecated(status) ?? null,
  },
  {
    name: 'Display Name',
    description: 'Name that people see in Coder',
    isWide: true,
    cell: ({ spec, status }) => line((status?.observed ?? spec).displayName),
  },
  {
    name: 'Pending',
    description: 'State of the import of a new version',
    isWide: true,
    cell: ({ status }) => line(status?.pendingVersion?.jobStatus),
  },
  {
    name: 'Revision',
    description: 'Revision of the source that the content was last read from',
    isWide: true,
    cell: ({ status }) => line(status?.source?.revision),
  },
  {
    name: 'Origin',
    description: 'Whether the operator created it, took it over or only shows it',
    isWide: true,
    cell: ({ status }) => line(status?.origin),
  },
  ...readyColumns,
];
