import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import {
  isConflict,
  isForbidden,
  isInvalid,
  isNotFound,
  isNotReady,
  isUnknownUser,
} from '../../../src/coder/errors.ts';
import type { Template, UpdateTemplateRequest } from '../../../src/coder/types.ts';
import { expectFailure, faults, hasEnded, type Contract } from './contract.ts';
import { richParameter, type ParameterDefinition } from './definitions.ts';

export function peopleContract(c: Contract): void {
  it('are found by id and by name in any case', async () => {
    const me = await c.client.me();
    expect(me.organization_ids).to.include(c.organizationID);
    expect(await c.client.user(me.id)).to.deep.equal(me);
    expect(await c.client.user(me.username.toUpperCase())).to.deep.equal(me);
  });

  it('are 400 when there is none, wherever the name stands', async () => {
    const template = await c.newTemplate();
    await expectFailure(c.client.user('nobody'), isUnknownUser);
    await expectFailure(c.client.user(randomUUID()), isUnknownUser);
    await expectFailure(c.client.workspaceByName('nobody', 'dev'), isUnknownUser);
    const body = { name: 'dev', template_id: template.id };
    await expectFailure(c.client.createWorkspace('nobody', body), isUnknownUser);
  });

  it('belong to organizations, which have a name and an id too', async () => {
    const { id, name } = c.harness.organization;
    expect(await c.client.organization(id)).to.include({ id, name });
    expect(await c.client.organization(name.toUpperCase())).to.include({ id, name });
    await expectFailure(c.client.organization('nobody'), isNotFound);
  });
}

export function templatesContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  it('are found by id and by name in any case', async () => {
    const byName = await c.client.templateByName(c.harness.organization.name, template.name.toUpperCase());
    expect(byName).to.include({ id: template.id, organization_id: c.organizationID, name: template.name });
    expect(await c.client.template(template.id)).to.include({ id: template.id });
    await expectFailure(c.client.template(randomUUID()), isNotFound);
    await expectFailure(c.client.templateByName(c.harness.organization.name, 'nothing'), isNotFound);
  });

  it('are listed', async () => {
    expect((await c.client.templates()).map(({ id }) => id)).to.include(template.id);
  });

  it('do not share a name', async () => {
    const version = await c.harness.newVersion(undefined, {}, c.nameOf('v'));
    const body = { name: template.name.toUpperCase(), template_version_id: version.id };
    const error = await expectFailure(c.client.createTemplate(c.organizationID, body), isConflict);
    expect(faults(error)).to.deep.equal(['name']);
  });

  it('are made of a version that no other has', async () => {
    const body = { name: c.nameOf('t'), template_version_id: template.active_version_id };
    await expectFailure(c.client.createTemplate(c.organizationID, body), isInvalid);
    const unknown = { name: c.nameOf('t'), template_version_id: randomUUID() };
    await expectFailure(c.client.createTemplate(c.organizationID, unknown), isNotFound);
  });

  it('may be made of a version whose import has failed', async () => {
    const version = await c.harness.newVersion(undefined, { imports: 'fail' }, c.nameOf('v'));
    const body = { name: c.nameOf('t'), template_version_id: version.id };
    const made = await c.client.createTemplate(c.organizationID, body);
    expect(made.active_version_id).to.equal(version.id);
  });

  it('are not deleted while they have a workspace', async () => {
    const used = await c.newTemplate();
    await c.newWorkspace(used);
    const error = await expectFailure(c.client.deleteTemplate(used.id), isInvalid);
    expect(error.coderMessage).to.include('workspaces must be deleted');
  });

  it('are 404 once deleted, and only the list of deleted ones proves it', async () => {
    const doomed = await c.newTemplate();
    expect(await c.client.deletedTemplateById(doomed.id)).to.equal(undefined);
    await c.client.deleteTemplate(doomed.id);
    await expectFailure(c.client.template(doomed.id), isNotFound);
    expect(await c.client.deletedTemplateById(doomed.id)).to.include({ id: doomed.id, name: doomed.name });
    expect(await c.client.deletedTemplateById(randomUUID())).to.equal(undefined);
    expect((await c.client.templates()).map(({ id }) => id)).not.to.include(doomed.id);
    await expectFailure(c.create(doomed), isNotFound);
  });
}

