import { expect } from 'chai';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import {
  wishedContent,
  type FilesContent,
  type Wished,
} from '../../../../src/controller/template/content.ts';
import { contentFact, templateInput } from '../../../support/controller-records.ts';

const FILES = { 'main.tf': 'x' };

function wishedOf(spec: CoderTemplateSpec, status: CoderTemplateStatus = {}, facts = {}): Wished {
  return wishedContent(templateInput({ spec }, facts), status);
}

function filesOf(wished: Wished): FilesContent {
  if (wished.then !== 'content' || wished.content.kind !== 'files') throw new Error('files are files');
  return wished.content;
}

describe('wishedContent', () => {
  it('names the version after the content, and after the try', () => {
    const first = filesOf(wishedOf({ files: FILES }));
    expect(first.versionName).to.match(/^k8s-[0-9a-f]{12}$/);
    const pendingVersion = { name: `${first.versionName}-r2`, attempt: 2 };
    const second = filesOf(wishedOf({ files: FILES }, { pendingVersion }));
    expect(second).to.deep.include({ versionName: `${first.versionName}-r2`, attempt: 2, key: first.key });
    expect(filesOf(wishedOf({ files: { 'main.tf': 'y' } }, { pendingVersion })).attempt).to.equal(1);
  });

  it('tells content apart by provisioner, tags and variables, and not by where it is', () => {
    const key = (spec: CoderTemplateSpec, parts = {}): string =>
      filesOf(wishedOf(spec, {}, { content: contentFact(FILES, parts) })).key;
    const plain = key({ files: FILES });
    expect(key({ source: { configMapRef: { name: 'c' } } })).to.equal(plain);
    expect(key({ files: FILES, provisioner: 'Terraform', provisionerTags: {} })).to.equal(plain);
    const others = [
      key({ files: FILES, provisioner: 'Echo' }),
      key({ files: FILES, provisionerTags: { zone: 'a' } }),
      key({ files: FILES, provisionerTags: { zone: 'b' } }),
      key({ files: FILES }, { variablesHash: 'v1' }),
      key({ files: FILES }, { variablesHash: 'v2' }),
    ];
    expect(new Set([plain, ...others]).size).to.equal(6);
  });

  it('takes a version by its UUID, or nothing', () => {
    const content = { kind: 'version', key: 'v1', versionID: 'v1' };
    expect(wishedOf({ versionID: 'v1' })).to.deep.equal({ then: 'content', content });
    expect(wishedOf({ displayName: 'Docker' })).to.deep.equal({ then: 'none' });
  });

  it('asks for what is not known yet, and hands on what is lacking', () => {
    const spec = { source: { configMapRef: { name: 'c' } } };
    expect(wishedOf(spec)).to.deep.equal({ then: 'read' });
    const lack = {
      state: 'waiting',
      cause: { reason: 'WaitingForDependency', message: 'There is no ConfigMap c' },
      rest: { until: 'woken' },
    };
    expect(wishedOf(spec, {}, { content: lack })).to.deep.equal({ then: 'lack', lack });
  });
});
