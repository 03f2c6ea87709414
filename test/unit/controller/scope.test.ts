import { expect } from 'chai';
import fc from 'fast-check';
import { outsideOf } from '../../../src/controller/beginning.ts';
import { scopeMatcher } from '../../../src/controller/scope.ts';
import { runs } from '../../support/histories.ts';

describe('scopeMatcher', () => {
  const name = fc.constantFrom('acme', 'ACME', 'other', 'Ann', 'ann', 'bob');
  const list = fc.array(name, { maxLength: 3 });

  it('lets through just what an object of that name may stand for', () => {
    fc.assert(
      fc.property(
        list,
        list,
        name,
        fc.option(name, { nil: undefined }),
        (organizations, owners, org, user) => {
          const scope = { organizations, owners };
          const thing = { organizationName: org, ...(user === undefined ? {} : { ownerName: user }) };
          const named = { organization: org, ...(user === undefined ? {} : { owner: user }) };
          expect(scopeMatcher(scope)(thing)).to.equal(outsideOf(scope, named) === undefined);
        },
      ),
      { numRuns: runs(2) },
    );
  });

  it('lets a template through whatever owners there are', () => {
    const isIn = scopeMatcher({ organizations: ['acme'], owners: ['ann'] });
    expect(isIn({ organizationName: 'Acme' })).to.equal(true);
    expect(isIn({ organizationName: 'acme', ownerName: 'bob' })).to.equal(false);
    expect(isIn({ organizationName: 'other' })).to.equal(false);
  });
});