/** Of a Coder without a licence. */
export function templateSettingsContract(c: Contract): void {
  /** All that is to be sent to leave everything as it is in a new template. */
  const whole: UpdateTemplateRequest = {
    display_name: '',
    description: '',
    icon: '',
    deprecation_message: '',
    default_ttl_ms: 0,
    activity_bump_ms: 3_600_000,
    autostop_requirement: { days_of_week: [], weeks: 1 },
    autostart_requirement: {
      days_of_week: ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'],
    },
    allow_user_autostart: true,
    allow_user_autostop: true,
    allow_user_cancel_workspace_jobs: false,
    failure_ttl_ms: 0,
    time_til_dormant_ms: 0,
    time_til_dormant_autodelete_ms: 0,
    require_active_version: false,
    max_port_share_level: 'public',
    cors_behavior: 'simple',
    use_classic_parameter_flow: false,
  };
  const honoured: Partial<UpdateTemplateRequest> = {
    display_name: 'My Template',
    description: 'What it is for',
    icon: '/icon/docker.png',
    default_ttl_ms: 3_600_000,
    activity_bump_ms: 0,
    allow_user_cancel_workspace_jobs: true,
    cors_behavior: 'passthru',
    use_classic_parameter_flow: true,
  };

  it('are these, when nothing is said', async () => {
    const template = await c.newTemplate();
    expect(template).to.deep.include({ ...whole, deprecated: false });
    expect(await c.client.template(template.id)).to.deep.include(whole);
  });

  it('are set all at once, and seen at once', async () => {
    const { id } = await c.newTemplate();
    const wished = { ...whole, ...honoured };
    expect(await c.client.updateTemplate(id, wished)).to.deep.include(wished);
    expect(await c.client.template(id)).to.deep.include(wished);
    const listed = (await c.client.templates()).find((t) => t.id === id);
    expect(listed).to.deep.include(wished);
    expect(await c.client.updateTemplate(id, whole)).to.deep.include(whole);
  });

  it('that are left out are kept, or reset, as their kind may be', async () => {
    const { id } = await c.newTemplate();
    await c.client.updateTemplate(id, { ...whole, ...honoured });
    const { display_name, description, icon, cors_behavior, use_classic_parameter_flow } = honoured;
    const { default_ttl_ms, activity_bump_ms, allow_user_cancel_workspace_jobs } = whole;
    const least: UpdateTemplateRequest = {
      default_ttl_ms,
      activity_bump_ms,
      allow_user_cancel_workspace_jobs,
      allow_user_autostart: true,
      allow_user_autostop: true,
      failure_ttl_ms: 0,
      time_til_dormant_ms: 0,
      time_til_dormant_autodelete_ms: 0,
      require_active_version: false,
    };
    expect(await c.client.updateTemplate(id, least)).to.deep.include({
      ...least,
      display_name,
      description,
      icon,
      cors_behavior,
      use_classic_parameter_flow,
    });
  });

  it('that are there already are no change, which is told when the name is given', async () => {
    const { id, name } = await c.newTemplate();
    expect(await c.client.updateTemplate(id, { ...whole, name })).to.equal(undefined);
    expect(await c.client.updateTemplate(id, whole)).to.deep.include({ ...whole, name });
    expect(await c.client.updateTemplate(id, { ...whole, ...honoured, name })).to.deep.include(honoured);
  });

  const needing: Partial<UpdateTemplateRequest> = {
    deprecation_message: 'use another one',
    autostop_requirement: { days_of_week: ['sunday'], weeks: 2 },
    autostart_requirement: { days_of_week: ['monday'] },
    allow_user_autostart: false,
    allow_user_autostop: false,
    failure_ttl_ms: 3_600_000,
    time_til_dormant_ms: 3_600_000,
    time_til_dormant_autodelete_ms: 3_600_000,
    require_active_version: true,
  };
  for (const [field, value] of Object.entries(needing)) {
    it(`that need a licence, such as ${field}, are taken without effect`, async () => {
      const { id } = await c.newTemplate();
      const wished = { ...whole, [field]: value, description: 'changed with it' };
      const expected = { ...whole, description: 'changed with it' };
      expect(await c.client.updateTemplate(id, wished)).to.deep.include(expected);
      expect(await c.client.template(id)).to.deep.include({ ...expected, deprecated: false });
    });
  }

  const wrong: readonly [string, Partial<UpdateTemplateRequest>, string][] = [
    ['a port share level, without a licence', { max_port_share_level: 'owner' }, 'max_port_sharing_level'],
    ['a negative TTL', { default_ttl_ms: -1 }, 'default_ttl_ms'],
    ['a negative activity bump', { activity_bump_ms: -1 }, 'activity_bump_ms'],
    ['a failure TTL of less than a minute', { failure_ttl_ms: 59_999 }, 'failure_ttl_ms'],
    [
      'too many weeks',
      { autostop_requirement: { days_of_week: [], weeks: 17 } },
      'autostop_requirement.weeks',
    ],
    ['a CORS behaviour that there is not', { cors_behavior: 'open' }, 'cors_behavior'],
  ];
  for (const [what, body, field] of wrong) {
    it(`are refused altogether because of ${what}`, async () => {
      const { id } = await c.newTemplate();
      const wished = { ...whole, ...body, description: 'not taken' };
      const error = await expectFailure(c.client.updateTemplate(id, wished), isInvalid);
      expect(faults(error)).to.deep.equal([field]);
      expect(await c.client.template(id)).to.deep.include(whole);
    });
  }

  it('are 404 for a template that is not there', async () => {
    await expectFailure(c.client.updateTemplate(randomUUID(), whole), isNotFound);
  });
}

