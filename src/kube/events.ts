import { randomBytes } from 'node:crypto';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isNamespaceTerminating, isNotFound, KubeError } from './errors.ts';

export type EventType = 'Normal' | 'Warning';

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'mergePatch'>;
  /** Who reports, such as `coder-operator`. */
  readonly component: string;
  /** Which process of it, usually the pod's name. */
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Events that may wait to be sent; when full the oldest is dropped. Default 1000. */
  readonly capacity?: number;
}

const eventsResource: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

const MAX_MESSAGE_BYTES = 1024;
/** The same again within so long raises the count of the first. */
const SAME_FOR_MS = 600_000;
/** As client-go's spam filter: 25 events of an object at once, then one in five minutes. */
const BURST = 25;
const REFILL_MS = 300_000;
/** How many objects and events are remembered. */
const REMEMBERED = 4096;
const ATTEMPTS = 3;
const RETRY_MS = 1_000;
const DEADLINE_MS = 5_000;
const LONGEST_WAIT_MS = 10_000;
const LONGEST_NAME = 253;

interface Pending {
  readonly object: KubeObject;
  readonly type: EventType;
  readonly reason: string;
  readonly message: string;
  /** How often it was recorded since it last went out. */
  count: number;
  readonly firstAt: number;
  lastAt: number;
}

interface Sent {
  readonly namespace: string;
  readonly name: string;
  count: number;
  /** On the monotonic clock. */
  lastSentAt: number;
}

/**
 * Tells people what happened to an object, as core/v1 Events. Recording never waits and never fails: Events are a
 * courtesy, and the work that they speak of goes first.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #capacity: number;
  /** In the order of recording, by what makes two events the same. */
  readonly #pending = new Map<string, Pending>();
  readonly #sent = new Recent<Sent>(REMEMBERED);
  readonly #buckets = new Recent<{ tokens: number; at: number }>(REMEMBERED);
  #sending: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#capacity = options.capacity ?? 1000;
  }

  /** Events that were not sent because the queue was full or their object had too many. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * @param object what it is about; needs apiVersion, kind, name and uid.
   * @param reason upper camel case, from a closed list.
   * @param message for people; cut at 1 KiB.
   */
  record(object: KubeObject, type: EventType, reason: string, message: string): void {
    if (!this.#takeToken(object)) {
      this.#dropped++;
      return;
    }
    const text = cut(message, MAX_MESSAGE_BYTES);
    const key = JSON.stringify([object.metadata.uid, reason, text]);
    const now = this.#options.clock.now();
    const waiting = this.#pending.get(key);
    if (waiting !== undefined) {
      waiting.count++;
      waiting.lastAt = now;
      return;
    }
    const [oldest] = this.#pending.keys();
    if (this.#pending.size >= this.#capacity && oldest !== undefined) {
      this.#pending.delete(oldest);
      this.#dropped++;
    }
    this.#pending.set(key, { object, type, reason, message: text, count: 1, firstAt: now, lastAt: now });
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined));
  }

  /** Waits until everything recorded was sent or given up, at most `timeoutMs` milliseconds. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#sending === undefined) return;
    const done = new AbortController();
    const timeout = this.#options.clock.sleep(timeoutMs, done.signal).catch(() => undefined);
    await Promise.race([this.#sending, timeout]);
    done.abort();
  }

  #takeToken(object: KubeObject): boolean {
    const key = object.metadata.uid ?? `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const now = this.#options.clock.monotonic();
    const bucket = this.#buckets.get(key) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL_MS);
    const granted = tokens >= 1;
    this.#buckets.set(key, { tokens: granted ? tokens - 1 : tokens, at: now });
    return granted;
  }

  async #sendAll(): Promise<void> {
    for (;;) {
      const [first] = this.#pending;
      if (first === undefined) return;
      const [key, event] = first;
      this.#pending.delete(key);
      await this.#sendPatiently(key, event);
    }
  }

  async #sendPatiently(key: string, event: Pending): Promise<void> {
    const { clock, logger } = this.#options;
    const name = eventName(event.object.metadata.name);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#send(key, event, name);
        return;
      } catch (error) {
        if (isNamespaceTerminating(error)) return;
        const retryable = error instanceof KubeError && error.retryable && attempt < ATTEMPTS;
        if (!retryable) {
          const { reason, object } = event;
          logger.debug('an event was not recorded', {
            reason,
            object: object.metadata.name,
            error: errorText(error),
          });
          return;
        }
        const asked = error.retryAfterMs ?? RETRY_MS * attempt;
        await clock.sleep(Math.min(asked, LONGEST_WAIT_MS));
      }
    }
  }

  async #send(key: string, event: Pending, name: string): Promise<void> {
    const { client, clock } = this.#options;
    const before = this.#sent.get(key);
    const now = clock.monotonic();
    if (before !== undefined && now - before.lastSentAt < SAME_FOR_MS) {
      const count = before.count + event.count;
      const patch = { count, lastTimestamp: timestamp(event.lastAt) };
      try {
        await client.mergePatch(eventsResource, before.namespace, before.name, patch, {
          deadlineMs: DEADLINE_MS,
        });
        this.#sent.set(key, { ...before, count, lastSentAt: now });
        return;
      } catch (error) {
        // The API server forgets events after an hour, or somebody cleaned up.
        if (!isNotFound(error)) throw error;
      }
    }
    const body = this.#body(event, name);
    try {
      await client.create(eventsResource, body, { deadlineMs: DEADLINE_MS });
    } catch (error) {
      // Our own first attempt, whose answer was lost.
      if (!isAlreadyExists(error)) throw error;
    }
    this.#sent.set(key, { namespace: body.metadata.namespace, name, count: event.count, lastSentAt: now });
  }

  #body(
    event: Pending,
    name: string,
  ): { readonly metadata: { readonly name: string; readonly namespace: string } } {
    const { component, instance } = this.#options;
    const { apiVersion, kind, metadata } = event.object;
    const body = {
      metadata: { name, namespace: metadata.namespace ?? 'default' },
      involvedObject: {
        apiVersion,
        kind,
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      },
      type: event.type,
      reason: event.reason,
      message: event.message,
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
      firstTimestamp: timestamp(event.firstAt),
      lastTimestamp: timestamp(event.lastAt),
      count: event.count,
    };
    return body;
  }
}

/** A map that forgets what was set longest ago. */
class Recent<V> {
  readonly #entries = new Map<string, V>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#size && oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** `<object>.<hex>`, unique and a valid name however long the object's is. */
function eventName(object: string): string {
  const suffix = randomBytes(8).toString('hex');
  const room = LONGEST_NAME - suffix.length - 1;
  return `${object.slice(0, room).replace(/[^a-z0-9]+$/, '')}.${suffix}`;
}

/** RFC 3339 without fractions, as `metav1.Time` is written. */
function timestamp(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** At most so many bytes of UTF-8, never half a character. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text, 'utf8');
  if (encoded.length <= bytes) return text;
  const room = bytes - Buffer.byteLength('…');
  // A character cut in two decodes to U+FFFD, which is then taken off.
  return `${encoded
    .subarray(0, room)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}…`;
}
