import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { archiveOf } from '../../../src/coder/archive.ts';
import { isForbidden, isInvalid, isNotFound, isRateLimited } from '../../../src/coder/errors.ts';
import type {
  CreateTemplateVersionRequest,
  JobLog,
  TemplateVersion,
  TemplateVersionVariable,
} from '../../../src/coder/types.ts';
import { expectFailure, faults, hasEnded, type Contract } from './contract.ts';
import type { VersionContent } from './definitions.ts';

type Settings = Pick<CreateTemplateVersionRequest, 'tags' | 'template_id' | 'user_variable_values'>;

/** No provisioner has these. */
const NOBODYS_TAGS = { zone: 'nowhere' };

/** Ways to make versions as the client. */
class Maker {
  readonly #contract: Contract;

  constructor(contract: Contract) {
    this.#contract = contract;
  }

  async made(content: VersionContent, settings: Settings = {}): Promise<TemplateVersion> {
    return this.#make(await this.#contract.upload(content), 'echo', settings);
  }

  /** The same, once the import has ended. */
  async imported(content: VersionContent, settings: Settings = {}): Promise<TemplateVersion> {
    return this.#ended(await this.made(content, settings));
  }

  /** A version that is no recording. */
  async importedFiles(
    files: Readonly<Record<string, string>>,
    provisioner: 'terraform' | 'echo' = 'terraform',
  ): Promise<TemplateVersion> {
    const file = await this.#contract.harness.store(await archiveOf(files));
    return this.#ended(await this.#make(file, provisioner, {}));
  }

  #make(fileID: string, provisioner: 'terraform' | 'echo', settings: Settings): Promise<TemplateVersion> {
    const { client, organizationID } = this.#contract;
    const body = { ...settings, name: this.#contract.nameOf('v'), file_id: fileID, provisioner };
    return client.createTemplateVersion(organizationID, body);
  }

  #ended({ id }: TemplateVersion): Promise<TemplateVersion> {
    const { client, harness } = this.#contract;
    return harness.until(
      () => client.templateVersion(id),
      ({ job }) => hasEnded(job),
    );
  }
}

export function filesContract(c: Contract): void {
  const unique = (): VersionContent => ({
    variables: [{ name: c.nameOf('x').replace('-', '_'), default: '' }],
  });

  it('are kept once, and told as they came to whoever sent them', async () => {
    const tar = await c.harness.archive(unique());
    const id = await c.client.uploadArchive(tar);
    expect(await c.client.uploadArchive(tar)).to.equal(id);
    expect(await c.client.file(id)).to.deep.equal(tar);
    expect(await c.harness.uploadByHand(tar), 'of somebody else').not.to.equal(id);
  });

  it('of somebody else are not there, until a template has a version of them', async () => {
    const content = unique();
    const tar = await c.harness.archive(content);
    const id = await c.harness.uploadByHand(tar);
    const make = (): Promise<TemplateVersion> =>
      c.client.createTemplateVersion(c.organizationID, {
        name: c.nameOf('v'),
        file_id: id,
        provisioner: 'echo',
      });
    await expectFailure(c.client.file(id), isNotFound);
    expect((await expectFailure(make(), isNotFound)).coderMessage).to.equal('File not found.');
    const template = await c.newTemplate(content);
    const active = await c.client.templateVersion(template.active_version_id);
    expect(active.job.file_id).to.equal(id);
    expect(await c.client.file(id)).to.deep.equal(tar);
    expect((await make()).job.file_id).to.equal(id);
    await c.client.deleteTemplate(template.id);
    expect(await c.client.file(id), 'of a deleted template').to.deep.equal(tar);
  });

  it('are 404 when there is none', async () => {
    await expectFailure(c.client.file(randomUUID()), isNotFound);
    const body = { name: c.nameOf('v'), file_id: randomUUID(), provisioner: 'echo' } as const;
    const error = await expectFailure(c.client.createTemplateVersion(c.organizationID, body), isNotFound);
    expect(error.coderMessage).to.equal('File not found.');
    const unknown = { ...body, template_id: randomUUID() };
    const other = await expectFailure(c.client.createTemplateVersion(c.organizationID, unknown), isNotFound);
    expect(other.coderMessage).to.equal('Template does not exist.');
  });
}

