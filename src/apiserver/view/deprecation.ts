import type { CoderTemplateStatus } from '../../api/generated.ts';

/** Coder tells why a template is deprecated, and by an empty text that it is not. Undefined as long as it is not known. */
export function isDeprecated({ observed }: CoderTemplateStatus): boolean | undefined {
  return observed === undefined ? undefined : (observed.deprecated ?? '') !== '';
}
