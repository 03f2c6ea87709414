import { acceptsJson, clausesOf, type Clause } from '../http/negotiate.ts';
import { StatusError } from '../http/status.ts';
import { AGGREGATED_DISCOVERY } from './documents.ts';

/**
 * In which form a client wants `/apis`: the first clause of its Accept header that asks for one that exists. A clause
 * that asks for another transformation is passed over, so that every client has a form to fall back to.
 *
 * @throws StatusError NotAcceptable
 */
export function discoveryForm(accept: string | undefined): 'aggregated' | 'plain' {
  for (const clause of clausesOf(accept)) {
    if (!acceptsJson(clause)) continue;
    if (isAggregated(clause)) return 'aggregated';
    if (!transformation.some((name) => clause.params.has(name))) return 'plain';
  }
  throw new StatusError('NotAcceptable', 'only the following media types are accepted: application/json');
}

const transformation = ['g', 'v', 'as'] as const;

function isAggregated({ params }: Clause): boolean {
  return transformation.every((name) => params.get(name) === AGGREGATED_DISCOVERY[name]);
}
