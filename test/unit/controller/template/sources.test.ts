import { expect } from 'chai';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations, VALUES_SECRET_TYPE, type CoderTemplate } from '../../../../src/api/kinds.ts';
import { filesHash } from '../../../../src/coder/contenthash.ts';
import { MAX_ARCHIVE_BYTES, type ArchiveFiles } from '../../../../src/coder/layout.ts';
import { unpack } from '../../../../src/coder/unpack.ts';
import type { ArchiveAnswer, ArchiveRequest } from '../../../../src/controller/archives.ts';
import type { ConfigMap } from '../../../../src/controller/configmaps.ts';
import type { FluxKind, FluxSource } from '../../../../src/controller/flux.ts';
import type { Secret } from '../../../../src/controller/secrets.ts';
import type { ContentFact } from '../../../../src/controller/template/content.ts';
import { readContent } from '../../../../src/controller/template/sources.ts';
import { resolveValues } from '../../../../src/controller/values.ts';
import { tarGzOf } from '../../../support/archives.ts';

const FILES = { 'main.tf': '# one', 'modules/vpc.tf': '# two' };
const SHA = 'ab'.repeat(32);
const OTHER_SHA = 'cd'.repeat(32);
const URL_ = 'https://files.example.com/one.tar.gz';
const SECRET_VALUE = 'hunter2-and-more';
const GRANT = 'kubectl apply -n team -k config/tenant';

type Found = Extract<ContentFact, { state: 'found' }>;
type Lack = Exclude<ContentFact, Found>;

/** What a namespace holds, and what was asked for. */
class Bench {
  readonly configMaps = new Map<string, ConfigMap | 'forbidden'>();
  readonly flux = new Map<string, FluxSource | 'forbidden' | 'unknownKind'>();
  readonly secrets = new Map<string, Secret | 'forbidden'>();
  archive: ArchiveAnswer = { state: 'fetching' };
  readonly asked: (ArchiveRequest & { readonly objectKey: string })[] = [];

  configMap(data: Readonly<Record<string, string>>, binaryData: Readonly<Record<string, string>> = {}): void {
    this.configMaps.set('content', { metadata: { name: 'content', namespace: 'team' }, data, binaryData });
  }

  artifact(parts: object | undefined, kind: FluxKind = 'GitRepository'): void {
    const artifact = { url: URL_, revision: 'main@sha1:1', digest: `sha256:${SHA}`, ...parts };
    const status = parts === undefined ? {} : { artifact };
    this.flux.set(`team/${kind}/repo`, { metadata: { name: 'repo', namespace: 'team' }, status });
  }

  secret(data: Readonly<Record<string, string>>): void {
    const encoded = Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString('base64')]);
    this.secrets.set('values', {
      metadata: { name: 'values', namespace: 'team', uid: 'uid-1', resourceVersion: '7' },
      type: VALUES_SECRET_TYPE,
      data: Object.fromEntries(encoded) as Readonly<Record<string, string>>,
    });
  }

  read(
    spec: CoderTemplateSpec,
    {
      withFiles = false,
      status,
      request,
    }: { withFiles?: boolean; status?: CoderTemplateStatus; request?: string } = {},
  ): Promise<ContentFact> {
    const asking =
      request === undefined ? {} : { annotations: { [annotations.reconcileRequestedAt]: request } };
    const object: CoderTemplate = {
      metadata: { name: 'acme.docker', namespace: 'team', ...asking },
      spec,
      ...(status === undefined ? {} : { status }),
    };
    return readContent(
      object,
      {
        configMap: (namespace, name) =>
          Promise.resolve(namespace === 'team' ? this.configMaps.get(name) : undefined),
        flux: (namespace, { kind, name }) => Promise.resolve(this.flux.get(`${namespace}/${kind}/${name}`)),
        archive: (objectKey, what) => {
          this.asked.push({ objectKey, ...what });
          return this.archive;
        },
      },
      {
        resolve: (namespace, items) =>
          resolveValues(items, {
            namespace,
            secret: (name) => Promise.resolve(this.secrets.get(name)),
            configMap: (name) => Promise.resolve(this.configMaps.get(name)),
          }),
      },
      withFiles,
    );
  }
}

