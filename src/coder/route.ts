import { OperatorError } from '../base/errors.ts';

const API_PATH = '/api/v2';

/** Values of the query; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** Values of a route's `{parameters}`. */
export type RouteParams = Readonly<Record<string, string>>;

/**
 * Fills a route such as `/workspaces/{id}` and appends it to the base URL, whose own path stays in front. Since every
 * value is encoded, it can neither leave its segment nor the origin.
 *
 * @throws {OperatorError} `INVALID_PATH_SEGMENT` for a value that no server would read as one segment.
 */
export function urlOf(base: URL, route: string, params: RouteParams = {}, query: Query = {}): URL {
  const path = route.replace(/\{(\w+)\}/g, (_, parameter: string) => segment(parameter, params[parameter]));
  const url = new URL(base);
  url.pathname = url.pathname.replace(/\/+$/, '') + API_PATH + path;
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(key, String(value));
  }
  return url;
}

/** Whether a server reads a value as one segment of a path: nothing in Coder is called otherwise. */
export function isSegment(value: string): boolean {
  // Dots alone are a step up the path, even encoded, for many a proxy; so is a slash.
  return value !== '' && !/^\.+$/.test(value) && !/[/\\\p{Cc}\p{Cs}]/u.test(value);
}

function segment(parameter: string, value: string | undefined): string {
  if (value === undefined || !isSegment(value)) {
    throw new OperatorError(
      'INVALID_PATH_SEGMENT',
      `${JSON.stringify(value ?? '')} cannot be the ${parameter} of a Coder object`,
    );
  }
  return encodeURIComponent(value);
}
