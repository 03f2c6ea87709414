import fc from 'fast-check';
import sinon from 'sinon';
import { templates, type CoderWorkspace } from '../../../../src/api/kinds.ts';
import { isMirror } from '../../../../src/api/mirrors.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { Template, Workspace } from '../../../../src/coder/types.ts';
import {
  OTHER_ORGANIZATION,
  ORGANIZATION,
  OWNER,
  PREBUILDS,
  STRANGER,
} from '../../../support/controller-coder.ts';
import { Fleet } from '../../../support/fleet.ts';
import { runs } from '../../../support/histories.ts';
import type { Write } from '../../../support/memory-kube.ts';
import { faultsOfMirrors } from '../../../support/mirror-rules.ts';

const NAMES = ['dev', 'web', 'Data', 'ml'];
const OWNERS = [OWNER.username, STRANGER.username, 'carol'];
/** So long a list is under way. */
const LATE_MS = 4_000;
/** After so many looks nothing is due any more, also of what was not seen for long. */
const UNTIL_REST = 70;

/** What is done with the nth of what there is to do it with. */
const ACTIONS = {
  'a workspace is made': (h, n) => h.coder.addWorkspace(pick(OWNERS, n), pick(NAMES, n >> 2), h.template),
  'a workspace is renamed': (h, n) => h.changing(n, (w) => h.coder.rename(pick(NAMES, n >> 2), w.id)),
  'a workspace is given away': (h, n) =>
    h.changing(n, (w) => h.coder.changeOwner(pick(OWNERS, n >> 2), w.id)),
  'a workspace gets a name that no object has': (h, n) =>
    h.changing(n, (w) => h.coder.forceName(w.id, `a--${n}`)),
  'a workspace is deleted': (h, n) =>
    h.changing(n, (w) => h.coder.build('delete', STRANGER.id, 'initiator', { workspaceID: w.id })),
  'a workspace is started': (h, n) =>
    h.at(h.present, n, (w) => h.coder.build('start', w.owner_id, 'dashboard', { workspaceID: w.id })),
  'a workspace is stopped': (h, n) =>
    h.at(h.present, n, (w) => h.coder.build('stop', w.owner_id, 'dashboard', { workspaceID: w.id })),
  'a workspace becomes dormant': (h, n) => h.at(h.present, n, (w) => h.coder.becomeDormant(86_400_000, w.id)),
  'a prebuild is made': (h, n) => h.coder.addPrebuild(h.template, `prebuild-${n}`),
  'a prebuild is claimed': (h, n) => h.coder.claimPrebuilds(OWNER, pick(NAMES, n)),
  'a person gets another name': (h, n) => h.renamePerson(n),
  'the template gets another name': (h, n) => h.renameTemplate(n),
  'the template moves to the other organization': (h) => h.moveTemplate(),
  'a template is made': (h, n) => h.coder.addTemplate(`more-${n % 3}`),
  'a template is deleted': (h, n) => h.deleteTemplate(n),
  'a workspace is hidden': (h, n) => h.at(h.present, n, (w) => h.hide(w.id)),
  'the template is hidden': (h) => h.hide(h.template.id),
  'all that is hidden is shown': (h) => h.showAll(),
  'the role is taken away': (h) => h.coder.loseRole(),
  'the role is given back': (h) => h.coder.regainRole(),
  'lists lack rows': (h, n) =>
    void (h.coder.ofList = (rows) => rows.filter((_, i) => ((n + 1) >> (i % 5)) % 2 === 0)),
  'lists are empty': (h) => void (h.coder.ofList = () => []),
  'lists have rows twice': (h) => void (h.coder.ofList = (rows) => [...rows, ...rows]),
  'lists are whole again': (h) => void (h.coder.ofList = (rows) => rows),
  'the next list comes late': (h) => h.holdList(),
  'Coder is away': (h) => void (h.coder.outage = new CoderError('Unreachable', 'away')),
  'Coder is back': (h) => void (h.coder.outage = undefined),
  'the process dies': (h) => h.fleet.restart(),
  'somebody wishes something of an object': (h, n) =>
    h.at(h.objects, n, ({ metadata }) => h.fleet.apply(metadata.name, { running: n % 2 === 0 })),
  'somebody applies a manifest': (h, n) => h.apply(n),
  'somebody takes all wishes back': (h, n) =>
    h.at(h.objects, n, ({ metadata }) => h.fleet.apply(metadata.name, { running: null, templateName: null })),
  'somebody deletes an object': (h, n) => h.at(h.objects, n, ({ metadata }) => h.fleet.delete(metadata.name)),
  'somebody deletes the mirror of the template': (h, n) =>
    h.at(h.fleet.templates, n, ({ metadata }) => h.fleet.delete(metadata.name, templates)),
  'the scope is one owner': (h) => h.setScope([OWNER.username]),
  'the scope is everything': (h) => h.setScope([]),
  'the watch is slow': (h) => void (h.fleet.kube.lagMs = 2_000),
  'the watch is quick': (h) => void (h.fleet.kube.lagMs = 5),
  '1 s passes': (h) => h.fleet.pass(1_000),
  '7 s pass': (h) => h.fleet.pass(7_000),
  '15 s pass': (h) => h.fleet.pass(15_000),
  '2 min pass': (h) => h.fleet.pass(120_000),
  'all comes to rest': (h) => h.rest(),
} satisfies Readonly<Record<string, (history: History, n: number) => unknown>>;

