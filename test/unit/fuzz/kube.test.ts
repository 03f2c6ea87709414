import { Readable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ResourceType } from '../../../src/api/meta.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { WatchOptions } from '../../../src/kube/client.ts';
import {
  errorFromAnswer,
  errorFromStatus,
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNamespaceTerminating,
  isNotFound,
  isOtherUid,
  isTooLargeResourceVersion,
} from '../../../src/kube/errors.ts';
import { LineSplitter } from '../../../src/kube/lines.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { Store } from '../../../src/kube/store.ts';
import { FakeClock } from '../../support/clock.ts';
import {
  cuts,
  damaged,
  damages,
  fuzz,
  fuzzLater,
  fuzzLong,
  phrases,
  pieces,
  refusedOr,
} from '../../support/fuzzing.ts';

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('', '7', 'Status', -1, 1e300, null, [], {}),
);

describe('fuzzing: refusals of the API server', () => {
  const guards = [
    isAlreadyExists,
    isConflict,
    isForbidden,
    isGone,
    isInvalid,
    isNamespaceTerminating,
    isNotFound,
    isOtherUid,
    isTooLargeResourceVersion,
  ];
  const details = fc.record(
    {
      retryAfterSeconds: odd,
      causes: fc.oneof(
        odd,
        fc.array(fc.oneof(odd, fc.record({ reason: odd, field: odd })), { maxLength: 3 }),
      ),
    },
    { requiredKeys: [] },
  );
  const status = fc.record(
    {
      kind: fc.constant('Status'),
      message: fc.oneof(odd, fc.string({ unit: 'binary' })),
      reason: odd,
      code: odd,
      details: fc.oneof(odd, details),
    },
    { requiredKeys: ['kind'] },
  );
  const inputs = fc.record({
    body: fc.oneof({ weight: 4, arbitrary: status }, { weight: 1, arbitrary: odd }),
    status: fc.integer({ min: 300, max: 599 }),
    retryAfter: fc.option(
      fc.oneof(
        fc.nat().map(String),
        fc.string(),
        fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      ),
      { nil: undefined },
    ),
  });

  it('become an error that can be told apart, shown and waited for, whatever they hold', () => {
    const call = { verb: 'update', target: 'widgets a/b' } as const;
    fuzz({ parser: 'refusals of Kubernetes', inputs, part: 3 }, ({ body, status: code, retryAfter }) => {
      for (const error of [errorFromAnswer(call, code, body, retryAfter, 0), errorFromStatus(call, body)]) {
        for (const is of guards) expect(is(error)).to.be.a('boolean');
        expect(error.message).to.not.match(/\p{Cc}/u);
        expect(error.message).to.have.length.below(1400);
        expect(error.reason).to.be.a('string');
        expect(Number.isInteger(error.status)).to.equal(true);
        if (error.retryAfterMs !== undefined) expect(error.retryAfterMs).to.be.within(0, 600_000);
        for (const cause of error.causes) {
          for (const text of [cause.reason, cause.message, cause.field])
            expect(text).to.be.oneOf([undefined, text?.toString()]);
        }
      }
    });
  });
});

describe('fuzzing: lines of a watch', () => {
  it('are the same wherever the stream is cut, and never longer than they may be', () => {
    const texts = phrases(['{', '"', '\n', '\r\n', '\u2028', 'é', '💥', ' ', 'x'.repeat(30)], 20);
    fuzz({ parser: 'watch lines', inputs: fc.tuple(texts, cuts), part: 3 }, ([text, places]) => {
      const bytes = Buffer.from(text);
      const lines = (chunks: readonly Buffer[]): readonly string[] | undefined =>
        refusedOr(RangeError, () => {
          const splitter = new LineSplitter(100);
          const found = chunks.flatMap((chunk) => splitter.push(chunk));
          expect(splitter.pendingBytes).to.be.at.most(100);
          return found;
        });
      const [whole, cut] = [lines([bytes]), lines(pieces(bytes, places))];
      expect(cut).to.deep.equal(whole);
      const ended = bytes.toString().split('\n').slice(0, -1);
      if (whole !== undefined)
        expect(whole).to.deep.equal(ended.map((line) => line.trim()).filter((line) => line !== ''));
    });
  });

  it('of any length are read at once', () => {
    const places = Array.from({ length: 2000 }, (_, i) => i * 7);
    fuzzLong({ parser: 'watch lines', words: ['\n', 'x', ' ', '\r', 'é'] }, (text) => {
      const splitter = new LineSplitter(1_000_000);
      for (const chunk of pieces(Buffer.from(text), places)) splitter.push(chunk);
    });
  });
});

const widgets: ResourceType = {
  group: 'test.coder.com',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
};

interface Event {
  readonly type: string;
  readonly object: {
    readonly kind?: string;
    readonly metadata: {
      readonly name?: string;
      readonly namespace?: string;
      readonly resourceVersion: string;
    };
  };
}

