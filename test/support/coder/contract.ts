import { expect } from 'chai';
import type { CoderClient } from '../../../src/coder/client.ts';
import { CoderError } from '../../../src/coder/errors.ts';
import type {
  CreateBuildRequest,
  CreateWorkspaceRequest,
  ProvisionerJob,
  Template,
  TemplateVersion,
  Workspace,
  WorkspaceBuild,
} from '../../../src/coder/types.ts';
import type { VersionContent } from './definitions.ts';
import { isBefore } from './versions.ts';

/** A request as it goes over the wire. */
export interface Question {
  /** Sent as JSON, unless it is bytes already. */
  readonly body?: object | string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the client's. With `null` there is none. */
  readonly token?: string | null;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** What came on a stream of events. */
export interface StreamedEvent {
  readonly event: string;
  readonly data: string;
}

/** A Coder of whatever kind, with what a test needs besides the client: other people, time, and a provisioner. */
export interface ContractHarness {
  /** Under test. It may do everything in the organization. */
  readonly client: CoderClient;
  /** Such as `2.30`. */
  readonly version: string;
  /** What time it is for this Coder, in milliseconds. */
  now(): number;
  /** Asks what the client does not ask, or does not pass on. The path is the one below `/api/v2`. */
  ask(method: string, path: string, question?: Question): Promise<Answer>;
  readonly organization: { readonly id: string; readonly name: string };
  /** Another one in which it may do everything. Nothing is built there. */
  readonly otherOrganization: { readonly id: string; readonly name: string };
  /** The events of a stream with their data, for as long as they are read. */
  events(path: string): AsyncGenerator<StreamedEvent, void, undefined>;
  /** Names of two members, for whom workspaces are made. */
  readonly owners: readonly [string, string];
  /** Reads until it is done, while time passes and builds and imports end as their content says. */
  until<T>(read: () => Promise<T>, done: (value: T) => boolean): Promise<T>;
  /** An archive that plays the content there. */
  archive(content: VersionContent): Promise<Buffer>;
  /** Stores an archive as if the client had sent it, and does not count as that. */
  store(tar: Buffer): Promise<string>;
  /** Somebody else uploads an archive. */
  uploadByHand(tar: Buffer): Promise<string>;
  /** Somebody else makes a version and waits for its import, unless it hangs. */
  newVersion(templateID: string | undefined, content: VersionContent, name: string): Promise<TemplateVersion>;
  /** Somebody else builds. */
  buildByHand(workspaceID: string, body: CreateBuildRequest): Promise<void>;
  /** Somebody cancels the build under way. */
  cancel(workspaceID: string): Promise<void>;
  /** From now on no build begins. */
  holdBuilds(): Promise<void>;
  releaseBuilds(): Promise<void>;
  /** What Coder hears of the workspace's agents. */
  agentsBecome(workspaceID: string, status: 'connected' | 'disconnected', lifecycle: string): Promise<void>;
  /** The running build is to end so many milliseconds from now, whatever the TTL. */
  limitLifetime(workspaceID: string, ms: number): Promise<void>;
  /** Somebody gives a workspace another name, or is refused; what Coder answers to that. */
  rename(workspaceID: string, name: string): Promise<number>;
  /** Somebody joins the organization. */
  newMember(name: string): Promise<void>;
  /** The same with the name of a person. */
  renameUser(name: string, to: string): Promise<number>;
  /** Gives a workspace, a template or a person a name that Coder itself would not take. */
  forceName(id: string, name: string): Promise<void>;
  /** The template is in the other organization from now on, with its workspaces and jobs. */
  moveTemplate(templateID: string): Promise<void>;
  /** The client may not see this workspace, or this template, any more. */
  hide(id: string): Promise<void>;
  show(id: string): Promise<void>;
  /** The client's user loses its roles, and is a plain member of the organizations. */
  loseRole(): Promise<void>;
  regainRole(): Promise<void>;
  changeOwner(workspaceID: string, owner: string): Promise<void>;
  /** Somebody with a licence deprecates a template. */
  deprecate(templateID: string): Promise<void>;
  /** The template takes the TTL into its own hands. */
  fixTTL(templateID: string, ms: number): Promise<void>;
  /** The deadline of the latest build is past. */
  passDeadline(workspaceID: string): Promise<void>;
  /** The time of the schedule has come. */
  reachSchedule(workspaceID: string): Promise<void>;
  /** Coder finds it unused: it is stopped with that, and will be deleted later. */
  becomeDormant(workspaceID: string): Promise<void>;
  /** Coder deletes what has been dormant for too long. */
  autodelete(workspaceID: string): Promise<void>;
  close(): Promise<void>;
}

/** What the cases share: short ways to make things, with names of their own. */
export class Contract {
  readonly #open: () => ContractHarness;
  readonly #suffix: string;
  #count = 0;

  /** @param suffix of all names, which tells what is made by two of these in one Coder */
  constructor(open: () => ContractHarness, suffix = '') {
    this.#open = open;
    this.#suffix = suffix;
  }

  get harness(): ContractHarness {
    return this.#open();
  }

  get client(): CoderClient {
    return this.harness.client;
  }

  ask(method: string, path: string, question?: Question): Promise<Answer> {
    return this.harness.ask(method, path, question);
  }

