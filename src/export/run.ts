import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { errorText, OperatorError } from '../base/errors.ts';
import { USER_AGENT } from '../base/version.ts';
import { CoderClient } from '../coder/client.ts';
import { parseTemplateName, parseWorkspaceName } from '../api/names.ts';
import { collect, type Collected } from './collect.ts';
import { named, strangersIn, writeFolder } from './folder.ts';
import type { Detail, ManifestKind } from './manifest.ts';
import { Progress } from './progress.ts';
import type { Filters } from './selection.ts';
import { printManifests } from './yaml.ts';

export interface ExportOptions {
  readonly url: string;
  /** The token itself, or the file that it is in. */
  readonly token: { readonly value: string } | { readonly file: string };
  /** A file with certificates in PEM form, trusted besides the system's. */
  readonly caFile: string | undefined;
  /** Whether the token may be sent without TLS. */
  readonly allowHttp: boolean;
  readonly requestsPerMinute: number;
  readonly filters: Filters;
  readonly kinds: ReadonlySet<ManifestKind>;
  readonly detail: Detail;
  /** The folder to write to; undefined for stdout. */
  readonly output: string | undefined;
  /** Whether files that differ are written anew. */
  readonly force: boolean;
  readonly quiet: boolean;
}

export interface ExportWorld {
  readonly clock: Clock;
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly signal: AbortSignal;
}

/** How an export ended, as an exit code. */
export const COMPLETE = 0;
/** What was asked for is not all there; stderr says what is missing. */
export const INCOMPLETE = 3;

const MOST_PROBLEMS_TOLD = 20;
const DEFAULT_COLUMNS = 80;

/**
 * `coder-operator export`: reads and never writes to Coder. Nothing is printed or written before everything was read.
 *
 * @returns COMPLETE or INCOMPLETE.
 * @throws {OperatorError} for what made it fail as a whole.
 */
export async function runExport(options: ExportOptions, world: ExportWorld): Promise<number> {
  const { clock, signal, stderr } = world;
  const progress = new Progress({
    clock,
    write: (text) => void stderr.write(text),
    columns: stderr.isTTY === true ? (stderr.columns ?? DEFAULT_COLUMNS) : undefined,
    quiet: options.quiet,
  });
  const client = await connect(options, clock);
  let collected: Collected | undefined;
  try {
    collected = await read(client, options, progress, world);
    return await hand(collected, options, progress, world);
  } catch (error) {
    if (!signal.aborted) throw error;
    const left =
      collected === undefined ? 'nothing was written' : 'not everything is written, but no file by half';
    throw new OperatorError('STOPPED', `${errorText(signal.reason)}; ${left}`, { cause: error });
  } finally {
    progress.end();
    client.close();
  }
}

async function read(
  client: CoderClient,
  { filters, kinds, detail }: ExportOptions,
  progress: Progress,
  { clock, signal }: ExportWorld,
): Promise<Collected> {
  // First without the token: it is not sent to what is no Coder.
  await client.buildInfo({ signal });
  const user = await client.me({ signal });
  progress.tell(`Reading as ${user.username} …`);
  return collect({ client, filters, kinds, detail, progress, clock, signal });
}

async function hand(
  collected: Collected,
  options: ExportOptions,
  progress: Progress,
  { stdout, signal }: ExportWorld,
): Promise<number> {
  const { output, detail, kinds } = options;
  if (detail.withParameters && kinds.has('CoderWorkspace')) {
    progress.warn(
      'Warning: the values of parameters stand in the manifests as they are, and may be secrets. Look at them before they get into a repository; with valueFrom a value comes from a Secret instead.',
    );
  }
  progress.end();
  const where =
    output === undefined
      ? await print(collected, stdout, signal)
      : await save(collected, { ...options, output }, progress, signal);
  tellProblems(collected.problems, progress);
  progress.say(`Exported ${counted(collected)}${where}.`);
  return collected.problems.length === 0 ? COMPLETE : INCOMPLETE;
}