function found(fact: ContentFact): Found {
  if (fact.state !== 'found') throw new Error(`it is ${fact.state}: ${fact.cause.message}`);
  return fact;
}

/** What keeps the content away, in short: `waiting WaitingForDependency until woken`, and the message. */
function lacking(fact: ContentFact): readonly [string, string] {
  if (fact.state === 'found') throw new Error('it is found');
  const { state, cause, rest }: Lack = fact;
  const until = rest.until === 'time' ? `${rest.afterMs} ms` : rest.until;
  return [`${state} ${cause.reason}, ${until}`, cause.message];
}

function textsOf(files: ArchiveFiles | undefined): Readonly<Record<string, string>> {
  const texts = Object.entries(files ?? {}).map(([path, data]) => [path, Buffer.from(data).toString()]);
  return Object.fromEntries(texts) as Readonly<Record<string, string>>;
}

/** The answer of somebody who has fetched and unpacked this. */
async function readyAs(files: Readonly<Record<string, string>>, path?: string): Promise<ArchiveAnswer> {
  const unpacked = await unpack(await tarGzOf(files), { path });
  return { state: 'ready', filesHash: filesHash(unpacked.files), ...unpacked };
}

const inConfigMap: CoderTemplateSpec = { source: { configMapRef: { name: 'content' } } };
const inArchive: CoderTemplateSpec = { source: { archive: { url: URL_, sha256: SHA } } };
const inFlux: CoderTemplateSpec = { source: { sourceRef: { kind: 'GitRepository', name: 'repo' } } };

