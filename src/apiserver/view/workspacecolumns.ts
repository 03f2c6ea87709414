import type { CoderWorkspace } from '../../api/kinds.ts';
import { humanDuration } from './duration.ts';
import { namePart } from './names.ts';
import { line, readyColumns, readyOf, since, type ShownColumn } from './table.ts';
import type { Cell } from './types.ts';

export const workspaceColumns: readonly ShownColumn<CoderWorkspace>[] = [
  {
    name: 'Owner',
    description: 'User that owns the workspace',
    cell: ({ metadata, status }) => line(status?.ownerName ?? namePart(metadata.name, 1)),
  },
  {
    name: 'Workspace',
    description: 'Name of the workspace in Coder',
    cell: ({ metadata, status }) => line(status?.workspaceName ?? namePart(metadata.name, 2)),
  },
  {
    name: 'Template',
    description: 'Template that it is made from',
    cell: ({ spec, status }) => line(status?.templateName ?? spec.templateName),
  },
  {
    name: 'Status',
    description: 'State in the words of Coder; before there is one, the reason why not',
    cell: (object) => line(object.status?.latestBuild?.status ?? readyOf(object)?.reason),
  },
  {
    name: 'Outdated',
    type: 'boolean',
    description: 'Whether its template has a newer active version',
    cell: ({ status }) => status?.outdated ?? null,
  },
  {
    name: 'Last Used',
    type: 'date',
    description: 'When somebody last used it, in steps of an hour',
    cell: ({ status }) => since(status?.lastUsedAt),
  },
  {
    name: 'Organization',
    description: 'Organization in Coder',
    isWide: true,
    cell: ({ metadata, status }) => line(status?.organizationName ?? namePart(metadata.name, 0)),
  },
  {
    name: 'Version',
    description: 'Template version of the newest build',
    isWide: true,
    cell: ({ status }) => line(status?.latestBuild?.templateVersionName),
  },
  {
    name: 'TTL',
    description: 'How long after a start Coder stops it',
    isWide: true,
    cell: ({ spec, status }) => ttl(status?.observed?.ttlMillis ?? spec.ttlMillis ?? 0),
  },
  {
    name: 'Stops',
    description: 'When Coder will stop it, in steps of ten minutes',
    isWide: true,
    cell: ({ status }) => line(status?.latestBuild?.deadline),
  },
  {
    name: 'Healthy',
    type: 'boolean',
    description: 'False while Coder reports an agent as failing',
    isWide: true,
    cell: ({ status }) => status?.healthy ?? null,
  },
  {
    name: 'Dormant',
    type: 'date',
    description: 'Since when it is dormant',
    isWide: true,
    cell: ({ status }) => since(status?.dormantAt),
  },
  {
    name: 'Origin',
    description: 'Whether the operator created it, took it over or only shows it',
    isWide: true,
    cell: ({ status }) => line(status?.origin),
  },
  ...readyColumns,
];

/** Coder has 0 where it never stops a workspace. */
function ttl(ms: number): Cell {
  return ms === 0 ? null : humanDuration(ms);
}
