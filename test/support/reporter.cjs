const Mocha = require('mocha');

/** Mocha's spec reporter, and after it one line with the counts alone, for whoever reads the end of a log. */
module.exports = class extends Mocha.reporters.Spec {
  done(failures, fn) {
    const { passes, pending } = this.stats;
    const skipped = pending === 0 ? '' : `, ${pending} skipped`;
    console.log(`\n${passes} passed, ${failures} failed${skipped}`);
    fn?.(failures);
  }
};
