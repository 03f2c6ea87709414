import { isTrue } from '../http/requestinfo.ts';
import { StatusError } from '../http/status.ts';
import type { RequestInfo } from '../http/types.ts';
import type { ViewKind } from '../view/types.ts';
import { nameSelector, parseFieldSelector, type FieldSelector } from './fields.ts';
import { int64, parseLabelSelector } from './labels.ts';
import { forbiddenField, invalid, invalidField, unsupportedField, type FieldFault } from './refusals.ts';
import { selectionOf, type Selection } from './selection.ts';

/** What a list or watch asks for, checked. */
export interface ListOptions {
  readonly selection: Selection;
  /** Undefined: not given, the newest; 0: any. */
  readonly resourceVersion: bigint | undefined;
  readonly match: '' | 'Exact' | 'NotOlderThan';
  /** Most objects of a page; 0: all. */
  readonly limit: number;
  /** Token of the page before; empty: none. */
  readonly continue: string;
  /** Life of a watch; undefined: not given. */
  readonly timeoutSeconds: number | undefined;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

/** Which part of an object goes with its row of a table. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

const LIST_OPTIONS = { group: 'meta.k8s.io', kind: 'ListOptions' };
const LARGEST_VERSION = 2n ** 64n - 1n;

/**
 * Reads the query of a list or watch, with the defaults and checks of kube-apiserver (apimachinery
 * pkg/apis/meta/internalversion, apiserver pkg/endpoints/handlers/get.go and pkg/storage). Unknown parameters are
 * ignored.
 *
 * @throws StatusError BadRequest for what cannot be read, Invalid for what does not go together
 */
export function readListOptions(query: URLSearchParams, info: RequestInfo, kind: ViewKind): ListOptions {
  const isWatch = info.verb === 'watch';
  const limit = integer(query, 'limit') ?? 0;
  const timeoutSeconds = integer(query, 'timeoutSeconds');
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const parsedFields = parseFieldSelector(query.get('fieldSelector') ?? '');
  const version = query.get('resourceVersion') ?? '';
  const token = query.get('continue') ?? '';
  const isLegacy = isWatch && !query.has('sendInitialEvents') && (version === '' || version === '0');
  const givenMatch = query.get('resourceVersionMatch') ?? '';
  // A watch from anywhere has always begun with what is there.
  const defaulted = isLegacy && givenMatch === '';
  const match = defaulted ? 'NotOlderThan' : givenMatch;
  const sendInitialEvents =
    defaulted || (query.has('sendInitialEvents') ? isTrue(query.get('sendInitialEvents')) : undefined);

  const asked: Asked = { match, version, token, sendInitialEvents };
  const faults = isWatch ? watchFaults(asked) : listFaults(asked);
  if (faults.length > 0) throw invalid(LIST_OPTIONS, faults);
  const fields = withName(parsedFields, info.name);
  return {
    selection: selectionOf({ namespace: info.namespace, labels, fields }),
    resourceVersion: isWatch ? watchVersion(version, kind) : readVersion(version),
    match: match as ListOptions['match'],
    limit: Math.max(0, limit),
    continue: token,
    timeoutSeconds,
    allowWatchBookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents,
  };
}

interface Asked {
  readonly match: string;
  readonly version: string;
  readonly token: string;
  readonly sendInitialEvents: boolean | undefined;
}

function listFaults({ match, version, token, sendInitialEvents }: Asked): FieldFault[] {
  const faults: FieldFault[] = [];
  const field = 'resourceVersionMatch';
  if (match !== '') {
    if (version === '')
      faults.push(forbiddenField(field, `${field} is forbidden unless resourceVersion is provided`));
    if (token !== '') faults.push(forbiddenField(field, `${field} is forbidden when continue is provided`));
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      faults.push(unsupportedField(field, match, ['Exact', 'NotOlderThan', '']));
    }
    if (match === 'Exact' && version === '0') {
      faults.push(forbiddenField(field, `${field} "exact" is forbidden for resourceVersion "0"`));
    }
  }
  if (sendInitialEvents !== undefined) {
    faults.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return faults;
}

function watchFaults({ match, token, sendInitialEvents }: Asked): FieldFault[] {
  const faults: FieldFault[] = [];
  const field = 'resourceVersionMatch';
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    faults.push(forbiddenField(field, `sendInitialEvents requires setting ${field} to NotOlderThan`));
  }
  if (match === '') return faults;
  if (sendInitialEvents === undefined) {
    faults.push(
      forbiddenField(field, `${field} is forbidden for watch unless sendInitialEvents is provided`),
    );
  }
  if (match !== 'NotOlderThan') faults.push(unsupportedField(field, match, ['NotOlderThan']));
  if (token !== '') faults.push(forbiddenField(field, `${field} is forbidden when continue is provided`));
  return faults;
}

/** A name in the path, or one that authorization took from the selector, has to be the one that is selected. */
function withName(fields: FieldSelector, name: string): FieldSelector {
  if (name === '') return fields;
  if (fields.terms.length === 0) return nameSelector(name);
  if (fields.exact('metadata.name') === name) return fields;
  throw new StatusError('BadRequest', "fieldSelector metadata.name doesn't match requested name");
}

/**
 * The resourceVersion of a GET or LIST; undefined when none is given.
 *
 * @throws StatusError BadRequest
 */
export function readVersion(text: string): bigint | undefined {
  const parsed = version(text);
  if (parsed instanceof Error) {
    throw new StatusError(
      'BadRequest',
      `invalid resource version: ${JSON.stringify(text)}: ${parsed.message}`,
    );
  }
  return parsed;
}

function watchVersion(text: string, { resource }: ViewKind): bigint | undefined {
  const parsed = version(text);
  if (!(parsed instanceof Error)) return parsed;
  throw invalid({ group: resource.group, kind: resource.plural }, [
    invalidField('resourceVersion', text, parsed.message),
  ]);
}

function version(text: string): bigint | undefined | Error {
  if (text === '') return undefined;
  if (!/^[0-9]+$/.test(text)) return new SyntaxError('it is not a decimal number');
  const value = BigInt(text);
  return value > LARGEST_VERSION ? new RangeError('it is out of range') : value;
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = int64(text);
  if (value !== undefined) return Number(value);
  throw new StatusError('BadRequest', `${name}: ${JSON.stringify(text)} is not an integer`);
}

/**
 * What goes with the rows of a table.
 *
 * @throws StatusError BadRequest
 */
export function readIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') ?? '';
  if (value === '') return 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  const { field, message } = invalidField(
    'includeObject',
    value,
    "must be 'Metadata', 'Object', 'None', or empty",
  );
  throw new StatusError('BadRequest', `Unable to convert to Table as requested: ${field}: ${message}`);
}