type Action = keyof typeof ACTIONS;
type Step = [action: Action, n: number];
const TIME: readonly Action[] = ['1 s passes', '7 s pass', '15 s pass', '2 min pass'];

/** What went wrong once. */
const EXAMPLES: readonly Step[][] = [
  [
    ['1 s passes', 0],
    ['the template moves to the other organization', 0],
  ],
  [
    ['a workspace is made', 0],
    ['1 s passes', 0],
    ['a workspace is made', 19],
    ['a workspace is given away', 20],
    ['the process dies', 0],
    ['somebody wishes something of an object', 0],
  ],
];

/** A whole operator whose every removal of a mirror, and every creation in Coder, has to have a reason. */
class History {
  readonly fleet = new Fleet();
  readonly template: Template;
  /** Ids of what a mirror may have gone for, one time or another. */
  readonly #excused = new Set<string>();
  readonly #hidden = new Set<string>();
  #owners: readonly string[] = [];
  #isAllExcused = false;
  #held: { release(): void } | undefined;

  constructor() {
    this.template = this.coder.addTemplate();
    for (const owner of OWNERS) this.coder.addMember(owner);
    const { onWrite } = this.fleet.kube;
    this.fleet.kube.onWrite = (write) => {
      onWrite(write);
      this.#check(write);
    };
    this.coder.onRequest = (what, detail) => {
      if (what === 'createWorkspace') this.#checkCreation(detail);
      if (what === 'createBuild' && detail === 'delete') this.#checkDeletion();
    };
  }

  get coder(): Fleet['coder'] {
    return this.fleet.coder;
  }

  get present(): readonly Workspace[] {
    return this.coder.present;
  }

  get objects(): readonly CoderWorkspace[] {
    return this.fleet.workspaces;
  }

  at<T>(all: readonly T[], n: number, act: (one: T) => unknown): void {
    if (all.length > 0) act(pick(all, n));
  }

  /** An act after which the workspace may need another mirror, or none. */
  changing(n: number, act: (workspace: Workspace) => void): void {
    this.at(this.present, n, (workspace) => {
      this.#excused.add(workspace.id);
      act(workspace);
    });
  }

  renamePerson(n: number): void {
    const before = pick(OWNERS, n);
    const [from, to] = this.coder.isThere(before) ? [before, `${before}-2`] : [`${before}-2`, before];
    for (const w of this.present) if (w.owner_name === from) this.#excused.add(w.id);
    this.coder.renameUser(from, to);
  }

  renameTemplate(n: number): void {
    this.#excused.add(this.template.id);
    this.coder.renameTemplate(this.template.id, ['docker', 'Podman'][n % 2] ?? '');
  }

  moveTemplate(): void {
    const present = this.coder.presentTemplates.find(({ id }) => id === this.template.id);
    const isHome = present?.organization_id === ORGANIZATION.id;
    this.#isAllExcused = true;
    this.coder.moveTemplate(this.template.id, isHome ? OTHER_ORGANIZATION : ORGANIZATION);
  }

  deleteTemplate(n: number): void {
    const others = this.coder.presentTemplates.filter(({ id }) => id !== this.template.id);
    this.at(others, n, ({ id }) => {
      this.#excused.add(id);
      this.coder.removeTemplate(id);
    });
  }

  hide(id: string): void {
    this.#hidden.add(id);
    this.coder.hide(id);
  }

