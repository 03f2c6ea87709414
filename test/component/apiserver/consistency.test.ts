import { expect } from 'chai';
import { workspaces } from '../../../src/api/kinds.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { aggregated, AGGREGATED_WITHIN_MS, type Aggregated } from '../../support/aggregated.ts';
import { MASTERS, type ListJson } from '../../support/aggregated-calls.ts';
import {
  createWorkspace,
  label,
  versionsOf,
  viewPath,
  VIEW_WORKSPACES,
} from '../../support/aggregated-objects.ts';
import { settled } from '../../support/settled.ts';

const ROUNDS = 6;
const CHANGES = 25;
const NAMES = Array.from({ length: 12 }, (_, i) => `coder.alice.w${i}`);
const EQUAL_WITHIN_MS = 60_000;

describe('what clients hold while the endpoint loses its API server', function () {
  this.timeout(180_000);
  const namespace = 'consistency';
  let rig: Aggregated;

  before(async function () {
    this.timeout(AGGREGATED_WITHIN_MS);
    rig = await aggregated();
    await rig.namespace(namespace);
  });
  afterEach(async () => {
    rig.upstream.mend();
    await rig.tidy();
  });

  /** A kind whose definition has changed cannot be listed for a moment. */
  const present = (): Promise<Readonly<Record<string, string>>> =>
    settled(
      () =>
        versionsOf(rig.kube, namespace).catch((error: unknown) => {
          if (error instanceof KubeError && error.status === 429) return undefined;
          throw error;
        }),
      'a list of the objects',
    );

  /** Makes, changes and deletes objects at random; the same ones in every run. */
  async function change(random: () => number): Promise<void> {
    const there = new Set(Object.keys(await present()).map((key) => key.split('/')[1] ?? ''));
    for (let i = 0; i < CHANGES; i++) {
      const name = NAMES[Math.floor(random() * NAMES.length)] ?? '';
      if (!there.has(name)) {
        await createWorkspace(rig.kube, namespace, name);
        there.add(name);
      } else if (random() < 0.4) {
        await rig.kube.delete(workspaces, namespace, name);
        there.delete(name);
      } else {
        await label(rig.kube, namespace, name, { i: String(Math.floor(random() * 1e9)) });
      }
    }
  }

  /** The API server keeps no history of a kind whose definition has changed: who watched it has to list again. */
  async function forgetHistory(round: number): Promise<void> {
    const column = { name: `Round ${round}`, type: 'string', jsonPath: '.metadata.name', priority: 1 };
    const patch = [{ op: 'add', path: '/spec/versions/0/additionalPrinterColumns/-', value: column }];
    await rig.kubectl([
      'patch',
      'crd',
      'coderworkspaces.coder.com',
      '--type=json',
      '-p',
      JSON.stringify(patch),
    ]);
    await settled(async () => {
      const text = await rig.kubectl(['get', 'coderworkspaces.coder.com', '-n', namespace, '-o', 'wide']);
      return text.includes(`ROUND ${round}`) || text === '' || undefined;
    }, 'the new definition');
  }

  it('49. after breaks and gaps in the history every client holds what there is', async () => {
    const scope = ['--resource', VIEW_WORKSPACES, '--namespace', namespace];
    const clients = [
      rig.client('informer', scope, { KUBE_FEATURE_WatchListClient: 'true' }),
      rig.client('informer', scope, { KUBE_FEATURE_WatchListClient: 'false' }),
      rig.client('informer', [...scope, '--client', 'metadata']),
      rig.client('listwatch', [...scope, '--limit', '5']),
    ];
    const random = generator(49);
    for (let round = 0; round < ROUNDS; round++) {
      const breaks = round % 3 !== 0;
      const forgets = round % 3 === 2;
      await change(random);
      if (breaks) rig.upstream.cut();
      await change(random);
      if (forgets) await forgetHistory(round);
      if (breaks) rig.upstream.mend();
      await change(random);
      const wanted = await present();
      for (const replica of rig.replicas) {
        await settled(
          async () => {
            const { items } = await rig.direct(replica).json<ListJson>(viewPath(namespace), MASTERS);
            const held = Object.fromEntries(
              items.map(({ metadata: m }) => [`${namespace}/${m.name}`, m.resourceVersion]),
            );
            return equal(held, wanted) || undefined;
          },
          `the present in replica ${replica.port}`,
          EQUAL_WITHIN_MS,
        );
      }
      for (const [i, client] of clients.entries()) {
        await settled(
          async () => equal((await client.ask('dump', 'set'))['objects'], wanted) || undefined,
          `the present in client ${i} after round ${round}`,
          EQUAL_WITHIN_MS,
        );
      }
    }
    expect(clients.every((client) => client.running)).to.equal(true);
  });
});

function equal(held: unknown, wanted: Readonly<Record<string, string>>): boolean {
  const sorted = (value: object): string => JSON.stringify(Object.entries(value).sort());
  return sorted(held as object) === sorted(wanted);
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
