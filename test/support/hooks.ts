import { configureGlobal } from 'fast-check';
import sinon from 'sinon';
import { stopServers } from './servers.ts';

/**
 * Property tests draw the same cases in every run, so that a change is never blamed for another one's luck. Hunt with
 * other seeds: `PROPERTY_SEED=$RANDOM npm run test:unit`.
 */
configureGlobal({ seed: Number(process.env['PROPERTY_SEED'] ?? 42) });

/** Loaded before every test file (.mocharc.json). */
export const mochaHooks = {
  beforeAll(): void {
    // A rejection that nobody handles is a bug of the code under test, wherever it happens.
    process.on('unhandledRejection', (reason) => {
      throw reason instanceof Error ? reason : new Error('unhandled rejection', { cause: reason });
    });
  },
  afterEach(): void {
    sinon.restore();
  },
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(60_000);
    await stopServers();
  },
};
