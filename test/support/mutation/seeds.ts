import type { VersionContent } from '../coder/definitions.ts';
import type { Meanings, Seed } from './mutations.ts';

/** A version of a template in Coder. */
export interface VersionFact {
  readonly id: string;
  readonly name: string;
}

/** What seeds and meanings refer to, which is another one in each Coder. */
export interface Facts {
  /** Of the template that a workspace is made from or, for a template, that it is. */
  readonly versions: Readonly<Record<'first' | 'next' | 'failed' | 'broken' | 'foreign', VersionFact>>;
  /** Address of the archives, without a slash at the end. */
  readonly archives: string;
  /** SHA-256 of the archive `dev.tar.gz`, and of `next.tar.gz`. */
  readonly sha256: Readonly<Record<'dev' | 'next', string>>;
  /** A namespace with a Secret and a ConfigMap `elsewhere`, which is not the object's own. */
  readonly otherNamespace: string;
}

const id = (digit: string): string => `00000000-0000-4000-8000-${digit.repeat(12)}`;

/** Facts of no Coder: which mutations there are does not depend on them. */
export const NO_FACTS: Facts = {
  versions: {
    first: { id: id('1'), name: 'first' },
    next: { id: id('2'), name: 'next' },
    failed: { id: id('3'), name: 'failed' },
    broken: { id: id('4'), name: 'broken' },
    foreign: { id: id('5'), name: 'foreign' },
  },
  archives: 'http://127.0.0.1:1',
  sha256: { dev: '0'.repeat(64), next: '1'.repeat(64) },
  otherNamespace: 'other',
};

const MISSING_ID = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
const HOUR_MS = 3_600_000;

/** What the template `dev` asks of its workspaces. */
export const DEV: VersionContent = {
  parameters: [
    { name: 'cpu', type: 'number', default: '2', min: 1, max: 16 },
    { name: 'region', default: 'eu', options: ['eu', 'us'] },
    { name: 'disk', type: 'number', default: '10', mutable: false },
    { name: 'tools', type: 'list(string)', default: '[]' },
    { name: 'gpu', type: 'bool', default: 'false' },
    { name: 'note', default: '' },
  ],
  presets: [
    { name: 'small', values: { region: 'eu' } },
    { name: 'big', values: { region: 'us', cpu: '8' } },
  ],
};

/** In the Secret `values`, the ConfigMap `values`, and their namesakes `elsewhere` in another namespace. */
export const VALUES = { note: 'from elsewhere', cpu: '3', main: '# from a ConfigMap\n', wrong: 'many' };

/** A reference by name to a Secret or ConfigMap that is not as it should be. `..` and slashes must lead nowhere else. */
function wrongNames({ otherNamespace }: Facts): Readonly<Record<string, string>> {
  return {
    missing: 'nothing-here',
    elsewhere: 'elsewhere',
    'with-namespace': `${otherNamespace}/elsewhere`,
    'other-path': `../../${otherNamespace}/secrets/elsewhere`,
    dots: '..',
    dot: '.',
    encoded: '%2e%2e',
    query: 'values?watch=true',
    fragment: 'values#x',
  };
}

const wrongKeys = { missing: 'nothing-here', prototype: '__proto__', dots: '..', slash: 'a/b' };

/** The first fills most places; the others those that exclude others. */
export function workspaceSeeds({ versions }: Facts): readonly Seed[] {
  return [
    {
      name: 'full',
      spec: {
        organization: 'acme',
        templateName: 'dev',
        running: true,
        templateVersionName: versions.first.name,
        parameters: [
          { name: 'cpu', value: '4' },
          { name: 'region', value: 'eu' },
          { name: 'disk', value: '10' },
        ],
        presetName: 'small',
        ttlMillis: HOUR_MS,
        autostartSchedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
        automaticUpdates: 'Never',
        updatePolicy: 'Restart',
        driftPolicy: 'Enforce',
        deletionPolicy: 'Delete',
        buildTimeout: '45m',
        suspend: false,
      },
    },
    {
      name: 'pinned',
      spec: {
        templateName: 'dev',
        running: true,
        templateVersionID: versions.first.id,
        updatePolicy: 'Restart',
      },
    },
    {
      name: 'values',
      spec: {
        templateName: 'dev',
        running: true,
        updatePolicy: 'Restart',
        parameters: [
          { name: 'note', valueFrom: { secretKeyRef: { name: 'values', key: 'note' } } },
          { name: 'cpu', valueFrom: { configMapKeyRef: { name: 'values', key: 'cpu' } } },
        ],
      },
    },
  ];
}

