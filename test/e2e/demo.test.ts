import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** `npm run demo` as a person would run it, without npm in between. */
function demo(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['hack/bootstrap.mjs', 'hack/demo.ts', ...args], {
    cwd: root,
    timeout: SERVERS_WITHIN_MS,
    killSignal: 'SIGINT',
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
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
