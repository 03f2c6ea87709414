/** A part of `<organization>.<user>.<workspace>` or `<organization>.<template>`; empty where an old name has none. */
export function namePart(name: string, index: number): string {
  return name.split('.')[index] ?? '';
}
