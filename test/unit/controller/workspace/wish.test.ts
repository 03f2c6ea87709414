import { expect } from 'chai';
import type { CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import type { ConnectedFact } from '../../../../src/controller/facts.ts';
import type { Found } from '../../../../src/controller/workspace/input.ts';
import { renewWishes } from '../../../../src/controller/workspace/wish.ts';
import { build, workspaceRecord } from '../../../support/controller-records.ts';
import { boundInput, satisfied, type BoundCase } from '../../../support/workspace-rules.ts';

/** Everything that a status remembers of wishes. */
const remembered: CoderWorkspaceStatus = {
  ...satisfied(true),
  failures: { what: 'start', count: 2, at: '2026-01-02T03:00:00Z' },
  refusals: [{ field: 'ttlMillis', message: 'no' }],
  corrections: ['2026-01-02T03:00:00Z'],
  applied: { ttlMillis: 60_000, update: 'hash' },
  parameters: { wish: 'wish-1', build: 1 },
};

function renew(given: BoundCase): ReturnType<typeof renewWishes> {
  const input = boundInput(given);
  const found: Found = {
    input,
    name: { organization: 'acme', owner: 'ann', workspace: 'dev' },
    coder: input.facts.connection as ConnectedFact,
    status: { ...input.object.status },
    record: workspaceRecord({ build: build({ number: 7 }) }),
    fresh: given.fresh ?? true,
    notes: { drifts: [] },
  };
  return renewWishes(found);
}

function statusOf(given: BoundCase): CoderWorkspaceStatus {
  const renewed = renew(given);
  if ('do' in renewed) throw new Error(`it asks for ${JSON.stringify(renewed)}`);
  return renewed.status;
}

describe('renewWishes', () => {
  const powers: [string, BoundCase, CoderWorkspaceStatus['power']][] = [
    ['N2 left out: forgotten', { status: remembered }, undefined],
    [
      'N4 wished for the first time',
      { spec: { running: true } },
      { running: true, state: 'Pending', after: 7 },
    ],
    [
      'N4 wished otherwise',
      { spec: { running: false }, status: remembered },
      { running: false, state: 'Pending', after: 7 },
    ],
    ['the same wish: as it was', { spec: { running: true }, status: remembered }, satisfied(true).power],
    [
      'N3 asked for again',
      { spec: { running: true }, status: remembered, asked: 'x' },
      { running: true, state: 'Pending', after: 7 },
    ],
    [
      'asked for before: as it was',
      { spec: { running: true }, status: { ...remembered, lastHandledReconcileAt: 'x' }, asked: 'x' },
      satisfied(true).power,
    ],
  ];
  for (const [name, given, power] of powers) {
    it(name, () => {
      expect(statusOf(given).power).to.deep.equal(power);
    });
  }

  it('N1 is held against a fresh look only', () => {
    for (const given of [{ spec: { running: true } }, { asked: 'x' }]) {
      expect(renew({ ...given, fresh: false })).to.deep.equal({ do: 'read', fact: 'freshWorkspace' });
    }
    expect(renew({ spec: { running: true }, status: remembered, fresh: false })).to.not.have.property('do');
    expect(renew({ fresh: false })).to.not.have.property('do');
  });

  it('N3 forgets failures, refusals, corrections and what was applied', () => {
    const status = statusOf({ spec: { running: true }, status: remembered, asked: 'x' });
    for (const field of [
      'failures',
      'refusals',
      'corrections',
      'applied',
      'parameters',
      'driftedAt',
    ] as const) {
      expect(status[field], field).to.equal(undefined);
    }
    expect(status.lastHandledReconcileAt).to.equal('x');
  });

  it('N4 forgets nothing but how far the wish has come', () => {
    const status = statusOf({ spec: { running: false }, status: remembered });
    expect({ ...status, power: undefined }).to.deep.include({ ...remembered, power: undefined });
  });
});
