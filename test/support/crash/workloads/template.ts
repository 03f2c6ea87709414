import { templates, workspaces } from '../../../../src/api/kinds.ts';
import { CONTENT_FILE } from '../../coder/content.ts';
import type { VersionContent } from '../../coder/definitions.ts';
import { has, isReady } from '../../tenant.ts';
import type { Workload } from '../workload.ts';

const NAME = 'acme.tools';

const files = (content: VersionContent, text: string): object => ({
  files: { [CONTENT_FILE]: JSON.stringify(content), 'main.tf': `# ${text}` },
});

export const templateLife: Workload = {
  id: 'W10',
  title: 'a template: made, changed, broken, mended, and deleted while a workspace uses it',
  run: async (w) => {
    await w.create(templates, NAME, { spec: { displayName: 'Tools', ...files({}, 'one') } });
    await w.untilTemplate(NAME, isReady);
    await w.checkpoint();
    await w.applyWorkspace('web', { templateName: 'tools', running: true });
    await w.untilWorkspace('acme.ann.web', (o) => isReady(o) && o.status?.running === true);
    const before = w.template(NAME)?.status?.activeVersion?.id;
    await w.wish(templates, NAME, files({}, 'two'));
    await w.untilTemplate(NAME, (o) => isReady(o) && o.status?.activeVersion?.id !== before);
    await w.checkpoint();
    await w.wish(templates, NAME, files({ imports: 'fail' }, 'three'));
    await w.untilTemplate(NAME, (o) => has(o, 'Ready', 'False', 'ImportFailed'));
    await w.checkpoint();
    await w.wish(templates, NAME, files({}, 'four'));
    await w.untilTemplate(NAME, isReady);
    await w.remove(templates, NAME);
    await w.untilTemplate(NAME, (o) => has(o, 'Reconciling', 'True', 'WorkspacesExist'));
    await w.checkpoint();
    await w.remove(workspaces, 'acme.ann.web');
    await w.untilGone(() => w.template(NAME));
    await w.untilGone(() => w.workspace('acme.ann.web'));
  },
};
