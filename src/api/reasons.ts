/**
 * Every reason that a condition of ours can carry. People write alerts and health checks against these, so the list is
 * closed and a reason is never renamed.
 */

/** Why an object is Stalled: only a person's change mends it. */
export const stalledReasons = [
  'InvalidName',
  'ImmutableFieldMismatch',
  'DuplicateClaim',
  'AnotherControlPlane',
  'BuildRetriesExhausted',
  'ImportFailed',
  'ContentMissing',
  'InvalidContent',
  'TemplateNameMissing',
  'DeletedInCoder',
  'DeploymentMismatch',
  'OwnerNotMember',
  'SecretForbidden',
  'InvalidParameters',
  'RefusedByCoder',
  'OutOfScope',
] as const;

/** Why an object is Reconciling: work is under way, or it heals without a change of the spec. */
export const reconcilingReasons = [
  'Progressing',
  'WaitingForBuild',
  'WaitingForImport',
  'WaitingForDependency',
  'ControlPlaneNotReady',
  'InvalidCredentials',
  'TokenRefused',
  'Forbidden',
  'CoderUnreachable',
  'RateLimited',
  'ServerError',
  'UnexpectedResponse',
  'BuildFailed',
  'ImportFailed',
  'RefusedByCoder',
  'OutcomeUnknown',
  'NotVisibleInCoder',
  'WorkspacesExist',
  'InUse',
  'CorrectingDrift',
  'BuildTakesLong',
  'WaitingForBuildSlot',
  'WaitingForUpload',
  'SourceUnavailable',
  'DeletionHeld',
] as const;

/** Why an object is Ready, or that nothing holds it back. */
export const readyReasons = [
  'Connected',
  'UpToDate',
  'Running',
  'Stopped',
  'PowerNotManaged',
  'Mirrored',
  'WaitingForPromotion',
  'YieldedToCoder',
  'SyncSucceeded',
  'Retained',
] as const;

/** Why Ready is False without anybody having to act: the state of the thing in Coder. */
export const notReadyReasons = [
  'Creating',
  'Starting',
  'Stopping',
  'Deleting',
  'Importing',
  'AgentsUnhealthy',
  'NotYetObserved',
  'Updating',
  'Suspended',
] as const;

/** Why nothing in Coder is changed on behalf of an object. */
export const suspendedReasons = ['SuspendedBySpec', 'SuspendedByControlPlane'] as const;

/** In what way Coder differs from the wish, where we leave it so. */
export const driftReasons = [
  'StoppedByUser',
  'StoppedByAutostop',
  'StoppedByDormancy',
  'StoppedByCoder',
  'StartedByUser',
  'StartedByAutostart',
  'StartedByCoder',
  'BuildFailedInCoder',
  'RenamedInCoder',
  'OwnerChangedInCoder',
  'ActiveVersionChanged',
  'Dormant',
  'QuotaExceeded',
  'SettingsChanged',
  'SettingsNotHonoured',
  'ParametersChanged',
  'VersionChanged',
  'WaitsForNextStart',
] as const;

export type StalledReason = (typeof stalledReasons)[number];
export type ReconcilingReason = (typeof reconcilingReasons)[number];
export type DriftReason = (typeof driftReasons)[number];
export type SuspendedReason = (typeof suspendedReasons)[number];
export type Reason =
  | StalledReason
  | SuspendedReason
  | ReconcilingReason
  | (typeof readyReasons)[number]
  | (typeof notReadyReasons)[number]
  | DriftReason;
