import { expect } from 'chai';
import { CoderError } from '../../../src/coder/errors.ts';
import { unlessHidden } from '../../../src/coder/hidden.ts';

describe('unlessHidden', () => {
  const failing = (error: CoderError) => (): Promise<string> => Promise.reject(error);

  it('takes what may not be seen for what is not there, and nothing else', async () => {
    for (const kind of ['NotFound', 'Forbidden'] as const) {
      expect(await unlessHidden(failing(new CoderError(kind, 'no')))).to.equal(undefined);
    }
    const error = new CoderError('ServerError', 'no');
    expect(await unlessHidden(failing(error)).catch((e: unknown) => e)).to.equal(error);
    expect(await unlessHidden(() => Promise.resolve(1))).to.equal(1);
  });

  it('takes what nobody sees before an import is over for it only where that is asked for', async () => {
    const error = new CoderError('NotReady', 'no');
    expect(await unlessHidden(failing(error), { orNotReady: true })).to.equal(undefined);
    expect(await unlessHidden(failing(error)).catch((e: unknown) => e)).to.equal(error);
  });
});
