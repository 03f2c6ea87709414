import { expect } from 'chai';
import type { CoderControlPlane } from '../../../src/api/kinds.ts';
import { unsyncedWarnings } from '../../../src/apiserver/unsynced.ts';

function controlPlane(
  namespace: string,
  synced?: 'True' | 'False' | 'Unknown',
  reason = 'CoderUnreachable',
): CoderControlPlane {
  const condition = {
    type: 'Synced',
    reason,
    message: 'no answer',
    observedGeneration: 1,
    lastTransitionTime: '2026-01-02T03:04:05Z',
  };
  return {
    metadata: { namespace, name: 'coder' },
    spec: { credentialsSecretRef: { name: 'coder' } },
    ...(synced === undefined ? {} : { status: { conditions: [{ ...condition, status: synced }] } }),
  };
}

describe('unsyncedWarnings', () => {
  const warnings = (planes: readonly CoderControlPlane[], named = true): readonly string[] =>
    unsyncedWarnings(planes, { named });

  it('says which control plane does not hear from Coder, since when and why', () => {
    expect(warnings([controlPlane('a', 'False'), controlPlane('b', 'True')])).to.deep.equal([
      'CoderControlPlane a/coder does not hear from Coder since 2026-01-02T03:04:05Z (CoderUnreachable): what is shown may be old',
    ]);
  });

  it('counts an unknown state as one that may be old, and one that was not looked at yet as nothing', () => {
    expect(warnings([controlPlane('a', 'Unknown')])).to.have.length(1);
    expect(warnings([controlPlane('a')])).to.deep.equal([]);
  });

  it('says nothing of a second control plane in a namespace: nothing is shown from it', () => {
    expect(warnings([controlPlane('a', 'False', 'AnotherControlPlane')])).to.deep.equal([]);
  });

  it('names none where it must not, however many there are', () => {
    const text = 'a control plane does not hear from Coder: what is shown may be old';
    expect(warnings([controlPlane('a', 'False'), controlPlane('b', 'False')], false)).to.deep.equal([text]);
    expect(warnings([controlPlane('a', 'True')], false)).to.deep.equal([]);
  });

  it('names ten of many, and the number of the others', () => {
    const many = Array.from({ length: 25 }, (_, i) => controlPlane(`n${i}`, 'False'));
    const texts = warnings(many);
    expect(texts).to.have.length(11);
    expect(texts[10]).to.equal('15 more control planes do not hear from Coder');
  });
});
