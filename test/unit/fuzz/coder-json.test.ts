import { expect } from 'chai';
import fc from 'fast-check';
import {
  CODER_ERROR_KINDS,
  errorFromAnswer,
  retryAfterMs,
  UnexpectedResponseError,
} from '../../../src/coder/errors.ts';
import * as readers from '../../../src/coder/readers.ts';
import { RecordSplitter } from '../../../src/coder/records.ts';
import { MAX_QUOTED_BYTES } from '../../../src/coder/redact.ts';
import { readAnswer, type AnswerContext, type Reader } from '../../../src/coder/validate.ts';
import { recordOf } from '../../../src/controller/observer/record.ts';
import { buildAnswer, templateAnswer, userAnswer, workspaceAnswer } from '../../support/coder-answers.ts';
import {
  bent,
  cuts,
  damaged,
  damages,
  fuzz,
  fuzzLong,
  keeps,
  phrases,
  pieces,
  refusedOr,
} from '../../support/fuzzing.ts';

/** Keys that mean something to JavaScript, to the operator or to Coder. */
const KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'workspaces',
  'count',
  'id',
  'message',
  'latest_build',
  'job',
];
const HUGE = ['9007199254740993', '1e400', '-1e400', '1e-400', '123456789012345678901234567890', '0.1', '-0'];

/** JSON text as other programs write it: any order, white space, escapes and numbers. */
const { value: json } = fc.letrec<{ value: string }>((tie) => {
  const blank = fc.constantFrom('', '', ' ', '\n', '\r\n\t');
  const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ unit: 'binary', maxLength: 4 }));
  const text = fc
    .oneof(fc.string({ unit: 'binary', maxLength: 8 }), fc.constantFrom(...KEYS))
    .map((t) => JSON.stringify(t));
  const list = (open: string, close: string, items: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc
      .tuple(fc.array(items, { maxLength: 4 }), blank)
      .map(([parts, space]) => `${open}${space}${parts.join(`${space},${space}`)}${space}${close}`);
  return {
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.oneof(text, fc.constantFrom('null', 'true', 'false', '0', ...HUGE), fc.integer().map(String)),
      list('[', ']', tie('value')),
      list(
        '{',
        '}',
        fc.tuple(key, tie('value')).map(([k, v]) => `${JSON.stringify(k)}:${v}`),
      ),
    ),
  };
});

interface Split {
  readonly records: readonly unknown[];
  readonly rest: unknown;
  readonly skipped: number;
}

function split(bytes: Buffer, places: readonly number[], maxRecordBytes: number): Split | undefined {
  const records: unknown[] = [];
  const splitter = new RecordSplitter({
    field: 'workspaces',
    maxRecordBytes,
    onRecord: (text) => {
      // A byte that is no UTF-8 becomes a character of three.
      expect(Buffer.byteLength(text)).to.be.at.most(3 * maxRecordBytes);
      records.push(JSON.parse(text));
    },
  });
  return refusedOr(SyntaxError, () => {
    for (const piece of pieces(bytes, places)) splitter.write(piece);
    return { records, rest: splitter.end(), skipped: splitter.skipped };
  });
}

function parsed(text: string): unknown {
  return refusedOr(SyntaxError, () => JSON.parse(text) as unknown);
}

