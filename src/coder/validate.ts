import { UnexpectedResponseError } from './errors.ts';

/**
 * Reads one value of an answer: returns it in the type we rely on, or throws `Mismatch`. Every reader of an object
 * builds a new object out of the fields it names, so nothing else of an answer is kept, whatever its keys are.
 */
export type Reader<T> = (value: unknown, path: string) => T;

/** Where an answer differs from what we rely on. Never holds the value. */
class Mismatch extends Error {
  constructor(path: string, expected: string) {
    super(`${path === '' ? 'the answer' : `"${path}"`} is not ${expected}`);
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NIL_UUID = '00000000-0000-0000-0000-000000000000';
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
const ZERO_TIME = /^0001-01-01T00:00:00/;
/** In UTC. Of what lies outside, the year could not be written in four digits, as in a status. */
const FIRST_TIME = Date.parse('0001-01-01T00:00:00Z');
const LAST_TIME = Date.parse('9999-12-31T23:59:59Z');

export const text: Reader<string> = (value, path) => {
  if (typeof value !== 'string') throw new Mismatch(path, 'a text');
  return value;
};

/** A text with at least one character. */
export const name: Reader<string> = (value, path) => {
  if (typeof value !== 'string' || value === '') throw new Mismatch(path, 'a name');
  return value;
};

export const flag: Reader<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw new Mismatch(path, 'true or false');
  return value;
};

/** A whole number that JavaScript holds exactly. */
export const integer: Reader<number> = (value, path) => {
  if (!Number.isSafeInteger(value)) throw new Mismatch(path, 'a whole number');
  return value as number;
};

/** A UUID, not the nil one. */
export const uuid: Reader<string> = (value, path) => {
  if (typeof value !== 'string' || !UUID.test(value) || value === NIL_UUID)
    throw new Mismatch(path, 'a UUID');
  return value;
};

/** An RFC 3339 time, not Coder's zero time. */
export const time: Reader<string> = (value, path) => {
  if (typeof value !== 'string' || !TIME.test(value) || ZERO_TIME.test(value))
    throw new Mismatch(path, 'a time');
  const ms = Date.parse(value);
  if (!(ms >= FIRST_TIME && ms <= LAST_TIME)) throw new Mismatch(path, 'a time');
  return value;
};

/** Null, absent and, for the inner reader's sake, Coder's nil UUID and zero time are all "none". */
export function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (value, path) => {
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' && (value === NIL_UUID || ZERO_TIME.test(value))) return undefined;
    return read(value, path);
  };
}

/** As `optional`, and an empty text is "none" too. */
export function optionalText(read: Reader<string> = text): Reader<string | undefined> {
  const inner = optional(read);
  return (value, path) => (value === '' ? undefined : inner(value, path));
}

export function array<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new Mismatch(path, 'a list');
    return value.map((entry, index) => read(entry, `${path}[${index}]`));
  };
}

/** A list with nothing in it. */
export const emptyArray: Reader<readonly never[]> = (value, path) => {
  if (!Array.isArray(value) || value.length > 0) throw new Mismatch(path, 'an empty list');
  return [];
};

/** A list for which Go writes null when it is empty. */
export function arrayOrNull<T>(read: Reader<T>): Reader<readonly T[]> {
  const inner = array(read);
  return (value, path) => (value === undefined || value === null ? [] : inner(value, path));
}

/** One reader for each field of `T`; a reader of an optional field may answer undefined, which leaves the field out. */
export type Fields<T> = {
  readonly [K in keyof T]-?: Reader<T[K] | (undefined extends T[K] ? undefined : never)>;
};

export function object<T extends object>(fields: Fields<T>): Reader<T> {
  const readers = Object.entries<Reader<unknown>>(fields);
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Mismatch(path, 'an object');
    const source = value as Readonly<Record<string, unknown>>;
    const result: Record<string, unknown> = {};
    for (const [key, read] of readers) {
      const own = Object.hasOwn(source, key) ? source[key] : undefined;
      const field = read(own, path === '' ? key : `${path}.${key}`);
      if (field !== undefined) result[key] = field;
    }
    return result as T;
  };
}

/** What is known about an answer, for the error. */
export interface AnswerContext {
  /** Method and route template, such as `GET /workspaces/{id}`. */
  readonly call: string;
  readonly status: number;
  readonly requestID: string | undefined;
  /** Whether the call would have changed something. */
  readonly mutation: boolean;
}

/**
 * Reads a whole answer.
 *
 * @throws {UnexpectedResponseError} naming the first field that is missing or of another type.
 */
export function readAnswer<T>(value: unknown, read: Reader<T>, context: AnswerContext): T {
  try {
    return read(value, '');
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    throw new UnexpectedResponseError(
      `${context.call}: the answer is not in the form this operator knows: ${error.message}`,
      { status: context.status, requestID: context.requestID, mayHaveChanged: context.mutation },
    );
  }
}