describe('fuzzing: events of a watch', () => {
  const metadata = fc.record({
    name: fc.constantFrom('a', 'b', '__proto__'),
    namespace: fc.constant('n'),
    resourceVersion: fc.integer({ min: 2, max: 99 }).map(String),
  });
  const good: fc.Arbitrary<Event> = fc.oneof(
    fc
      .tuple(fc.constantFrom('ADDED', 'MODIFIED', 'DELETED'), metadata)
      .map(([type, m]) => ({ type, object: { kind: 'Widget', metadata: m } })),
    fc
      .integer({ min: 2, max: 99 })
      .map((v) => ({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(v) } } })),
  );
  const bad = fc.oneof(
    fc.constantFrom(
      '{',
      'null',
      '[]',
      '7',
      '{"type":"ADDED"}',
      '{"type":"ADDED","object":null}',
      '{"type":"BOOKMARK","object":{}}',
      'x',
    ),
    fc
      .record({ type: fc.constantFrom('ADDED', 'ERROR', 'BOOKMARK', 'OTHER', '__proto__'), object: odd })
      .map((e) => JSON.stringify(e)),
    fc
      .record({ kind: fc.constant('Status'), code: odd, reason: odd, message: odd, details: odd })
      .map((object) => JSON.stringify({ type: 'ERROR', object })),
    fc
      .record({ name: odd, namespace: odd, resourceVersion: odd })
      .map((m) => JSON.stringify({ type: 'MODIFIED', object: { metadata: m } })),
  );
  const inputs = fc.record({
    events: fc.array(good, { maxLength: 6 }),
    end: fc.option(bad, { nil: undefined }),
    changes: damages,
    places: cuts,
  });

  /** Follows one stream, until it is asked again from where it goes on. */
  async function followed(chunks: readonly Buffer[]): Promise<{
    readonly names: readonly string[];
    readonly from: string | undefined;
    readonly longestWaitMs: number;
  }> {
    const stop = new AbortController();
    const store = new Store<{ metadata: { name: string; namespace: string; resourceVersion: string } }>();
    let from: string | undefined;
    let longestWaitMs = 0;
    let lists = 0;
    let watches = 0;
    class Hasty extends FakeClock {
      override sleep(ms: number): Promise<void> {
        longestWaitMs = Number.isNaN(ms) ? NaN : Math.max(longestWaitMs, ms);
        return Promise.resolve();
      }
    }
    const list = (): Promise<never> => {
      if (++lists > 1) stop.abort();
      return Promise.resolve({ metadata: { resourceVersion: '1' }, items: [] } as never);
    };
    const watch = (_: unknown, __: unknown, options: WatchOptions): Promise<AsyncIterable<Uint8Array>> => {
      if (++watches > 1) {
        from = options.resourceVersion;
        stop.abort();
      }
      return Promise.resolve(Readable.from(watches === 1 ? chunks : []) as AsyncIterable<Uint8Array>);
    };
    const client = { list, watch } as never;
    await new Reflector({
      client,
      resource: widgets,
      store,
      clock: new Hasty(),
      logger: silentLogger,
      random: () => 0.5,
    }).run(stop.signal);
    return {
      names: store
        .list()
        .map(({ metadata: { name } }) => name)
        .sort(),
      from,
      longestWaitMs,
    };
  }

  it('are taken up to the first that is none, and gone on with from there', async () => {
    await fuzzLater({ parser: 'watch events', inputs, part: 1 }, async ({ events, end, places }) => {
      const bytes = Buffer.from(
        [...events.map((event) => JSON.stringify(event)), ...(end === undefined ? [] : [end])]
          .map((line) => `${line}\n`)
          .join(''),
      );
      const { names, from, longestWaitMs } = await followed(pieces(bytes, places));
      const there = new Set<string>();
      for (const { type, object } of events) {
        const { name = '' } = object.metadata;
        if (type === 'DELETED') there.delete(name);
        else if (type !== 'BOOKMARK') there.add(name);
      }
      expect(longestWaitMs).to.be.within(0, 600_000);
      if (end === undefined) {
        expect(names).to.deep.equal([...there].sort());
        expect(from).to.equal(events.at(-1)?.object.metadata.resourceVersion ?? '1');
      }
    });
  });

  it('of any bytes end no reflector', async () => {
    await fuzzLater({ parser: 'watch events', inputs, part: 1 }, async ({ events, end, changes, places }) => {
      const text = [...events.map((event) => JSON.stringify(event)), end ?? ''].join('\n');
      const { longestWaitMs } = await followed(
        pieces(damaged(Buffer.from(text), changes, undefined), places),
      );
      expect(longestWaitMs).to.be.within(0, 600_000);
    });
  });
});
