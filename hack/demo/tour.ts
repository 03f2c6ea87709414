import { systemClock } from '../../src/base/clock.ts';
import type { Stack } from '../stack/stack.ts';
import { shellQuote } from '../local/environment.ts';
import { controlPlane, namespace, template, workspace, workspaceName } from './manifests.ts';
import type { Narrator } from './narrator.ts';

/** Seen from the checkout, where npm runs every script. */
const tenant = 'config/tenant';

/** The tour did not go as it should. */
export class TourError extends Error {}

export interface TourOptions {
  readonly stack: Stack;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
}

/** Longest wait for one thing to happen; a build of the tour takes a second or two. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Shows the main job on real servers: a workspace comes, stops and goes because of what is applied. Each step is checked
 * before the next is told.
 *
 * @throws TourError when something that was told did not happen.
 */
export async function tour({ stack, narrator, signal }: TourOptions): Promise<void> {
  const { kubernetes, coder } = stack;
  const owner = coder.accounts.adminUser;
  const name = workspaceName(owner);

  const kubectl = async (...args: string[]): Promise<string> => {
    narrator.command(`kubectl ${args.map(shellWord).join(' ')}`);
    const printed = await kubernetes.kubectl(args, { signal });
    narrator.output(printed);
    return printed;
  };
  const apply = async (manifest: string): Promise<void> => {
    narrator.command(`kubectl -n ${namespace} apply -f - <<EOF`);
    narrator.output(`${manifest}EOF`);
    narrator.output(
      await kubernetes.kubectl(['-n', namespace, 'apply', '-f', '-'], { input: manifest, signal }),
    );
  };
  /** Prints `kubectl get` each time that it says something new, until a line of it matches. */
  const watch = async (kind: string, until: RegExp): Promise<void> => {
    const args = ['-n', namespace, 'get', kind];
    narrator.command(`kubectl ${args.join(' ')} --watch`);
    const shown = new Set<string>();
    const end = systemClock.monotonic() + LONGEST_WAIT_MS;
    for (;;) {
      for (const line of alignedLines(await kubernetes.kubectl(args, { signal }))) {
        const withoutAge = line.replace(/\S+$/, '');
        if (!shown.has(withoutAge)) narrator.output(line);
        shown.add(withoutAge);
        if (until.test(line)) return;
      }
      if (systemClock.monotonic() > end) {
        throw new TourError(`kubectl get ${kind} did not come to show ${until.source} within a minute`);
      }
      await systemClock.sleep(100, signal);
    }
  };

  narrator.chapter('A namespace and the way to Coder');
  narrator.say(
    'A namespace holds one control plane: the connection to a Coder server. Its URL and token are in a Secret,',
  );
  narrator.say('and you allow the operator to read the Secrets of this one namespace.');
  await kubectl('create', 'namespace', namespace);
  await kubectl('apply', '-n', namespace, '-k', tenant);
  narrator.command(
    `kubectl -n ${namespace} create secret generic coder --type=coder.com/credentials --from-literal=url=$CODER_URL --from-literal=token=$CODER_OPERATOR_TOKEN`,
  );
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'coder' },
    type: 'coder.com/credentials',
    stringData: { url: coder.url, token: coder.operatorToken },
  };
  // By standard input: arguments of a process can be read by everybody on the machine.
  narrator.output(
    await kubernetes.kubectl(['-n', namespace, 'apply', '-f', '-'], {
      input: JSON.stringify(secret),
      signal,
    }),
  );
  await apply(controlPlane);
  await watch('codercontrolplanes', /Connected/);

  narrator.chapter('A template: its files are uploaded, imported by Terraform and made active');
  await apply(template);
  await watch('codertemplates', /UpToDate/);

  narrator.chapter('A workspace: from nothing to running');
  await apply(workspace(owner));
  await watch('coderworkspaces', /running\s+True\s+Running/);
  narrator.say(`Coder itself says: ${owner}/dev is ${await statusInCoder(stack, owner)}.`);

  narrator.chapter('The same from the aggregated endpoint: what Coder has, served from memory');
  await watch('coderworkspaces.aggregation.coder.com', /dev\s+hello\s+running/);

  narrator.chapter('spec.running: false');
  await kubectl('-n', namespace, 'patch', 'cws', name, '--type=merge', '-p', '{"spec":{"running":false}}');
  await watch('coderworkspaces', /false\s+stopped\s+True\s+Stopped/);
  const status = await statusInCoder(stack, owner);
  narrator.say(`Coder itself says: ${owner}/dev is ${status}.`);
  if (status !== 'stopped')
    throw new TourError(`Coder says that the workspace is ${status}, and not stopped`);

  narrator.chapter('What it did, as events');
  await kubectl('-n', namespace, 'get', 'events', '--field-selector', 'involvedObject.kind=CoderWorkspace');

  narrator.chapter('Deleting the object deletes the workspace that it created');
  await kubectl('-n', namespace, 'delete', 'cws', name, '--timeout=60s');
  const left = await statusInCoder(stack, owner);
  if (left !== 'not there') throw new TourError(`Coder still has the workspace: it is ${left}`);
  narrator.say(`Coder itself says: ${owner}/dev is ${left}.`);

  narrator.chapter('What somebody makes in Coder shows up by itself');
  narrator.say(`Somebody makes the workspace ${owner}/byhand in Coder. Nobody applies anything.`);
  await makeInCoder(stack, owner);
  await watch('coderworkspaces', /byhand\s+running\s+True\s+Mirrored/);
  narrator.say('Wish something of it, and it is managed from then on.');
  const mirror = workspaceName(owner, 'byhand');
  await kubectl('-n', namespace, 'patch', 'cws', mirror, '--type=merge', '-p', '{"spec":{"running":false}}');
  await watch('coderworkspaces', /byhand\s+false\s+stopped\s+True\s+Stopped/);
}

