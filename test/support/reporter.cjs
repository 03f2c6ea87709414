const Mocha = require('mocha');

/**
 * Mocha's spec reporter, and after it one line with the counts alone, for whoever reads the end of a log. The first
 * SIGINT ends the test at work and leaves out the rest, so that what was seen until then is told; the run counts as
 * failed.
 */
module.exports = class extends Mocha.reporters.Spec {
  #interrupted = false;

  constructor(runner, options) {
    super(runner, options);
    process.once('SIGINT', () => {
      this.#interrupted = true;
      const current = runner.currentRunnable;
      console.log(`\nInterrupted at: ${current?.fullTitle() ?? 'the beginning'}`);
      runner.abort();
      current?.timeout(1);
    });
  }

  done(failures, fn) {
    const { passes, pending } = this.stats;
    const skipped = pending === 0 ? '' : `, ${pending} skipped`;
    const interrupted = this.#interrupted ? ', interrupted' : '';
    console.log(`\n${passes} passed, ${failures} failed${skipped}${interrupted}`);
    fn?.(this.#interrupted ? Math.max(1, failures) : failures);
  }
};
