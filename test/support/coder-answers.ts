/** Answers in Coder's wire form, with fields that the client does not know, as the real server sends them. */

export const ORGANIZATION_ID = '11111111-1111-4111-8111-111111111111';
export const USER_ID = '22222222-2222-4222-8222-222222222222';
export const TEMPLATE_ID = '33333333-3333-4333-8333-333333333333';
export const VERSION_ID = '44444444-4444-4444-8444-444444444444';
export const WORKSPACE_ID = '55555555-5555-4555-8555-555555555555';
export const BUILD_ID = '66666666-6666-4666-8666-666666666666';
export const JOB_ID = '77777777-7777-4777-8777-777777777777';
export const NIL_ID = '00000000-0000-0000-0000-000000000000';
export const ZERO_TIME = '0001-01-01T00:00:00Z';

type Json = Readonly<Record<string, unknown>>;

export function buildInfoAnswer(): Json {
  return {
    external_url: 'https://github.com/coder/coder',
    version: 'v2.30.0+abc1234',
    dashboard_url: 'https://coder.example.com',
    telemetry: false,
    deployment_id: '99999999-9999-4999-8999-999999999999',
  };
}

export function userAnswer(overrides: Json = {}): Json {
  return {
    id: USER_ID,
    username: 'alice',
    email: 'alice@example.com',
    status: 'active',
    organization_ids: [ORGANIZATION_ID],
    ...overrides,
  };
}

export function jobAnswer(overrides: Json = {}): Json {
  return {
    id: JOB_ID,
    created_at: '2026-01-02T03:04:05.678901Z',
    status: 'succeeded',
    file_id: '88888888-8888-4888-8888-888888888888',
    tags: { scope: 'organization', owner: '' },
    type: 'workspace_build',
    ...overrides,
  };
}

export function templateAnswer(overrides: Json = {}): Json {
  return {
    id: TEMPLATE_ID,
    created_at: '2026-01-02T03:04:05Z',
    updated_at: '2026-01-02T03:04:05Z',
    organization_id: ORGANIZATION_ID,
    organization_name: 'coder',
    name: 'docker',
    display_name: '',
    description: '',
    icon: '',
    active_version_id: VERSION_ID,
    active_user_count: -1,
    deprecated: false,
    ...overrides,
  };
}

export function buildAnswer(overrides: Json = {}): Json {
  return {
    id: BUILD_ID,
    created_at: '2026-01-02T03:04:05Z',
    workspace_id: WORKSPACE_ID,
    build_number: 1,
    transition: 'start',
    status: 'running',
    reason: 'initiator',
    template_version_id: VERSION_ID,
    job: jobAnswer(),
    deadline: ZERO_TIME,
    max_deadline: null,
    resources: [],
    ...overrides,
  };
}

export function workspaceAnswer(overrides: Json = {}): Json {
  return {
    id: WORKSPACE_ID,
    created_at: '2026-01-02T03:04:05Z',
    updated_at: '2026-01-02T03:04:05Z',
    name: 'dev',
    owner_id: USER_ID,
    owner_name: 'alice',
    organization_id: ORGANIZATION_ID,
    organization_name: 'coder',
    template_id: TEMPLATE_ID,
    template_name: 'docker',
    latest_build: buildAnswer(),
    outdated: false,
    dormant_at: null,
    ...overrides,
  };
}