export function workspaceMeanings(facts: Facts): Meanings {
  const { versions } = facts;
  const push =
    (...items: readonly object[]) =>
    (list: unknown): unknown => [...(list as readonly unknown[]), ...items];
  return {
    organization: { other: 'other', alias: 'default' },
    templateName: { missing: 'nothing-here', another: 'other' },
    templateVersionID: {
      next: versions.next.id,
      failed: versions.failed.id,
      broken: versions.broken.id,
      foreign: versions.foreign.id,
      missing: MISSING_ID,
    },
    templateVersionName: {
      next: versions.next.name,
      failed: versions.failed.name,
      broken: versions.broken.name,
      foreign: versions.foreign.name,
      missing: 'nothing-here',
      dots: '..',
      dot: '.',
      slash: '../../dev',
      backslash: 'a\\b',
      encoded: '%2e%2e%2f',
      query: 'a?b=c#d',
      nothing: ' ',
    },
    parameters: {
      // With their defaults: a parameter that is left out again keeps its value in Coder.
      'push-known': push({ name: 'gpu', value: 'false' }, { name: 'tools', value: '[]' }),
      'push-prototype': push({ name: '__proto__', value: 'x' }, { name: 'constructor', value: 'y' }),
      reordered: (list: unknown) => [...(list as readonly unknown[])].reverse(),
    },
    'parameters[].value': {
      another: '8',
      above: '17',
      'not-whole': '4.5',
      hexadecimal: '0x4',
      text: 'many',
      'leading-zero': '04',
      null: 'null',
    },
    'parameters[].valueFrom': {
      'other-kind': { configMapKeyRef: { name: 'values', key: 'note' } },
      both: {
        secretKeyRef: { name: 'values', key: 'note' },
        configMapKeyRef: { name: 'values', key: 'note' },
      },
    },
    'parameters[].valueFrom.secretKeyRef.name': {
      ...wrongNames(facts),
      opaque: 'opaque',
      credentials: 'coder',
      'name-of-configmap': 'sizes',
    },
    'parameters[].valueFrom.secretKeyRef.key': wrongKeys,
    'parameters[].valueFrom.configMapKeyRef.name': { ...wrongNames(facts), 'name-of-secret': 'opaque' },
    'parameters[].valueFrom.configMapKeyRef.key': { ...wrongKeys, wrong: 'wrong' },
    presetName: { another: 'big', missing: 'nothing-here' },
    ttlMillis: { minute: 60_000, longer: HOUR_MS + 60_000 },
    autostartSchedule: {
      another: '0 8 * * *',
      steps: '*/15 8-17 * * MON-FRI',
      zone: 'CRON_TZ=Mars/Base 0 8 * * *',
      'zone-in-lower-case': 'CRON_TZ=europe/berlin 0 8 * * *',
      'out-of-range': '99 99 * * 9',
      backwards: '0 17-9 * * *',
      'day-of-month': '0 8 1 * *',
      seconds: '0 0 8 * * *',
      word: '@daily',
    },
    updatePolicy: {},
  };
}

const settings = {
  displayName: 'Dev',
  description: 'For developers',
  icon: '/icon/docker.png',
  deprecated: '',
  defaultTTLMillis: 8 * HOUR_MS,
  activityBumpMillis: HOUR_MS,
  autostopRequirement: { daysOfWeek: ['Monday', 'Friday'], weeks: 2 },
  autostartRequirement: { daysOfWeek: ['Monday', 'Tuesday'] },
  allowUserAutostart: true,
  allowUserAutostop: true,
  allowUserCancelWorkspaceJobs: true,
  failureTTLMillis: HOUR_MS,
  timeTilDormantMillis: 24 * HOUR_MS,
  timeTilDormantAutodeleteMillis: 48 * HOUR_MS,
  requireActiveVersion: false,
  maxPortShareLevel: 'Authenticated',
  corsBehavior: 'Simple',
  useClassicParameterFlow: false,
};

export const TERRAFORM = `variable "region" {
  default = "eu"
}
variable "password" {
  default = ""
  sensitive = true
}
`;

export function templateSeeds({ versions, archives, sha256 }: Facts): readonly Seed[] {
  return [
    {
      name: 'files',
      spec: {
        organization: 'acme',
        files: { 'main.tf': TERRAFORM, 'modules/disk/main.tf': '# A disk\n' },
        variables: [
          { name: 'region', value: 'us' },
          { name: 'password', valueFrom: { secretKeyRef: { name: 'values', key: 'note' } } },
        ],
        provisioner: 'Terraform',
        provisionerTags: { team: 'a' },
        promotion: 'Automatic',
        ...settings,
        driftPolicy: 'Enforce',
        deletionPolicy: 'Delete',
        suspend: false,
      },
    },
    {
      name: 'configmap',
      spec: { source: { configMapRef: { name: 'values', items: [{ key: 'main', path: 'main.tf' }] } } },
    },
    {
      name: 'archive',
      spec: { source: { archive: { url: `${archives}/dev.tar.gz`, sha256: sha256.dev }, path: 'dev' } },
    },
    { name: 'flux', spec: { source: { sourceRef: { kind: 'GitRepository', name: 'code' }, path: 'dev' } } },
    { name: 'version', spec: { versionID: versions.first.id } },
  ];
}

