import { StatusError } from '../http/status.ts';
import { labelKeyFault, labelValueFault } from './labelrules.ts';

/** One condition of a label selector; `=` and `==` are an `in` with one value, `!=` a `notin`. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent' | 'greater' | 'less';
  /** Sorted and distinct; of greater and less one integer. */
  readonly values: readonly string[];
}

export type Labels = Readonly<Record<string, string>>;

/** A parsed label selector: all its requirements have to hold. */
export interface LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  matches(labels: Labels): boolean;
  /** The same for every way to write the same selector; empty when it selects everything. */
  readonly canonical: string;
}

/**
 * Parses a label selector by the grammar of Kubernetes (apimachinery/pkg/labels/selector.go).
 *
 * Worth knowing: a missing value is the empty one, in `k=` as in `k in ()`; `in` and `notin` are also keys and values.
 *
 * @throws StatusError BadRequest
 */
export function parseLabelSelector(text: string): LabelSelector {
  const parser = new Parser(text);
  const requirements = parser.parse().sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return {
    requirements,
    matches: (labels) => requirements.every((requirement) => holds(requirement, labels)),
    canonical: requirements.map(written).join(','),
  };
}

function holds({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  // Only own properties: `constructor` is a good name for a label.
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'in':
      return value !== undefined && values.includes(value);
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'greater':
    case 'less':
      return compares(operator, value, values[0]);
  }
}

function compares(
  operator: 'greater' | 'less',
  value: string | undefined,
  than: string | undefined,
): boolean {
  const left = value === undefined ? undefined : int64(value);
  const right = than === undefined ? undefined : int64(than);
  if (left === undefined || right === undefined) return false;
  return operator === 'greater' ? left > right : left < right;
}

/** An integer of 64 bits in decimal; undefined for anything else. */
export function int64(text: string): bigint | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function written({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case 'absent':
      return `!${key}`;
    case 'greater':
      return `${key}>${values.join(',')}`;
    case 'less':
      return `${key}<${values.join(',')}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.join(',')})`;
  }
}

type Token = '' | '=' | '==' | '!=' | '!' | '(' | ')' | ',' | '<' | '>' | 'word';

interface Scanned {
  readonly token: Token;
  readonly text: string;
}

/** After any white space an operator, or a word of anything else. */
const NEXT = /[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^=!(),<> \t\r\n]+))/y;
const END: Scanned = { token: '', text: '' };

class Parser {
  readonly #tokens: readonly Scanned[];
  #position = 0;

  constructor(text: string) {
    this.#tokens = scan(text);
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    if (this.#peek().token === '') return requirements;
    for (;;) {
      if (!this.#isAtRequirement()) this.#refuse("!, identifier, or 'end of string'");
      requirements.push(this.#requirement());
      const { token } = this.#peek();
      if (token === '') return requirements;
      if (token !== ',') this.#refuse("',' or 'end of string'");
      this.#take();
      if (!this.#isAtRequirement()) this.#refuse("identifier after ','");
    }
  }

  #isAtRequirement(): boolean {
    const { token } = this.#peek();
    return token === 'word' || token === '!';
  }

  #requirement(): LabelRequirement {
    const isNegated = this.#peek().token === '!';
    if (isNegated) this.#take();
    if (this.#peek().token !== 'word') this.#refuse('identifier');
    const key = this.#take().text;
    const fault = labelKeyFault(key);
    if (fault !== undefined) refuse(`<nil>: Invalid value: ${JSON.stringify(key)}: ${fault}`);
    if (isNegated) return { key, operator: 'absent', values: [] };
    const { token } = this.#peek();
    if (token === '' || token === ',') return { key, operator: 'exists', values: [] };
    const operator = this.#operator();
    const values = operator.isSet ? this.#set() : [this.#value()];
    return requirementOf(key, operator.name, values);
  }

  #operator(): { readonly name: 'in' | 'notin' | 'greater' | 'less'; readonly isSet: boolean } {
    const { token, text } = this.#peek();
    const name = token === 'word' ? SET_OPERATORS.get(text) : VALUE_OPERATORS.get(token);
    if (name === undefined) this.#refuse('in, notin, =, ==, !=, gt, lt');
    this.#take();
    return { name, isSet: token === 'word' };
  }

  #value(): string {
    const { token } = this.#peek();
    if (token === '' || token === ',') return '';
    if (token !== 'word') this.#refuse('identifier');
    return this.#take().text;
  }

  /** `(a,b)`; between commas and parentheses nothing stands for the empty value. */
  #set(): string[] {
    if (this.#take().token !== '(') this.#refuse("'('", -1);
    const values: string[] = [];
    for (;;) {
      values.push(this.#peek().token === 'word' ? this.#take().text : '');
      const { token } = this.#peek();
      if (token !== ',' && token !== ')') this.#refuse("',', ')' or identifier");
      this.#take();
      if (token === ')') return values;
    }
  }

  #peek(): Scanned {
    return this.#tokens[this.#position] ?? END;
  }

  #take(): Scanned {
    const token = this.#peek();
    this.#position++;
    return token;
  }

  #refuse(expected: string, offset = 0): never {
    const found = this.#tokens[this.#position + offset] ?? END;
    refuse(`found '${found.text}', expected: ${expected}`);
  }
}

const SET_OPERATORS: ReadonlyMap<string, 'in' | 'notin'> = new Map([
  ['in', 'in'],
  ['notin', 'notin'],
]);

const VALUE_OPERATORS: ReadonlyMap<Token, 'in' | 'notin' | 'greater' | 'less'> = new Map([
  ['=', 'in'],
  ['==', 'in'],
  ['!=', 'notin'],
  ['>', 'greater'],
  ['<', 'less'],
]);

function scan(text: string): Scanned[] {
  const tokens: Scanned[] = [];
  NEXT.lastIndex = 0;
  for (;;) {
    const match = NEXT.exec(text);
    if (match === null) return tokens;
    const [, sign, word] = match;
    tokens.push(
      word === undefined ? { token: sign as Token, text: sign ?? '' } : { token: 'word', text: word },
    );
  }
}

function requirementOf(
  key: string,
  operator: 'in' | 'notin' | 'greater' | 'less',
  values: readonly string[],
): LabelRequirement {
  const faults: string[] = [];
  if (operator === 'greater' || operator === 'less') {
    const [value = ''] = values;
    if (int64(value) === undefined) {
      const rule = "for 'Gt', 'Lt' operators, the value must be an integer";
      faults.push(`values[0]: Invalid value: ${JSON.stringify(value)}: ${rule}`);
    }
  }
  const distinct = [...new Set(values)].sort();
  for (const [i, value] of distinct.entries()) {
    const fault = labelValueFault(value);
    if (fault !== undefined)
      faults.push(`values[${i}][${key}]: Invalid value: ${JSON.stringify(value)}: ${fault}`);
  }
  if (faults.length > 0) refuse(faults.length === 1 ? (faults[0] ?? '') : `[${faults.join(', ')}]`);
  return { key, operator, values: distinct };
}

function refuse(what: string): never {
  throw new StatusError('BadRequest', `unable to parse requirement: ${what}`);
}
