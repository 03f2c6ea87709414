import { StatusError } from './status.ts';

/** In which shape an object, a list or an event is wanted. */
export interface Representation {
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  /** `v1` or `v1beta1` of meta.k8s.io; of no meaning for objects. */
  readonly metaVersion: 'v1' | 'v1beta1';
  readonly pretty: boolean;
}

/** What beside the Accept header says that a person reads the answer. */
export interface PrettyHints {
  readonly userAgent?: string | undefined;
  /** The query's `pretty`; null or undefined: not given. */
  readonly pretty?: string | null | undefined;
}

export interface NegotiateOptions extends PrettyHints {
  /** The answer is a list of objects, or a watch of one. */
  readonly isList: boolean;
  readonly isWatch: boolean;
  /** Whether the objects can also be shown as Table and PartialObjectMetadata; documents of discovery cannot. */
  readonly allowTransforms: boolean;
}

/** One alternative of an Accept header. */
export interface Clause {
  readonly type: string;
  readonly subtype: string;
  /** Between 0 and 1. */
  readonly quality: number;
  readonly params: ReadonlyMap<string, string>;
}

type Shape = Omit<Representation, 'pretty'>;

const AS_OBJECT: Shape = { as: 'object', metaVersion: 'v1' };
const SHAPES = ['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList'] as const;
const META_GROUP = 'meta.k8s.io';

/**
 * Chooses the shape of an answer as kube-apiserver does (apiserver/pkg/endpoints/handlers/negotiation), with JSON as
 * the one encoding: the best clause that JSON satisfies and whose transformation exists; what a clause says beyond
 * that is overlooked.
 *
 * @throws StatusError NotAcceptable
 */
export function negotiate(accept: string | undefined, options: NegotiateOptions): Representation {
  for (const clause of clausesOf(accept)) {
    const shape = acceptsJson(clause) ? shapeOf(clause, options.allowTransforms) : undefined;
    if (shape === undefined) continue;
    refuseWrongNumber(shape, options);
    return { ...shape, pretty: clause.params.get('pretty') === '1' || isForPeople(options) };
  }
  const only = options.isWatch ? 'application/json;stream=watch' : 'application/json';
  throw new StatusError('NotAcceptable', `only the following media types are accepted: ${only}`);
}

/** Whether the answer is to be indented: a person asks for it, or seems to read it. */
export function wantsPretty(accept: string | undefined, hints: PrettyHints): boolean {
  return clausesOf(accept).find(acceptsJson)?.params.get('pretty') === '1' || isForPeople(hints);
}

/** By User-Agent: browsers and tools that print what they get. */
function isForPeople({ userAgent, pretty }: PrettyHints): boolean {
  if (pretty !== null && pretty !== undefined && pretty !== '')
    return /^(1|t|T|TRUE|true|True)$/.test(pretty);
  return /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent ?? '');
}

export function acceptsJson({ type, subtype }: Clause): boolean {
  if (type === '*') return subtype === '*';
  return type === 'application' && (subtype === 'json' || subtype === '*');
}

/** Undefined when the clause asks for something that does not exist: then the next one counts. */
function shapeOf({ params }: Clause, allowTransforms: boolean): Shape | undefined {
  const stream = params.get('stream') ?? '';
  if (stream !== '' && stream !== 'watch') return undefined;
  if (!['as', 'g', 'v'].some((name) => params.has(name))) return AS_OBJECT;
  const as = SHAPES.find((shape) => shape === params.get('as'));
  const metaVersion = params.get('v');
  if (!allowTransforms || as === undefined || params.get('g') !== META_GROUP) return undefined;
  return metaVersion === 'v1' || metaVersion === 'v1beta1' ? { as, metaVersion } : undefined;
}

/** No further clause is tried then: the client has asked for what can never be, and should hear of it. */
function refuseWrongNumber({ as }: Shape, { isList, isWatch }: NegotiateOptions): void {
  const isOneList = isList && !isWatch;
  if (as === 'PartialObjectMetadata' && isOneList) {
    throw new StatusError('NotAcceptable', `you requested ${as}, but the requested object is a list`);
  }
  if (as === 'PartialObjectMetadataList' && !isOneList) {
    throw new StatusError('NotAcceptable', `you requested ${as}, but the requested object is not a list`);
  }
}

/** The clauses, best first: by quality, then by how exact they are, then in the order of the header. */
export function clausesOf(accept: string | undefined): readonly Clause[] {
  if (accept === undefined || accept.trim() === '') {
    return [{ type: '*', subtype: '*', quality: 1, params: new Map() }];
  }
  return accept
    .split(',')
    .map(clauseOf)
    .filter((clause) => clause !== undefined)
    .filter((clause) => clause.quality > 0)
    .sort((a, b) => b.quality - a.quality || exactness(b) - exactness(a));
}

function exactness({ type, subtype }: Clause): number {
  return (type === '*' ? 0 : 2) + (subtype === '*' ? 0 : 1);
}

/** Undefined for what is no media type. */
function clauseOf(text: string): Clause | undefined {
  const [range = '', ...rest] = text.split(';').map((part) => part.trim());
  const [type = '', subtype = type === '*' ? '*' : '', ...more] = range.toLowerCase().split('/');
  if (type === '' || subtype === '' || more.length > 0) return undefined;
  const params = new Map<string, string>();
  for (const part of rest) {
    const [name = '', value, ...tail] = part.split('=');
    if (value !== undefined && tail.length === 0) params.set(name.trim(), value.trim());
  }
  return { type, subtype, quality: qualityOf(params.get('q')), params };
}

/** What cannot be read counts least of all that is acceptable. */
function qualityOf(text: string | undefined): number {
  if (text === undefined) return 1;
  const quality = text === '' ? NaN : Number(text);
  return Number.isFinite(quality) ? Math.min(Math.max(quality, 0), 1) : Number.MIN_VALUE;
}
