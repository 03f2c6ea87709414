import type { ViewFields } from '../../src/apiserver/view/fields.ts';
import { viewKinds } from '../../src/apiserver/view/kinds.ts';
import type { Column } from '../../src/apiserver/view/types.ts';
import type { CustomResourceDefinition } from './crds.ts';
import { fieldSchema, named, viewTables } from './viewschemas.ts';

/**
 * The reference page with its tables of fields and columns made anew. They stand between `<!-- fields of PLURAL -->`, or
 * `<!-- columns of PLURAL -->`, and `<!-- end -->`; all else is written by hand.
 *
 * @throws Error where the page has no place for a table.
 */
export function viewReference(page: string, crds: readonly CustomResourceDefinition[]): string {
  let text = page;
  for (const [plural, fields] of viewTables) {
    text = filled(text, `fields of ${plural}`, fieldTable(named(crds, plural), fields));
  }
  for (const { resource, columns } of viewKinds) {
    text = filled(text, `columns of ${resource.plural}`, columnTable(columns));
  }
  return text;
}

function filled(page: string, mark: string, table: string): string {
  const begin = `<!-- ${mark} -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf('<!-- end -->', from);
  if (from === -1 || to === -1) throw new Error(`The page has no place for the ${mark}`);
  return `${page.slice(0, from + begin.length)}\n\n${table}\n\n${page.slice(to)}`;
}

function fieldTable(crd: CustomResourceDefinition, fields: ViewFields): string {
  const rows = (['spec', 'status'] as const).flatMap((half) =>
    Object.entries(fields[half]).map(([name, field]) => {
      const schema = fieldSchema(crd, field);
      const type = schema.additionalProperties === undefined ? (schema.type ?? '') : 'map of strings';
      const meaning = (schema.description ?? '').replaceAll('|', '\\|');
      return `| \`${half}.${name}${type === 'array' ? '[]' : ''}\` | ${type} | \`${field.from}\` | ${meaning} |`;
    }),
  );
  return ['| field | type | from | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function columnTable(columns: readonly Column[]): string {
  const rows = columns.map(
    ({ name, priority, description }) =>
      `| ${name} | ${priority === 0 ? '' : '`-o wide`'} | ${description} |`,
  );
  return ['| column | only with | shows |', '|---|---|---|', ...rows].join('\n');
}
