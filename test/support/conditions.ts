import { expect } from 'chai';
import type { Condition } from '../../src/api/conditions.ts';
import type { KubeObject } from '../../src/api/meta.ts';
import {
  driftReasons,
  notReadyReasons,
  readyReasons,
  reconcilingReasons,
  stalledReasons,
  suspendedReasons,
} from '../../src/api/reasons.ts';

/** The part of any status of ours that kstatus and Flux read. */
export interface ConditionedStatus {
  readonly observedGeneration?: number | undefined;
  readonly conditions?: readonly Condition[] | undefined;
}

const reconcilingWords = new Set<string>(reconcilingReasons);
const stalledWords = new Set<string>(stalledReasons);
const driftWords = new Set<string>(driftReasons);
const suspendedWords = new Set<string>(suspendedReasons);
const readyWords = new Set<string>(readyReasons);
const allWords = new Set<string>([
  ...reconcilingReasons,
  ...stalledReasons,
  ...suspendedReasons,
  ...driftReasons,
  ...readyReasons,
  ...notReadyReasons,
]);

/** Conditions that are there only while they are true. */
const ABNORMAL = ['Reconciling', 'Stalled', 'Suspended', 'Drifted'];
/** The limit of the CRDs. */
const LONGEST_MESSAGE = 4096;

/**
 * Fails unless a status keeps the rules that Flux's condition checker holds every controller to (fluxcd/pkg,
 * runtime/conditions/check, FAIL0001 to FAIL0011), and those of this project: a closed list of reasons, one condition a
 * type, the abnormal ones only while true, messages that fit the CRD.
 *
 * @param generation of the object that the status belongs to.
 */
export function assertConditions(status: ConditionedStatus | undefined, generation: number): void {
  const conditions = status?.conditions ?? [];
  const shown = JSON.stringify(status, undefined, 2);
  const find = (type: string): Condition | undefined => conditions.find((c) => c.type === type);
  const [ready, synced] = [find('Ready'), find('Synced')];
  const [reconciling, stalled] = [find('Reconciling'), find('Stalled')];

  expect(
    conditions.map((c) => c.type),
    `one condition a type: ${shown}`,
  ).to.deep.equal([...new Set(conditions.map((c) => c.type))]);
  expect(ready, `Ready is always there: ${shown}`).to.not.equal(undefined);
  expect(synced, `Synced is always there: ${shown}`).to.not.equal(undefined);
  for (const type of ABNORMAL) {
    expect(find(type)?.status ?? 'True', `${type} is there only while it is true: ${shown}`).to.equal('True');
  }
  expect(
    reconciling !== undefined && stalled !== undefined,
    `Reconciling and Stalled exclude each other: ${shown}`,
  ).to.equal(false);
  if (stalled !== undefined)
    expect(ready?.status, `Ready is False while Stalled: ${shown}`).to.equal('False');
  if (reconciling !== undefined) {
    expect(ready?.status, `Ready is not True while Reconciling: ${shown}`).to.be.oneOf(['False', 'Unknown']);
  } else {
    expect(ready?.status, `Ready is Unknown only while Reconciling: ${shown}`).to.not.equal('Unknown');
  }
  for (const c of conditions) {
    expect(c.observedGeneration, `${c.type} speaks of no generation to come: ${shown}`).to.be.at.most(
      generation,
    );
    expect(c.observedGeneration, `all of a status speaks of one generation: ${shown}`).to.equal(
      status?.observedGeneration,
    );
    if (ready?.status === 'True') {
      expect(ready.observedGeneration, `Ready=True is not older than ${c.type}: ${shown}`).to.be.at.least(
        c.observedGeneration ?? 0,
      );
    }
    assertWords(c, shown);
  }
}

function assertWords(condition: Condition, shown: string): void {
  const { type, status, reason, message, lastTransitionTime } = condition;
  expect(allWords.has(reason), `${reason} is one of the reasons: ${shown}`).to.equal(true);
  if (type === 'Reconciling') expect(reconcilingWords.has(reason), `of Reconciling: ${shown}`).to.equal(true);
  if (type === 'Stalled') expect(stalledWords.has(reason), `of Stalled: ${shown}`).to.equal(true);
  if (type === 'Suspended') expect(suspendedWords.has(reason), `of Suspended: ${shown}`).to.equal(true);
  if (type === 'Drifted') expect(driftWords.has(reason), `of Drifted: ${shown}`).to.equal(true);
  if (type === 'Ready' || type === 'Synced') {
    expect(readyWords.has(reason), `${reason} goes with ${type}=${status}: ${shown}`).to.equal(
      status === 'True',
    );
  }
  expect(lastTransitionTime, shown).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(message, `a message is a sentence: ${shown}`).to.match(/^\S/);
  expect(message.length, `a message fits the CRD: ${shown}`).to.be.at.most(LONGEST_MESSAGE);
  expect(Buffer.from(message).toString(), 'a message holds whole characters').to.equal(message);
  expect(message, 'a message is one line').to.match(/^\P{Cc}*$/u);
}

export type Kstatus = 'Terminating' | 'InProgress' | 'Failed' | 'Current';

/** What `kubectl wait`, Flux and Argo CD make of an object: the rules of kstatus, in its order. */
export function kstatusOf(object: KubeObject & { readonly status?: ConditionedStatus }): Kstatus {
  const { metadata, status } = object;
  const isTrue = (type: string): boolean =>
    status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (status?.observedGeneration !== undefined && status.observedGeneration !== metadata.generation) {
    return 'InProgress';
  }
  if (isTrue('Reconciling')) return 'InProgress';
  if (isTrue('Stalled')) return 'Failed';
  const ready = status?.conditions?.find((c) => c.type === 'Ready');
  return ready === undefined || ready.status === 'True' ? 'Current' : 'InProgress';
}
