import sinon from 'sinon';
import { stopServers } from './servers.ts';

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
