import { expect } from 'chai';
import { CoderError } from '../../../src/coder/errors.ts';
import type { CoderWorkspaceSpec } from '../../../src/api/generated.ts';
import { collect, type Collected, type CollectOptions } from '../../../src/export/collect.ts';
import type { Exported } from '../../../src/export/manifest.ts';
import { Progress } from '../../../src/export/progress.ts';
import { FakeClock } from '../../support/clock.ts';
import { SimulatedCoder } from '../../support/coder/coder.ts';
import { OTHER_ORGANIZATION, OWNER, STRANGER } from '../../support/coder/people.ts';

type Choice = Partial<Omit<CollectOptions, 'client' | 'clock' | 'signal' | 'progress' | 'filters'>> & {
  readonly filters?: Partial<CollectOptions['filters']>;
};

describe('collect', () => {
  let clock: FakeClock;
  let coder: SimulatedCoder;

  beforeEach(() => {
    clock = new FakeClock();
    coder = new SimulatedCoder(clock);
  });

  const run = (choice: Choice = {}): Promise<Collected> =>
    collect({
      client: coder.client,
      clock,
      signal: new AbortController().signal,
      progress: new Progress({ clock, columns: undefined, quiet: true, write: () => undefined }),
      kinds: choice.kinds ?? new Set(['CoderTemplate', 'CoderWorkspace']),
      detail: choice.detail ?? { withWishes: false, withParameters: false },
      filters: { organizations: [], owners: [], templates: [], ...choice.filters },
    });
  const names = ({ objects }: Pick<Collected, 'objects'>): readonly string[] =>
    objects.map(({ manifest }) => `${manifest.kind}/${manifest.metadata.name}`);
  const named = ({ objects }: Collected, name: string): Exported => {
    const found = objects.find(({ manifest }) => manifest.metadata.name === name);
    if (found === undefined) throw new Error(`${name} is not there`);
    return found;
  };
  const withParameters: Choice = { detail: { withWishes: false, withParameters: true } };

  function fill(): void {
    const docker = coder.addTemplate('docker');
    const k8s = coder.addTemplate('k8s', OTHER_ORGANIZATION);
    coder.addWorkspace(STRANGER.username, 'dev', docker);
    coder.addWorkspace(OWNER.username, 'dev', docker);
    coder.addWorkspace(OWNER.username, 'Big', k8s);
    coder.finishBuilds('succeeded');
  }

  it('finds everything, by kind and name', async () => {
    fill();
    const all = await run();
    expect(names(all)).to.deep.equal([
      'CoderTemplate/acme.docker',
      'CoderTemplate/other.k8s',
      'CoderWorkspace/acme.ann.dev',
      'CoderWorkspace/acme.bob.dev',
      'CoderWorkspace/other.ann.big',
    ]);
    expect(all.problems).to.deep.equal([]);
  });

  const choices: readonly (readonly [string, Choice, readonly string[]])[] = [
    ['a kind', { kinds: new Set(['CoderTemplate'] as const) }, ['acme.docker', 'other.k8s']],
    ['an organization', { filters: { organizations: ['OTHER'] } }, ['other.k8s', 'other.ann.big']],
    [
      'organizations',
      { filters: { organizations: ['acme', 'other'], templates: ['k8s'] } },
      ['other.k8s', 'other.ann.big'],
    ],
    [
      'an owner, and all templates',
      { filters: { owners: ['Bob'] } },
      ['acme.docker', 'other.k8s', 'acme.bob.dev'],
    ],
    [
      'owners',
      { filters: { owners: ['bob', 'ann'], templates: ['acme.docker'] } },
      ['acme.docker', 'acme.ann.dev', 'acme.bob.dev'],
    ],
    ['a template', { filters: { templates: ['K8s'] } }, ['other.k8s', 'other.ann.big']],
    [
      'a template of an organization',
      { filters: { templates: ['acme.docker'], owners: ['ann'] } },
      ['acme.docker', 'acme.ann.dev'],
    ],
  ];
  for (const [what, choice, expected] of choices) {
    it(`finds only what is of ${what}`, async () => {
      fill();
      const { objects, problems } = await run(choice);
      expect(objects.map(({ manifest }) => manifest.metadata.name)).to.deep.equal(expected);
      expect(problems).to.deep.equal([]);
    });
  }

  const unknown: readonly (readonly [Partial<CollectOptions['filters']>, RegExp])[] = [
    [{ organizations: ['acme', 'amce'] }, /no organization "amce"/],
    [{ owners: ['nobody'] }, /no user "nobody"/],
    [{ templates: ['docker', 'dokcer'] }, /no template "dokcer"/],
    [{ templates: ['other.docker'] }, /no template "other.docker"/],
    [{ organizations: ['other'], templates: ['docker'] }, /no template "docker" in other/],
  ];
  for (const [filters, message] of unknown) {
    it(`says that there is none for ${JSON.stringify(filters)}`, async () => {
      fill();
      const error = await run({ filters }).catch((e: unknown) => e);
      expect(error).to.include({ code: 'UNKNOWN_NAME' });
      expect((error as Error).message).to.match(message);
    });
  }

  it('leaves out prebuilds', async () => {
    coder.addPrebuild(coder.addTemplate('docker'));
    const all = await run();
    expect(names(all)).to.deep.equal(['CoderTemplate/acme.docker']);
    expect(all.problems).to.deep.equal([]);
  });

  it('leaves out, tells and counts what no object can be named after', async () => {
    const docker = coder.addTemplate('docker');
    const odd = coder.addTemplate('odd');
    const made = coder.addWorkspace(OWNER.username, 'dev', docker);
    coder.addWorkspace(OWNER.username, 'fine', docker);
    coder.forceName(made?.id ?? '', 'my_dev');
    coder.forceName(odd.id, 'Odd.One');
    const all = await run();
    expect(names(all)).to.deep.equal(['CoderTemplate/acme.docker', 'CoderWorkspace/acme.ann.fine']);
    expect([...all.lacking]).to.have.members(['acme.odd.one', 'acme.ann.my_dev']);
    expect(all.problems.join('\n'))
      .to.contain('template acme/Odd.One')
      .and.to.contain('workspace acme/ann/my_dev')
      .and.to.contain('is not a name that Coder accepts');
  });

  it('tells of workspaces that are counted and not shown', async () => {
    fill();
    coder.hide(coder.presentTemplates.find(({ name }) => name === 'k8s')?.id ?? '');
    const { problems } = await run();
    expect(problems).to.have.length(1);
    expect(problems[0]).to.match(/^1 workspace\(s\) are counted by Coder and not shown/);
  });

  it('takes a row that comes twice once', async () => {
    fill();
    coder.ofList = (rows) => [...rows, ...rows];
    expect((await run()).objects).to.have.length(5);
  });

  it('names the version where the files are hidden, and tells it', async () => {
    const docker = coder.addTemplate('docker');
    coder.file = () => Promise.reject(new CoderError('NotFound', 'no', { status: 404 }));
    const all = await run();
    expect(named(all, 'acme.docker').manifest.spec).to.deep.equal({ versionID: docker.active_version_id });
    expect(all.problems.join()).to.contain('acme.docker');
  });

  it('names the version where the files are not what a template could hold, which is no problem', async () => {
    const docker = coder.addTemplate('docker');
    for (const error of [undefined, new CoderError('TooLarge', 'much')]) {
      coder.file = () =>
        error === undefined ? Promise.resolve(Buffer.from('no tar')) : Promise.reject(error);
      const all = await run();
      expect(named(all, 'acme.docker').manifest.spec).to.deep.equal({ versionID: docker.active_version_id });
      expect(all.problems).to.deep.equal([]);
    }
  });

  it('has parameters by what the next start asks for, which is read once a version', async () => {
    const content = {
      parameters: [
        { name: 'cpus', default: '2' },
        { name: 'once', default: '', ephemeral: true },
      ],
    };
    const docker = coder.addTemplate('docker', undefined, content);
    for (const name of ['a', 'b', 'c']) coder.addWorkspace(OWNER.username, name, docker);
    coder.finishBuilds('succeeded');
    coder.changeParameters({ cpus: '8', once: 'now' });
    coder.finishBuilds('succeeded');
    let asked = 0;
    const read = coder.richParameters.bind(coder);
    coder.richParameters = (...args) => {
      asked++;
      return read(...args);
    };
    const all = await run(withParameters);
    for (const name of ['a', 'b', 'c']) {
      const { parameters } = named(all, `acme.ann.${name}`).manifest.spec as CoderWorkspaceSpec;
      expect(parameters).to.deep.equal([{ name: 'cpus', value: '8' }]);
    }
    expect(asked).to.equal(1);
    expect(all.problems).to.deep.equal([]);
    const plain = await run();
    expect(named(plain, 'acme.ann.a').manifest.spec).to.deep.equal({ templateName: 'docker' });
  });

  it('tells where parameters are hidden, and exports the workspace without', async () => {
    fill();
    coder.buildParameters = () => Promise.reject(new CoderError('Forbidden', 'no', { status: 403 }));
    const all = await run(withParameters);
    expect(all.objects).to.have.length(5);
    expect(all.problems).to.have.length(3);
    expect(named(all, 'acme.ann.dev').notes.join()).to.contain('Parameters are left out');
  });

  it('asks again for what did not come, and begins the list anew', async () => {
    fill();
    const read = coder.eachWorkspace.bind(coder);
    let tries = 0;
    coder.eachWorkspace = async (onWorkspace, options) => {
      const answer = await read(onWorkspace, options);
      if (++tries < 3) throw new CoderError('Unreachable', 'the connection broke');
      return answer;
    };
    const all = run();
    await clock.advance(3_000);
    expect((await all).objects).to.have.length(5);
    expect((await all).problems).to.deep.equal([]);
  });

  it('fails as a whole where Coder does not answer any more', async () => {
    fill();
    const down = new CoderError('Unreachable', 'nobody there');
    coder.templateVersion = () => Promise.reject(down);
    const all = run().catch((error: unknown) => error);
    await clock.advance(10_000);
    expect(await all).to.equal(down);
  });

  it('has settings and power where they are asked for', async () => {
    const docker = coder.addTemplate('docker', undefined, {}, { description: 'Containers' });
    const settings = { ttl_ms: 3_600_000, autostart_schedule: '30 9 * * 1-5' };
    coder.addWorkspace(OWNER.username, 'dev', docker, OWNER.id, settings);
    coder.finishBuilds('succeeded');
    const all = await run({ detail: { withWishes: true, withParameters: false, namespace: 'team' } });
    expect(named(all, 'acme.docker').manifest.spec).to.include({
      description: 'Containers',
      maxPortShareLevel: 'Public',
    });
    expect(named(all, 'acme.ann.dev').manifest).to.deep.include({
      metadata: { name: 'acme.ann.dev', namespace: 'team' },
      spec: {
        templateName: 'docker',
        running: true,
        ttlMillis: 3_600_000,
        autostartSchedule: '30 9 * * 1-5',
        automaticUpdates: 'Never',
      },
    });
  });
});
