import { isForbidden, isNotFound, isNotReady } from './errors.ts';

export interface HiddenOptions {
  /** Whether that counts too which nobody sees before an import is over. Default false. */
  readonly orNotReady?: boolean;
}

/** What the token may not see is as good as not there. */
export async function unlessHidden<T>(
  read: () => Promise<T>,
  { orNotReady = false }: HiddenOptions = {},
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isNotFound(error) || isForbidden(error) || (orNotReady && isNotReady(error))) return undefined;
    throw error;
  }
}
