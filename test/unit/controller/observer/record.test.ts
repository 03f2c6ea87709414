import { expect } from 'chai';
import {
  hasFailed,
  isActive,
  objectNameOf,
  recordOf,
  sameRecord,
} from '../../../../src/controller/observer/record.ts';
import { readWorkspace } from '../../../../src/coder/readers.ts';
import { readAnswer } from '../../../../src/coder/validate.ts';
import { templateRecordOf, versionRecordOf } from '../../../../src/controller/template/records.ts';
import { build, PLAIN_SETTINGS } from '../../../support/controller-records.ts';
import { buildAnswer, jobAnswer, workspaceAnswer } from '../../../support/coder-answers.ts';
import { FakeClock } from '../../../support/clock.ts';
import { SimulatedCoder } from '../../../support/controller-coder.ts';

function recorded(parts: object): ReturnType<typeof recordOf> {
  const context = { call: 'GET /workspaces/{id}', status: 200, mutation: false, requestID: undefined };
  return recordOf(readAnswer(workspaceAnswer({ ...parts }), readWorkspace, context));
}

describe('recordOf', () => {
  it('takes what Coder leaves out for healthy and up to date', () => {
    const record = recorded({ health: undefined, outdated: undefined });
    expect(record).to.include({ healthy: true, outdated: false, name: 'dev', ownerName: 'alice' });
    expect(record.build).to.include({
      number: 1,
      transition: 'start',
      jobStatus: 'succeeded',
      error: undefined,
    });
  });

  it('knows a prebuild by its mark or by its owner', () => {
    expect(recorded({}).isPrebuild).to.equal(false);
    expect(recorded({ is_prebuild: true }).isPrebuild).to.equal(true);
    expect(recorded({ owner_id: 'c42fdf75-3097-471c-8c33-fb52454d81c0' }).isPrebuild).to.equal(true);
  });

  it('cleans and shortens the error of a job', () => {
    const job = jobAnswer({ status: 'failed', error: `\u001b[31mError\u001b[0m:\n${'x'.repeat(5_000)}` });
    const { error = '' } = recorded({ latest_build: buildAnswer({ job }) }).build;
    expect(error.startsWith('Error: xxx')).to.equal(true);
    expect(Buffer.byteLength(error)).to.be.at.most(1_000);
  });
});

describe('objectNameOf', () => {
  it('is made of organization, owner and workspace, in lower case', () => {
    expect(objectNameOf(recorded({ organization_name: 'Acme', owner_name: 'Ann', name: 'Dev' }))).to.equal(
      'acme.ann.dev',
    );
  });
});

describe('sameRecord', () => {
  const a = { text: 'x', list: [{ n: 1 }, { n: 2 }], none: undefined, deep: { yes: true, zero: 0 } };
  const copy = (): typeof a => structuredClone(a);

  it('is so for what says the same, also where one leaves out what the other has as undefined', () => {
    expect(sameRecord(a, copy())).to.equal(true);
    const without: Partial<typeof a> = copy();
    delete without.none;
    expect(sameRecord(a, without)).to.equal(true);
    expect(sameRecord(without, a)).to.equal(true);
  });

  const differing: readonly [string, object][] = [
    ['a text', { ...copy(), text: 'y' }],
    ['a longer list', { ...copy(), list: [{ n: 1 }, { n: 2 }, { n: 3 }] }],
    ['a shorter list', { ...copy(), list: [{ n: 1 }] }],
    ['an entry of a list', { ...copy(), list: [{ n: 1 }, { n: 3 }] }],
    ['a nested field', { ...copy(), deep: { yes: false, zero: 0 } }],
    ['a field that one has only', { ...copy(), more: false }],
    ['a field that is something else', { ...copy(), deep: null }],
    ['nothing where there was a list', { ...copy(), list: undefined }],
  ];
  for (const [what, other] of differing) {
    it(`is not so for ${what}`, () => {
      expect([sameRecord(a, other), sameRecord(other, a)]).to.deep.equal([false, false]);
    });
  }

  it('sees every field of a workspace', () => {
    const record = recorded({});
    const others = [
      recorded({ name: 'other' }),
      recorded({ ttl_ms: 1 }),
      recorded({ latest_build: buildAnswer({ build_number: 9 }) }),
    ];
    for (const other of others) expect(sameRecord(record, other)).to.equal(false);
    expect(sameRecord(record, recorded({}))).to.equal(true);
  });
});

describe('the state of a build', () => {
  const states: [string, boolean, boolean][] = [
    ['pending', true, false],
    ['running', true, false],
    ['canceling', true, false],
    ['succeeded', false, false],
    ['failed', false, true],
    ['canceled', false, true],
    ['a word of a newer Coder', false, false],
  ];
  for (const [jobStatus, active, failed] of states) {
    it(`${jobStatus}: ${active ? 'active' : failed ? 'failed' : 'neither active nor failed'}`, () => {
      expect([isActive(build({ jobStatus })), hasFailed(build({ jobStatus }))]).to.deep.equal([
        active,
        failed,
      ]);
    });
  }
});

describe('records of templates and versions', () => {
  it('hold what the rules need', async () => {
    const coder = new SimulatedCoder(new FakeClock());
    const template = coder.addTemplate('docker');
    expect(templateRecordOf(template)).to.deep.equal({
      id: template.id,
      name: 'docker',
      organizationID: template.organization_id,
      organizationName: 'acme',
      activeVersionID: template.active_version_id,
      settings: PLAIN_SETTINGS,
    });
    const version = await coder.templateVersion(template.active_version_id);
    expect(versionRecordOf(version)).to.deep.include({
      templateID: template.id,
      hasProvisioner: true,
      error: undefined,
    });
    const without = { ...version, matched_provisioners: { count: 0, available: 0 } };
    expect(versionRecordOf(without).hasProvisioner).to.equal(false);
  });
});
