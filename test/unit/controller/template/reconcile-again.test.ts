import { expect } from 'chai';
import sinon from 'sinon';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations } from '../../../../src/api/kinds.ts';
import {
  contentFact,
  fluxSource,
  messageOf,
  shown,
  valuesSecret,
} from '../../../support/controller-records.ts';
import { templateWorld, type TemplateWorld } from '../../../support/controller-world.ts';

const A = { 'main.tf': '# a' };
const B = { 'main.tf': '# b' };

describe('a template that was there before', () => {
  const worlds: TemplateWorld[] = [];
  const world = (spec: CoderTemplateSpec): TemplateWorld => {
    const w = templateWorld(spec);
    worlds.push(w);
    return w;
  };
  const ready = async (w: TemplateWorld, status: 'succeeded' | 'failed' = 'succeeded'): Promise<void> => {
    await w.settle();
    w.coder.finishImports(status);
    await w.settle();
  };
  const statusOf = (w: TemplateWorld): CoderTemplateStatus => w.kube.object?.status ?? {};
  const active = (w: TemplateWorld): string | undefined => statusOf(w).activeVersion?.name;
  afterEach(() => {
    for (const w of worlds.splice(0)) w.stop();
    sinon.restore();
  });

  it('gets another version where the one of its content is archived', async () => {
    const w = world({ files: A });
    await ready(w);
    const first = active(w) ?? '';
    const id = statusOf(w).activeVersion?.id;
    w.kube.apply((spec) => ({ ...spec, files: B }));
    await ready(w);
    const byName = w.coder.templateVersionByName.bind(w.coder);
    const one = w.coder.templateVersion.bind(w.coder);
    sinon.stub(w.coder, 'templateVersionByName').callsFake(async (...args) => {
      const version = await byName(...args);
      return version.id === id ? { ...version, archived: true } : version;
    });
    sinon.stub(w.coder, 'templateVersion').callsFake(async (...args) => {
      const version = await one(...args);
      return version.id === id ? { ...version, archived: true } : version;
    });
    w.kube.apply((spec) => ({ ...spec, files: A }));
    await ready(w);
    expect(active(w)).to.equal(`${first}-r2`);
    expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');

    w.kube.apply((spec) => ({ ...spec, files: undefined, versionID: id }));
    await w.settle();
    expect(shown(statusOf(w))).to.include('Stalled=True/ImportFailed');
    expect(messageOf(statusOf(w))).to.contain('is archived');
  });

  it('is not imported once more when its first try failed and its second is there', async () => {
    const w = world({ files: A });
    await ready(w, 'failed');
    await w.clock.advance(61_000);
    await ready(w);
    const [second, uploads] = [active(w), w.coder.uploads.length];
    expect(second).to.match(/-r2$/);
    w.kube.apply((spec) => ({ ...spec, files: undefined, versionID: statusOf(w).activeVersion?.id }));
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, versionID: undefined, files: A }));
    await ready(w);
    expect(active(w)).to.equal(second);
    w.kube.apply((spec) => ({ ...spec, files: B }));
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: A }));
    await ready(w);
    expect(active(w)).to.equal(second);
    expect(w.coder.uploads).to.have.length(uploads + 1);
  });

  it('goes back at once to content whose later try went well', async () => {
    const w = world({ files: B });
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: A }));
    for (const ms of [61_000, 121_000, 241_000]) {
      await ready(w, 'failed');
      await w.clock.advance(ms);
    }
    w.kube.annotate(annotations.reconcileRequestedAt, 'again');
    await ready(w);
    expect(active(w)).to.match(/-r4$/);
    w.kube.apply((spec) => ({ ...spec, files: B }));
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: A }));
    await ready(w);
    expect(active(w)).to.match(/-r4$/);
    expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');
  });

  it('does not show a value that a Secret gave once, after the spec has let go of it', async () => {
    const variable = 'variable "t" {\n  type = string\n}\n';
    const variables = [{ name: 't', valueFrom: { secretKeyRef: { name: 'values', key: 't' } } }];
    const w = world({ files: { 'main.tf': variable }, variables });
    w.secrets.set('values', valuesSecret({ t: 'hunter2' }));
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, variables: undefined, files: { 'main.tf': `${variable}# two` } }));
    sinon
      .stub(w.coder, 'templateVersionLogs')
      .resolves([{ id: 1, log_level: 'error', output: 'Invalid value "hunter2"' }]);
    await ready(w, 'failed');
    expect(messageOf(statusOf(w))).to.contain('it has values of variables that the spec does not give');
    expect(JSON.stringify([w.kube.object, w.events])).to.not.contain('hunter2');
  });

  it('takes a new wish for one after a restore, though the former one could not be told', async () => {
    const w = world({ files: A });
    await ready(w);
    w.kube.apply((spec) => ({ ...spec, files: undefined, source: { configMapRef: { name: 'gone' } } }));
    await w.settle();
    w.kube.loseStatus();
    w.restart();
    await ready(w);
    expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForDependency');
    const before = active(w);
    w.kube.apply((spec) => ({ ...spec, source: undefined, files: B }));
    await ready(w);
    expect(active(w)).to.match(/^k8s-/).and.not.equal(before);
    expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');
  });

  it('keeps its error within what a status holds, however long the names of variables', async () => {
    const names = (letter: string): readonly string[] =>
      [0, 1, 2, 3, 4].map((i) => `${letter}${i}`.padEnd(128, letter));
    const declared = names('d').map((name) => `variable "${name}" {\n  default = ""\n}\n`);
    const variables = names('v').map((name) => ({ name, value: '1' }));
    const w = world({ files: { 'main.tf': declared.join('') }, variables });
    await ready(w);
    expect(shown(statusOf(w))).to.include('Stalled=True/InvalidContent');
    expect(statusOf(w).pendingVersion?.error).to.have.length.within(900, 1024);
  });

  it('looks seldom for a version by UUID that nothing imports', async () => {
    const w = world({ files: A });
    await ready(w);
    const template = w.coder.presentTemplates[0];
    const version = w.coder.addVersion(template?.id ?? '', { imports: 'hang' });
    w.kube.apply((spec) => ({ ...spec, files: undefined, versionID: version.id }));
    await w.clock.advance(3_600_000);
    const rest = await w.settle();
    expect(rest).to.deep.equal({ until: 'time', afterMs: 30_000 });
    expect(shown(statusOf(w))).to.include('Reconciling=True/WaitingForImport');
  });

  it('writes nothing at rest when a revision is cut in the middle of a character', async () => {
    const w = world({ source: { sourceRef: { kind: 'ExternalArtifact', name: 'e' } } });
    const fact = contentFact(A);
    if (fact.state !== 'found') throw new Error('it was found');
    const sha256 = 'a'.repeat(64);
    w.archives.set(sha256, { state: 'ready', files: A, filesHash: fact.filesHash, leftOut: [] });
    w.flux.set('ExternalArtifact/e', fluxSource(`${'x'.repeat(255)}😀`, sha256));
    await ready(w);
    expect(shown(statusOf(w))).to.include('Ready=True/UpToDate');
    const { writes } = w.kube;
    for (let i = 0; i < 3; i++) await w.pass();
    expect(w.kube.writes).to.equal(writes);
  });

  it('is the same without variables and with an empty list of them', async () => {
    const w = world({ files: A });
    await ready(w);
    const before = w.coder.uploads.length;
    w.kube.apply((spec) => ({ ...spec, variables: [] }));
    await ready(w);
    expect(w.coder.uploads).to.have.length(before);
  });
});
