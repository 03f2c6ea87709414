// Loaded before the operator, with ?file=: writes a line of JSON for every time that the event loop did not turn for ten
// milliseconds or more. Node's own histogram ticks every ten milliseconds, and knows nothing of the second figure: for how
// long the thread could have run and the machine let it wait, since other programs had the cores.
import { Buffer } from 'node:buffer';
import { appendFileSync, openSync, readSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setInterval } from 'node:timers';

const TICK_MS = 1;
const LEAST_MS = 10;

const file = new URL(import.meta.url).searchParams.get('file');
// Of the main thread: time on a core, time waiting for one, both in nanoseconds, and how often it got one.
const scheduling = openSync('/proc/self/schedstat', 'r');
const buffer = Buffer.alloc(128);

function waitedMs() {
  const length = readSync(scheduling, buffer, 0, buffer.length, 0);
  return Number(buffer.toString('latin1', 0, length).split(' ')[1]) / 1e6;
}

let turned = performance.now();
let waited = waitedMs();

setInterval(() => {
  const [now, waitedNow] = [performance.now(), waitedMs()];
  const heldMs = now - turned - TICK_MS;
  if (heldMs >= LEAST_MS) {
    const line = { at: Date.now(), heldMs, waitedMs: waitedNow - waited };
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  }
  [turned, waited] = [performance.now(), waitedMs()];
}, TICK_MS).unref();
