import { StatusError } from '../http/status.ts';

/** The fields by which objects can be selected: those that every Kubernetes resource has. */
export type SelectableField = 'metadata.name' | 'metadata.namespace';

export interface FieldTerm {
  readonly field: SelectableField;
  /** False for `!=`. */
  readonly isEqual: boolean;
  readonly value: string;
}

/** A parsed field selector: all its terms have to hold. */
export interface FieldSelector {
  readonly terms: readonly FieldTerm[];
  matches(object: { readonly namespace: string; readonly name: string }): boolean;
  /** The one value that the field may have, where a term says so. */
  exact(field: SelectableField): string | undefined;
  /** The same for every way to write the same selector; empty when it selects everything. */
  readonly canonical: string;
}

/**
 * Parses a field selector by the grammar of Kubernetes (apimachinery/pkg/fields/selector.go): terms with `=`, `==` or
 * `!=`, joined by commas; a backslash before a backslash, comma or equals sign in a value takes it as it is.
 *
 * @throws StatusError BadRequest, also for every other field
 */
export function parseFieldSelector(text: string): FieldSelector {
  const terms = splitTerms(text)
    .map((part) => termOf(part, text))
    .filter((term) => term !== undefined);
  return {
    terms,
    matches: (object) => terms.every((term) => (valueOf(term.field, object) === term.value) === term.isEqual),
    exact: (field) => terms.find((term) => term.isEqual && term.field === field)?.value,
    canonical: [...new Set(terms.map(written))].sort().join(','),
  };
}

/** The selector of one object by its name. */
export function nameSelector(name: string): FieldSelector {
  return parseFieldSelector(written({ field: 'metadata.name', isEqual: true, value: name }));
}

function valueOf(
  field: SelectableField,
  object: { readonly namespace: string; readonly name: string },
): string {
  return field === 'metadata.name' ? object.name : object.namespace;
}

/** At commas that no backslash stands before. */
function splitTerms(text: string): string[] {
  return text.match(/(?:\\[^]|[^\\,]|\\$)+/g) ?? [];
}

/** Nothing for no field and no value. */
function termOf(part: string, selector: string): FieldTerm | undefined {
  // The first operator divides; nothing can be escaped to its left.
  const match = /^(.*?)(!=|==|=)([^]*)$/s.exec(part);
  if (match === null) throw refusal(`invalid selector: '${selector}'; can't understand '${part}'`);
  const [, field = '', operator, value = ''] = match;
  if (field === '' && value === '') return undefined;
  if (field !== 'metadata.name' && field !== 'metadata.namespace') {
    throw refusal(`field label not supported: ${field}`);
  }
  return { field, isEqual: operator !== '!=', value: unescaped(value) };
}

function unescaped(value: string): string {
  return value.replace(/\\([^]?)|[,=]/gu, (found, escaped: string | undefined) => {
    if (escaped === undefined)
      throw refusal(`invalid field selector: unescaped character in value: ${found}`);
    if (escaped !== '\\' && escaped !== ',' && escaped !== '=') {
      throw refusal(`invalid field selector: invalid escape sequence: ${found}`);
    }
    return escaped;
  });
}

function written({ field, isEqual, value }: FieldTerm): string {
  return `${field}${isEqual ? '=' : '!='}${value.replace(/[\\,=]/g, '\\$&')}`;
}

function refusal(message: string): StatusError {
  return new StatusError('BadRequest', message);
}
