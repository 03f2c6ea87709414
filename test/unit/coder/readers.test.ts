import { expect } from 'chai';
import { UnexpectedResponseError } from '../../../src/coder/errors.ts';
import {
  readBuildInfo,
  readNameValues,
  readPresets,
  readRichParameters,
  readTemplate,
  readTemplateVersion,
  readUpdatedTemplate,
  readUser,
  readVariables,
  readWorkspace,
  readWorkspaceList,
} from '../../../src/coder/readers.ts';
import { readAnswer, type Reader } from '../../../src/coder/validate.ts';
import {
  buildAnswer,
  buildInfoAnswer,
  jobAnswer,
  NIL_ID,
  templateAnswer,
  userAnswer,
  VERSION_ID,
  workspaceAnswer,
  ZERO_TIME,
} from '../../support/coder-answers.ts';

function read<T>(value: unknown, reader: Reader<T>): T {
  const parsed: unknown = JSON.parse(JSON.stringify(value));
  return readAnswer(parsed, reader, { call: 'GET /x', status: 200, requestID: undefined, mutation: false });
}

function fault(value: unknown, reader: Reader<unknown>): string {
  try {
    read(value, reader);
  } catch (error) {
    expect(error).to.be.instanceOf(UnexpectedResponseError);
    return (error as Error).message;
  }
  throw new Error('the answer was accepted');
}