export function versionsContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  const byName = (name: string): ReturnType<typeof c.client.templateVersionByName> =>
    c.client.templateVersionByName(c.harness.organization.name, template.name, name);

  it('are imported, found by name and made the active one, as often as one likes', async () => {
    const version = await c.newVersion(template.id);
    expect(version).to.include({ template_id: template.id });
    expect(await byName(version.name)).to.include({ id: version.id });
    expect((await c.client.template(template.id)).active_version_id).not.to.equal(version.id);
    await c.client.promoteTemplateVersion(template.id, version.id);
    await c.client.promoteTemplateVersion(template.id, version.id);
    expect((await c.client.template(template.id)).active_version_id).to.equal(version.id);
  });

  it('make workspaces outdated by being promoted', async () => {
    const workspace = await c.newWorkspace(template);
    const { template_version_id: before } = workspace.latest_build;
    expect(workspace).to.include({ outdated: false, template_active_version_id: before });
    const version = await c.promoted(template.id);
    const after = await c.client.workspace(workspace.id);
    expect(after).to.include({ outdated: true, template_active_version_id: version.id });
    expect(after.latest_build.template_version_id).to.equal(before);
    await c.build(workspace.id, 'start', { template_version_id: version.id });
    expect(await c.client.workspace(workspace.id)).to.include({ outdated: false });
  });

  it('do not share a name within a template, but distinguish its case', async () => {
    const name = c.nameOf('Name');
    const body = { template_id: template.id, file_id: await c.upload({}), provisioner: 'echo' } as const;
    await c.client.createTemplateVersion(c.organizationID, { ...body, name });
    const again = c.client.createTemplateVersion(c.organizationID, { ...body, name });
    expect(faults(await expectFailure(again, isConflict))).to.deep.equal(['name']);
    await c.client.createTemplateVersion(c.organizationID, { ...body, name: name.toLowerCase() });
    await expectFailure(byName(name.toUpperCase()), isNotFound);
  });

  it('keep their name when their import fails, say why, and cannot be used', async () => {
    const failed = await c.newVersion(template.id, { imports: 'fail' });
    expect(failed.job.status).to.equal('failed');
    expect(failed.job.error).to.include('main.tf is wrong');
    const body = { template_id: template.id, file_id: await c.upload({}), provisioner: 'echo' } as const;
    const again = c.client.createTemplateVersion(c.organizationID, { ...body, name: failed.name });
    await expectFailure(again, isConflict);
    await expectFailure(c.client.promoteTemplateVersion(template.id, failed.id), isForbidden);
    const workspace = { name: c.nameOf('w'), template_version_id: failed.id };
    await expectFailure(c.client.createWorkspace(c.owner, workspace), isInvalid);
    const { id } = await c.newWorkspace(template);
    const start = { transition: 'start', template_version_id: failed.id } as const;
    await expectFailure(c.client.createBuild(id, start), isInvalid);
    expect(await c.client.richParameters(failed.id)).to.deep.equal([]);
  });

  it('are 403 to promote, 406 to use and 425 to ask while their import has not ended', async () => {
    const version = await c.newVersion(template.id, { imports: 'hang' });
    expect(hasEnded(version.job)).to.equal(false);
    await expectFailure(c.client.promoteTemplateVersion(template.id, version.id), isForbidden);
    const body = { name: c.nameOf('w'), template_version_id: version.id };
    const refused = await expectFailure(c.client.createWorkspace(c.owner, body), isNotReady);
    expect(refused.status).to.equal(406);
    const { id } = await c.newWorkspace(template);
    const start = { transition: 'start', template_version_id: version.id } as const;
    expect((await expectFailure(c.client.createBuild(id, start), isNotReady)).status).to.equal(406);
    expect((await expectFailure(c.client.richParameters(version.id), isNotReady)).status).to.equal(425);
  });

  it('belong to one template', async () => {
    const other = await c.newTemplate();
    const promoted = c.client.promoteTemplateVersion(template.id, other.active_version_id);
    await expectFailure(promoted, isInvalid);
  });

  it('are found through the jobs by their name while they belong to no template', async () => {
    const name = c.nameOf('first');
    const version = await c.client.createTemplateVersion(c.organizationID, {
      name,
      file_id: await c.upload({}),
      provisioner: 'echo',
    });
    expect(version).not.to.have.property('template_id');
    const me = await c.client.me();
    const jobs = await c.client.provisionerJobs(c.organizationID, { limit: 50, initiator: me.id });
    const job = jobs.find(({ metadata }) => metadata?.template_version_name === name);
    expect(job).to.deep.include({
      id: version.job.id,
      type: 'template_version_import',
      initiator_id: me.id,
    });
    expect(job?.input?.template_version_id).to.equal(version.id);
  });

  it('tell their parameters and presets', async () => {
    const parameters: readonly ParameterDefinition[] = [
      { name: 'region', options: ['eu', 'us'], default: 'eu', mutable: false },
      { name: 'size', type: 'number', min: 0, max: 8, monotonic: 'increasing' },
      { name: 'label', regex: '^[a-z]+$', default: 'a' },
      { name: 'once', type: 'bool', default: 'false', ephemeral: true },
    ];
    const presets = [{ name: 'Large', values: { size: '8', region: 'us' } }];
    const version = await c.newVersion(template.id, { parameters, presets });
    expect(version.job.error).to.equal(undefined);
    const asked = await c.client.richParameters(version.id);
    expect(asked).to.have.deep.members(parameters.map(richParameter));
    const [preset] = await c.client.presets(version.id);
    expect(preset?.Name).to.equal('Large');
    expect(preset?.ID).to.match(/^[0-9a-f-]{36}$/);
    expect(preset?.Parameters).to.have.deep.members([
      { Name: 'size', Value: '8' },
      { Name: 'region', Value: 'us' },
    ]);
    const plain = await c.newVersion(template.id);
    expect(await c.client.richParameters(plain.id)).to.deep.equal([]);
    expect(await c.client.presets(plain.id)).to.deep.equal([]);
  });

  it('are 404 when there is none', async () => {
    await expectFailure(c.client.templateVersion(randomUUID()), isNotFound);
    await expectFailure(c.client.richParameters(randomUUID()), isNotFound);
    await expectFailure(byName('none'), isNotFound);
  });
}

export function jobsContract(c: Contract): void {
  it('come newest first and can be chosen by status and id', async () => {
    const workspace = await c.newWorkspace(await c.newTemplate());
    const newest = await c.client.provisionerJobs(c.organizationID, { limit: 2 });
    const times = newest.map(({ created_at }) => Date.parse(created_at));
    expect(times).to.deep.equal([...times].sort((a, b) => b - a));
    const done = await c.client.provisionerJobs(c.organizationID, { status: ['succeeded'], limit: 2 });
    expect(done.map(({ status }) => status)).to.deep.equal(['succeeded', 'succeeded']);
    const { job } = workspace.latest_build;
    const [found] = await c.client.provisionerJobs(c.organizationID, { ids: [job.id] });
    expect(found?.metadata).to.include({ workspace_id: workspace.id, workspace_name: workspace.name });
  });
}
