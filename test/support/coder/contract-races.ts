import { expect } from 'chai';
import { refusalIn, said, type Answer, type Contract } from './contract.ts';

/** So many ask for the same at once. */
const RUNNERS = 6;

/** Who is told what when several ask for the same at the same time. */
export function racesContract(c: Contract): void {
  const race = (start: (i: number) => Promise<Answer>): Promise<readonly Answer[]> =>
    Promise.all(Array.from({ length: RUNNERS }, (_, i) => start(i)));

  /** One has won; the others are told so, by Coder or by its database. */
  function expectOneWinner(answers: readonly Answer[]): Answer {
    const winners = answers.filter(({ status }) => status === 201);
    expect(winners, answers.map(({ status, text }) => `${status} ${text}`).join('\n')).to.have.length(1);
    for (const answer of answers) {
      if (answer.status === 201) continue;
      const { status, detail = '', message } = refusalIn(answer);
      const isTold = status === 409 || (status === 500 && detail.includes('duplicate key'));
      expect(isTold, `a loser is told: ${status} ${message}: ${detail}`).to.equal(true);
    }
    return winners[0] ?? expect.fail('there is no winner');
  }

  it('makes one workspace of a name', async () => {
    const template = await c.newTemplate();
    const body = { name: c.nameOf('race'), template_id: template.id };
    const answers = await race((i) =>
      c.ask('POST', `/users/${c.owner}/workspaces`, {
        body: { ...body, name: i % 2 === 0 ? body.name : body.name.toUpperCase() },
      }),
    );
    const won = expectOneWinner(answers);
    expect((await c.client.workspaceByName(c.owner, body.name)).id).to.equal(said(won)['id']);
    const { workspaces } = await c.client.workspaces({ query: `template:${template.name}` });
    expect(workspaces).to.have.length(1);
  });

  it('makes one build of a workspace', async () => {
    const { id } = await c.newWorkspace(await c.newTemplate());
    const body = { transition: 'stop' };
    const won = expectOneWinner(await race(() => c.ask('POST', `/workspaces/${id}/builds`, { body })));
    expect(said(won)).to.include({ build_number: 2 });
    const { latest_build: last } = await c.settled(id);
    expect(last).to.include({ build_number: 2, status: 'stopped', id: said(won)['id'] });
    expect(await c.client.builds(id)).to.have.length(2);
  });

  it('makes one template of a name', async () => {
    const versions: string[] = [];
    for (let i = 0; i < RUNNERS; i++) {
      versions.push((await c.harness.newVersion(undefined, { imports: 'hang' }, c.nameOf('v'))).id);
    }
    const name = c.nameOf('race');
    const path = `/organizations/${c.organizationID}/templates`;
    const won = expectOneWinner(
      await race((i) => c.ask('POST', path, { body: { name, template_version_id: versions[i] } })),
    );
    const found = await c.client.templateByName(c.harness.organization.name, name);
    expect(found.id).to.equal(said(won)['id']);
  });

  it('makes one version of a name', async () => {
    const template = await c.newTemplate();
    const body = {
      name: c.nameOf('race'),
      template_id: template.id,
      file_id: await c.upload({}),
      provisioner: 'echo',
      storage_method: 'file',
    };
    const path = `/organizations/${c.organizationID}/templateversions`;
    const won = expectOneWinner(await race(() => c.ask('POST', path, { body })));
    const found = await c.client.templateVersionByName(c.harness.organization.name, template.name, body.name);
    expect(found.id).to.equal(said(won)['id']);
  });
}
