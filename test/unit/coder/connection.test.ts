import { expect } from 'chai';
import { Connection } from '../../../src/coder/connection.ts';
import { isRateLimited } from '../../../src/coder/errors.ts';
import { RequestBudget } from '../../../src/coder/ratelimit.ts';
import type { Call, Transport } from '../../../src/coder/transport.ts';
import { FakeClock } from '../../support/clock.ts';

const call: Call = { method: 'POST', route: '/workspaces/{id}/builds' };

describe('Connection', () => {
  let sent: number;
  let clock: FakeClock;
  let budget: RequestBudget;
  let connection: Connection;

  beforeEach(() => {
    sent = 0;
    clock = new FakeClock();
    budget = new RequestBudget({ clock });
    const transport: Pick<Transport, 'json'> = {
      json: () => {
        sent++;
        return Promise.resolve({
          value: {},
          context: { call: 'x', mutation: true, status: 200, requestID: undefined },
        });
      },
    };
    connection = new Connection(transport as Transport, budget);
  });

  it('sends nothing when the last look before it says no', async () => {
    const beforeSend = (): void => {
      throw new Error('the lease is lost');
    };
    const error = await connection.call(call, (value) => value, { beforeSend }).catch((e: unknown) => e);
    expect(error).to.have.property('message', 'the lease is lost');
    expect(sent).to.equal(0);
  });

  it('gives up a call whose turn does not come, as one that Coder has no room for', async () => {
    budget.hold(call.route, 60_000);
    const error = await connection.call(call, (value) => value).catch((e: unknown) => e);
    expect(isRateLimited(error)).to.equal(true);
    expect(error).to.have.property('retryAfterMs', 60_000);
    expect(error).to.have.property('unclear', false);
    expect(sent).to.equal(0);
  });

  it('lets the observer wait as long as it takes', async () => {
    budget.hold(call.route, 60_000);
    const waiting = connection.call(call, (value) => value, { counted: false });
    await clock.advance(60_000);
    await waiting;
    expect(sent).to.equal(1);
  });
});