describe('readers of Coder answers', () => {
  it('keep the fields they know and nothing else', () => {
    expect(read(userAnswer(), readUser)).to.have.all.keys('id', 'username', 'status', 'organization_ids');
    expect(read(buildInfoAnswer(), readBuildInfo).version).to.equal('v2.30.0+abc1234');
    expect(read(templateAnswer(), readTemplate)).not.to.have.property('active_user_count');
  });

  it('take no body for a template that was not changed, and nothing less than a template for one that was', () => {
    const context = { call: 'PATCH /x', status: 304, requestID: undefined, mutation: true };
    expect(readAnswer(undefined, readUpdatedTemplate, context)).to.equal(undefined);
    expect(read(templateAnswer(), readUpdatedTemplate)).to.deep.equal(read(templateAnswer(), readTemplate));
    expect(fault({ message: 'done' }, readUpdatedTemplate)).to.contain('id');
  });

  it('leave out zero times, nil UUIDs, nulls and empty texts', () => {
    const workspace = read(
      workspaceAnswer({ dormant_at: null, deleting_at: ZERO_TIME, autostart_schedule: '', ttl_ms: null }),
      readWorkspace,
    );
    expect(workspace).not.to.have.any.keys('dormant_at', 'deleting_at', 'autostart_schedule', 'ttl_ms');
    expect(workspace.latest_build).not.to.have.any.keys('deadline', 'max_deadline');
    const version = {
      id: VERSION_ID,
      created_at: '2026-01-01T00:00:00Z',
      name: 'v',
      job: jobAnswer(),
      template_id: NIL_ID,
    };
    expect(read(version, readTemplateVersion)).not.to.have.property('template_id');
  });

  it('tolerate values and fields of a newer Coder, and missing ones of an older', () => {
    const build = buildAnswer({
      reason: 'task_auto_pause',
      status: 'hibernating',
      job: jobAnswer({ status: 'queued' }),
    });
    const { latest_build } = read(
      workspaceAnswer({ latest_build: build, brand_new: { a: [1] } }),
      readWorkspace,
    );
    expect(latest_build.reason).to.equal('task_auto_pause');
    expect(latest_build.status).to.equal('hibernating');
    const { reason, resources, ...older } = buildAnswer();
    expect([reason, resources]).to.deep.equal(['initiator', []]);
    expect(
      read(workspaceAnswer({ latest_build: older }), readWorkspace).latest_build.resources,
    ).to.deep.equal([]);
  });

  it('read parameters with and without limits, as Coder leaves them out', () => {
    const bare = {
      name: 'cpu',
      display_name: '',
      description: 'CPUs',
      type: 'number',
      form_type: 'input',
      mutable: true,
      default_value: '',
      icon: '',
      options: null,
      required: false,
      ephemeral: false,
    };
    const limited = {
      ...bare,
      options: [{ name: 'Two', description: '', value: '2', icon: '' }],
      validation_min: 0,
      validation_max: 8,
      validation_monotonic: 'increasing',
      validation_regex: '',
      validation_error: '',
    };
    const common = {
      name: 'cpu',
      type: 'number',
      mutable: true,
      required: false,
      ephemeral: false,
      default_value: '',
    };
    expect(read([bare, limited], readRichParameters)).to.deep.equal([
      { ...common, options: [] },
      {
        ...common,
        options: [{ name: 'Two', value: '2' }],
        validation_min: 0,
        validation_max: 8,
        validation_monotonic: 'increasing',
      },
    ]);
    expect(read(null, readRichParameters)).to.deep.equal([]);
    expect(fault([{ ...bare, mutable: 'yes' }], readRichParameters)).to.include('"[0].mutable"');
  });

  it('read presets in the upper case in which Coder spells them', () => {
    const preset = {
      ID: VERSION_ID,
      Name: 'Large',
      Parameters: [{ Name: 'cpu', Value: '' }],
      Default: true,
      DesiredPrebuildInstances: null,
    };
    expect(read([preset, { ...preset, Parameters: null }], readPresets)).to.deep.equal([
      { ID: VERSION_ID, Name: 'Large', Parameters: [{ Name: 'cpu', Value: '' }] },
      { ID: VERSION_ID, Name: 'Large', Parameters: [] },
    ]);
    expect(read(null, readPresets)).to.deep.equal([]);
    expect(fault([{ id: VERSION_ID, name: 'Large' }], readPresets)).to.include('"[0].ID"');
  });

  it('read the parameters of a build, and tell none of their values', () => {
    expect(read([{ name: 'a', value: '' }], readNameValues)).to.deep.equal([{ name: 'a', value: '' }]);
    expect(read(null, readNameValues)).to.deep.equal([]);
    const told = fault(
      [
        { name: 'a', value: 'hunter2' },
        { name: 'b', value: { secret: 'hunter2' } },
      ],
      readNameValues,
    );
    expect(told).to.include('"[1].value"').and.not.to.include('hunter2');
  });

  it('read the variables of a version, and tell none of their values', () => {
    const variable = {
      name: 'region',
      description: 'Where',
      type: '',
      value: 'eu',
      default_value: '',
      required: true,
      sensitive: false,
    };
    const { description, type, ...known } = variable;
    expect([description, type]).to.deep.equal(['Where', '']);
    const listed = { ...variable, name: 'zones', type: 'list(string)' };
    expect(read([variable, listed], readVariables)).to.deep.equal([
      known,
      { ...known, name: 'zones', type: 'list(string)' },
    ]);
    expect(read(null, readVariables)).to.deep.equal([]);
    const told = fault([{ ...variable, value: ['hunter2'] }], readVariables);
    expect(told).to.include('"[0].value"').and.not.to.include('hunter2');
  });

  describe('of the job of a version', () => {
    const jobOf = (job: Readonly<Record<string, unknown>>): ReturnType<typeof readTemplateVersion>['job'] => {
      const version = { id: VERSION_ID, created_at: '2026-01-01T00:00:00Z', name: 'v', job: jobAnswer(job) };
      return read(version, readTemplateVersion).job;
    };

    it('read what it is made of and why it failed', () => {
      const failed = jobOf({ status: 'failed', error_code: 'REQUIRED_TEMPLATE_VARIABLES' });
      expect(failed).to.deep.include({
        file_id: '88888888-8888-4888-8888-888888888888',
        error_code: 'REQUIRED_TEMPLATE_VARIABLES',
        tags: { scope: 'organization', owner: '' },
      });
      expect(jobOf({ error_code: '', file_id: NIL_ID })).not.to.have.any.keys('error_code', 'file_id');
    });

    it('take tags as they come, as long as they are few texts', () => {
      for (const tags of [undefined, null, [], 'zone', 7])
        expect(jobOf({ tags })).not.to.have.property('tags');
      expect(jobOf({ tags: { zone: 'a', size: 3, list: [], none: null } }).tags).to.deep.equal({ zone: 'a' });
      const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`tag-${i}`, '']));
      expect(Object.keys(jobOf({ tags: many }).tags ?? {})).to.have.length(100);
      const hostile = jobOf({ tags: JSON.parse('{"__proto__": "x", "zone": "a"}') as unknown });
      expect(Object.entries(hostile.tags ?? {})).to.deep.equal([
        ['__proto__', 'x'],
        ['zone', 'a'],
      ]);
    });

    it('leave tags out where nobody looks at them', () => {
      expect(read(workspaceAnswer(), readWorkspace).latest_build.job).not.to.have.property('tags');
    });
  });

  it('read the agents of every resource', () => {
    const agent = {
      id: VERSION_ID,
      parent_id: null,
      name: 'main',
      status: 'connected',
      lifecycle_state: 'ready',
      env: {},
    };
    const build = buildAnswer({
      resources: [{ name: 'dev', type: 'docker_container', agents: [agent] }, { agents: null }],
    });
    const { resources } = read(workspaceAnswer({ latest_build: build }), readWorkspace).latest_build;
    expect(resources).to.deep.equal([
      {
        name: 'dev',
        type: 'docker_container',
        agents: [{ id: VERSION_ID, name: 'main', status: 'connected', lifecycle_state: 'ready' }],
      },
      { agents: [] },
    ]);
  });

  it('name the field that is missing or wrong, and never its value', () => {
    expect(fault({}, readWorkspace)).to.include('GET /x').and.to.include('"id" is not a UUID');
    expect(fault(workspaceAnswer({ owner_name: { secret: 'x' } }), readWorkspace)).to.match(
      /"owner_name" is not a name$/,
    );
    const noStatus = buildAnswer({ job: jobAnswer({ status: undefined }) });
    expect(fault(workspaceAnswer({ latest_build: noStatus }), readWorkspace)).to.include(
      '"latest_build.job.status"',
    );
    const list = { workspaces: [workspaceAnswer(), workspaceAnswer({ id: 'nope' })], count: 2 };
    expect(fault(list, readWorkspaceList)).to.include('"workspaces[1].id"').and.not.to.include('nope');
  });

  for (const value of [null, [], 'text', 7, true]) {
    it(`refuse ${JSON.stringify(value)} in place of an object`, () => {
      expect(fault(value, readWorkspace)).to.include('the answer is not an object');
    });
  }

  it('refuse a required id that is nil, a number too large to be exact and a time that is none', () => {
    expect(fault(workspaceAnswer({ template_id: NIL_ID }), readWorkspace)).to.include('"template_id"');
    expect(fault(workspaceAnswer({ ttl_ms: 2 ** 53 }), readWorkspace)).to.include('"ttl_ms"');
    expect(fault(workspaceAnswer({ created_at: 'yesterday' }), readWorkspace)).to.include('"created_at"');
    expect(fault(workspaceAnswer({ created_at: ZERO_TIME }), readWorkspace)).to.include('"created_at"');
  });

  it('are not misled by keys that mean something to JavaScript', () => {
    const hostile: unknown = JSON.parse(
      `{"__proto__": ${JSON.stringify(userAnswer())}, "constructor": {"prototype": {"polluted": true}}}`,
    );
    const context = { call: 'GET /x', status: 200, requestID: undefined, mutation: false };
    expect(() => readAnswer(hostile, readUser, context)).to.throw(UnexpectedResponseError, '"id"');
    expect(Object.hasOwn(Object.prototype, 'polluted')).to.equal(false);
    const named = read({ ...userAnswer(), username: '__proto__' }, readUser);
    expect(named.username).to.equal('__proto__');
  });
});
