import { expect } from 'chai';
import { placesOf, specSchema } from '../../support/mutation/schema.ts';
import { effectFor } from '../../support/mutation/effects.ts';
import { allMutations, groupsOf, MutationRun } from '../../support/mutation/run.ts';
import { KINDS } from '../../support/mutation/subject.ts';

const chosen = process.env['MUTATION']?.split(',').map((id) => id.trim());
const groups = groupsOf((id) => chosen === undefined || chosen.includes(id));
if (groups.length === 0) throw new Error(`There is no mutation ${chosen?.join(', ') ?? ''}`);

describe('mutations of specs, through the running operator', function () {
  this.timeout(900_000);
  let run: MutationRun;

  before(async () => {
    run = await MutationRun.start(groups);
  });

  // Absent when `before` has failed.
  after(() => (run as MutationRun | undefined)?.close());

  for (const { resource } of KINDS) {
    describe(resource.kind, () => {
      for (const group of groups.filter(({ kind }) => kind === resource.kind)) {
        it(`${group.title}: ${group.ids.length} mutations and their reverts`, async () => {
          const { failures } = await run.resultOf(group);
          if (failures.length > 0) expect.fail(failures.join('\n\n'));
        });
      }
    });
  }

  it('made no exception that belongs to no object', () => {
    expect(run.world.faults).to.deep.equal([]);
  });
});

describe('the mutations', () => {
  for (const { resource, effects } of KINDS) {
    it(`of ${resource.kind} have an effect to look for, or a reason why there is none`, () => {
      const unknown = placesOf(specSchema(resource)).filter(
        ({ path }) => path !== '' && effectFor(effects, path) === undefined,
      );
      expect(unknown.map(({ path }) => path)).to.deep.equal([]);
    });

    it(`of ${resource.kind} have an id each`, () => {
      const ids = allMutations(resource.kind).map(({ id }) => id);
      expect(ids).to.deep.equal([...new Set(ids)]);
    });
  }
});