/** What Coder says of the tour's workspace, asked of Coder and not of the operator. */
async function statusInCoder(stack: Stack, owner: string): Promise<string> {
  const response = await askCoder(stack, `users/${owner}/workspace/dev`);
  if (response.status === 404) return 'not there';
  const workspace = (await answerOf(response)) as { readonly latest_build: { readonly status: string } };
  return workspace.latest_build.status;
}

/** A workspace of the tour's template, made as a person makes one in the dashboard. */
async function makeInCoder(stack: Stack, owner: string): Promise<void> {
  const path = 'organizations/coder/templates/hello';
  const { id } = (await answerOf(await askCoder(stack, path))) as { readonly id: string };
  await answerOf(
    await askCoder(stack, `users/${owner}/workspaces`, {
      method: 'POST',
      body: JSON.stringify({ name: 'byhand', template_id: id }),
    }),
  );
}

async function askCoder({ coder }: Stack, path: string, options: RequestInit = {}): Promise<Response> {
  const headers = { 'coder-session-token': coder.adminToken };
  return fetch(`${coder.url}/api/v2/${path}`, { ...options, headers });
}

async function answerOf(response: Response): Promise<unknown> {
  if (!response.ok)
    throw new TourError(`Coder answered ${response.status} to ${new URL(response.url).pathname}`);
  return response.json();
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : shellQuote(word);
}

/** Width of a column, so that tables printed one after the other stand in line. */
const COLUMN = 18;

/** The lines of a table of kubectl, whose columns are as wide as the header says, in columns of one width. */
function alignedLines(table: string): string[] {
  const lines = table.trimEnd().split('\n');
  const starts = [...(lines[0] ?? '').matchAll(/\S+/g)].map((m) => m.index);
  return lines.map((line) =>
    starts
      .map((start, i) =>
        line
          .slice(start, starts[i + 1])
          .trim()
          .padEnd(COLUMN),
      )
      .join(' ')
      .trimEnd(),
  );
}
