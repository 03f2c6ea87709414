import { expect } from 'chai';
import type { Condition } from '../../src/api/conditions.ts';
import { driftReasons, reconcilingReasons, stalledReasons } from '../../src/api/reasons.ts';
import * as reasons from '../../src/api/reasons.ts';

const all = new Set<string>(Object.values(reasons).flat());

interface Conditioned {
  readonly observedGeneration?: number | undefined;
  readonly conditions?: readonly Condition[] | undefined;
}

/** Flux's condition rules (FAIL0001 to FAIL0011) and ours: a closed list of reasons, Ready and Synced always there. */
export function assertConditions(status: Conditioned, generation: number): void {
  const conditions = status.conditions ?? [];
  if (status.observedGeneration === -1) return;
  const text = JSON.stringify(status, undefined, 2);
  const find = (type: string): Condition | undefined => conditions.find((c) => c.type === type);
  const ready = find('Ready');
  const isTrue = (type: string): boolean => find(type)?.status === 'True';
  expect(ready, `Ready is there: ${text}`).to.not.equal(undefined);
  expect(find('Synced'), `Synced is there: ${text}`).to.not.equal(undefined);
  for (const type of ['Reconciling', 'Stalled', 'Drifted']) {
    expect(find(type)?.status ?? 'True', `${type} is there only while it is true: ${text}`).to.equal('True');
  }
  expect(isTrue('Reconciling') && isTrue('Stalled'), `Reconciling and Stalled exclude each other: ${text}`).to.equal(false);
  if (isTrue('Stalled')) expect(ready?.status, text).to.equal('False');
  if (isTrue('Reconciling')) expect(ready?.status, text).to.not.equal('True');
  for (const condition of conditions) {
    expect(condition.observedGeneration ?? 0, `${condition.type} is of no later generation: ${text}`).to.be.at.most(generation);
    expect(all.has(condition.reason), `${condition.reason} is in the closed list`).to.equal(true);
    expect(condition.message, `${condition.type} has a message`).to.not.equal('');
    if (ready?.status === 'True') {
      expect(ready.observedGeneration ?? 0, `Ready is as new as ${condition.type}: ${text}`).to.be.at.least(
        condition.observedGeneration ?? 0,
      );
    }
  }
  const within = (type: string, list: readonly string[]): void => {
    const reason = find(type)?.reason;
    if (reason !== undefined) expect(list, `${type}/${reason}`).to.include(reason);
  };
  within('Stalled', stalledReasons);
  within('Reconciling', reconcilingReasons);
  within('Drifted', driftReasons);
}
