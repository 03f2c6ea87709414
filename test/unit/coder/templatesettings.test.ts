import { expect } from 'chai';
import type { Template } from '../../../src/coder/types.ts';
import {
  bodyOf,
  SETTING_FIELDS,
  settingsOf,
  shortened,
  type TemplateSettings,
} from '../../../src/coder/templatesettings.ts';
import { observedStatus } from '../../../src/controller/template/status.ts';
import type { ConnectedFact } from '../../../src/controller/facts.ts';
import { connected, PLAIN_SETTINGS, templateRecord } from '../../support/controller-records.ts';

const SETTINGS: Required<TemplateSettings> = {
  displayName: 'Docker',
  description: 'Containers',
  icon: '/icon/docker.png',
  deprecated: 'use the other one',
  defaultTTLMillis: 3_600_000,
  activityBumpMillis: 60_000,
  autostopRequirement: { daysOfWeek: ['Monday', 'Sunday'], weeks: 2 },
  autostartRequirement: { daysOfWeek: ['Tuesday'] },
  allowUserAutostart: true,
  allowUserAutostop: false,
  allowUserCancelWorkspaceJobs: true,
  failureTTLMillis: 120_000,
  timeTilDormantMillis: 180_000,
  timeTilDormantAutodeleteMillis: 240_000,
  requireActiveVersion: true,
  maxPortShareLevel: 'Authenticated',
  corsBehavior: 'Passthru',
  useClassicParameterFlow: true,
};

const BODY = {
  display_name: 'Docker',
  description: 'Containers',
  icon: '/icon/docker.png',
  deprecation_message: 'use the other one',
  default_ttl_ms: 3_600_000,
  activity_bump_ms: 60_000,
  autostop_requirement: { days_of_week: ['monday', 'sunday'], weeks: 2 },
  autostart_requirement: { days_of_week: ['tuesday'] },
  allow_user_autostart: true,
  allow_user_autostop: false,
  allow_user_cancel_workspace_jobs: true,
  failure_ttl_ms: 120_000,
  time_til_dormant_ms: 180_000,
  time_til_dormant_autodelete_ms: 240_000,
  require_active_version: true,
  max_port_share_level: 'authenticated',
  cors_behavior: 'passthru',
  use_classic_parameter_flow: true,
};

const template = (parts: object): Template => ({
  id: '0e000000-0000-4000-8000-000000000002',
  created_at: '2026-01-01T00:00:00Z',
  updated_at: '2026-01-01T00:00:00Z',
  organization_id: '0e000000-0000-4000-8000-000000000003',
  organization_name: 'acme',
  name: 'docker',
  display_name: '',
  description: '',
  icon: '',
  active_version_id: '0e000000-0000-4000-8000-000000000004',
  ...parts,
});

describe('the settings of a template', () => {
  it('are read as a spec writes them, and sent as Coder does', () => {
    expect(settingsOf(template(BODY))).to.deep.equal(SETTINGS);
    expect(bodyOf(SETTINGS)).to.deep.equal(BODY);
    expect(SETTING_FIELDS).to.have.members(Object.keys(SETTINGS));
  });

  it('are sent whole, with all that leaving out would reset', () => {
    expect(bodyOf(PLAIN_SETTINGS)).to.have.all.keys(Object.keys(BODY));
  });

  it('have each day once, in the order of the week', () => {
    const days = ['sunday', 'monday', 'sunday'];
    expect(settingsOf(template({ autostart_requirement: { days_of_week: days } }))).to.deep.include({
      autostartRequirement: { daysOfWeek: ['Monday', 'Sunday'] },
    });
    expect(settingsOf(template({ autostop_requirement: { days_of_week: [] } }))).to.deep.include({
      autostopRequirement: { daysOfWeek: [], weeks: 1 },
    });
  });

  it('that a Coder does not know are neither shown nor sent', () => {
    const settings = settingsOf(template({ default_ttl_ms: 60_000 }));
    expect(settings.corsBehavior).to.equal(undefined);
    const body = bodyOf(settings);
    expect(body).to.include({ display_name: '', default_ttl_ms: 60_000, activity_bump_ms: 0 });
    expect(body).not.to.have.any.keys('cors_behavior', 'max_port_share_level', 'autostop_requirement');
  });

  it('are shown in the status, cut to what it holds', () => {
    const settings = { ...SETTINGS, deprecated: 'x'.repeat(5_000) };
    const status = observedStatus({}, templateRecord({ settings }), connected as ConnectedFact, 3);
    expect(status.workspaces).to.equal(3);
    expect(status.observed).to.deep.equal({ ...SETTINGS, deprecated: 'x'.repeat(1_024) });
    expect(shortened(SETTINGS)).to.deep.equal(SETTINGS);
    expect(shortened({ deprecated: '' }).deprecated).to.equal('');
  });
});
