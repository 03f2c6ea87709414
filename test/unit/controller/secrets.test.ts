import { expect } from 'chai';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { readingForbidden, readSecret, type Secret } from '../../../src/controller/secrets.ts';
import { KubeError } from '../../../src/kube/errors.ts';

const read = (answer: () => Secret): Promise<Secret | undefined | 'forbidden'> =>
  readSecret(
    {
      get: <T extends KubeObject>(resource: ResourceType, namespace: string | undefined, name: string) =>
        new Promise<T>((resolve) => {
          expect([resource.plural, namespace, name]).to.deep.equal(['secrets', 'team', 'values']);
          resolve(answer() as unknown as T);
        }),
    },
    'team',
    'values',
  );

function refuse(status: number, reason: string): () => never {
  return () => {
    throw new KubeError('KUBE_REFUSED', 'x', { status, reason });
  };
}

describe('readSecret', () => {
  it('gives the Secret, or tells that there is none or that it may not be read', async () => {
    const secret = { metadata: { name: 'values' }, type: 'coder.com/values' };
    expect(await read(() => secret)).to.equal(secret);
    expect(await read(refuse(404, 'NotFound'))).to.equal(undefined);
    expect(await read(refuse(403, 'Forbidden'))).to.equal('forbidden');
  });

  it('asks for none by a name that none can have', async () => {
    const get = (): never => expect.fail('asked');
    for (const name of ['', '.', '..', 'other/values', '../../other/secrets/values', '%2e%2e']) {
      expect(await readSecret({ get }, 'team', name), name).to.equal(undefined);
    }
  });

  it('does not take any other failure for one of these', async () => {
    for (const failure of [refuse(404, ''), refuse(500, 'InternalError')]) {
      expect(await read(failure).catch((error: unknown) => error)).to.be.instanceOf(KubeError);
    }
  });
});

describe('readingForbidden', () => {
  it('says what may not be read, and how that is allowed', () => {
    expect(readingForbidden('the Secret values', 'team')).to.deep.equal({
      reason: 'SecretForbidden',
      message:
        'the operator may not read the Secret values of the namespace team. Allow it with: kubectl apply -n team -k config/tenant',
    });
  });
});