describe('fuzzing: the list of workspaces', () => {
  const record = json.filter((text) => text.startsWith('{'));
  const lists = fc
    .record({
      before: fc.option(json, { nil: undefined }),
      records: fc.array(record, { maxLength: 4 }),
      after: fc.option(json, { nil: undefined }),
    })
    .map(({ before, records, after }) => {
      const fields = [
        ...(before === undefined ? [] : [`"facets" : ${before}`]),
        `"workspaces":[ ${records.join(' , ')} ]`,
        ...(after === undefined ? [] : [`"count":${after}`]),
      ];
      return `{${fields.join(',\n')}}`;
    });

  it('comes out as JSON.parse reads it, wherever it is cut', () => {
    fuzz({ parser: 'lists of Coder', inputs: fc.tuple(lists, cuts), part: 2 }, ([text, places]) => {
      const found = split(Buffer.from(text), places, 1_000_000);
      const whole = JSON.parse(text) as { workspaces: unknown[] };
      expect(found?.records).to.deep.equal(whole.workspaces);
      expect(JSON.stringify(found?.rest)).to.equal(JSON.stringify({ ...whole, workspaces: [] }));
    });
  });

  it('is the same for all cuts when it is damaged, and never more than JSON.parse takes', () => {
    const inputs = fc.tuple(lists, damages, keeps, cuts);
    fuzz({ parser: 'lists of Coder', inputs, part: 2 }, ([text, changes, keep, places]) => {
      const bytes = damaged(Buffer.from(text), changes, keep);
      const [whole, cut] = [split(bytes, [], 200), split(bytes, places, 200)];
      expect(JSON.stringify(cut)).to.equal(JSON.stringify(whole));
      const isCut = changes.length === 0 && bytes.length < Buffer.byteLength(text);
      if (isCut) expect(whole, 'a list that was cut short').to.equal(undefined);
    });
  });

  it('of anything else is no list', () => {
    const words = [
      '{',
      '}',
      '[',
      ']',
      '"',
      ',',
      ':',
      '\\',
      '"workspaces"',
      '{"workspaces":[',
      '1',
      'null',
      '\u2028',
    ];
    fuzz({ parser: 'lists of Coder', inputs: phrases(words, 30), part: 2 }, (text) => {
      const found = split(Buffer.from(text), [], 1000);
      const all = parsed(text);
      if (all === undefined) return;
      expect(found, 'what is JSON').not.to.equal(undefined);
      const isObject = typeof all === 'object' && all !== null && !Array.isArray(all);
      if (isObject && !('workspaces' in all)) {
        expect(JSON.stringify(found?.rest)).to.equal(JSON.stringify(all));
        expect(found?.records).to.deep.equal([]);
      }
    });
  });

  it('of any length takes its time in proportion', () => {
    const words = ['{', '}', '[', ']', '"', ',', '\\"', '"workspaces":[', '{"workspaces":['];
    fuzzLong({ parser: 'lists of Coder', words }, (text) => {
      split(Buffer.from(text), [1, 2, 3, 4, 5], 256 * 1024);
    });
  });
});