async function connect(options: ExportOptions, clock: Clock): Promise<CoderClient> {
  const { url, token, caFile } = options;
  const secret = 'value' in token ? token.value : await readText(token.file, 'The token');
  if (!/^[\x21-\x7e]+$/.test(secret.trim())) {
    throw new OperatorError('INVALID_TOKEN', 'The token is empty or holds characters that no token has');
  }
  const caCertificates = caFile === undefined ? undefined : await readText(caFile, 'The file of --ca-file');
  return new CoderClient({
    url,
    token: secret.trim(),
    ...(caCertificates === undefined ? {} : { caCertificates }),
    policy: policyFor(url, options.allowHttp),
    requestsPerMinute: options.requestsPerMinute,
    userAgent: USER_AGENT,
    clock,
  });
}

/**
 * Unlike in a cluster, whoever names the host is the one whose token it is. So this very machine is no secret from them,
 * and http is a matter of saying so.
 */
function policyFor(url: string, allowHttp: boolean): ConstructorParameters<typeof CoderClient>[0]['policy'] {
  const isHttp = URL.canParse(url) && new URL(url).protocol === 'http:';
  if (isHttp && !allowHttp) {
    throw new OperatorError(
      'INVALID_CODER_URL',
      `${new URL(url).origin} is reached without TLS, and the token could be read on the way; use https, or say --allow-http`,
    );
  }
  return { httpHosts: isHttp ? [new URL(url).hostname] : [], allowLoopback: true };
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new OperatorError('UNREADABLE_FILE', `${what} cannot be read: ${errorText(error)}`);
  }
}

/** @returns what the summary says of it: nothing, since a person sees it. */
async function print({ objects }: Collected, stdout: Writable, signal: AbortSignal): Promise<string> {
  // Whoever reads may have gone; the write that meets it fails for itself.
  stdout.on('error', () => undefined);
  for (const text of printManifests(objects)) {
    signal.throwIfAborted();
    await written(stdout, text);
  }
  return '';
}

/** Resolves when the text has left the program: what ends right after it would cut it off. */
function written(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}

async function save(
  collected: Collected,
  { output: folder, force, kinds }: ExportOptions & { readonly output: string },
  progress: Progress,
  signal: AbortSignal,
): Promise<string> {
  progress.tell(`Writing to ${folder} …`);
  const { objects, selection, lacking } = collected;
  const { added, changed, unchanged } = await writeFolder({ folder, objects, force, signal });
  const stale = (await strangersIn(folder, objects, kinds))
    .filter(({ name, kind }) => !lacking.has(name) && mayBeMeant(kind, name, selection))
    .map(({ path }) => path);
  if (stale.length > 0) {
    progress.warn(
      `${stale.length} file(s) in ${folder} are of nothing that was found in Coder, and are left as they are: ${named(stale)}`,
    );
  }
  return ` to ${folder}: ${added} new, ${changed} changed, ${unchanged} unchanged`;
}

/** Whether this export would hold the object if it were in Coder, as far as its name tells. */
function mayBeMeant(kind: ManifestKind, name: string, selection: Collected['selection']): boolean {
  try {
    if (kind === 'CoderTemplate') {
      const { organization, template } = parseTemplateName(name);
      return selection.hasTemplate({ organization_name: organization, name: template });
    }
    const { organization, owner } = parseWorkspaceName(name);
    return !selection.isByTemplate && selection.hasOrganization(organization) && selection.hasOwner(owner);
  } catch {
    // A person's own file.
    return false;
  }
}

function tellProblems(problems: readonly string[], progress: Progress): void {
  for (const problem of problems.slice(0, MOST_PROBLEMS_TOLD)) progress.warn(`Warning: ${problem}`);
  const more = problems.length - MOST_PROBLEMS_TOLD;
  if (more > 0) progress.warn(`Warning: … and ${more} more like these`);
}

function counted({ objects, lacking }: Collected): string {
  const templates = objects.filter(({ manifest }) => manifest.kind === 'CoderTemplate').length;
  const leftOut = lacking.size === 0 ? '' : ` (${lacking.size} left out)`;
  return `${templates} template(s) and ${objects.length - templates} workspace(s)${leftOut}`;
}
