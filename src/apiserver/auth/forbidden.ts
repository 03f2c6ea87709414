import { StatusError } from '../http/status.ts';
import type { RequestInfo, UserInfo } from '../http/types.ts';

/**
 * The refusal in the words of kube-apiserver (apiserver/pkg/endpoints/handlers/responsewriters/errors.go), which people
 * and programs know.
 *
 * @param reason of whoever refused; may be empty.
 */
export function forbidden(user: UserInfo, info: RequestInfo, reason: string): StatusError {
  const { apiGroup: group, resource: kind, name } = info;
  const what = escaped(refusalOf(user, info));
  const why = reason === '' ? what : `${what}: ${reason}`;
  const qualified = group === '' ? kind : `${kind}.${group}`;
  const subject = name === '' ? qualified : `${qualified} ${quoted(name)}`;
  const message = kind === '' && group === '' ? `forbidden: ${why}` : `${subject} is forbidden: ${why}`;
  return new StatusError('Forbidden', message, {
    details: {
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { group }),
      ...(kind === '' ? {} : { kind }),
    },
    headers: { 'x-content-type-options': 'nosniff' },
  });
}

function refusalOf(user: UserInfo, info: RequestInfo): string {
  const who = `User ${quoted(user.name)} cannot ${info.verb}`;
  if (!info.isResourceRequest) return `${who} path ${quoted(info.path)}`;
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  const where = info.namespace === '' ? 'at the cluster scope' : `in the namespace ${quoted(info.namespace)}`;
  return `${who} resource ${quoted(resource)} in API group ${quoted(info.apiGroup)} ${where}`;
}

/** No browser must take the text for HTML. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** As Go's `%q`: in quotes, with all that cannot be printed escaped. */
function quoted(text: string): string {
  return `"${text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|["\\]/gu, escapeOf)}"`;
}

function escapeOf(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x80) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
