import { systemClock } from '../../src/base/clock.ts';
import { errorText } from '../../src/base/errors.ts';
import { workspaces } from '../../src/api/kinds.ts';
import type { Workspace } from '../../src/coder/types.ts';
import { NAMESPACE, type Site } from '../bench/site.ts';

export interface ChurnOptions {
  readonly site: Site;
  readonly changesPerMinute: number;
  /** From 0 to 1. Default Math.random. */
  readonly random?: () => number;
}

/** How often each change is made, relative to the others. */
const CHANGES = { stop: 4, start: 4, create: 2, delete: 2, rename: 2, ttl: 2, describe: 1, wish: 4 } as const;
type Change = keyof typeof CHANGES;

/** Workspaces that objects of a user stand for. */
export const OWN_WORKSPACES = 20;
/** Begins the names of what the churn itself makes. */
const PREFIX = 'churn';
/** A build that takes long must not let all others wait for it. */
const MOST_AT_ONCE = 6;

/** Changes things in Coder, as its users do, and wishes of a user's own objects, at random. */
export class Churn {
  readonly #site: Site;
  readonly #options: ChurnOptions;
  readonly #counts = new Map<string, number>();
  readonly #owner: string;
  /** Running or not, as it was last wished. */
  readonly #wishes = new Map<string, boolean>();
  #made = 0;
  #atOnce = 0;

  constructor(options: ChurnOptions) {
    this.#site = options.site;
    this.#options = options;
    this.#owner = options.site.seeds.users[0] ?? '';
  }

  /** How often each change was made, and how often Coder refused one. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Names of the user's own objects, and what they wish. */
  get wishes(): ReadonlyMap<string, boolean> {
    return this.#wishes;
  }

  /** Makes the user's own objects. */
  async begin(): Promise<void> {
    const templateName = this.#site.seeds.template.name;
    for (let i = 1; i <= OWN_WORKSPACES; i++) {
      const name = `coder.${this.#owner}.own${i}`;
      const object = { metadata: { namespace: NAMESPACE, name }, spec: { templateName, running: true } };
      await this.#site.kube.create(workspaces, object, { signal: this.#site.signal });
      this.#wishes.set(name, true);
    }
  }

  /** Changes things until the signal aborts, and waits for the last ones. */
  async run(signal: AbortSignal): Promise<void> {
    const pauseMs = 60_000 / this.#options.changesPerMinute;
    const under = new Set<Promise<void>>();
    while (!signal.aborted) {
      await systemClock.sleep(pauseMs * (0.5 + this.#random()), signal).catch(() => undefined);
      if ((signal.aborted as boolean) || this.#atOnce >= MOST_AT_ONCE) continue;
      this.#atOnce++;
      const change = this.#change().finally(() => {
        this.#atOnce--;
        under.delete(change);
      });
      under.add(change);
    }
    await Promise.all(under);
  }

  async #change(): Promise<void> {
    const change = this.#pick();
    try {
      await this.#make(change);
      this.#count(change);
    } catch (error) {
      // Two changes may meet at one workspace, as those of people do; Coder refuses the second.
      this.#count(`refused: ${change}`);
      this.#site.options.progress.note(`${change} was refused: ${errorText(error)}`);
    }
  }

  async #make(change: Change): Promise<void> {
    const { coder, seeds } = this.#site;
    switch (change) {
      case 'create': {
        const user = this.#any(seeds.users);
        await coder.createWorkspace(user, {
          name: `${PREFIX}${++this.#made}`,
          template_id: seeds.template.id,
        });
        return;
      }
      case 'start':
      case 'stop':
      case 'delete': {
        const query = { start: 'status:stopped', stop: 'status:running', delete: `name:${PREFIX}` }[change];
        await coder.createBuild((await this.#stranger(query)).id, { transition: change });
        return;
      }
      case 'rename': {
        const { id } = await this.#stranger('status:stopped');
        await this.#patch(`/workspaces/${id}`, { name: `${PREFIX}${++this.#made}` });
        return;
      }
      case 'ttl': {
        const { id } = await this.#stranger('');
        await coder.setTTL(id, 3_600_000 * (24 + Math.floor(24 * this.#random())));
        return;
      }
      case 'describe':
        await this.#patch(`/templates/${seeds.template.id}`, {
          name: seeds.template.name,
          description: `described ${++this.#made} times`,
        });
        return;
      case 'wish': {
        const name = this.#any([...this.#wishes.keys()]);
        const running = this.#wishes.get(name) !== true;
        await this.#site.kube.mergePatch(workspaces, NAMESPACE, name, { spec: { running } });
        this.#wishes.set(name, running);
        return;
      }
    }
  }

  /** Any workspace that is as the query says, whose last build is over, and that no object of the user stands for. */
  async #stranger(query: string): Promise<Workspace> {
    const some = `owner:${this.#any(this.#site.seeds.users)} ${query}`.trim();
    // Of those that the churn has made there are few: they are looked for with all owners.
    const { workspaces: all } = await this.#site.coder.workspaces({
      query: query.includes('name:') ? query : some,
    });
    const isOver = (w: Workspace): boolean => w.latest_build.job.completed_at !== undefined;
    return this.#any(all.filter((w) => isOver(w) && !this.#wishes.has(`coder.${w.owner_name}.${w.name}`)));
  }

  async #patch(path: string, body: object): Promise<void> {
    const { url, adminToken } = this.#site.stack.coder;
    const response = await fetch(`${url}/api/v2${path}`, {
      method: 'PATCH',
      headers: { 'coder-session-token': adminToken, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: this.#site.signal,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
  }

  #pick(): Change {
    const all = Object.entries(CHANGES) as [Change, number][];
    let left = this.#random() * all.reduce((sum, [, weight]) => sum + weight, 0);
    return all.find(([, weight]) => (left -= weight) < 0)?.[0] ?? 'ttl';
  }

  #any<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error('there is none to choose from');
    return item;
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  #random(): number {
    return (this.#options.random ?? Math.random)();
  }
}
