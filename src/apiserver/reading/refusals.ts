import type { ResourceType } from '../../api/meta.ts';
import { StatusError, type Status } from '../http/status.ts';

/** `plural.group`, as messages and kubectl name a resource. */
export function qualified({ plural, group }: ResourceType): string {
  return `${plural}.${group}`;
}

export function notFound(resource: ResourceType, name: string): StatusError {
  return new StatusError('NotFound', `${qualified(resource)} ${JSON.stringify(name)} not found`, {
    details: { name, group: resource.group, kind: resource.plural },
  });
}

/** Too old; for a continue token with the one to go on with. */
export function expired(message: string, token?: string): StatusError {
  return new StatusError('Expired', message, token === undefined ? {} : { continue: token });
}

/** For a version that nobody here has heard of yet, as on a replica that lags behind. */
export function tooLargeVersion(wanted: bigint, current: bigint): StatusError {
  const message = `Timeout: Too large resource version: ${wanted.toString()}, current: ${current.toString()}`;
  return new StatusError('Timeout', message, {
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

/** Nothing may be said of a resource before all of it is known: a 404 or an empty list would count as proof of absence. */
export function notSynced(resource: ResourceType): StatusError {
  const message = `the objects of ${qualified(resource)} are not known yet; try again`;
  return new StatusError('ServiceUnavailable', message, { details: { retryAfterSeconds: 1 } });
}

/** A fault of one field, with kube's kinds and words of them (apimachinery/pkg/util/validation/field). */
export interface FieldFault {
  readonly field: string;
  readonly reason: 'FieldValueForbidden' | 'FieldValueInvalid' | 'FieldValueNotSupported';
  readonly message: string;
}

export function forbiddenField(field: string, detail: string): FieldFault {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` };
}

export function invalidField(field: string, value: string, detail: string): FieldFault {
  return {
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(value)}: ${detail}`,
  };
}

export function unsupportedField(field: string, value: string, supported: readonly string[]): FieldFault {
  const values = supported.map((text) => JSON.stringify(text)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${values}`;
  return { field, reason: 'FieldValueNotSupported', message };
}

/** A 422 with a cause for each fault. */
export function invalid(
  what: { readonly group: string; readonly kind: string },
  faults: readonly FieldFault[],
): StatusError {
  const texts = [...new Set(faults.map(({ field, message }) => `${field}: ${message}`))];
  const all = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
  return new StatusError('Invalid', `${what.kind}.${what.group} "" is invalid: ${all}`, {
    details: {
      group: what.group,
      kind: what.kind,
      causes: faults.map(({ reason, message, field }) => ({ reason, message, field })),
    },
  });
}

/** What a watch tells its client, whose headers have gone out already: an event of the type ERROR. */
export function errorEvent(status: Status): Buffer {
  return Buffer.from(`{"type":"ERROR","object":${JSON.stringify(status)}}\n`);
}
