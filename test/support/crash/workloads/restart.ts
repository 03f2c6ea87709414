import { workspaces } from '../../../../src/api/kinds.ts';
import { isReady } from '../../tenant.ts';
import { VALUE_CANARY } from '../oracles.ts';
import type { Workload } from '../workload.ts';

const NAME = 'acme.ann.web';

export const changeAndRestart: Workload = {
  id: 'W4',
  title: 'other parameters and another version, each with a restart',
  options: {
    prepare: (coder) => {
      const parameters = [
        { name: 'cpu', default: '1' },
        { name: 'word', default: '' },
      ];
      const template = coder.addTemplate('tuned', undefined, { parameters });
      coder.addVersion(template.id, { parameters }, 'second');
    },
  },
  run: async (w) => {
    const secret = { name: 'word', valueFrom: { secretKeyRef: { name: 'values', key: 'word' } } };
    const cpu = (value: string): object => ({ parameters: [{ name: 'cpu', value }, secret] });
    const settings = { templateName: 'tuned', running: true, updatePolicy: 'Restart' };
    await w.createSecret('values', { word: VALUE_CANARY }, 'coder.com/values');
    await w.applyWorkspace('web', { ...settings, ...cpu('1') });
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.running === true);
    await w.checkpoint();
    await w.wish(workspaces, NAME, cpu('2'));
    await w.untilWorkspace(NAME, (o) => isReady(o) && o.status?.latestBuild?.number === 3);
    await w.checkpoint();
    await w.wish(workspaces, NAME, { templateVersionName: 'second' });
    await w.untilWorkspace(
      NAME,
      (o) =>
        isReady(o) && o.status?.latestBuild?.templateVersionName === 'second' && o.status.running === true,
    );
    await w.checkpoint();
  },
};
