import { expect } from 'chai';
import { Client, runClient } from '../../../hack/stack/clients.ts';
import { StackError } from '../../../hack/stack/errors.ts';
import { Guardian } from '../../../hack/stack/guardian.ts';
import { buildPrograms } from '../../../hack/stack/programs.ts';
import { terminalProgress } from '../../../hack/stack/progress.ts';
import { runTool, toolEnvironment } from '../../../hack/stack/tools.ts';

/** Says what it reads, and ends with its input; `fail` makes it end with 1. */
const ECHO = `
  const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
  say({ event: 'begun', env: process.env.CLIENT_TEST });
  let failed = false;
  require('node:readline').createInterface({ input: process.stdin })
    .on('line', (text) => {
      if (text === 'fail') { failed = true; process.stderr.write('what went wrong'); }
      say({ event: 'heard', text });
    })
    .on('close', () => { say({ event: 'ended' }); process.exitCode = failed ? 1 : 0; });`;

describe('clients of the tests', function () {
  this.timeout(20_000);
  const options = { program: process.execPath, command: '-e', args: [ECHO] };
  const caught = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

  it('are asked and answer, and end with their input', async () => {
    const client = new Client({ ...options, env: { CLIENT_TEST: 'x' } });
    expect(await client.until(({ event }) => event === 'begun', 'begun')).to.deep.equal({
      event: 'begun',
      env: 'x',
    });
    expect(await client.ask('one', 'heard')).to.include({ text: 'one' });
    expect(await client.ask('two', 'heard')).to.include({ text: 'two' });
    expect(client.of('heard')).to.have.length(2);
    expect((await client.end()).at(-1)).to.deep.equal({ event: 'ended' });
    expect(client.running).to.equal(false);
  });

  it('are waited for only so long', async () => {
    const client = new Client(options);
    const error = await caught(client.until(({ event }) => event === 'never', 'this', { withinMs: 300 }));
    expect(error)
      .to.be.instanceOf(StackError)
      .with.property('message')
      .that.includes('did not say this within 300 ms');
    await client.kill();
    const late = await caught(client.until(({ event }) => event === 'never', 'this'));
    expect(late).to.be.instanceOf(StackError).with.property('message').that.includes('before it ended');
  });

  it('say what went wrong when they fail', async () => {
    const error = await caught(runClient(options, 'fail'));
    expect(error).to.be.instanceOf(StackError).with.property('code', 'TOOL_FAILED');
    expect(String(error)).to.include('what went wrong').and.include('"text":"fail"');
  });

  it('end when the program is not there', async () => {
    const error = await caught(runClient({ ...options, program: '/nowhere/clients' }));
    expect(error).to.be.instanceOf(StackError);
  });
});

describe('hack/tools/clients', () => {
  let program: string;

  before(async function () {
    // First start, when it has to be built.
    this.timeout(900_000);
    const guardian = new Guardian();
    ({ clients: program } = await buildPrograms(['clients'], { progress: terminalProgress(), guardian }));
    guardian.close();
  });

  const scope = ['--kubeconfig', '/nowhere', '--resource', 'g/v1/things'];
  for (const [command, args, missing] of [
    ['informer', [], 'resource'],
    ['informer', ['--resource', 'g/v1/things'], 'kubeconfig'],
    ['retrywatch', scope, 'from'],
    ['metadata', ['--kubeconfig', '/nowhere'], 'resource'],
    ['mapper', ['--kubeconfig', '/nowhere'], 'name'],
    ['openapi', ['--kubeconfig', '/nowhere'], 'group'],
    ['gnostic', [], 'group'],
    ['reads', ['--kubeconfig', '/nowhere'], 'path'],
    ['watchers', ['--kubeconfig', '/nowhere', '--path', '/a'], 'change'],
    ['hold', ['--kubeconfig', '/nowhere'], 'path'],
    ['load', ['--kubeconfig', '/nowhere'], 'path'],
    ['load', ['--path', '/a', '--probe', 'https://b', '--probe-server-name', 'b'], 'probe-ca'],
  ] as const) {
    it(`${command} ${args.join(' ')} says that --${missing} is missing`, async () => {
      const answer = await runTool(program, [command, ...args], { env: toolEnvironment() });
      expect(answer).to.deep.include({ code: 2, stderr: `--${missing} is required\n` });
    });
  }
});
