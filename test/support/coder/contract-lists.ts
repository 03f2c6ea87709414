import { expect } from 'chai';
import { isInvalid } from '../../../src/coder/errors.ts';
import type { Template, Workspace } from '../../../src/coder/types.ts';
import { expectFailure, faults, jsonIn, refusalIn, said, type Contract } from './contract.ts';

/** In which order things are listed, and what can be asked of a list. */
export function listsContract(c: Contract): void {
  let template: Template;
  /** Of the first owner. */
  let one: Workspace;
  let two: Workspace;
  /** Of the second owner, whose name comes after the first's. */
  let three: Workspace;

  before(async () => {
    template = await c.newTemplate();
    const [first, second] = c.harness.owners;
    const made = async (owner: string, name: string): Promise<Workspace> =>
      c.settled((await c.client.createWorkspace(owner, { name, template_id: template.id })).id);
    const prefix = c.nameOf('l');
    // Neither the time of their making nor the case of their names counts.
    three = await made(second, `${prefix}-a`);
    two = await made(first, `${prefix}-C`);
    one = await made(first, `${prefix}-b`);
  });

  const found = async (query: string): Promise<readonly string[]> =>
    (await c.client.workspaces({ query: `template:${template.name} ${query}`.trim() })).workspaces.map(
      ({ id }) => id,
    );

  it('is that of owners and names, what runs before what does not', async () => {
    expect(await found('')).to.deep.equal([one.id, two.id, three.id]);
    await c.build(one.id, 'stop');
    expect(await found('')).to.deep.equal([two.id, three.id, one.id]);
    await c.build(one.id, 'start');
    expect(await found('')).to.deep.equal([one.id, two.id, three.id]);
  });

  it('changes while builds run, so that pages repeat some and leave out others', async () => {
    const page = (offset: number): ReturnType<typeof c.client.workspaces> =>
      c.client.workspaces({ query: `template:${template.name}`, limit: 1, offset });
    const first = await page(0);
    expect([first.workspaces.map(({ id }) => id), first.count]).to.deep.equal([[one.id], 3]);
    await c.harness.holdBuilds();
    try {
      await c.client.createBuild(one.id, { transition: 'start' });
      expect(await found(''), 'a start that waits').to.deep.equal([two.id, three.id, one.id]);
      const second = await page(1);
      expect([second.workspaces.map(({ id }) => id), second.count]).to.deep.equal([[three.id], 3]);
      const third = await page(2);
      expect(
        third.workspaces.map(({ id }) => id),
        'seen twice, and one never',
      ).to.deep.equal([one.id]);
    } finally {
      await c.harness.releaseBuilds();
    }
    await c.settled(one.id);
    expect(await found('')).to.deep.equal([one.id, two.id, three.id]);
  });

  it('counts all, also on a page behind the last', async () => {
    const behind = await c.client.workspaces({ query: `template:${template.name}`, limit: 5, offset: 5 });
    expect(behind).to.deep.equal({ workspaces: [], count: 3 });
  });

  it('is refused when it is to begin or to end before itself', async () => {
    for (const [field, value] of [
      ['limit', '-1'],
      ['offset', '-1'],
      ['limit', 'all'],
    ] as const) {
      const refused = refusalIn(await c.ask('GET', `/workspaces?${field}=${value}`));
      expect([refused.status, refused.fields]).to.deep.equal([400, [field]]);
    }
  });

  it('finds by what is running, by parts of names, and by owner, in any case', async () => {
    await c.build(two.id, 'stop');
    expect(await found('status:running')).to.deep.equal([one.id, three.id]);
    expect(await found('STATUS:Stopped')).to.deep.equal([two.id]);
    expect(await found('status:deleted')).to.deep.equal([]);
    expect(await found(two.name.slice(-3).toLowerCase())).to.deep.equal([two.id]);
    expect(await found(`name:${two.name.toUpperCase()}`)).to.deep.equal([two.id]);
    expect(await found(`name:"${two.name}"`)).to.deep.equal([two.id]);
    const [first, second] = c.harness.owners;
    expect(await found(`owner:${second.toUpperCase()}`)).to.deep.equal([three.id]);
    expect(await found(`${first}/${one.name}`)).to.deep.equal([one.id]);
    expect(await found('owner:nobody')).to.deep.equal([]);
    expect(await found('owner:me')).to.deep.equal([]);
    expect(await found(`id:${one.id},${three.id}`)).to.deep.equal([one.id, three.id]);
    expect(await found(`organization:${c.organizationID}`)).to.have.length(3);
    await c.build(two.id, 'start');
  });

  it('finds what is outdated, and what is dormant', async () => {
    await c.promoted(template.id);
    await c.build(one.id, 'start', {
      template_version_id: (await c.client.template(template.id)).active_version_id,
    });
    expect(await found('outdated:true')).to.deep.equal([two.id, three.id]);
    expect(await found('outdated:false')).to.deep.equal([one.id]);
    expect(await found('dormant:true')).to.deep.equal([]);
    expect(await found('dormant:false')).to.have.length(3);
  });

  const wrong: Readonly<Record<string, readonly [string, string]>> = {
    'a key that there is not': ['colour:green', 'colour'],
    'a status that there is not': ['status:asleep', 'status'],
    'an id that is none': ['id:nonsense', 'id'],
    'an organization that there is not': ['organization:nowhere', 'organization'],
    'a truth that is none': ['outdated:perhaps', 'outdated'],
    'a key without a value': ['name:', 'q'],
    'two colons': ['a:b:c', 'q'],
  };
  for (const [what, [query, field]] of Object.entries(wrong)) {
    it(`is refused for ${what}`, async () => {
      const error = await expectFailure(c.client.workspaces({ query }), isInvalid);
      expect([error.status, faults(error)]).to.deep.equal([400, [field]]);
    });
  }

  it('of templates has no envelope, and leaves out what is deprecated unless that is asked for', async () => {
    const old = await c.newTemplate();
    await c.harness.deprecate(old.id);
    const listed = async (query: string): Promise<readonly string[]> =>
      (jsonIn(await c.ask('GET', `/templates${query}`)) as readonly Template[]).map(({ id }) => id);
    expect(await listed(''))
      .to.include(template.id)
      .and.not.include(old.id);
    expect(await listed('?q=deprecated:true'))
      .to.include(old.id)
      .and.not.include(template.id);
    expect(await c.client.template(old.id)).to.include({ id: old.id, deprecated: true });
    const { organization_name: organization } = old;
    expect(await c.client.templateByName(organization, old.name)).to.include({ id: old.id });
    expect((await c.client.templates()).map(({ id }) => id)).to.include.members([old.id, template.id]);
  });

  it('of builds comes newest first', async () => {
    const builds = await c.client.builds(one.id);
    const numbers = builds.map(({ build_number: number }) => number);
    expect(numbers).to.deep.equal([...numbers].sort((a, b) => b - a));
    const [newest] = builds;
    const path = `/users/${c.owner}/workspace/${one.name}/builds/${newest?.build_number}`;
    expect(said(await c.ask('GET', path))).to.include({ id: newest?.id });
    expect(said(await c.ask('GET', `/workspacebuilds/${newest?.id}`))).to.include({ id: newest?.id });
  });
}
