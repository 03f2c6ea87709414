import { expect } from 'chai';
import fc from 'fast-check';
import type { Workspace } from '../../../src/coder/types.ts';
import { isNotFound } from '../../../src/kube/errors.ts';
import { OWNER, STRANGER } from '../../support/controller-coder.ts';
import { runs } from '../../support/histories.ts';
import { LoopMirrors } from '../../support/loop-mirrors.ts';

const NAMES = ['dev', 'web', 'Data'];
const WISH = { automaticUpdates: 'Never' };
const OWNERS = [OWNER.username, STRANGER.username, 'carol'];

/** The same as in test/unit/controller/mirror/histories.test.ts where the API server matters; many more are played there. */
const ACTIONS = {
  'a workspace is made': (m, n) =>
    m.coder.addWorkspace(pick(OWNERS, n), pick(NAMES, n >> 2), m.coder.addTemplate()),
  'a workspace is renamed': (m, n) => at(m, n, ({ id }) => m.coder.rename(pick(NAMES, n >> 2), id)),
  'a workspace is given away': (m, n) => at(m, n, ({ id }) => m.coder.changeOwner(pick(OWNERS, n >> 2), id)),
  'a workspace is deleted': (m, n) =>
    at(m, n, ({ id }) => m.coder.build('delete', STRANGER.id, 'initiator', { workspaceID: id })),
  'a workspace is stopped': (m, n) =>
    at(m, n, ({ id }) => m.coder.build('stop', OWNER.id, 'dashboard', { workspaceID: id })),
  'a workspace is hidden': (m, n) => at(m, n, ({ id }) => m.coder.hide(id)),
  'a workspace is shown': (m, n) => at(m, n, ({ id }) => m.coder.show(id)),
  'lists lack rows': (m, n) =>
    void (m.coder.ofList = (rows) => rows.filter((_, i) => (n >> (i % 6)) % 2 === 0)),
  'lists are whole': (m) => void (m.coder.ofList = (rows) => rows),
  'somebody wishes something': async (m, n) => {
    const object = m.loop.workspaces[n % Math.max(1, m.loop.workspaces.length)];
    // It may be gone already.
    if (object !== undefined) await m.wish(object.metadata.name, WISH).catch(ifNotFound);
  },
  'somebody deletes an object': async (m, n) => {
    const object = m.loop.workspaces[n % Math.max(1, m.loop.workspaces.length)];
    if (object !== undefined)
      await m.loop.kubectl([
        'delete',
        'coderworkspace',
        object.metadata.name,
        '--ignore-not-found',
        '--wait=false',
      ]);
  },
  'the operator starts again': (m) => m.loop.restart(),
  'Coder is looked at': (m) => m.loop.looks(1),
  'all comes to rest': (m) => rest(m),
} satisfies Readonly<Record<string, (mirrors: LoopMirrors, n: number) => unknown>>;

type Action = keyof typeof ACTIONS;

function ifNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

function at({ coder }: LoopMirrors, n: number, act: (workspace: Workspace) => void): void {
  if (coder.present.length > 0) act(pick(coder.present, n));
}

function pick<T>(all: readonly T[], n: number): T {
  const one = all[n % all.length];
  if (one === undefined) throw new RangeError('there is nothing to pick');
  return one;
}

async function rest(m: LoopMirrors): Promise<void> {
  m.coder.ofList = (rows) => rows;
  await m.untilRight();
}

describe('mirrors, through random histories and the running loop', function () {
  this.timeout(60_000 + runs(0.01) * 30_000);

  const steps = fc.array(
    fc.tuple(
      fc.oneof(
        { weight: 1, arbitrary: fc.constantFrom<Action>('a workspace is made', 'Coder is looked at') },
        { weight: 3, arbitrary: fc.constantFrom(...(Object.keys(ACTIONS) as Action[])) },
      ),
      fc.nat(63),
    ),
    { minLength: 15, maxLength: 30 },
  );

  it('are at rest what Coder shows', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const m = await LoopMirrors.open();
        try {
          for (const [action, n] of history) await ACTIONS[action](m, n);
          await rest(m);
          expect(m.loop.server.changes).to.deep.equal([]);
        } finally {
          await m.loop.close();
        }
      }),
      // A history takes seconds: none is looked for that is shorter and goes wrong, too.
      { numRuns: runs(0.01), endOnFailure: true },
    );
  });
});
