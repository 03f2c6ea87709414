import { expect } from 'chai';
import fc from 'fast-check';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations } from '../../../../src/api/kinds.ts';
import { mirrorLabels } from '../../../../src/api/mirrors.ts';
import { decideTemplate } from '../../../../src/controller/template/decide.ts';
import type {
  TemplateFacts,
  TemplateInput,
  TemplateRecord,
  TemplateStep,
} from '../../../../src/controller/template/input.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import {
  expectStep,
  gone,
  messageOf,
  NOW,
  PLAIN_SETTINGS,
  seen,
  shown,
  TEMPLATE_ID,
  templateInput,
  templateRecord,
  unseen,
  VERSION_ID,
} from '../../../support/controller-records.ts';
import { runs } from '../../../support/histories.ts';
import { controlPlane } from '../../../support/workspace-rules.ts';

const labels = { [mirrorLabels.mirror]: 'true' };
const mirrored: CoderTemplateStatus = {
  id: TEMPLATE_ID,
  deploymentID: DEPLOYMENT,
  origin: 'Mirrored',
  activeVersion: { id: VERSION_ID, name: 'one' },
};

interface Case {
  readonly record?: Partial<TemplateRecord>;
  readonly facts?: Partial<TemplateFacts>;
  readonly status?: CoderTemplateStatus;
  /** Value of the annotation by which a person asks. */
  readonly asked?: string | undefined;
  /** What a user wishes of it: then it is a mirror no more. */
  readonly spec?: CoderTemplateSpec;
}

function input({ record, facts, status = mirrored, asked, spec = {} }: Case): TemplateInput {
  const asking = asked === undefined ? {} : { annotations: { [annotations.reconcileRequestedAt]: asked } };
  return templateInput(
    { spec, status, metadata: { labels, ...asking } },
    { template: seen(templateRecord(record)), ...facts },
  );
}

const decide = (given: Case = {}): TemplateStep => decideTemplate(input(given));

describe('a mirror of a template', () => {
  it('is Ready, and says how it is taken over', () => {
    const step = expectStep(decide(), 'report');
    expect(shown(step.status)).to.deep.equal(['Ready=True/Mirrored', 'Synced=True/SyncSucceeded']);
    expect(messageOf(step.status))
      .to.contain('active version is one')
      .and.to.contain('set any field of spec');
    expect(step.status.origin).to.equal('Mirrored');
    expect(step.rest).to.deep.equal({ until: 'woken' });
    expect(expectStep(decide({ status: step.status }), 'report').status).to.deep.equal(step.status);
  });

  it('shows a rename', () => {
    const step = expectStep(decide({ record: { name: 'podman' } }), 'report');
    expect(shown(step.status)).to.include('Drifted=True/RenamedInCoder');
  });

  for (const [name, sighting] of [
    ['not shown', unseen],
    ['gone', gone],
  ] as const) {
    it(`of one that is ${name} only says so, also when a person asks to create it`, () => {
      for (const asked of [undefined, 'again']) {
        const step = expectStep(decide({ facts: { template: sighting }, asked }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/NotVisibleInCoder',
          'Synced=True/SyncSucceeded',
          'Reconciling=True/NotVisibleInCoder',
        ]);
        expect(messageOf(step.status)).to.contain('Its mirror stays until');
        expect(step.status).to.deep.include(mirrored);
      }
    });
  }

  const anyCase = fc.record({
    record: fc.record({
      name: fc.constantFrom('docker', 'Docker', 'podman'),
      organizationName: fc.constantFrom('acme', 'other'),
      activeVersionID: fc.constantFrom(VERSION_ID, 'v2'),
      settings: fc.constantFrom(PLAIN_SETTINGS, { ...PLAIN_SETTINGS, displayName: 'x', defaultTTLMillis: 1 }),
    }),
    asked: fc.option(fc.constantFrom('one', 'two'), { nil: undefined }),
    control: fc.record({ adoptedDeletion: fc.boolean(), suspended: fc.boolean(), isAccepted: fc.boolean() }),
    seenAs: fc.constantFrom('fresh', 'stale', 'unseen', 'gone'),
    isOlder: fc.boolean(),
    users: fc.constantFrom(undefined, 0, 3),
  });

  it('never has anything sent nor a finalizer taken, whatever becomes of it', () => {
    fc.assert(
      fc.property(fc.array(anyCase, { minLength: 1, maxLength: 4 }), (cases) => {
        let status = mirrored;
        cases.forEach(({ control, seenAs, isOlder, users, ...given }, i) => {
          let facts: Partial<TemplateFacts> = {
            connection: controlPlane(control),
            claimedBy: () => (isOlder ? 'acme.older' : undefined),
            usersOf: () => users,
            template:
              seenAs === 'unseen'
                ? unseen
                : seenAs === 'gone'
                  ? gone
                  : seen(templateRecord(given.record), seenAs === 'fresh'),
          };
          const now = new Date(NOW.getTime() + i * 3_600_000);
          const again = (): TemplateStep => decideTemplate({ ...input({ ...given, status, facts }), now });
          let step = again();
          for (let reads = 0; step.do === 'read' && reads < 3; reads++) {
            if (step.fact === 'freshTemplate') {
              facts = { ...facts, template: seen(templateRecord(given.record)) };
            } else if (step.fact === 'activeVersionName') {
              facts = { ...facts, activeVersionName: { id: given.record.activeVersionID, name: 'some' } };
            }
            step = again();
          }
          const report = expectStep(step, 'report');
          expect(report.status).to.include({ id: TEMPLATE_ID, origin: 'Mirrored' });
          ({ status } = report);
        });
      }),
      { numRuns: runs(3) },
    );
  });
});

describe('taking over the mirror of a template', () => {
  const { status } = expectStep(decide(), 'report');

  it('makes it adopted', () => {
    const step = expectStep(decide({ status, spec: { promotion: 'Manual' } }), 'report');
    expect(step.status).to.include({ id: TEMPLATE_ID, origin: 'Adopted' });
    expect(shown(step.status)[0]).to.equal('Ready=True/UpToDate');
    expect(messageOf(step.status)).to.contain('not managed here');
  });

  it('carries a setting out that differs', () => {
    const step = expectStep(decide({ status, spec: { displayName: 'Docker' } }), 'write');
    expect(step.operation.type).to.equal('SetSettings');
    expect(step.status.origin).to.equal('Adopted');
  });

  it('looks at the content that is there before it uploads any', () => {
    const files = { 'main.tf': '# one' };
    expect(decide({ status, spec: { files } })).to.deep.equal({ do: 'read', fact: 'activeContent' });
  });

  it('gives it no finalizer, unless deleting it is to delete the template and may', () => {
    const spec: CoderTemplateSpec = { deletionPolicy: 'Delete' };
    // A warning comes once for a spec, and this is another one than the mirror's.
    const denied = expectStep(decide({ spec }), 'report');
    expect(denied.event?.message).to.contain('adoptedDeletion');
    const facts = { connection: controlPlane({ adoptedDeletion: true }) };
    expect(decide({ status, spec, facts })).to.deep.equal({ do: 'finalizer', present: true });
  });

  it('leaves the mirror of what an older object has to that one', () => {
    const facts = { claimedBy: () => 'acme.older' };
    const step = expectStep(decide({ status, spec: { displayName: 'x' }, facts }), 'report');
    expect(shown(step.status)).to.include('Stalled=True/DuplicateClaim');
    expect(step.status.origin, 'it is not taken over').to.equal('Mirrored');
  });
});
