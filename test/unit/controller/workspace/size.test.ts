import { expect } from 'chai';
import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import { GROUP, VERSION, workspaces, type CoderWorkspace } from '../../../../src/api/kinds.ts';
import type { Workspace } from '../../../../src/coder/types.ts';
import { recordOf } from '../../../../src/controller/observer/record.ts';
import { decideWorkspace } from '../../../../src/controller/workspace/decide.ts';
import { OPERATOR, OWNER } from '../../../support/controller-coder.ts';
import { wired } from '../../../support/controller-kube.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import {
  expectStep,
  seen,
  shown,
  TEMPLATE_ID,
  VERSION_ID,
  workspaceInput,
} from '../../../support/controller-records.ts';
import { resolved } from '../../../support/workspace-rules.ts';

const LIMIT = 4_096;
const UUID = '8f14e45f-ceea-467f-a0e6-6a1b2c3d4e5f';
const AT = '2026-01-02T03:04:05Z';
const ERROR =
  'terraform apply: exit status 1: Error: creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: 400, RequestID: 5c3f7c0e-7c0e-4e55-9f3c-2b6a1b2c3d4e, api error InsufficientInstanceCapacity: We currently do not have sufficient g5.4xlarge capacity in the Availability Zone you requested (eu-central-1a). Our system will be working on provisioning additional capacity. You can currently get g5.4xlarge capacity by not specifying an Availability Zone in your request. with aws_instance.workspace, on main.tf line 214, in resource "aws_instance" "workspace": 214: resource "aws_instance" "workspace" {';

/** What the API server keeps of an object, without its managed fields, in bytes. */
function sizeOf(object: CoderWorkspace): number {
  const { metadata, spec, status } = object;
  const shownAs = { apiVersion: `${GROUP}/${VERSION}`, kind: workspaces.kind, metadata, spec, status };
  return Buffer.byteLength(JSON.stringify(wired(shownAs)));
}

/** A workspace as Coder shows it after a start of ours that failed. */
function failedWorkspace(agents: readonly string[]): Workspace {
  return {
    id: UUID,
    name: 'backend-development',
    owner_id: OWNER.id,
    owner_name: 'annabelle-longfellow',
    organization_id: UUID,
    organization_name: 'platform-engineering',
    template_id: TEMPLATE_ID,
    template_name: 'aws-gpu-development',
    template_active_version_id: UUID,
    outdated: true,
    health: { healthy: false, failing_agents: [] },
    ttl_ms: 28_800_000,
    autostart_schedule: 'CRON_TZ=Europe/Berlin 30 8 * * 1-5',
    automatic_updates: 'never',
    last_used_at: AT,
    latest_build: {
      id: UUID,
      build_number: 1_234,
      transition: 'start',
      status: 'failed',
      reason: 'initiator',
      initiator_id: OPERATOR.id,
      template_version_id: VERSION_ID,
      template_version_name: 'relaxed_northcutt4',
      created_at: AT,
      deadline: AT,
      job: { id: UUID, status: 'failed', error: ERROR, created_at: AT, started_at: AT, completed_at: AT },
      resources: [
        {
          agents: agents.map((name) => ({
            id: name,
            name,
            status: 'disconnected',
            lifecycle_state: 'start_error',
          })),
        },
      ],
    },
  } as unknown as Workspace;
}

describe('the size of a CoderWorkspace', () => {
  it('stays under 4 KiB with three agents, a start that fails with a long error, drift and five parameters', () => {
    const spec: CoderWorkspaceSpec = {
      templateName: 'aws-gpu-development',
      running: true,
      ttlMillis: 36_000_000,
      autostartSchedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
      automaticUpdates: 'Always',
      updatePolicy: 'Restart',
      parameters: [
        { name: 'instance_type', value: 'g5.4xlarge' },
        { name: 'region', value: 'eu-central-1' },
        { name: 'disk_size', value: '200' },
        { name: 'dotfiles_repository', value: 'https://git.example.com/annabelle/dotfiles.git' },
        {
          name: 'registry_token',
          valueFrom: { secretKeyRef: { name: 'annabelle-values', key: 'registry' } },
        },
      ],
    };
    const status: CoderWorkspaceStatus = {
      id: UUID,
      origin: 'Created',
      deploymentID: DEPLOYMENT,
      lastHandledReconcileAt: AT,
      power: { running: true, state: 'Pending', build: 1_234, after: 1_230 },
      applied: {
        ttlMillis: 36_000_000,
        autostartSchedule: spec.autostartSchedule,
        automaticUpdates: 'Always',
        update: 'f'.repeat(16),
      },
      parameters: { wish: 'e'.repeat(16), build: 1_230, differing: ['instance_type', 'disk_size'] },
      failures: {
        what: 'start',
        count: 3,
        at: AT,
        build: 1_233,
        generation: 3,
        message: ERROR.slice(0, 300),
        templateVersionID: UUID,
      },
      driftedAt: AT,
      corrections: [AT, AT, AT],
    };
    const record = recordOf(failedWorkspace(['main', 'database', 'gpu-worker']));
    const input = workspaceInput(
      {
        spec,
        status,
        metadata: {
          name: 'platform-engineering.annabelle-longfellow.backend-development',
          namespace: 'coder-platform',
          uid: UUID,
          resourceVersion: '123456789',
          creationTimestamp: AT,
          finalizers: ['coder.com/workspace'],
        },
      },
      { workspace: seen(record), values: resolved({}) },
    );
    const step = expectStep(decideWorkspace(input), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/BuildFailed',
      'Synced=True/SyncSucceeded',
      'Reconciling=True/BuildFailed',
      'Drifted=True/SettingsChanged',
    ]);
    const size = sizeOf({ ...input.object, status: step.status });
    expect(size, JSON.stringify(step.status, undefined, 1)).to.be.below(LIMIT);
  });
});