  showAll(): void {
    for (const id of this.#hidden) this.coder.show(id);
    this.#hidden.clear();
  }

  holdList(): void {
    this.#held?.release();
    const held = this.coder.holdNextList();
    this.#held = held;
    // After a list that took long, the next one may be far off.
    void held.arrived.then(() => this.fleet.clock.after(LATE_MS, () => held.release()));
  }

  setScope(owners: readonly string[]): void {
    this.#isAllExcused = true;
    this.#owners = owners;
    this.fleet.configure({ scope: { owners } });
  }

  apply(n: number): void {
    this.fleet.apply(`acme.${pick(OWNERS, n)}.${pick(NAMES, n >> 2)}`.toLowerCase(), {
      templateName: 'docker',
      ...(n % 3 === 0 ? {} : { running: n % 3 === 1 }),
    });
  }

  /** Everything works, and nobody does anything until nothing is left to do. */
  async rest(): Promise<void> {
    this.#held?.release();
    this.coder.ofList = (rows) => rows;
    this.coder.outage = undefined;
    this.fleet.kube.lagMs = 5;
    await this.fleet.looks(UNTIL_REST);
    const { coder } = this;
    const { workspaces, templates } = this.fleet;
    const scene = { coder, workspaces, templates, owners: this.#owners, organizations: [] };
    expectNone(faultsOfMirrors(scene));
    const before = this.fleet.writes.length;
    await this.fleet.looks(3);
    expectNone(this.fleet.writes.slice(before).map((write) => `at rest, there was the ${told(write)}`));
  }

  async close(): Promise<void> {
    this.#held?.release();
    await this.fleet.close();
  }

  #check({ verb, manager, resource, before, after }: Write): void {
    const object = (after ?? before) as CoderWorkspace | undefined;
    if (object === undefined || resource.kind === 'CoderControlPlane') return;
    const id = object.status?.id;
    // What stands for it now, an object of a user's, takes the place of its mirror.
    if (!isMirror(object) && id !== undefined) this.#excused.add(id);
    if (this.coder.present.some((w) => w.id === id && w.owner_id === PREBUILDS.id))
      this.#excused.add(id ?? '');
    if (verb === 'delete' && manager !== undefined && isMirror(object) && id !== undefined) {
      const isExcused = this.#isAllExcused || this.#excused.has(id);
      if (!isExcused) this.fleet.faults.push(`the mirror ${object.metadata.name} was removed wrongly`);
    }
  }

  /** Nothing is made in Coder but what an object of a user's wishes. */
  #checkCreation(detail: string): void {
    const name = `${ORGANIZATION.name}.${detail.replace('/', '.')}`.toLowerCase();
    const isWished = this.objects.some((o) => o.metadata.name === name && !isMirror(o));
    if (!isWished) this.fleet.faults.push(`${detail} was made in Coder, and nobody wished it`);
  }

  /** Nothing is deleted in Coder but what an object has made there that is being deleted. */
  #checkDeletion(): void {
    const isWished = this.objects.some(
      ({ metadata, status }) => metadata.deletionTimestamp !== undefined && status?.origin === 'Created',
    );
    if (!isWished) this.fleet.faults.push('a workspace was deleted in Coder, and nobody wished it');
  }
}

function pick<T>(all: readonly T[], n: number): T {
  const one = all[n % all.length];
  if (one === undefined) throw new RangeError('there is nothing to pick');
  return one;
}

function expectNone(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

function told({ verb, name, after }: Write): string {
  return `${verb} ${name} ${JSON.stringify(after?.status)}`;
}

describe('mirrors, through random histories of Coder', function () {
  this.timeout(30_000 + runs(0.1) * 1_000);

  const steps = fc.array(
    fc.tuple(
      fc.oneof(
        { weight: 2, arbitrary: fc.constantFrom<Action>('a workspace is made', 'all comes to rest') },
        { weight: 4, arbitrary: fc.constantFrom(...TIME) },
        { weight: 10, arbitrary: fc.constantFrom(...(Object.keys(ACTIONS) as Action[])) },
      ),
      fc.nat(63),
    ),
    { minLength: 4, maxLength: 30 },
  );

  beforeEach(() => {
    // The same history twice is the same history.
    sinon.stub(Math, 'random').returns(0.5);
  });

  it('are at rest what Coder shows, and no step on the way is wrong', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const h = new History();
        try {
          for (const [action, n] of history) await ACTIONS[action](h, n);
          await h.rest();
        } finally {
          await h.close();
        }
      }),
      { numRuns: runs(0.1), examples: EXAMPLES.map((history) => [history]) },
    );
  });
});
