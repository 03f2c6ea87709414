import { CoderClient } from '../../../src/coder/client.ts';
import { CoderError } from '../../../src/coder/errors.ts';
import { FakeClock } from '../clock.ts';
import { ScriptedApi, SCRIPTED_TOKEN, type ApiAnswer } from './api.ts';
import { SimulatedCoder } from './coder.ts';
import { CONTENT_FILE } from './content.ts';
import { askOverHttp, eventsIn, eventsOverHttp, sent } from './ask.ts';
import type { ContractHarness, Question } from './contract.ts';
import { OPERATOR, ORGANIZATION, OTHER_ORGANIZATION, OWNER, STRANGER } from './people.ts';
import type { Pieces } from './routes.ts';
import { CoderServer } from './server.ts';
import { tarOf } from './tar.ts';

const API = '/api/v2';
/** No provisioner has these. */
const NOBODYS_TAGS = { zone: 'nowhere' };
const STEP_MS = 1000;
const LONGEST_MS = 600_000;
const DAY_MS = 86_400_000;

type Wire = Pick<ContractHarness, 'ask' | 'events'>;

/** The contract's Coder, scripted: builds end when somebody looks twice. */
export function openScripted(): ContractHarness {
  const clock = new FakeClock();
  const coder = new SimulatedCoder(clock);
  const api = new ScriptedApi(coder, true);
  const answerTo = async (method: string, path: string, question: Question = {}): Promise<ApiAnswer> => {
    const url = new URL(`${API}${path}`, 'http://scripted');
    const { headers, bytes = Buffer.alloc(0) } = sent(question, SCRIPTED_TOKEN);
    const { pathname, searchParams: query } = url;
    const body = bytes.toString();
    const answer = await api.answer({ method, path: pathname, query, headers, body, bytes });
    if (answer === undefined) throw new Error(`${method} ${path} gets no answer`);
    return answer;
  };
  const wire: Wire = {
    ask: async (method, path, question) => {
      const { status, headers, body = '' } = await answerTo(method, path, question);
      if (isStream(body)) throw new Error(`${method} ${path} is answered without an end`);
      return { status, headers, text: String(body) };
    },
    events: async function* (path) {
      const { body = '' } = await answerTo('GET', path);
      if (!isStream(body)) throw new Error(`GET ${path} is answered at once: ${String(body)}`);
      yield* eventsIn(body);
    },
  };
  return harnessOf(coder, clock, coder.client, wire);
}

/** The same behind HTTP, for the real client. */
export async function openScriptedServer(): Promise<ContractHarness> {
  const clock = new FakeClock();
  const server = await CoderServer.start(new SimulatedCoder(clock), { rateLimits: true });
  const client = new CoderClient({
    url: server.url,
    token: SCRIPTED_TOKEN,
    policy: { httpHosts: ['127.0.0.1'], allowLoopback: true },
    requestsPerMinute: 100_000,
  });
  const wire: Wire = {
    ask: (method, path, question = {}) =>
      askOverHttp(`${server.url}${API}${path}`, method, sent(question, SCRIPTED_TOKEN)),
    events: (path) => eventsOverHttp(`${server.url}${API}${path}`, sent({}, SCRIPTED_TOKEN)),
  };
  return {
    ...harnessOf(server.coder, clock, client, wire),
    close: () => {
      client.close();
      return server.close();
    },
  };
}

function isStream(body: NonNullable<ApiAnswer['body']>): body is Pieces {
  return typeof body !== 'string' && !Buffer.isBuffer(body);
}

function harnessOf(
  coder: SimulatedCoder,
  clock: FakeClock,
  client: CoderClient,
  wire: Wire,
): ContractHarness {
  const act = async (change: () => void): Promise<void> => {
    await clock.advance(STEP_MS);
    change();
  };
  /** The status of the answer; a refusal is one, too. */
  const answerTo = async (change: () => void, success: number): Promise<number> => {
    try {
      await act(change);
      return success;
    } catch (error) {
      if (error instanceof CoderError && error.status !== undefined) return error.status;
      throw error;
    }
  };
  return {
    client,
    version: '2.30',
    now: () => clock.now(),
    ...wire,
    organization: ORGANIZATION,
    otherOrganization: OTHER_ORGANIZATION,
    owners: [OWNER.username, STRANGER.username],
    until: async (read, done) => {
      const giveUpAt = clock.now() + LONGEST_MS;
      for (;;) {
        const value = await read();
        if (done(value)) return value;
        if (clock.now() > giveUpAt) throw new Error(`Still waiting: ${JSON.stringify(value)}`);
        await clock.advance(STEP_MS);
        coder.playOut();
      }
    },
    archive: (content) => Promise.resolve(tarOf({ [CONTENT_FILE]: JSON.stringify(content) })),
    store: (tar) => Promise.resolve(coder.uploadBy(OPERATOR, tar).id),
    uploadByHand: (tar) => Promise.resolve(coder.uploadBy(STRANGER, tar).id),
    newVersion: (templateID, content, name) => {
      const file = coder.uploadBy(STRANGER, tarOf({ [CONTENT_FILE]: JSON.stringify(content) }));
      const tags = content.imports === 'hang' ? NOBODYS_TAGS : {};
      const order = { name, tags, ...(templateID === undefined ? {} : { templateID }) };
      return Promise.resolve(coder.addVersionOf(file, order));
    },
    buildByHand: (workspaceID, { transition }) =>
      act(() => coder.build(transition, STRANGER.id, 'initiator', { workspaceID })),
    cancel: (id) => act(() => coder.cancelBuilds(id)),
    holdBuilds: () => act(() => coder.holdBuilds()),
    releaseBuilds: () => act(() => coder.releaseBuilds()),
    agentsBecome: (id, status, lifecycle) => act(() => coder.agentsBecome(status, lifecycle, id)),
    limitLifetime: (id, ms) => act(() => coder.limitLifetime(ms, id)),
    rename: (id, name) => answerTo(() => coder.renameWorkspace(id, name), 204),
    newMember: (name) => act(() => coder.addMember(name)),
    renameUser: (name, to) => answerTo(() => coder.renameUser(name, to), 200),
    forceName: (id, name) => act(() => coder.forceName(id, name)),
    moveTemplate: (id) => act(() => coder.moveTemplate(id, OTHER_ORGANIZATION)),
    hide: (id) => act(() => coder.hide(id)),
    show: (id) => act(() => coder.show(id)),
    loseRole: () => act(() => coder.loseRole()),
    regainRole: () => act(() => coder.regainRole()),
    changeOwner: (id, owner) => act(() => coder.changeOwner(owner, id)),
    deprecate: (id) => act(() => coder.deprecate(id)),
    fixTTL: (id, ms) => act(() => coder.fixTTL(id, ms)),
    passDeadline: (id) => act(() => coder.autostop(id)),
    reachSchedule: (id) => act(() => coder.autostart(id)),
    becomeDormant: (id) => act(() => coder.becomeDormant(DAY_MS, id)),
    autodelete: (id) => act(() => coder.autodelete(id)),
    close: () => {
      coder.close();
      return Promise.resolve();
    },
  };
}