export function variablesContract(c: Contract): void {
  const maker = new Maker(c);
  const content = {
    variables: [
      { name: 'size', type: 'number', default: '3' },
      { name: 'region', type: 'string' },
      { name: 'password', type: 'string', sensitive: true },
      { name: 'any', default: '' },
    ],
  } satisfies VersionContent;
  const needed = [
    { name: 'region', value: 'eu' },
    { name: 'password', value: 'open sesame' },
  ];
  const told = (version: TemplateVersion): Promise<readonly TemplateVersionVariable[]> =>
    c.client.templateVersionVariables(version.id);
  const valuesOf = async (version: TemplateVersion): Promise<Readonly<Record<string, string>>> =>
    Object.fromEntries((await told(version)).map(({ name, value }) => [name, value]));

  it('are told, sensitive ones without their values', async () => {
    const version = await maker.imported(content, { user_variable_values: needed });
    expect(version.job.error).to.equal(undefined);
    const redacted = '*redacted*';
    const variables = await told(version);
    const names = variables.map(({ name }) => name);
    // Before that they came as they are declared.
    if (!c.isBefore('2.30')) expect(names, 'by name').to.deep.equal([...names].sort());
    expect(variables).to.have.deep.members([
      { name: 'any', value: '', default_value: '', required: false, sensitive: false },
      {
        name: 'password',
        type: 'string',
        value: redacted,
        default_value: redacted,
        required: true,
        sensitive: true,
      },
      { name: 'region', type: 'string', value: 'eu', default_value: '', required: true, sensitive: false },
      { name: 'size', type: 'number', value: '3', default_value: '3', required: false, sensitive: false },
    ]);
  });

  it('are 403 until the import has ended, and 404 of no version', async () => {
    const version = await maker.made(content, { tags: NOBODYS_TAGS });
    await expectFailure(told(version), isForbidden);
    await expectFailure(c.client.templateVersionVariables(randomUUID()), isNotFound);
  });

  it('let the import fail when they are required and have no value, and be it an empty one', async () => {
    for (const values of [[], [{ name: 'password', value: '' }]]) {
      const version = await maker.imported(content, { user_variable_values: values });
      expect(version.job).to.include({
        status: 'failed',
        error: 'update job: required template variables need values: region, password',
        error_code: 'REQUIRED_TEMPLATE_VARIABLES',
      });
      expect(await valuesOf(version), 'what is told all the same').to.deep.equal({
        any: '',
        password: '*redacted*',
        region: '',
        size: '3',
      });
    }
  });

  it('keep the values of the active version, even where the default has changed', async () => {
    const first = await maker.imported(content, { user_variable_values: needed });
    const { id } = await c.client.createTemplate(c.organizationID, {
      name: c.nameOf('t'),
      template_version_id: first.id,
    });
    const changed = {
      variables: [
        { name: 'size', type: 'number', default: '7' },
        { name: 'region', type: 'string' },
        { name: 'password', type: 'string' },
        { name: 'more', default: 'new' },
      ],
    };
    const second = await maker.imported(changed, { template_id: id });
    expect(second.job.error).to.equal(undefined);
    expect(await valuesOf(second), 'a secret is told once it is not sensitive').to.deep.equal({
      size: '3',
      region: 'eu',
      password: 'open sesame',
      more: 'new',
    });
    const given = [{ name: 'region', value: 'us' }];
    const third = await maker.imported(changed, { template_id: id, user_variable_values: given });
    expect(await valuesOf(third)).to.include({ region: 'us', size: '3' });
    const empty = [{ name: 'region', value: '' }];
    const fourth = await maker.imported(changed, { template_id: id, user_variable_values: empty });
    expect(fourth.job.error_code, 'an empty value takes it back').to.equal('REQUIRED_TEMPLATE_VARIABLES');
  });

  it('are dropped without a word when the content does not declare them', async () => {
    const stranger = [{ name: 'stranger', value: '1' }];
    const version = await maker.imported({}, { user_variable_values: stranger });
    expect(version.job.status).to.equal('succeeded');
    expect(await told(version)).to.deep.equal([]);
  });

  it('are not known of content that cannot be read', async () => {
    const version = await maker.imported({ ...content, imports: 'fail' });
    expect(version.job.status).to.equal('failed');
    expect(version.job).not.to.have.property('error_code');
    expect(await told(version)).to.deep.equal([]);
  });
}

