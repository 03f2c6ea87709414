import type { LiveConnection } from '../connections.ts';
import type { Context } from '../context.ts';
import { Absences } from './absences.ts';
import type { MirrorKind } from './kinds.ts';

export interface SuspectsOptions {
  readonly context: Pick<Context, 'connections' | 'clock' | 'logger' | 'signal'>;
  readonly kind: MirrorKind;
  /** Told of each suspect that was looked at. */
  readonly onChecked: (namespace: string, id: string) => void;
}

interface Watched {
  readonly observer: LiveConnection['observer'];
  readonly absences: Absences;
  readonly stop: AbortController;
}

/** What is missing in the Coder of each namespace. It begins anew with each connection. */
export class Suspects {
  readonly #options: SuspectsOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: SuspectsOptions) {
    this.#options = options;
  }

  /** How many mirrored things are missing, while that is so many that it is not believed. */
  held(namespace: string): number {
    return this.#watched.get(namespace)?.absences.held ?? 0;
  }

  /** What is known of a thing that is not among those that Coder shows. */
  answer(namespace: string, live: LiveConnection, id: string): 'gone' | 'unseen' | 'unchecked' {
    if (this.#options.kind.isGone(live.observer, id)) return 'gone';
    return this.#of(namespace, live).answer(id);
  }

  /** Everything was looked at: these are the ids of what mirrors show. */
  looked(namespace: string, live: LiveConnection, mirrored: readonly string[]): void {
    const { kind } = this.#options;
    const { observer } = live;
    const missing = mirrored.filter((id) => !kind.isKnown(observer, id) && !kind.isGone(observer, id));
    this.#of(namespace, live).looked(missing, mirrored.length);
  }

  /** The control plane of the namespace is gone. */
  forget(namespace: string): void {
    this.#watched.get(namespace)?.stop.abort(new Error('the connection is not used any more'));
    this.#watched.delete(namespace);
  }

  #of(namespace: string, live: LiveConnection): Absences {
    const before = this.#watched.get(namespace);
    if (before?.observer === live.observer) return before.absences;
    this.forget(namespace);
    const { context, kind, onChecked } = this.#options;
    const stop = new AbortController();
    const absences = new Absences({
      clock: context.clock,
      logger: context.logger.child({ namespace, kind: kind.setting }),
      check: (id, signal) => kind.check(live, id, context.clock.monotonic(), signal),
      onChecked: (id) => onChecked(namespace, id),
      signal: AbortSignal.any([context.signal, stop.signal]),
    });
    this.#watched.set(namespace, { observer: live.observer, absences, stop });
    return absences;
  }
}
