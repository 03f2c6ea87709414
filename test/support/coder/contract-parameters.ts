import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { isInvalid } from '../../../src/coder/errors.ts';
import type { Template } from '../../../src/coder/types.ts';
import { expectFailure, failure, faults, given, type Contract } from './contract.ts';
import type { ParameterDefinition } from './definitions.ts';

const PARAMETERS: readonly ParameterDefinition[] = [
  { name: 'region', options: ['eu', 'us'], default: 'eu', mutable: false },
  { name: 'size', type: 'number', min: 1, max: 8 },
  { name: 'label', regex: '^[a-z]+$', default: 'a' },
  { name: 'fast', type: 'bool', default: 'false' },
  { name: 'tags', type: 'list(string)', default: '[]' },
  { name: 'once', default: 'no', ephemeral: true },
];
const DEFAULTS = { region: 'eu', label: 'a', fast: 'false', tags: '[]', once: 'no' };

export function parametersContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate({ parameters: PARAMETERS });
  });

  it('are kept with the first build, defaults too, and what nobody asks for is dropped', async () => {
    const { id } = await c.newWorkspace(template, given({ size: '2', label: 'b', unknown: 'x' }));
    expect(await c.values(id)).to.deep.equal({ ...DEFAULTS, size: '2', label: 'b' });
  });

  it('that are required must be given', async () => {
    const error = await expectFailure(c.create(template), isInvalid);
    expect(error.status).to.equal(400);
    expect(faults(error)).to.deep.equal(['size']);
  });

  const wrong: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'no option': { region: 'mars' },
    'below the minimum': { size: '0' },
    'above the maximum': { size: '9' },
    'no number': { size: 'big' },
    'against the expression': { label: 'B' },
    'no bool': { fast: 'perhaps' },
    'no list': { tags: 'a,b' },
  };
  for (const [what, values] of Object.entries(wrong)) {
    it(`are refused by name: ${what}`, async () => {
      const error = await expectFailure(c.create(template, given({ size: '2', ...values })), isInvalid);
      expect(faults(error)).to.deep.equal(Object.keys(values));
      const { id } = await c.newWorkspace(template, given({ size: '2' }));
      const start = { transition: 'start', ...given(values) } as const;
      expect(faults(await expectFailure(c.client.createBuild(id, start), isInvalid))).to.deep.equal(
        Object.keys(values),
      );
    });
  }

  it('are all named when several are wrong', async () => {
    const error = await expectFailure(c.create(template, given({ region: 'mars', label: 'B' })), isInvalid);
    expect(faults(error)).to.deep.equal(['label', 'region', 'size']);
  });

  it('keep their values from build to build, but for those that count once', async () => {
    const { id } = await c.newWorkspace(template, given({ size: '2', label: 'b', once: 'yes' }));
    const kept = { ...DEFAULTS, size: '2', label: 'b' };
    expect(await c.values(id)).to.deep.equal({ ...kept, once: 'yes' });
    await c.build(id, 'stop');
    expect(await c.values(id)).to.deep.equal(kept);
    await c.build(id, 'start', given({ size: '3', unknown: 'x' }));
    expect(await c.values(id)).to.deep.equal({ ...kept, size: '3' });
    await c.build(id, 'start');
    expect(await c.values(id)).to.deep.equal({ ...kept, size: '3' });
  });

  it('that are immutable are refused when they change, and only then', async () => {
    const { id } = await c.newWorkspace(template, given({ size: '2', region: 'us' }));
    await c.build(id, 'stop', given({ region: 'us' }));
    const start = { transition: 'start', ...given({ region: 'eu' }) } as const;
    const error = await expectFailure(c.client.createBuild(id, start), isInvalid);
    expect(faults(error)).to.deep.equal(['region']);
    expect(error.validations[0]?.detail).to.include('not mutable');
    expect((await c.client.workspace(id)).latest_build.build_number).to.equal(2);
  });

  it('that may only grow are not checked before the build', async () => {
    const growing = await c.newTemplate({
      parameters: [{ name: 'disk', type: 'number', default: '5', monotonic: 'increasing' }],
    });
    const { id } = await c.newWorkspace(growing);
    await c.build(id, 'start', given({ disk: '4' }));
    expect(await c.values(id)).to.deep.equal({ disk: '4' });
  });

  it('of another version: old values stay, new defaults are taken, what is gone is dropped', async () => {
    const changing = await c.newTemplate({
      parameters: [
        { name: 'kept', default: 'old' },
        { name: 'gone', default: 'x' },
      ],
    });
    const { id } = await c.newWorkspace(changing);
    const version = await c.promoted(changing.id, {
      parameters: [
        { name: 'kept', default: 'new' },
        { name: 'added', default: 'y', mutable: false },
      ],
    });
    await c.build(id, 'start', { template_version_id: version.id });
    expect(await c.values(id)).to.deep.equal({ kept: 'old', added: 'y' });
  });

  it('of another version: one that is required is asked for, and a value that is no option any more refused', async () => {
    const changing = await c.newTemplate({
      parameters: [{ name: 'zone', options: ['a', 'b'], default: 'a' }],
    });
    const { id } = await c.newWorkspace(changing);
    const version = await c.promoted(changing.id, {
      parameters: [{ name: 'zone', options: ['b'], default: 'b' }, { name: 'owner' }],
    });
    const update = { transition: 'start', template_version_id: version.id } as const;
    const error = await expectFailure(c.client.createBuild(id, update), isInvalid);
    expect(faults(error)).to.deep.equal(['owner', 'zone']);
    expect(error.validations[0]?.detail).to.include('Required parameter not provided');
    await c.build(id, 'start', { template_version_id: version.id, ...given({ owner: 'me', zone: 'b' }) });
    expect(await c.values(id)).to.deep.equal({ owner: 'me', zone: 'b' });
  });
}

export function presetsContract(c: Contract): void {
  let template: Template;
  let presetID: string;

  before(async () => {
    template = await c.newTemplate({
      parameters: [
        { name: 'size', default: '1' },
        { name: 'label', default: 'a' },
      ],
      presets: [{ name: 'Large', values: { size: '8' } }],
    });
    const [preset] = await c.client.presets(template.active_version_id);
    presetID = preset?.ID ?? '';
  });

  it('go before the values that are given, and mark the build', async () => {
    const body = { template_version_preset_id: presetID, ...given({ size: '2', label: 'b' }) };
    const { id, latest_build } = await c.newWorkspace(template, body);
    expect(latest_build.template_version_preset_id).to.equal(presetID);
    expect(await c.values(id)).to.deep.equal({ size: '8', label: 'b' });
  });

  it('mark a build that has their values, although nobody named them', async () => {
    const { id, latest_build } = await c.newWorkspace(template, given({ size: '8' }));
    expect(latest_build.template_version_preset_id).to.equal(presetID);
    const other = await c.build(id, 'start', given({ size: '2' }));
    expect(other).not.to.have.property('template_version_preset_id');
  });

  it('fail in Coder when they do not exist, and make nothing', async () => {
    const name = c.nameOf('w');
    const error = await failure(c.create(template, { name, template_version_preset_id: randomUUID() }));
    expect(error).to.include({ kind: 'ServerError', status: 500 });
    expect((await failure(c.client.workspaceByName(c.owner, name))).kind).to.equal('NotFound');
  });
}
