import { expect } from 'chai';
import { runNode, type Ended } from '../support/program.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';

/** `npm run demo` as a person would run it, without npm in between. */
function demo(...args: readonly string[]): Promise<Ended> {
  return runNode(['hack/bootstrap.mjs', 'hack/demo.ts', ...args], {
    withinMs: SERVERS_WITHIN_MS,
    signal: 'SIGINT',
  });
}

describe('npm run demo', function () {
  this.timeout(SERVERS_WITHIN_MS);

  it('shows the whole tour and ends with 0', async () => {
    const { code, output } = await demo('--exit');
    expect(code, output).to.equal(0);
    expect(output).to.match(/running\s+True\s+Running/);
    expect(output).to.contain('Coder itself says: admin/dev is stopped.');
    expect(output).to.contain('All of it happened.');
    expect(output).to.contain('nothing is left behind');
  });

  it('says which flag it does not know', async () => {
    const { code, output } = await demo('--exitt');
    expect(code).to.equal(2);
    expect(output).to.contain('"--exitt"');
  });
});
