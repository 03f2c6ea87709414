type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/**
 * The fields that are there: one that is undefined is left out, as JSON does, so that both say the same. A plain loop,
 * since each change of each object comes through here.
 */
export function present<T extends object>(fields: T): Present<T> {
  const left: Partial<T> = {};
  for (const name in fields) {
    if (fields[name] !== undefined) left[name] = fields[name];
  }
  return left as Present<T>;
}

/** These fields of an object, as they are. */
export function picked<T extends object, K extends keyof T>(
  object: T,
  names: readonly K[],
): Partial<Pick<T, K>> {
  const fields: Partial<Pick<T, K>> = {};
  for (const name of names) fields[name] = object[name];
  return fields;
}

/** A value that says something: neither empty nor 0. */
export function filled<T extends string | number>(value: T | undefined): T | undefined {
  return value === '' || value === 0 ? undefined : value;
}