  /** Whether this Coder is older than a version such as `2.30`, from which on something else is so. */
  isBefore(version: string): boolean {
    return isBefore(this.harness.version, version);
  }

  get owner(): string {
    return this.harness.owners[0];
  }

  get organizationID(): string {
    return this.harness.organization.id;
  }

  nameOf(prefix: string): string {
    return `${prefix}-${++this.#count}${this.#suffix}`;
  }

  async newTemplate(content: VersionContent = {}, settings: object = {}): Promise<Template> {
    const version = await this.harness.newVersion(undefined, content, this.nameOf('v'));
    expect(version.job.status, version.job.error).to.equal('succeeded');
    return this.client.createTemplate(this.organizationID, {
      ...settings,
      name: this.nameOf('t'),
      template_version_id: version.id,
    });
  }

  /** Stores content where the client can make a version of it. */
  async upload(content: VersionContent): Promise<string> {
    return this.harness.store(await this.harness.archive(content));
  }

  newVersion(templateID: string, content: VersionContent = {}, name?: string): Promise<TemplateVersion> {
    return this.harness.newVersion(templateID, content, name ?? this.nameOf('v'));
  }

  /** Makes a version and makes it the active one. */
  async promoted(templateID: string, content: VersionContent = {}): Promise<TemplateVersion> {
    const version = await this.newVersion(templateID, content);
    await this.client.promoteTemplateVersion(templateID, version.id);
    return version;
  }

  create(template: Template, body: Partial<CreateWorkspaceRequest> = {}): Promise<Workspace> {
    return this.client.createWorkspace(this.owner, {
      name: this.nameOf('w'),
      template_id: template.id,
      ...body,
    });
  }

  /** A workspace whose first build has ended. */
  async newWorkspace(template: Template, body: Partial<CreateWorkspaceRequest> = {}): Promise<Workspace> {
    return this.settled((await this.create(template, body)).id);
  }

  async settled(workspaceID: string): Promise<Workspace> {
    const read = (): Promise<Workspace> => this.client.workspace(workspaceID, { includeDeleted: true });
    await this.harness.until(read, ({ latest_build }) => hasEnded(latest_build.job));
    // Coder reads the build before its job: the answer in which the job has ended may still lack what came with it.
    return read();
  }

  /** The build after it has ended. */
  async build(
    workspaceID: string,
    transition: CreateBuildRequest['transition'],
    body: Partial<CreateBuildRequest> = {},
  ): Promise<WorkspaceBuild> {
    await this.client.createBuild(workspaceID, { transition, ...body });
    return (await this.settled(workspaceID)).latest_build;
  }

  async deleted(template: Template): Promise<Workspace> {
    const { id } = await this.newWorkspace(template);
    await this.build(id, 'delete');
    return this.client.workspace(id, { includeDeleted: true });
  }

  /** Values of the latest build, by name. */
  async values(workspaceID: string): Promise<Readonly<Record<string, string>>> {
    const { latest_build } = await this.client.workspace(workspaceID);
    const values = await this.client.buildParameters(latest_build.id);
    return Object.fromEntries(values.map(({ name, value }) => [name, value]));
  }
}

export function given(
  values: Readonly<Record<string, string>>,
): Pick<CreateBuildRequest & CreateWorkspaceRequest, 'rich_parameter_values'> {
  return { rich_parameter_values: Object.entries(values).map(([name, value]) => ({ name, value })) };
}

/** The object that an answer holds. */
export function said(answer: Answer): Readonly<Record<string, unknown>> {
  return jsonIn(answer) as Readonly<Record<string, unknown>>;
}

/** What an answer says in JSON. */
export function jsonIn({ text }: Answer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return expect.fail(`This is no JSON: ${text.slice(0, 200)}`);
  }
}

/** An error in Coder's own form. */
export interface Refused {
  readonly status: number;
  readonly message: string;
  readonly detail?: string;
  /** The fields that Coder found fault with. */
  readonly fields: readonly string[];
}

export function refusalIn(answer: Answer): Refused {
  const {
    message,
    detail,
    validations = [],
  } = jsonIn(answer) as {
    readonly message: string;
    readonly detail?: string;
    readonly validations?: readonly { readonly field: string }[];
  };
  expect(message, 'an error says what it is').to.be.a('string').and.not.equal('');
  const fields = validations.map(({ field }) => field);
  return { status: answer.status, message, fields, ...(detail === undefined ? {} : { detail }) };
}

export function hasEnded({ status }: ProvisionerJob): boolean {
  return ['succeeded', 'failed', 'canceled'].includes(status);
}

export async function failure(call: Promise<unknown>): Promise<CoderError> {
  const thrown: unknown = await call.then(
    () => expect.fail('the call succeeded'),
    (error: unknown) => error,
  );
  expect(thrown).to.be.instanceOf(CoderError);
  return thrown as CoderError;
}

export async function expectFailure(
  call: Promise<unknown>,
  guard: (error: unknown) => boolean,
): Promise<CoderError> {
  const error = await failure(call);
  expect(guard(error), `${guard.name}: ${error.kind}: ${error.message}`).to.equal(true);
  return error;
}

/** The fields that Coder found fault with. */
export function faults(error: CoderError): readonly string[] {
  return error.validations.map(({ field }) => field);
}
