import { expect } from 'chai';
import { refusalIn, type Answer, type Contract } from './contract.ts';

const MOST = 512;
/** More than that cannot be let through, whenever in a minute they are asked. */
const SURELY_TOO_MANY = 2 * MOST + 1;
const AT_ONCE = 32;

/** How often one may ask. Nothing else is asked under these paths, since each has a count of its own. */
export function limitsContract(c: Contract): void {
  it('is 512 a minute for each path, and tells at any time how many are left and how long to wait', async () => {
    const path = `/${c.nameOf('limited')}`;
    const first = await c.ask('GET', path);
    expect(first.status, 'paths that there are not are counted too').to.equal(404);
    expect(first.headers['x-ratelimit-limit']).to.equal(String(MOST));
    expect(Number(first.headers['x-ratelimit-remaining'])).to.be.within(MOST - 2, MOST - 1);
    const refused = await until429(path);
    expect(refused.headers['retry-after']).to.equal('60');
    expect(refused.headers['x-ratelimit-limit']).to.equal(String(MOST));
    expect(refused.headers['x-ratelimit-remaining']).to.equal('0');
    const resetAt = Number(refused.headers['x-ratelimit-reset']) * 1000;
    expect(resetAt % 60_000, 'at the end of a minute of the clock').to.equal(0);
    expect(resetAt - c.harness.now()).to.be.within(-1_000, 61_000);
    const { message } = refusalIn(refused);
    expect(message).to.include(`${MOST} requests`);
    expect(Date.parse(refused.headers['date'] ?? '')).to.be.closeTo(c.harness.now(), 3_000);
    // Without a token, since it is held before anybody asks who it is, and whatever stands behind the path.
    expect((await c.ask('GET', `${path}?page=2`, { token: null })).status).to.equal(429);
    expect((await c.ask('POST', path, { body: {} })).status, 'another method').to.equal(429);
    expect((await c.ask('GET', `${path}-too`)).status, 'another path').to.equal(404);
  });

  async function until429(path: string): Promise<Answer> {
    for (let asked = 0; asked < SURELY_TOO_MANY; asked += AT_ONCE) {
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => c.ask('GET', path)));
      const refused = answers.filter(({ status }) => status === 429).at(-1);
      if (refused !== undefined) return refused;
    }
    return expect.fail('everything was let through');
  }
}