describe('readContent', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });

  describe('spec.files', () => {
    it('are the content', async () => {
      expect(found(await bench.read({ files: FILES }))).to.deep.equal({
        state: 'found',
        files: FILES,
        filesHash: filesHash(FILES),
        leftOut: [],
        variables: [],
      });
    });

    it('lack what belongs to no template, which is named', async () => {
      const hidden = {
        '.env': 'TOKEN=1',
        '.git/config': '',
        'terraform.tfstate': '{}',
        'terraform.tfvars': 'a=1',
      };
      const fact = found(await bench.read({ files: { ...FILES, ...hidden, '.terraform.lock.hcl': '#' } }));
      expect(fact.files).to.deep.equal({ ...FILES, '.terraform.lock.hcl': '#' });
      expect(fact.leftOut).to.deep.equal(['.env', '.git/', 'terraform.tfstate', 'terraform.tfvars']);
    });

    const wrong: readonly [string, Readonly<Record<string, string>>, RegExp][] = [
      [
        'no .tf file',
        { 'README.md': '#' },
        /^The content of spec\.files is no template: there is no \.tf or \.tf\.json file/,
      ],
      ['hidden files alone', { '.main.tf': '#' }, /no file is left in it/],
      ['a .tf file deeper only', { 'a/main.tf': '#' }, /"a\/main\.tf" lies deeper/],
      ['a path outside', { ...FILES, '../x': '' }, /the path "\.\.\/x" has a part/],
      ['a file that is a folder', { ...FILES, modules: '' }, /"modules" is a file and the folder/],
      ['too much', { 'main.tf': '#'.repeat(MAX_ARCHIVE_BYTES + 1) }, /grows beyond 1 MiB/],
      [
        'a binary file',
        { ...FILES, 'logo.png': 'P\0NG' },
        /^spec\.files: "logo\.png" is no text.*binaryData/,
      ],
      ['a binary file of an odd name', { ...FILES, ['__proto__']: 'P\0NG' }, /"__proto__" is no text/],
    ];
    for (const [name, files, message] of wrong) {
      it(`are refused with ${name}`, async () => {
        const [what, why] = lacking(await bench.read({ files }));
        expect(what).to.equal('refused InvalidContent, woken');
        expect(why).to.match(message);
      });
    }

    it('need no .tf file for the provisioner Echo', async () => {
      const files = { 'init.protobuf': 'x' };
      expect(found(await bench.read({ files, provisioner: 'Echo' })).files).to.deep.equal(files);
    });

    it('may bear any name, also those that JavaScript gives every object', async () => {
      const files = { ...FILES, ['__proto__']: '# p', constructor: '# c' };
      const fact = found(await bench.read({ files }));
      expect(Object.keys(fact.files ?? {})).to.include.members(['__proto__', 'constructor']);
      expect(fact.filesHash).to.not.equal(filesHash({ ...FILES, constructor: '# c' }));
    });
  });

  describe('a ConfigMap', () => {
    it('gives every key as a file of its name, text and binary', async () => {
      bench.configMap({ 'main.tf': '# one' }, { 'logo.png': Buffer.from('P\0NG').toString('base64') });
      const fact = found(await bench.read(inConfigMap));
      expect(textsOf(fact.files)).to.deep.equal({ 'main.tf': '# one', 'logo.png': 'P\0NG' });
    });

    it('gives the keys that are named, as the files that are named', async () => {
      bench.configMap({ root: '# one', vpc: '# two', more: '# three' });
      const items = [
        { key: 'root', path: 'main.tf' },
        { key: 'vpc', path: 'modules/vpc.tf' },
      ];
      const spec = { source: { configMapRef: { name: 'content', items } } };
      expect(textsOf(found(await bench.read(spec)).files)).to.deep.equal(FILES);
    });

    it('lacks what belongs to no template, which is named', async () => {
      bench.configMap({ 'main.tf': '#', '.env': 'TOKEN=1' });
      const fact = found(await bench.read(inConfigMap));
      expect(fact.leftOut).to.deep.equal(['.env']);
      expect(Object.keys(fact.files ?? {})).to.deep.equal(['main.tf']);
    });

    it('has no key of a name that only JavaScript gives it', async () => {
      bench.configMap({ 'main.tf': '#' });
      const items = ['__proto__', 'constructor', 'main.tf'].map((key) => ({ key, path: `${key}.tf` }));
      const spec = { source: { configMapRef: { name: 'content', items } } };
      expect(lacking(await bench.read(spec))[1]).to.equal(
        'The ConfigMap content has no keys __proto__, constructor: add what is missing, or correct spec.source.configMapRef.items',
      );
      bench.configMap(JSON.parse('{"__proto__": "# p"}') as Readonly<Record<string, string>>);
      const one = {
        source: { configMapRef: { name: 'content', items: [{ key: '__proto__', path: 'main.tf' }] } },
      };
      expect(textsOf(found(await bench.read(one)).files)).to.deep.equal({ 'main.tf': '# p' });
    });

    it('is waited for until it is there', async () => {
      const [what, why] = lacking(await bench.read(inConfigMap));
      expect(what).to.equal('waiting WaitingForDependency, woken');
      expect(why).to.contain('no ConfigMap content');
    });

    it('is waited for until it has the keys, of which the first five are named', async () => {
      bench.configMap({ 'main.tf': '#' });
      const spec = (...keys: readonly string[]): CoderTemplateSpec => ({
        source: { configMapRef: { name: 'content', items: keys.map((key) => ({ key, path: key })) } },
      });
      expect(lacking(await bench.read(spec('main.tf', 'a')))).to.deep.equal([
        'waiting WaitingForDependency, woken',
        'The ConfigMap content has no key a: add what is missing, or correct spec.source.configMapRef.items',
      ]);
      const many = lacking(await bench.read(spec('a', 'b', 'c', 'd', 'e', 'f')));
      expect(many[1]).to.equal(
        'The ConfigMap content has no keys a, b, c, d, e, …: add what is missing, or correct spec.source.configMapRef.items',
      );
    });

    it('that may not be read says how to allow it', async () => {
      bench.configMaps.set('content', 'forbidden');
      const [what, why] = lacking(await bench.read(inConfigMap));
      expect(what).to.equal('refused SecretForbidden, 10000 ms');
      expect(why).to.contain('the ConfigMaps of the namespace team').and.contain(GRANT);
    });

    it('that holds no template is refused', async () => {
      bench.configMap({ 'notes.md': '#' });
      const [what, why] = lacking(await bench.read(inConfigMap));
      expect(what).to.equal('refused InvalidContent, woken');
      expect(why).to.match(/^The content of the ConfigMap content is no template: there is no \.tf/);
    });
  });

  describe('an archive', () => {
    it('is asked for and waited for', async () => {
      const path = 'templates/docker';
      const spec: CoderTemplateSpec = { source: { archive: { url: URL_, sha256: SHA }, path } };
      expect(lacking(await bench.read(spec, { request: 'now' }))).to.deep.equal([
        'waiting Progressing, woken',
        'Fetching the archive of spec.source.archive',
      ]);
      expect(bench.asked).to.deep.equal([
        { objectKey: 'team/acme.docker', url: URL_, sha256: SHA, path, request: 'now', isReplaced: false },
      ]);
    });

    it('gives its files, and what was read of it', async () => {
      bench.archive = await readyAs({ 'main.tf': '# one', '.env': 'TOKEN=1' });
      const fact = found(await bench.read(inArchive));
      expect(textsOf(fact.files)).to.deep.equal({ 'main.tf': '# one' });
      expect(fact.leftOut).to.deep.equal(['.env']);
      const hash = filesHash({ 'main.tf': '# one' });
      expect(fact.filesHash).to.equal(hash);
      expect(shown(fact)).to.deep.equal({ digest: `sha256:${SHA}`, filesHash: hash });
    });

    it('that could not be read now is waited for', async () => {
      bench.archive = { state: 'failed', message: 'There is no file at it.', retryAfterMs: 4_000 };
      expect(lacking(await bench.read(inArchive))).to.deep.equal([
        'waiting SourceUnavailable, 4000 ms',
        'The content cannot be had from spec.source.archive: There is no file at it.',
      ]);
    });

    it('that cannot be used is refused', async () => {
      bench.archive = { state: 'failed', message: 'It is a bomb.', retryAfterMs: undefined };
      expect(lacking(await bench.read(inArchive))).to.deep.equal([
        'refused InvalidContent, woken',
        'The content cannot be had from spec.source.archive: It is a bomb. The annotation coder.com/reconcile-requested-at with a new value has it fetched again',
      ]);
    });

    it('that holds no template is refused', async () => {
      bench.archive = await readyAs({ 'README.md': '#' });
      const [what, why] = lacking(await bench.read(inArchive));
      expect(what).to.equal('refused InvalidContent, woken');
      expect(why).to.match(/^The content of spec\.source\.archive is no template: there is no \.tf/);
    });

    describe('that was read before', () => {
      const status: CoderTemplateStatus = {
        source: { digest: `sha256:${SHA}`, path: 'a', filesHash: 'known' },
      };
      const spec = (sha256: string, path?: string): CoderTemplateSpec => ({
        source: {
          archive: { url: 'https://mirror.example.com/x', sha256 },
          ...(path === undefined ? {} : { path }),
        },
      });

      it('is not asked for: its digest and path say what is in it', async () => {
        const fact = found(await bench.read(spec(SHA, 'a'), { status }));
        expect(fact).to.deep.include({ filesHash: 'known', leftOut: [] });
        expect(fact.files).to.equal(undefined);
        expect(shown(fact)).to.deep.equal({ digest: `sha256:${SHA}`, path: 'a', filesHash: 'known' });
        expect(bench.asked).to.deep.equal([]);
      });

      it('is asked for when the files are needed', async () => {
        bench.archive = await readyAs(FILES);
        const fact = found(await bench.read(spec(SHA, 'a'), { status, withFiles: true }));
        expect(textsOf(fact.files)).to.deep.equal(FILES);
        expect(fact.source?.filesHash).to.equal(filesHash(FILES));
        expect(bench.asked).to.have.length(1);
      });

      for (const [what, sha256, path] of [
        ['another digest', OTHER_SHA, 'a'],
        ['another path', SHA, 'b'],
        ['no path', SHA, undefined],
      ] as const) {
        it(`is asked for when it has ${what}`, async () => {
          lacking(await bench.read(spec(sha256, path), { status }));
          expect(bench.asked).to.have.length(1);
          expect(bench.asked[0]).to.include({ sha256, path });
        });
      }
    });
  });

  describe('a source of Flux', () => {
    const kinds: readonly FluxKind[] = ['GitRepository', 'OCIRepository', 'Bucket', 'ExternalArtifact'];
    for (const kind of kinds) {
      it(`of the kind ${kind} gives what its artifact holds`, async () => {
        bench.artifact({}, kind);
        bench.archive = await readyAs(FILES);
        const fact = found(await bench.read({ source: { sourceRef: { kind, name: 'repo' } } }));
        expect(textsOf(fact.files)).to.deep.equal(FILES);
        expect(shown(fact)).to.deep.equal({
          revision: 'main@sha1:1',
          digest: `sha256:${SHA}`,
          filesHash: filesHash(FILES),
        });
        const request = { url: URL_, sha256: SHA, path: undefined, request: undefined, isReplaced: true };
        expect(bench.asked).to.deep.equal([{ objectKey: 'team/acme.docker', ...request }]);
      });
    }

    it('that says the same content by another name is not fetched again', async () => {
      const status = { source: { revision: 'main@sha1:1', digest: `sha256:${SHA}`, filesHash: 'known' } };
      bench.artifact({ revision: 'main@sha1:2', url: 'https://flux.example.com/2.tar.gz' });
      const fact = found(await bench.read(inFlux, { status }));
      expect(shown(fact)).to.deep.equal({
        revision: 'main@sha1:2',
        digest: `sha256:${SHA}`,
        filesHash: 'known',
      });
      expect(bench.asked).to.deep.equal([]);
    });

    it('that holds something else is fetched', async () => {
      const status = { source: { revision: 'main@sha1:1', digest: `sha256:${SHA}`, filesHash: 'known' } };
      bench.artifact({ revision: 'main@sha1:2', digest: `sha256:${OTHER_SHA}` });
      const [what, why] = lacking(await bench.read(inFlux, { status }));
      expect(what).to.equal('waiting Progressing, woken');
      expect(why).to.equal('Fetching the archive of the GitRepository repo');
      expect(bench.asked[0]).to.include({ sha256: OTHER_SHA });
    });

    it('may call it by a name of any length', async () => {
      bench.artifact({ revision: 'x'.repeat(10_000) });
      bench.archive = await readyAs(FILES);
      expect(found(await bench.read(inFlux)).source?.revision).to.have.length(256);
    });

    it('may not write to the terminal of whoever looks at it', async () => {
      bench.artifact({ revision: 'main\u001b[2J@sha1:\u0007abc' });
      bench.archive = await readyAs(FILES);
      expect(found(await bench.read(inFlux)).source?.revision).to.match(/^main@sha1: ?abc$/);
    });

    const lacks: readonly [string, (b: Bench) => void, string, string][] = [
      [
        'is not there',
        () => undefined,
        'waiting WaitingForDependency, woken',
        'no GitRepository repo in the namespace team',
      ],
      [
        'has no artifact',
        (b) => b.artifact(undefined),
        'waiting WaitingForDependency, woken',
        'The GitRepository repo has no artifact yet',
      ],
      [
        'has no digest',
        (b) => b.artifact({ digest: '' }),
        'waiting WaitingForDependency, woken',
        'The GitRepository repo has an artifact whose digest',
      ],
      [
        'has another digest',
        (b) => b.artifact({ digest: `sha512:${SHA}` }),
        'waiting WaitingForDependency, woken',
        'only sha256 is checked',
      ],
      [
        'has no address',
        (b) => b.artifact({ url: '' }),
        'waiting WaitingForDependency, woken',
        'without a url',
      ],
      [
        'is of a kind that is not there',
        (b) => b.flux.set('team/GitRepository/repo', 'unknownKind'),
        'waiting WaitingForDependency, woken',
        'does not know the kind GitRepository',
      ],
      [
        'may not be read',
        (b) => b.flux.set('team/GitRepository/repo', 'forbidden'),
        'refused SecretForbidden, 10000 ms',
        GRANT,
      ],
    ];
    for (const [name, prepare, what, why] of lacks) {
      it(`that ${name} says so`, async () => {
        prepare(bench);
        const said = lacking(await bench.read(inFlux));
        expect(said[0]).to.equal(what);
        expect(said[1]).to.contain(why);
        expect(bench.asked).to.deep.equal([]);
      });
    }
  });

  it('knows the same content by the same hash, wherever it comes from', async () => {
    const hidden = { '.gitignore': '*', 'secret.auto.tfvars': 'a = 1' };
    bench.configMap({ main: '# one' }, { vpc: Buffer.from('# two').toString('base64') });
    const items = [
      { key: 'vpc', path: 'modules/vpc.tf' },
      { key: 'main', path: 'main.tf' },
    ];
    bench.archive = await readyAs(
      { 'x/modules/vpc.tf': '# two', 'x/main.tf': '# one', 'x/.env': 'A=1' },
      'x',
    );
    bench.artifact({});
    const specs: readonly CoderTemplateSpec[] = [
      { files: { ...hidden, ...FILES } },
      { source: { configMapRef: { name: 'content', items } } },
      inArchive,
      inFlux,
    ];
    const hashes = await Promise.all(specs.map(async (spec) => found(await bench.read(spec)).filesHash));
    expect(new Set(hashes)).to.deep.equal(new Set([filesHash(FILES)]));
  });

  it('refuses a source that names none', async () => {
    expect(lacking(await bench.read({ source: {} }))[0]).to.equal('refused ContentMissing, woken');
  });

  describe('variables', () => {
    const variables = [
      { name: 'region', value: 'eu' },
      { name: 'token', valueFrom: { secretKeyRef: { name: 'values', key: 'token' } } },
    ];
    const spec: CoderTemplateSpec = { files: FILES, variables };

    it('come with the content, and a hash that no secret enters', async () => {
      bench.secret({ token: SECRET_VALUE });
      const fact = found(await bench.read(spec));
      expect(fact.variables).to.deep.equal([
        { name: 'region', value: 'eu', isSecret: false },
        { name: 'token', value: SECRET_VALUE, isSecret: true },
      ]);
      expect(fact.filesHash).to.equal(filesHash(FILES));
      bench.secret({ token: 'another value of the same version' });
      expect(found(await bench.read(spec)).variablesHash).to.equal(fact.variablesHash);
      const changed = found(await bench.read({ files: FILES, variables: [{ name: 'region', value: 'us' }] }));
      expect(changed.variablesHash).to.be.a('string').and.not.equal(fact.variablesHash);
    });

    it('that are missing are waited for', async () => {
      for (const prepare of [() => undefined, () => bench.secret({ other: SECRET_VALUE })]) {
        prepare();
        const [what, why] = lacking(await bench.read(spec));
        expect(what).to.equal('waiting WaitingForDependency, 10000 ms');
        expect(why).to.match(/^spec\.variables: .*Secret values/);
      }
    });

    it('that may not be read say how to allow it', async () => {
      bench.secrets.set('values', 'forbidden');
      const [what, why] = lacking(await bench.read(spec));
      expect(what).to.equal('refused SecretForbidden, 10000 ms');
      expect(why)
        .to.match(/^spec\.variables: /)
        .and.contain(GRANT);
    });

    it('are never quoted, whatever is wrong', async () => {
      const wrong: readonly (() => void)[] = [
        () => bench.secret({ token: `${SECRET_VALUE}\0` }),
        () => bench.secret({ token: SECRET_VALUE.repeat(10_000) }),
        () => bench.secret({ other: SECRET_VALUE }),
        () => {
          bench.secret({ token: SECRET_VALUE });
          const [secret] = bench.secrets.values();
          if (typeof secret === 'object') bench.secrets.set('values', { ...secret, type: 'Opaque' });
        },
      ];
      for (const prepare of wrong) {
        prepare();
        const [, why] = lacking(await bench.read(spec));
        expect(why).to.contain('Secret values').and.not.contain(SECRET_VALUE);
      }
      bench.secret({ token: SECRET_VALUE });
      for (const files of [{ 'README.md': '#' }, { 'main.tf': '\0' }]) {
        expect(lacking(await bench.read({ files, variables }))[1]).to.not.contain(SECRET_VALUE);
      }
    });
  });
});

/** What the status says of the archive, as the API server gets it. */
function shown({ source }: Found): unknown {
  return source === undefined ? undefined : JSON.parse(JSON.stringify(source));
}
