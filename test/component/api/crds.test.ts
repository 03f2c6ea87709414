import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { controlPlanes, templates, workspaces } from '../../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';

const crds = fileURLToPath(new URL('../../../config/crds', import.meta.url));
const samples = new URL('../../../config/samples/', import.meta.url);
const namespace = 'crds';

function manifest(kind: string, name: string, spec?: object): object {
  return {
    apiVersion: 'coder.com/v1alpha1',
    kind,
    metadata: { name, namespace },
    ...(spec === undefined ? {} : { spec }),
  };
}
const workspace = (name: string, spec?: object): object => manifest('CoderWorkspace', name, spec);
const template = (name: string, spec?: object): object => manifest('CoderTemplate', name, spec);
const controlPlane = (spec?: object): object => manifest('CoderControlPlane', 'coder', spec);

describe('the CRDs on a real API server', function () {
  this.timeout(60_000);
  let server: ApiServer;

  // Whoever runs against this server later would watch what these refer to.
  after(() => server.kubectl(['delete', 'codertemplates', '--all', '-n', namespace, '--wait=false']));

  before(async function () {
    this.timeout(900_000);
    server = await apiserver();
    await server.kubectl(['apply', '--server-side', '-k', crds]);
    await server.kubectl([
      'wait',
      '--for=condition=Established',
      '--timeout=30s',
      'crd',
      '-l',
      'app.kubernetes.io/part-of=coder-operator',
    ]);
    await server.kubectl(['create', 'namespace', namespace]);
  });

  const apply = (object: object): Promise<string> =>
    server.kubectl(['apply', '-f', '-'], JSON.stringify(object));
  const refusal = async (object: object): Promise<string> => {
    const error = await apply(object).then(
      () => undefined,
      (e: unknown) => e,
    );
    if (!(error instanceof Error)) throw new Error(`the API server took ${JSON.stringify(object)}`);
    return error.message;
  };

  const refused: readonly (readonly [string, object, RegExp])[] = [
    [
      'a workspace of two parts',
      workspace('coder.alice'),
      /must be <organization>\.<user>\.<workspace>.*coder\.alice\.dev; this has 2 part\(s\)/s,
    ],
    ['a workspace of four parts', workspace('coder.alice.dev.x'), /this has 4 part\(s\)/],
    ['the user me', workspace('coder.me.dev'), /"me" \(as the user\) are aliases: write the real name/],
    ['the organization default', workspace('default.alice.dev'), /"default" \(as the organization\)/],
    [
      'a doubled hyphen',
      workspace('coder.alice.my--dev'),
      /"my--dev" is not a name that Coder accepts: 1 to 32 lower-case letters/,
    ],
    ['upper case', workspace('coder.Alice.dev'), /lower[- ]case/],
    [
      'a name that Coder reserves',
      workspace('coder.alice.create'),
      /"create" is not a name that Coder accepts/,
    ],
    ['a part of 33 characters', workspace(`coder.alice.${'a'.repeat(33)}`), /1 to 32 lower-case letters/],
    [
      'another organization in the spec',
      workspace('coder.alice.dev', { organization: 'other' }),
      /spec\.organization.*must be "coder", the first part of metadata\.name, or be left out/s,
    ],
    [
      'a running that is no boolean',
      workspace('coder.alice.dev', { running: 'yes' }),
      /spec\.running.*boolean/s,
    ],
    [
      'a field that does not exist',
      workspace('coder.alice.dev', { runing: true }),
      /unknown field "spec\.runing"/,
    ],
    [
      'a template name with a dot',
      workspace('coder.alice.dev', { templateName: 'coder.x' }),
      /spec\.templateName/,
    ],
    [
      'a Secret of another namespace',
      workspace('coder.alice.dev', {
        parameters: [{ name: 'p', valueFrom: { secretKeyRef: { name: 'other/values', key: 'k' } } }],
      }),
      /spec\.parameters\[0\]\.valueFrom\.secretKeyRef\.name.*must be the name of a Secret/s,
    ],
    [
      'a ConfigMap that is a step up the path',
      workspace('coder.alice.dev', {
        parameters: [{ name: 'p', valueFrom: { configMapKeyRef: { name: '..', key: 'k' } } }],
      }),
      /must be the name of a ConfigMap/,
    ],
    [
      'a version of a name that none can have',
      workspace('coder.alice.dev', { templateVersionName: '../v1' }),
      /spec\.templateVersionName.*must be a name that a template version can have/s,
    ],
    [
      'credentials of another namespace',
      controlPlane({ credentialsSecretRef: { name: '../other/coder' } }),
      /spec\.credentialsSecretRef\.name.*must be the name of a Secret/s,
    ],
    [
      'content of another namespace',
      template('coder.small', { source: { configMapRef: { name: 'other/code' } } }),
      /spec\.source\.configMapRef\.name.*must be the name of a ConfigMap/s,
    ],
    [
      'a source of another namespace',
      template('coder.small', { source: { sourceRef: { kind: 'Bucket', name: 'flux-system/code' } } }),
      /spec\.source\.sourceRef\.name.*must be the name of an object/s,
    ],
    [
      'a template of one part',
      template('small'),
      /must be <organization>\.<template>.*coder\.dev; this has 1 part\(s\)/s,
    ],
    ['a template of three parts', template('coder.a.b'), /this has 3 part\(s\)/],
    [
      'both files and versionID',
      template('coder.small', { files: { a: 'b' }, versionID: '00000000-0000-0000-0000-000000000001' }),
      /set at most one of files, source and versionID/,
    ],
    [
      'both files and a source',
      template('coder.small', { files: { a: 'b' }, source: { configMapRef: { name: 'c' } } }),
      /set at most one of files, source and versionID/,
    ],
    [
      'a source that names two',
      template('coder.small', {
        source: { configMapRef: { name: 'c' }, sourceRef: { kind: 'Bucket', name: 'b' } },
      }),
      /set exactly one of configMapRef, archive and sourceRef/,
    ],
    ['a source that names none', template('coder.small', { source: { path: 'x' } }), /set exactly one of/],
    [
      'a path in a ConfigMap',
      template('coder.small', { source: { configMapRef: { name: 'c' }, path: 'x' } }),
      /path belongs to archive and sourceRef/,
    ],
    [
      'a source path that leaves the archive',
      template('coder.small', { source: { sourceRef: { kind: 'Bucket', name: 'b' }, path: 'x/../..' } }),
      /relative path without \.\./,
    ],
    [
      'an item that leaves the template',
      template('coder.small', {
        source: { configMapRef: { name: 'c', items: [{ key: 'k', path: '../main.tf' }] } },
      }),
      /must be a relative path/,
    ],
    [
      'two items for one file',
      template('coder.small', {
        source: {
          configMapRef: {
            name: 'c',
            items: [
              { key: 'k', path: 'main.tf' },
              { key: 'l', path: 'main.tf' },
            ],
          },
        },
      }),
      /Duplicate value/,
    ],
    [
      'a source of another kind',
      template('coder.small', { source: { sourceRef: { kind: 'HelmRepository', name: 'b' } } }),
      /Unsupported value: "HelmRepository"/,
    ],
    [
      'an archive that is no URL of the web',
      template('coder.small', { source: { archive: { url: 'file:///etc/passwd', sha256: 'a'.repeat(64) } } }),
      /must be an https URL/,
    ],
    [
      'an archive with a digest of another kind',
      template('coder.small', {
        source: { archive: { url: 'https://example.com/a.tar', sha256: `sha256:${'a'.repeat(57)}` } },
      }),
      /64 digits/,
    ],
    [
      'variables without content',
      template('coder.small', { variables: [{ name: 'v', value: 'x' }] }),
      /variables, provisioner and provisionerTags belong to content/,
    ],
    [
      'a variable with two values',
      template('coder.small', {
        files: { a: 'b' },
        variables: [{ name: 'v', value: 'x', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
      }),
      /set exactly one of value and valueFrom/,
    ],
    [
      'another promotion',
      template('coder.small', { files: { a: 'b' }, promotion: 'manual' }),
      /Unsupported value: "manual"/,
    ],
    [
      'a file outside of the archive',
      template('coder.small', { files: { '../x': 'b' } }),
      /paths are relative/,
    ],
    ['an absolute file', template('coder.small', { files: { '/x': 'b' } }), /paths are relative/],
    [
      'too much content',
      template('coder.small', { files: { a: 'x'.repeat(100_000), b: 'x'.repeat(100_000) } }),
      /at most 192 KiB/,
    ],
    ['a version that is no UUID', template('coder.small', { versionID: 'latest' }), /spec\.versionID/],
    [
      'a display name that begins with a space',
      template('coder.small', { displayName: ' Docker' }),
      /spec\.displayName.*must be one line that neither begins nor ends with a space/s,
    ],
    [
      'a display name of two lines',
      template('coder.small', { displayName: 'Docker\nand more' }),
      /spec\.displayName.*must be one line/s,
    ],
    [
      'a display name of 65 characters',
      template('coder.small', { displayName: 'x'.repeat(65) }),
      /spec\.displayName.*may not be more than 64/s,
    ],
    [
      'an icon that is neither a path nor a URL',
      template('coder.small', { icon: 'docker.png' }),
      /spec\.icon.*must be empty, a path such as \/icon\/docker\.png, or an https or http URL/s,
    ],
    [
      'an icon behind another scheme',
      template('coder.small', { icon: 'data:image/png;base64,AA==' }),
      /spec\.icon.*must be empty, a path/s,
    ],
    [
      'a default TTL below nothing',
      template('coder.small', { defaultTTLMillis: -1 }),
      /spec\.defaultTTLMillis.*greater than or equal to 0/s,
    ],
    ...['failureTTLMillis', 'timeTilDormantMillis', 'timeTilDormantAutodeleteMillis'].map(
      (field) =>
        [
          `a ${field} of less than a minute`,
          template('coder.small', { [field]: 59_999 }),
          new RegExp(`spec\\.${field}.*must be 0, for never, or at least one minute \\(60000\\)`, 's'),
        ] as const,
    ),
    [
      'an autostop requirement without days',
      template('coder.small', { autostopRequirement: { weeks: 2 } }),
      /spec\.autostopRequirement\.daysOfWeek: Required value/,
    ],
    [
      'a day that there is not',
      template('coder.small', { autostartRequirement: { daysOfWeek: ['monday'] } }),
      /spec\.autostartRequirement\.daysOfWeek\[0\].*"Monday", "Tuesday"/s,
    ],
    [
      'an autostop every 17 weeks',
      template('coder.small', { autostopRequirement: { daysOfWeek: ['Monday'], weeks: 17 } }),
      /spec\.autostopRequirement\.weeks.*less than or equal to 16/s,
    ],
    [
      'a port share level in lower case',
      template('coder.small', { maxPortShareLevel: 'public' }),
      /spec\.maxPortShareLevel.*"Owner", "Authenticated", "Organization", "Public"/s,
    ],
    [
      'another CORS behaviour',
      template('coder.small', { corsBehavior: 'Open' }),
      /spec\.corsBehavior.*"Simple", "Passthru"/s,
    ],
    [
      'a drift policy of a template that there is not',
      template('coder.small', { driftPolicy: 'Observe' }),
      /spec\.driftPolicy.*"Enforce", "OnChange"/s,
    ],
    [
      'two pins',
      workspace('coder.alice.dev', {
        templateVersionID: '0e000000-0000-4000-8000-000000000001',
        templateVersionName: 'v1',
      }),
      /set at most one of templateVersionID and templateVersionName/,
    ],
    [
      'a pin that is no UUID',
      workspace('coder.alice.dev', { templateVersionID: 'v1' }),
      /spec\.templateVersionID/,
    ],
    [
      'a parameter without a value',
      workspace('coder.alice.dev', { parameters: [{ name: 'cpu' }] }),
      /set exactly one of value and valueFrom/,
    ],
    [
      'a parameter with two values',
      workspace('coder.alice.dev', {
        parameters: [{ name: 'cpu', value: '', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }],
      }),
      /set exactly one of value and valueFrom/,
    ],
    [
      'a parameter from nowhere',
      workspace('coder.alice.dev', { parameters: [{ name: 'cpu', valueFrom: {} }] }),
      /set exactly one of secretKeyRef and configMapKeyRef/,
    ],
    [
      'a parameter given twice',
      workspace('coder.alice.dev', {
        parameters: [
          { name: 'cpu', value: '1' },
          { name: 'cpu', value: '2' },
        ],
      }),
      /Duplicate value/,
    ],
    [
      'a TTL of one and a half minutes',
      workspace('coder.alice.dev', { ttlMillis: 90_000 }),
      /must be whole minutes, such as 3600000, or 0 for never/,
    ],
    [
      'a TTL of more than 30 days',
      workspace('coder.alice.dev', { ttlMillis: 2_592_060_000 }),
      /spec\.ttlMillis.*2592000000/s,
    ],
    [
      'a schedule on a day of the month',
      workspace('coder.alice.dev', { autostartSchedule: '0 9 1 * 1-5' }),
      /must be empty or "\[CRON_TZ=Area\/City\] minute hour \* \* days"/,
    ],
    [
      'updates that are neither always nor never',
      workspace('coder.alice.dev', { automaticUpdates: 'always' }),
      /spec\.automaticUpdates.*"Always", "Never"/s,
    ],
    [
      'a drift policy that there is not',
      workspace('coder.alice.dev', { driftPolicy: 'Observe' }),
      /spec\.driftPolicy.*"Enforce", "OnChange"/s,
    ],
    [
      'a build time-out of a second',
      workspace('coder.alice.dev', { buildTimeout: '1s' }),
      /must be a duration between 1m and 24h, such as 45m/,
    ],
    [
      'fewer than ten requests a minute',
      controlPlane({ credentialsSecretRef: { name: 'x' }, requestsPerMinute: 1 }),
      /spec\.requestsPerMinute.*10/s,
    ],
    [
      'no build at a time',
      controlPlane({ credentialsSecretRef: { name: 'x' }, maxConcurrentBuilds: 0 }),
      /spec\.maxConcurrentBuilds/,
    ],
    [
      'another word for adopted deletion',
      controlPlane({ credentialsSecretRef: { name: 'x' }, adoptedDeletion: 'Retain' }),
      /spec\.adoptedDeletion.*"Deny", "Allow"/s,
    ],
    ['a control plane without a Secret', controlPlane({}), /spec\.credentialsSecretRef: Required value/],
    [
      'a poll interval of a second',
      controlPlane({ credentialsSecretRef: { name: 'x' }, pollInterval: '1s' }),
      /must be a duration between 10s and 1h, such as 60s or 5m/,
    ],
    [
      'a poll interval that is none',
      controlPlane({ credentialsSecretRef: { name: 'x' }, pollInterval: 'often' }),
      /must be a duration between 10s and 1h/,
    ],
  ];
  for (const [what, object, message] of refused) {
    it(`refuses ${what} and says what is right`, async () => {
      expect(await refusal(object)).to.match(message);
    });
  }

  const accepted: readonly (readonly [string, object])[] = [
    ['a workspace with nothing in its spec', workspace('coder.alice.plain')],
    ['names of digits', workspace('1.2.3')],
    ['a template called default', template('coder.default', { files: { 'main.tf': '' } })],
    ['a workspace called me', workspace('coder.alice.me')],
    ['parts of 32 characters', workspace(['a', 'b', 'c'].map((c) => c.repeat(32)).join('.'))],
    [
      'everything that a workspace may wish',
      workspace('coder.alice.everything', {
        templateName: 'small',
        templateVersionName: 'v1',
        running: true,
        parameters: [
          { name: 'cpu', value: '4' },
          { name: 'empty', value: '' },
          { name: 'token', valueFrom: { secretKeyRef: { name: 'values', key: 'token' } } },
          { name: 'region', valueFrom: { configMapKeyRef: { name: 'regions', key: 'main' } } },
        ],
        presetName: 'Large machine',
        ttlMillis: 28_800_000,
        autostartSchedule: 'CRON_TZ=Europe/Berlin 30 9 * * MON-FRI',
        automaticUpdates: 'Never',
        updatePolicy: 'Restart',
        driftPolicy: 'OnChange',
        deletionPolicy: 'Retain',
        buildTimeout: '1h30m',
        suspend: true,
      }),
    ],
    ['settings that are cleared', workspace('coder.alice.cleared', { ttlMillis: 0, autostartSchedule: '' })],
    ['the organization once more', workspace('coder.alice.again', { organization: 'coder', running: false })],
    [
      'content from a ConfigMap, with everything that goes with it',
      template('coder.configmap', {
        source: { configMapRef: { name: 'c', items: [{ key: 'main', path: 'modules/x/main.tf' }] } },
        variables: [
          { name: 'plain', value: '' },
          { name: 'secret', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
        ],
        provisioner: 'Terraform',
        provisionerTags: { zone: 'a' },
        promotion: 'Manual',
      }),
    ],
    [
      'an archive',
      template('coder.archive', {
        source: {
          archive: { url: 'https://example.com/a.tgz?sig=1', sha256: '0'.repeat(64) },
          path: './a/b',
        },
      }),
    ],
    ...['GitRepository', 'OCIRepository', 'Bucket', 'ExternalArtifact'].map((kind): [string, object] => [
      `content from a ${kind}`,
      template(`coder.${kind.toLowerCase()}`, { source: { sourceRef: { kind, name: 'a' }, path: 'x' } }),
    ]),
    [
      'files in folders',
      template('coder.folders', { files: { 'modules/x/main.tf': '', '.terraform.lock.hcl': '' } }),
    ],
    [
      'everything that a template may wish',
      template('coder.everything', {
        organization: 'coder',
        files: { 'main.tf': '' },
        displayName: 'Docker, with everything',
        description: 'Containers',
        icon: 'https://example.com/docker.png',
        deprecated: 'Use the other one',
        defaultTTLMillis: 28_800_000,
        activityBumpMillis: 3_600_000,
        autostopRequirement: { daysOfWeek: ['Sunday', 'Monday'], weeks: 2 },
        autostartRequirement: { daysOfWeek: ['Monday', 'Friday'] },
        allowUserAutostart: false,
        allowUserAutostop: false,
        allowUserCancelWorkspaceJobs: true,
        failureTTLMillis: 60_000,
        timeTilDormantMillis: 604_800_000,
        timeTilDormantAutodeleteMillis: 2_592_000_000,
        requireActiveVersion: true,
        maxPortShareLevel: 'Organization',
        corsBehavior: 'Passthru',
        useClassicParameterFlow: true,
        driftPolicy: 'OnChange',
        deletionPolicy: 'Retain',
        suspend: true,
      }),
    ],
    [
      'settings of a template that are cleared',
      template('coder.cleared', {
        displayName: '',
        description: '',
        icon: '',
        deprecated: '',
        defaultTTLMillis: 0,
        activityBumpMillis: 0,
        autostopRequirement: { daysOfWeek: [] },
        autostartRequirement: { daysOfWeek: [] },
        failureTTLMillis: 0,
        timeTilDormantMillis: 0,
        timeTilDormantAutodeleteMillis: 0,
      }),
    ],
    ['an icon that Coder brings along', template('coder.icon', { icon: '/icon/docker.png' })],
  ];
  for (const [what, object] of accepted) {
    it(`takes ${what}`, async () => {
      await apply(object);
    });
  }

  for (const file of readdirSync(samples).filter((name) => name !== 'kustomization.yaml')) {
    it(`takes the sample ${file}`, async () => {
      const all = parseAllDocuments(readFileSync(new URL(file, samples), 'utf8')).map(
        (document) => document.toJS() as { readonly apiVersion: string },
      );
      // The kinds of Flux are not installed here.
      const objects = all.filter(({ apiVersion }) => !apiVersion.startsWith('source.toolkit.fluxcd.io/'));
      expect(objects).not.to.be.empty;
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
      await server.kubectl(['apply', '--dry-run=server', '-n', namespace, '-f', '-'], list);
    });
  }

  it('marks what nobody has looked at, so that kstatus does not take it for ready', async () => {
    await apply(workspace('coder.alice.unseen'));
    const object = await server.client.get<KubeObject & { status: unknown }>(
      workspaces,
      namespace,
      'coder.alice.unseen',
    );
    expect(object.status).to.deep.equal({ observedGeneration: -1 });
  });

  it('tells true, false and absent apart', async () => {
    const running = async (spec: object): Promise<unknown> => {
      await apply(workspace('coder.alice.tri', spec));
      const object = await server.client.get<KubeObject & { spec: { running?: boolean } }>(
        workspaces,
        namespace,
        'coder.alice.tri',
      );
      return object.spec.running;
    };
    expect(await running({ running: true })).to.equal(true);
    expect(await running({ running: false })).to.equal(false);
    expect(await running({})).to.equal(undefined);
  });

  it('may be emptied by server-side apply', async () => {
    const args = ['apply', '--server-side', '-f', '-'];
    await server.kubectl(args, JSON.stringify(template('coder.emptied', { files: { a: 'b' } })));
    await server.kubectl(args, JSON.stringify(template('coder.emptied', {})));
    const object = await server.client.get<KubeObject & { spec: object }>(
      templates,
      namespace,
      'coder.emptied',
    );
    expect(object.spec).to.deep.equal({});
  });

  it('shows every column that it declares', async () => {
    await apply(controlPlane({ credentialsSecretRef: { name: 'x' } }));
    const tables: readonly (readonly [ResourceType, readonly string[]])[] = [
      [
        controlPlanes,
        [
          'NAME',
          'URL',
          'VERSION',
          'READY',
          'REASON',
          'AGE',
          'USER',
          'WORKSPACES',
          'TEMPLATES',
          'MIRRORED',
          'TOKEN-EXPIRES',
          'SYNCED',
          'MESSAGE',
        ],
      ],
      [
        templates,
        [
          'NAME',
          'VERSION',
          'READY',
          'REASON',
          'AGE',
          'PENDING',
          'REVISION',
          'WORKSPACES',
          'ORIGIN',
          'DRIFT',
          'MESSAGE',
        ],
      ],
      [
        workspaces,
        [
          'NAME',
          'WANT',
          'STATE',
          'READY',
          'REASON',
          'AGE',
          'OWNER',
          'TEMPLATE',
          'VERSION',
          'OUTDATED',
          'ORIGIN',
          'DRIFT',
          'MESSAGE',
        ],
      ],
    ];
    for (const [resource, columns] of tables) {
      const table = await server.kubectl(['get', resource.plural, '-n', namespace, '-o', 'wide']);
      expect(table.split('\n')[0]?.trim().split(/\s+/), resource.kind).to.deep.equal(columns);
    }
  });

  it('explains every field', async () => {
    for (const { plural } of [controlPlanes, templates, workspaces]) {
      const text = await server.kubectl(['explain', plural, '--recursive=false']);
      expect(text).to.contain('DESCRIPTION');
      const fields = await server.kubectl(['explain', `${plural}.status`]);
      expect(fields, `${plural}.status has a field without a description`).to.not.contain('<no description>');
      const spec = await server.kubectl(['explain', `${plural}.spec`]);
      expect(spec, `${plural}.spec has a field without a description`).to.not.contain('<no description>');
    }
  });

  it('finds workspaces by fields that people ask for', async () => {
    await apply(workspace('coder.alice.on', { running: true }));
    await apply(workspace('coder.alice.off', { running: false }));
    const names = await server.kubectl([
      'get',
      'cws',
      '-n',
      namespace,
      '--field-selector',
      'spec.running=true',
      '-o',
      'name',
    ]);
    expect(names).to.contain('coder.alice.on').and.not.contain('coder.alice.off');
  });
});
