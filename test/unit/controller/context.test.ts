import { expect } from 'chai';
import { workspaces } from '../../../src/api/kinds.ts';
import { isBeingUninstalled } from '../../../src/controller/context.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { KubeError } from '../../../src/kube/errors.ts';

describe('isBeingUninstalled', () => {
  const answering = (answer: () => object): KubeClient =>
    ({ get: () => new Promise((resolve) => resolve(answer())) }) as unknown as KubeClient;
  const refuse =
    (status: number, reason: string): (() => never) =>
    () => {
      throw new KubeError('KUBE_REFUSED', 'x', { status, reason });
    };

  it('is so when the CRD is going or gone, and not when it is there', async () => {
    const metadata = { name: 'coderworkspaces.coder.com' };
    expect(
      await isBeingUninstalled(
        answering(() => ({ metadata })),
        workspaces,
      ),
    ).to.equal(false);
    const going = { metadata: { ...metadata, deletionTimestamp: 'now' } };
    expect(
      await isBeingUninstalled(
        answering(() => going),
        workspaces,
      ),
    ).to.equal(true);
    expect(await isBeingUninstalled(answering(refuse(404, 'NotFound')), workspaces)).to.equal(true);
  });

  it('is not guessed when the API server does not say', async () => {
    const asked = isBeingUninstalled(answering(refuse(403, 'Forbidden')), workspaces);
    expect(await asked.catch((error: unknown) => error)).to.be.instanceOf(KubeError);
  });
});
