import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { versionIn } from '../../../../hack/stack/build.ts';
import { StackError } from '../../../../hack/stack/errors.ts';
import { readCrds } from '../../../../hack/stack/flux.ts';

const plurals = ['gitrepositories', 'ocirepositories', 'buckets', 'externalartifacts'];

describe('the CRDs of Flux', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'flux-crds-'));
    for (const plural of plurals) write(plural, 'CustomResourceDefinition');
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function write(plural: string, kind: string): void {
    const name = `${plural}.source.toolkit.fluxcd.io`;
    const text = `---\nkind: ${kind}\nmetadata:\n  name: ${name}\nspec:\n  scope: Namespaced\n`;
    writeFileSync(join(folder, `source.toolkit.fluxcd.io_${plural}.yaml`), text);
  }

  it('are read whole, those of the sources only', () => {
    write('helmcharts', 'CustomResourceDefinition');
    const crds = readCrds(folder);
    expect(crds.map(({ metadata }) => metadata.name.split('.')[0])).to.deep.equal(plurals);
    for (const crd of crds) expect(crd).to.deep.include({ spec: { scope: 'Namespaced' } });
  });

  it('are named when one is missing or is something else', () => {
    write('buckets', 'ConfigMap');
    expect(() => readCrds(folder)).to.throw(StackError, 'buckets.source.toolkit.fluxcd.io');
    write('buckets', 'CustomResourceDefinition');
    rmSync(join(folder, 'source.toolkit.fluxcd.io_externalartifacts.yaml'));
    expect(() => readCrds(folder)).to.throw(StackError, 'externalartifacts.source.toolkit.fluxcd.io');
  });

  it('come from a module whose bytes go.sum pins, with no newer Go than the servers', () => {
    const text = (file: string): string =>
      readFileSync(new URL(`../../../../hack/tools/${file}`, import.meta.url), 'utf8');
    const module = 'github.com/fluxcd/source-controller';
    const goMod = text('flux/go.mod');
    const version = versionIn(goMod, module);
    expect(text('flux/go.sum').split('\n')).to.satisfy((lines: string[]) =>
      lines.some((line) => line.startsWith(`${module} ${version} h1:`)),
    );
    expect(versionIn(goMod, 'go')).to.equal(versionIn(text('kubernetes/go.mod'), 'go'));
  });
});
