import type { Template } from '../coder/types.ts';
import { contentOf, type VersionContent } from './content.ts';
import { manifestOf, type Detail, type Exported } from './manifest.ts';
import { exportedSettings } from './settings.ts';

/**
 * A template that is to be taken over: its content, which is active already, and, where they are asked for, its settings
 * as they are. Nothing of this is ever sent to Coder by applying it.
 *
 * @param name as `metadata.name` has it.
 */
export function exportTemplate(
  name: string,
  template: Template,
  content: VersionContent,
  { withWishes, namespace }: Detail,
): Exported {
  const { spec, notes } = contentOf(template, content);
  const settings = withWishes ? exportedSettings(template) : { spec: {}, leftOut: [] };
  const leftOut =
    settings.leftOut.length === 0
      ? []
      : [`Left out, since the fields cannot hold what Coder has: ${settings.leftOut.join(', ')}.`];
  return {
    manifest: manifestOf('CoderTemplate', name, namespace, { ...settings.spec, ...contentLast(spec) }),
    notes: [...notes, ...leftOut],
  };
}

/** The files at the end, however many there are: what is short is to be seen at a glance. */
function contentLast({ files, ...others }: ReturnType<typeof contentOf>['spec']): object {
  return files === undefined ? others : { ...others, files };
}
