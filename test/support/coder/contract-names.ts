import { expect } from 'chai';
import { isInvalid } from '../../../src/coder/errors.ts';
import type { CreateTemplateRequest, Template, TemplateVersion } from '../../../src/coder/types.ts';
import { settingsOf } from './contract-changes.ts';
import { expectFailure, failure, faults, type Contract } from './contract.ts';

/** No template and no workspace may be called so. */
const WRONG_NAMES: Readonly<Record<string, string>> = {
  'a dot': 'a.b',
  'an underscore': 'a_b',
  'a space': 'a b',
  'a hyphen at its beginning': '-a',
  'a hyphen at its end': 'a-',
  'two hyphens in a row': 'a--b',
  'a letter that is not English': 'ä',
  'more than 32 letters': 'a'.repeat(33),
  'the word new': 'new',
  'the word create': 'create',
  nothing: '',
};

/** What may be called what. */
export function namesContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  /** A version that a template may be made of, and that none is made of. */
  async function spare(): Promise<string> {
    return (await c.harness.newVersion(undefined, { imports: 'hang' }, c.nameOf('v'))).id;
  }

  const newTemplate = (body: CreateTemplateRequest): Promise<Template> =>
    c.client.createTemplate(c.organizationID, body);
  const newVersion = async (name: string): Promise<TemplateVersion> =>
    c.client.createTemplateVersion(c.organizationID, {
      template_id: template.id,
      name,
      file_id: await c.upload({}),
      provisioner: 'echo',
    });

  it('may be 32 letters, numbers and single hyphens, in any case', async () => {
    const name = `Ab-9-${c.nameOf('x')}`.padEnd(32, 'Z');
    expect(await newTemplate({ name, template_version_id: await spare() })).to.include({ name });
    expect(await c.create(template, { name })).to.include({ name });
    // The words that are not allowed may be part of one, or be written otherwise.
    const other = `new-${c.nameOf('create')}`;
    expect(await c.create(template, { name: other })).to.include({ name: other });
    expect((await c.create(template, { name: 'NEW' })).name).to.equal('NEW');
  });

  it('are refused by name, of templates and of workspaces', async () => {
    const template_version_id = await spare();
    for (const [what, name] of Object.entries(WRONG_NAMES)) {
      const made = await expectFailure(newTemplate({ name, template_version_id }), isInvalid);
      expect(faults(made), `a template with ${what}`).to.deep.equal(['name']);
      const workspace = await expectFailure(c.create(template, { name }), isInvalid);
      expect(faults(workspace), `a workspace with ${what}`).to.deep.equal(['name']);
      if (name === '') continue;
      const renamed = c.client.updateTemplate(template.id, { ...settingsOf(template), name });
      expect(faults(await expectFailure(renamed, isInvalid)), `renamed: ${what}`).to.deep.equal(['name']);
    }
    expect(await c.client.template(template.id)).to.include({ name: template.name });
  });

  it('of versions may be 64 letters, numbers and single dots, hyphens and underscores', async () => {
    for (const name of ['1.2.3-rc.1_x', `${c.nameOf('V')}.`.padEnd(64, 'Z')]) {
      expect(await newVersion(name)).to.include({ name });
    }
    for (const name of ['a..b', 'a--b', '.a', 'a.', 'a b', 'a/b', 'ä', 'a'.repeat(65)]) {
      expect(faults(await expectFailure(newVersion(name), isInvalid)), name).to.deep.equal(['name']);
    }
  });

  it('to show may be anything up to 64 letters without spaces around it', async () => {
    const template_version_id = await spare();
    for (const display_name of [' a', 'a ', 'a'.repeat(65)]) {
      const body = { name: c.nameOf('t'), template_version_id, display_name };
      expect(faults(await expectFailure(newTemplate(body), isInvalid))).to.deep.equal(['display_name']);
      const changed = c.client.updateTemplate(template.id, { ...settingsOf(template), display_name });
      expect(faults(await expectFailure(changed, isInvalid))).to.deep.equal(['display_name']);
    }
    const display_name = 'Ünï cödé, “of course” — 100 %';
    const shown = { name: c.nameOf('t'), template_version_id, display_name };
    expect(await newTemplate(shown)).to.include({ display_name });
  });

  it('come with a description of up to 127 letters when they are made, and of one more later', async () => {
    const body = { name: c.nameOf('t'), template_version_id: await spare() };
    const refused = await expectFailure(newTemplate({ ...body, description: 'ü'.repeat(128) }), isInvalid);
    expect(faults(refused)).to.deep.equal(['description']);
    const made = await newTemplate({ ...body, description: 'ü'.repeat(127) });
    const describe = (description: string): ReturnType<typeof c.client.updateTemplate> =>
      c.client.updateTemplate(made.id, { ...settingsOf(made), description });
    const longest = 'ü'.repeat(128);
    expect(await describe(longest)).to.include({ description: longest });
    // Nobody checks it, and its database has no room for more.
    const error = await failure(describe('d'.repeat(129)));
    expect(error).to.include({ kind: 'ServerError', status: 500 });
    expect(await c.client.template(made.id)).to.include({ description: longest });
  });
}
