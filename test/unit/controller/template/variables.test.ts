import { expect } from 'chai';
import { messageOf, shown } from '../../../support/controller-records.ts';
import { templateWorld, type TemplateWorld } from '../../../support/controller-world.ts';

const FILES = { 'main.tf': 'variable "zone" {\n  default = "a"\n}\n' };

async function imported(w: TemplateWorld): Promise<void> {
  await w.settle();
  w.coder.finishImports('succeeded');
  await w.settle();
}

describe('variables that a template does not declare', () => {
  for (const promotion of ['Automatic', 'Manual'] as const) {
    it(`are told, and nothing is made of the version (${promotion})`, async () => {
      const spec = { files: FILES, promotion };
      const w = templateWorld({ ...spec, variables: [{ name: 'zoen', value: 'b' }] });
      await imported(w);
      expect(shown(w.kube.object?.status)).to.include('Stalled=True/InvalidContent');
      expect(messageOf(w.kube.object?.status)).to.contain('no variable zoen (it has zone)');
      expect(w.coder.landed.map(({ what }) => what)).to.deep.equal(['createVersion']);

      w.kube.apply(() => ({ ...spec, variables: [{ name: 'zone', value: 'b' }] }));
      await imported(w);
      expect(shown(w.kube.object?.status)).to.include('Ready=True/UpToDate');
      w.stop();
    });
  }
});