export function templateMeanings(facts: Facts): Meanings {
  const { versions, archives, sha256 } = facts;
  const and =
    (more: object) =>
    (value: unknown): unknown => ({ ...(value as object), ...more });
  const path = {
    missing: 'nothing-here',
    dots: '../dev',
    dot: '.',
    'dot-slash': './dev',
    slash: 'dev/',
    doubled: 'dev//x',
    absolute: '/dev',
    backslash: 'dev\\x',
  };
  return {
    organization: { other: 'other', alias: 'default' },
    files: {
      changed: and({ 'main.tf': `${TERRAFORM}# changed\n` }),
      hidden: and({ '.env': 'a' }),
      outside: and({ '../main.tf': '' }),
      'file-and-folder': and({ 'main.tf/x': '' }),
      prototype: (value: unknown) =>
        JSON.parse(JSON.stringify(value).replace(/\}$/, ',"__proto__":"x"}')) as unknown,
      'without-root': { 'modules/disk/main.tf': '# A disk\n' },
    },
    'files{}': { broken: 'resource "x" {\n', 'other-variables': 'variable "region" {\n}\n' },
    source: {
      none: {},
      both: { configMapRef: { name: 'values' }, sourceRef: { kind: 'Bucket', name: 'code' } },
    },
    'source.configMapRef.name': { ...wrongNames(facts), 'name-of-secret': 'opaque', another: 'code' },
    'source.configMapRef.items[].key': { ...wrongKeys, another: 'note' },
    'source.configMapRef.items[].path': path,
    'source.archive.url': {
      another: `${archives}/next.tar.gz`,
      missing: `${archives}/nothing-here.tar.gz`,
      page: `${archives}/page`,
      redirect: `${archives}/redirect`,
      metadata: 'http://169.254.169.254/latest/meta-data',
      'plain-http': 'http://example.com/dev.tar.gz',
      loopback: 'https://[::1]:1/dev.tar.gz',
      password: 'https://user:password@127.0.0.1/dev.tar.gz',
      scheme: 'file:///etc/passwd',
      relative: '/dev.tar.gz',
    },
    'source.archive.sha256': { another: sha256.next, wrong: '0'.repeat(64) },
    'source.archive': { another: { url: `${archives}/next.tar.gz`, sha256: sha256.next } },
    'source.sourceRef.name': { ...wrongNames(facts), another: 'next' },
    'source.path': path,
    variables: {
      'push-unknown': (list: unknown) => [...(list as readonly unknown[]), { name: 'nothing', value: 'x' }],
      reordered: (list: unknown) => [...(list as readonly unknown[])].reverse(),
    },
    'variables[].value': { another: 'eu' },
    'variables[].valueFrom': { none: {} },
    'variables[].valueFrom.secretKeyRef.name': {
      ...wrongNames(facts),
      opaque: 'opaque',
      credentials: 'coder',
    },
    'variables[].valueFrom.secretKeyRef.key': { ...wrongKeys, another: 'cpu' },
    provisionerTags: { 'nobody-has': { team: 'nobody' }, owner: and({ scope: 'user' }) },
    versionID: {
      next: versions.next.id,
      failed: versions.failed.id,
      foreign: versions.foreign.id,
      missing: MISSING_ID,
    },
    icon: {
      url: 'https://example.com/icon.png',
      scheme: 'javascript:alert(1)',
      data: 'data:image/png;base64,AA==',
    },
    deprecated: { 'with-message': 'Use another one' },
    'autostopRequirement.daysOfWeek': { reordered: ['Friday', 'Monday'] },
    failureTTLMillis: { minute: 60_000, 'less-than-a-minute': 59_999 },
    timeTilDormantMillis: { minute: 60_000, 'less-than-a-minute': 59_999 },
    timeTilDormantAutodeleteMillis: { minute: 60_000, 'less-than-a-minute': 59_999 },
  };
}

export function controlPlaneSeeds(): readonly Seed[] {
  return [
    {
      name: 'full',
      spec: {
        credentialsSecretRef: { name: 'coder' },
        pollInterval: '30s',
        scope: { organizations: ['acme'], owners: ['ann'] },
        mirror: { workspaces: 'Disabled', templates: 'Disabled' },
        adoptedDeletion: 'Deny',
        requestsPerMinute: 5_000,
        maxConcurrentBuilds: 5,
        suspend: false,
      },
    },
  ];
}

export function controlPlaneMeanings(facts: Facts): Meanings {
  return {
    'credentialsSecretRef.name': {
      ...wrongNames(facts),
      opaque: 'opaque',
      'of-values': 'values',
      'wrong-token': 'wrong-token',
      'without-url': 'without-url',
      'name-of-configmap': 'sizes',
    },
    'scope.organizations[]': { other: 'other', alias: 'default' },
    'scope.owners[]': { another: 'bob', alias: 'me', missing: 'nobody' },
    'scope.owners': { another: ['ann', 'bob'], reordered: ['bob', 'ann'] },
  };
}
