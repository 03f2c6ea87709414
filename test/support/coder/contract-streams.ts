import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Workspace } from '../../../src/coder/types.ts';
import { jsonIn, refusalIn, type Contract, type StreamedEvent } from './contract.ts';

interface Line {
  readonly id: number;
  readonly stage: string;
  readonly log_level: string;
}

/** What may be looked on at, which the operator does not do: it asks. */
export function streamsContract(c: Contract): void {
  const workspaceIn = ({ data }: StreamedEvent): Workspace => JSON.parse(data) as Workspace;

  it('of a workspace begins with a ping and what it is, and tells of every build', async () => {
    const { id } = await c.newWorkspace(await c.newTemplate());
    const events = c.harness.events(`/workspaces/${id}/watch`);
    const next = async (): Promise<StreamedEvent> => {
      const { done, value } = await events.next();
      return done === true ? expect.fail('the stream has ended') : value;
    };
    try {
      expect(await next()).to.deep.equal({ event: 'ping', data: '' });
      const first = await next();
      expect(first.event).to.equal('data');
      expect(workspaceIn(first)).to.include({ id });
      expect(workspaceIn(first).latest_build).to.include({ build_number: 1, status: 'running' });
      await c.build(id, 'stop');
      for (;;) {
        const event = await next();
        if (event.event === 'ping') continue;
        const { latest_build: last } = workspaceIn(event);
        if (last.build_number === 2 && last.status === 'stopped') break;
      }
    } finally {
      await events.return();
    }
  });

  it('is there of nothing that is not there', async () => {
    expect(refusalIn(await c.ask('GET', `/workspaces/${randomUUID()}/watch`)).status).to.equal(404);
    expect(refusalIn(await c.ask('GET', `/workspacebuilds/${randomUUID()}/logs`)).status).to.equal(404);
  });

  it('of a build is a log whose lines have rising numbers, from any of them on', async () => {
    const { latest_build: build } = await c.newWorkspace(await c.newTemplate());
    const lines = async (query = ''): Promise<readonly Line[]> =>
      jsonIn(await c.ask('GET', `/workspacebuilds/${build.id}/logs${query}`)) as readonly Line[];
    const all = await lines();
    const ids = all.map(({ id }) => id);
    expect(ids)
      .to.deep.equal([...new Set(ids)].sort((a, b) => a - b))
      .and.not.deep.equal([]);
    expect(all.map(({ stage }) => stage)).to.include('Cleaning Up');
    expect(await lines(`?after=${ids[0]}`)).to.deep.equal(all.slice(1));
    expect(await lines(`?after=${ids.at(-1)}`)).to.deep.equal([]);
  });
}
