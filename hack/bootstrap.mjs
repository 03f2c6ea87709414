// Runs a TypeScript script of this folder: node hack/bootstrap.mjs hack/local.ts up
// Plain JavaScript without dependencies, since it is what makes a fresh clone ready: it checks the version of Node,
// installs the npm packages when they are missing or older than the lock file, and hands over.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { clearInterval, setInterval, setTimeout } from 'node:timers';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const wanted = [20, 19];
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'];

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  fail(
    `Node ${wanted.join('.')} or newer is needed; this is ${process.versions.node}. Install one from https://nodejs.org/.`,
  );
}
const [script, ...args] = process.argv.slice(2);
if (script === undefined) fail('Usage: node hack/bootstrap.mjs SCRIPT [ARGUMENT…]', 2);

await installPackages();
await run(process.execPath, ['--import', 'tsx', join(root, script), ...args], { exitWithIt: true });

/** npm writes node_modules/.package-lock.json last, so an installation that was interrupted counts as none. */
function packagesAreThere() {
  try {
    const installed = statSync(join(root, 'node_modules', '.package-lock.json')).mtimeMs;
    return installed >= statSync(join(root, 'package-lock.json')).mtimeMs;
  } catch {
    return false;
  }
}

async function installPackages() {
  if (packagesAreThere()) return;
  const lock = join(root, '.local', 'npm-ci.lock');
  mkdirSync(join(root, '.local'), { recursive: true, mode: 0o700 });
  const release = await takeLock(lock);
  try {
    if (packagesAreThere()) return;
    console.error('Installing the npm packages (npm ci) …');
    const start = Date.now();
    const still = setInterval(
      () => console.error(`… still installing, ${Math.round((Date.now() - start) / 1000)} s`),
      10_000,
    );
    const code = await run('npm', ['ci', '--no-audit', '--no-fund'], { onEnd: release });
    clearInterval(still);
    if (code !== 0) {
      release();
      fail('npm ci failed; its reason is above. Mend that and run the same command again.');
    }
  } finally {
    release();
  }
}

/** One installation at a time in a checkout. The lock of a dead process is taken over. */
async function takeLock(file) {
  for (let told = false; ;) {
    try {
      const handle = openSync(file, 'wx');
      writeSync(handle, String(process.pid));
      closeSync(handle);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readFileSafely(file));
    if (holder > 0 && !isAlive(holder)) rmSync(file, { force: true });
    else if (!told) {
      told = true;
      console.error(`Process ${holder} is installing the npm packages; waiting for it …`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function readFileSafely(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * Runs a program with our terminal and gives its exit code. Signals go on to it; when one has ended it, or came for
 * us meanwhile, we end with 128 + its number, as a shell would say it.
 */
function run(command, commandArgs, { exitWithIt = false, onEnd } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, commandArgs, { cwd: exitWithIt ? process.cwd() : root, stdio: 'inherit' });
    let interrupted;
    const handlers = forwarded.map((signal) => {
      const handler = () => {
        interrupted = signal;
        // Ctrl-C at a terminal has reached the child already: both are in the terminal's foreground group.
        if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
      };
      process.on(signal, handler);
      return [signal, handler];
    });
    child.once('error', (error) => fail(`${command} could not be started: ${error.message}`));
    child.once('exit', (code, signal) => {
      for (const [name, handler] of handlers) process.off(name, handler);
      const result = signal === null ? code : 128 + constants.signals[signal];
      if (exitWithIt) process.exit(result);
      if (interrupted !== undefined) {
        onEnd?.();
        process.exit(128 + constants.signals[interrupted]);
      }
      resolve(result);
    });
  });
}

function fail(message, code = 1) {
  console.error(message);
  process.exit(code);
}