describe('fuzzing: answers of Coder', () => {
  const context: AnswerContext = { call: 'GET /x', status: 200, requestID: undefined, mutation: false };
  const all = Object.entries(readers).filter(([name]) => name.startsWith('read')) as [
    string,
    Reader<unknown>,
  ][];
  const good = [workspaceAnswer(), buildAnswer(), templateAnswer(), userAnswer()].map((answer) =>
    JSON.stringify(answer),
  );

  /** One value of a good answer replaced by something else. */
  const spoilt = fc.tuple(fc.constantFrom(...good), fc.nat(), json).map(([text, at, other]) => {
    const values = [...text.matchAll(/:("(?:[^"\\]|\\.)*"|-?\d+|true|false|null|\[\])/g)];
    const found = values[at % values.length];
    if (found === undefined) return text;
    return `${text.slice(0, found.index + 1)}${other}${text.slice(found.index + found[0].length)}`;
  });

  it('are read or refused, and what is read is what it says it is', () => {
    fuzz({ parser: 'answers of Coder', inputs: fc.oneof(spoilt, json), part: 2 }, (text) => {
      const value: unknown = JSON.parse(text);
      for (const [name, read] of all) {
        const found = refusedOr(UnexpectedResponseError, () => readAnswer(value, read, context));
        // Nothing is kept but what the reader names, and reading it again changes nothing.
        if (found === undefined || name === 'readNothing' || name === 'readCount') continue;
        expect(JSON.stringify(read(found, '')), name).to.equal(JSON.stringify(found));
        assertPlain(found);
      }
      expect(({} as { polluted?: unknown }).polluted).to.equal(undefined);
    });
  });

  /** No value that JavaScript would take for something else: no number that is not whole and exact. */
  function assertPlain(value: unknown): void {
    if (typeof value === 'number') expect(Number.isSafeInteger(value)).to.equal(true);
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) expect(Object.getPrototypeOf(value)).to.equal(Object.prototype);
    for (const inner of Object.values(value)) assertPlain(inner);
  }

  it('give records whose times a status can hold', () => {
    const year = fc.constantFrom('0000', '0001', '1969', '2026', '9999');
    const times = fc
      .tuple(
        year,
        fc.constantFrom('-01-01T00:00:00', '-12-31T23:59:59', '-02-30T00:00:00', '-13-01T25:00:00'),
        fc.constantFrom('Z', '.5Z', '-23:59', '+23:59', '+99:99', `.${'9'.repeat(50)}Z`),
      )
      .map((parts) => parts.join(''));
    const inputs = fc.record({
      used: times,
      deadline: times,
      started: times,
      dormant: times,
      created: times,
    });
    fuzz({ parser: 'times', inputs, part: 0.5 }, ({ used, deadline, started, dormant, created }) => {
      const job = { ...(buildAnswer()['job'] as object), started_at: started, completed_at: started };
      const answer = workspaceAnswer({
        latest_build: buildAnswer({ job, deadline, created_at: created }),
        last_used_at: used,
        dormant_at: dormant,
      });
      const found = refusedOr(UnexpectedResponseError, () =>
        readAnswer(answer, readers.readWorkspace, context),
      );
      if (found === undefined) return;
      const { lastUsedAt, dormantAt, build } = recordOf(found);
      for (const time of [lastUsedAt, dormantAt, build.deadline, build.startedAt, build.completedAt]) {
        if (time !== undefined) expect(time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      }
    });
  });

  it('that refuse become an error that quotes little, and no secret', () => {
    const secret = 'c4n4ry-0f-4-t0k3n';
    const text = fc
      .tuple(
        fc.string({ unit: 'binary', maxLength: 30 }),
        fc.constantFrom('', secret, '\u001b[31m', '\r\n', 'x'.repeat(3000)),
      )
      .map(([before, mark]) => `${before}${mark}${before}`);
    const body = fc.oneof(
      json.map((t) => JSON.parse(t) as unknown),
      fc.record({
        message: fc.oneof(text, fc.constant(null), fc.constant(7)),
        detail: fc.oneof(text, fc.constantFrom('duplicate key', 'rbac: forbidden', 5)),
        validations: fc.oneof(
          fc.constant('x'),
          fc.array(fc.oneof(fc.constant(null), fc.record({ field: text, detail: text }))),
        ),
      }),
    );
    const inputs = fc.record({
      status: fc.integer({ min: 300, max: 599 }),
      body,
      retryAfter: fc.option(fc.string(), { nil: undefined }),
    });
    fuzz({ parser: 'refusals of Coder', inputs, part: 2 }, ({ status, body: answer, retryAfter }) => {
      const error = errorFromAnswer(
        { call: 'GET /x', status, body: answer, retryAfter, requestID: undefined, mutation: true, now: 0 },
        [secret],
      );
      expect(Object.keys(CODER_ERROR_KINDS)).to.include(error.kind);
      for (const said of [
        error.message,
        error.coderMessage ?? '',
        ...error.validations.flatMap((v) => [v.field, v.detail]),
      ]) {
        expect(said).to.not.include(secret);
        expect(said).to.not.match(/[\p{Cc}\u2028\u2029]/u);
        expect(Buffer.byteLength(said)).to.be.at.most(MAX_QUOTED_BYTES + 200);
      }
    });
  });

  it('that ask to wait are heard within bounds', () => {
    const headers = fc.oneof(
      fc.nat(10_000).map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      bent(fc.constantFrom('Thu, 01 Jan 2026 00:00:30 GMT', '120'), [
        '-',
        ' ',
        '9'.repeat(400),
        'e9',
        '0x',
        ',',
      ]),
    );
    fuzz({ parser: 'Retry-After', inputs: fc.tuple(headers, fc.double()), part: 2 }, ([header, now]) => {
      expect(retryAfterMs(header, now)).to.be.within(1000, 600_000);
    });
  });
});