export function tagsContract(c: Contract): void {
  const maker = new Maker(c);
  const plain = { scope: 'organization', owner: '' };
  const tagged: VersionContent = { variables: [{ name: 'where' }], tags: { zone: 'where' } };

  it('are those of nobody in particular when none are named', async () => {
    for (const tags of [{}, { zone: '' }, { scope: 'galaxy', owner: 'me' }]) {
      const version = await maker.made({}, { tags });
      expect(version.job.tags).to.deep.equal(plain);
      expect(version.matched_provisioners?.count).to.be.greaterThan(0);
    }
  });

  it('that no provisioner has leave the import pending', async () => {
    const { id, job, matched_provisioners: matched } = await maker.made({}, { tags: NOBODYS_TAGS });
    expect(job.tags).to.deep.equal({ ...plain, ...NOBODYS_TAGS });
    expect(matched).to.deep.equal({ count: 0, available: 0 });
    const read = await c.client.templateVersion(id);
    expect(read.job).to.include({ status: 'pending' });
    expect(read.job.tags).to.deep.equal(job.tags);
    expect(read.matched_provisioners).to.deep.equal(matched);
  });

  it('may be those of one user, whoever is named', async () => {
    const { id } = await c.client.me();
    const { job } = await maker.made({}, { tags: { scope: 'user', owner: 'somebody' } });
    expect(job.tags).to.deep.equal({ scope: 'user', owner: id });
  });

  it('may come from the content, after those that are asked for', async () => {
    const values = [{ name: 'where', value: 'nowhere' }];
    const version = await maker.made(tagged, { user_variable_values: values });
    expect(version.job.tags).to.deep.equal({ ...plain, zone: 'nowhere' });
    const tags = { zone: 'elsewhere' };
    const asked = await maker.made(tagged, { user_variable_values: values, tags });
    expect(asked.job.tags).to.deep.equal({ ...plain, zone: 'elsewhere' });
  });

  it('are refused when the content takes them from a variable without a value', async () => {
    const error = await expectFailure(maker.made(tagged), isInvalid);
    expect(error.coderMessage).to.equal('Unable to parse workspace tags');
    expect(faults(error)).to.deep.equal(['zone']);
    expect(error.validations[0]?.detail).to.include('Tag value is not known');
  });
}

/** What is imported by Terraform itself, and what cannot be. */
export function terraformContract(c: Contract): void {
  const maker = new Maker(c);
  const errors = async ({ id }: TemplateVersion): Promise<readonly string[]> => {
    const lines: readonly JobLog[] = await c.client.templateVersionLogs(id, { lines: 100 });
    return lines.filter((line) => line.log_level === 'error').map(({ output }) => output);
  };

  it('has the variables of its files', async () => {
    const version = await maker.importedFiles({
      'main.tf': 'variable "size" {\n  type    = number\n  default = 3\n}\n',
      'variables.tf': 'variable "password" {\n  default   = "open sesame"\n  sensitive = true\n}\n',
      'modules/main.tf': 'variable "inner" {\n}\n',
    });
    expect(version.job.error).to.equal(undefined);
    const variables = await c.client.templateVersionVariables(version.id);
    expect(variables).to.have.deep.members([
      {
        name: 'password',
        value: '*redacted*',
        default_value: '*redacted*',
        required: false,
        sensitive: true,
      },
      { name: 'size', type: 'number', value: '3', default_value: '3', required: false, sensitive: false },
    ]);
    expect(await errors(version)).to.deep.equal([]);
  });

  const broken: readonly [string, Readonly<Record<string, string>>, string, string][] = [
    [
      'without Terraform at its root',
      { 'README.md': 'Hello', 'modules/main.tf': '' },
      'terraform plan: exit status 1',
      'Error: No configuration files',
    ],
    [
      'that Terraform cannot read',
      { 'main.tf': 'resource "terraform_data" "home" {{{\n' },
      'template import init error: initialize terraform: exit status 1',
      'Error: Argument or block definition required',
    ],
  ];
  for (const [what, files, error, line] of broken) {
    it(`${what} fails, and the log alone says why`, async () => {
      const version = await maker.importedFiles(files);
      expect(version.job.status).to.equal('failed');
      expect(version.job).not.to.have.property('error_code');
      if (c.isBefore('2.30') && error.includes('initialize')) {
        // It was Coder itself that read the files first, and told what is wrong at once.
        expect(version.job.error).to.include('run parse: parse error');
      } else {
        expect(version.job.error).to.include(error);
        expect(await errors(version)).to.include(line);
      }
      expect(await c.client.templateVersionVariables(version.id)).to.deep.equal([]);
    });
  }

  it('is nothing for the echo provisioner', async () => {
    const version = await maker.importedFiles({ 'main.tf': '' }, 'echo');
    expect(version.job.status).to.equal('failed');
    expect(version.job.error).to.include('no state: stat');
  });
}

/** Comes last: it uses up what is allowed for a minute. */
export function fileLimitsContract(c: Contract): void {
  const MOST = 12;

  it('are twelve a minute for each file that is read', async () => {
    const [id, other] = [await c.upload({}), await c.upload({ imports: 'fail' })];
    for (let i = 0; i < MOST; i++) await c.client.file(id);
    await c.client.file(other);
    const error = await expectFailure(c.client.file(id), isRateLimited);
    expect(error.retryAfterMs).to.equal(60_000);
  });

  it('are twelve a minute for uploads, whatever is in them, and leave other calls alone', async () => {
    let taken = 0;
    const upload = async (): Promise<void> => {
      for (; taken <= MOST; taken++) await c.client.uploadArchive(Buffer.from('the same'));
    };
    const error = await expectFailure(upload(), isRateLimited);
    expect(taken).to.be.at.most(MOST);
    expect(error.retryAfterMs).to.equal(60_000);
    await c.client.me();
  });
}
