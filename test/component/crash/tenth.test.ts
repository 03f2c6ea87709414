import { expect } from 'chai';
import { Matrix, reportOf } from '../../support/crash/matrix.ts';

/**
 * `npm run test:crash` runs all of them. No multiple of the number of modes of one request, or each request would meet the same mode.
 */
const ONE_IN = 11;

describe('some plans of the crash matrix', function () {
  this.timeout(900_000);

  it('end as the run without a fault, and have done nothing twice', async () => {
    const matrix = await Matrix.record();
    const verdicts = await matrix.run(matrix.every(ONE_IN));
    const failed = verdicts.filter((v) => v.failures.length > 0);
    expect(verdicts.length).to.be.greaterThan(50);
    expect(failed.map(reportOf).join('\n\n'), `${failed.length} of ${verdicts.length} plans failed`).to.equal(
      '',
    );
  });
});
