import type { Workspace } from '../../../src/coder/types.ts';
import type { Validation } from '../../../src/coder/errors.ts';
import { isUUID, ORGANIZATIONS, isSameName } from './people.ts';
import { invalid } from './refusals.ts';

/** A condition that a workspace may fulfil. */
type Condition = (workspace: Workspace) => boolean;

const STATUSES = new Set([
  'pending',
  'starting',
  'running',
  'stopping',
  'stopped',
  'failed',
  'canceling',
  'canceled',
  'deleted',
  'deleting',
]);
const YES = /^(1|t|true)$/;
const BOOLEAN = /^(1|t|true|0|f|false)$/;

/**
 * What a search asks for, in Coder's language: terms of a key and a value, and words, which are looked for in names. All
 * of it in any case.
 * @throws CoderError 400
 */
export function searchFor(query: string, me: string): Condition {
  const words: string[] = [];
  const values = new Map<string, string>();
  for (const element of elementsOf(query.toLowerCase())) {
    const parts = cut(element, ':');
    if (element.startsWith(':') || element.endsWith(':')) {
      refuse([{ field: 'q', detail: `Query element "${element}" cannot start or end with ':'` }]);
    }
    if (parts.length > 2) {
      refuse([{ field: 'q', detail: `Query element "${element}" can only contain 1 ':'` }]);
    }
    const [key = '', value] = parts;
    if (value === undefined) words.push(element);
    // Of a key that is given twice the first value counts.
    else if (!values.has(key)) values.set(key, value);
  }
  for (const word of words) addWord(word, values);
  const faults: Validation[] = [];
  const conditions = [...values].flatMap(([key, value]) => {
    const condition = conditionOf(key, value, me);
    if (typeof condition === 'function') return [condition];
    faults.push({ field: key, detail: condition });
    return [];
  });
  if (faults.length > 0) refuse(faults);
  return (workspace) => conditions.every((holds) => holds(workspace));
}

/** What runs comes first, so the order changes while builds run; then by owner and name. */
export function inListOrder(one: Workspace, other: Workspace): number {
  return (
    Number(isRunning(other)) - Number(isRunning(one)) ||
    byText(one.owner_name, other.owner_name) ||
    byText(one.name, other.name)
  );
}

function isRunning({ latest_build: { transition, job } }: Workspace): boolean {
  return transition === 'start' && job.status === 'succeeded';
}

function byText(one: string, other: string): number {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  return a < b ? -1 : Number(a > b);
}

/** Terms with a key stand for themselves; words without one belong together. */
function elementsOf(query: string): readonly string[] {
  const tokens = cut(query, ' ', true);
  const words = tokens.filter((token) => !token.includes(':'));
  return [...tokens.filter((token) => token.includes(':')), ...(words.length === 0 ? [] : [words.join(' ')])];
}

/** The parts between delimiters that stand in no quotes. */
function cut(text: string, delimiter: string, keepQuotes = false): readonly string[] {
  const parts = [''];
  let quoted = false;
  for (const letter of text) {
    if (letter === '"') quoted = !quoted;
    if (!quoted && letter === delimiter) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${letter}`);
  }
  const there = parts.filter((part) => part !== '');
  return keepQuotes ? there : there.map((part) => part.replace(/^"+|"+$/g, ''));
}

function addWord(word: string, values: Map<string, string>): void {
  const parts = cut(word, '/');
  if (parts.length > 2) refuse([{ field: 'q', detail: `Query element "${word}" can only contain 1 '/'` }]);
  const [first = '', second] = parts;
  const add = (key: string, value: string): void => {
    if (!values.has(key)) values.set(key, value);
  };
  if (second !== undefined) add('owner', first);
  add('name', second ?? first);
}

/** The condition, or what is wrong with it. */
function conditionOf(key: string, value: string, me: string): Condition | string {
  switch (key) {
    case 'id': {
      const ids = value.split(',');
      if (!ids.every(isUUID)) return `Query param "id" has invalid values: ${value}`;
      return ({ id }) => ids.includes(id);
    }
    case 'owner': {
      const owner = value === 'me' ? me : value;
      return ({ owner_name }) => isSameName(owner_name, owner);
    }
    case 'name':
      return ({ name }) => name.toLowerCase().includes(value);
    case 'template':
      return ({ template_name }) => isSameName(template_name, value);
    case 'organization': {
      const organization = ORGANIZATIONS.find(({ id, name }) => id === value || name === value);
      if (organization === undefined && !isUUID(value)) {
        return `Query param "organization" has invalid value: organization "${value}" either does not exist, or you are unauthorized to view it`;
      }
      return ({ organization_id: id }) => id === (organization?.id ?? value);
    }
    case 'status':
      if (!STATUSES.has(value))
        return `Query param "status" has invalid value: "${value}" is not a valid value`;
      return ({ latest_build: { status } }) => status === value;
    case 'outdated':
      if (!BOOLEAN.test(value)) return `Query param "outdated" must be a valid boolean: ${value}`;
      return ({ outdated }) => outdated === YES.test(value);
    case 'dormant':
      if (!BOOLEAN.test(value)) return `Query param "dormant" must be a valid boolean: ${value}`;
      // Those that are not dormant cannot be asked for.
      return ({ dormant_at: at }) => at !== undefined || !YES.test(value);
    default:
      return `"${key}" is not a valid query param`;
  }
}

function refuse(faults: readonly Validation[]): never {
  throw invalid('Invalid workspace search query.', faults);
}
