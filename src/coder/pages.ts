import { UnexpectedResponseError } from './errors.ts';

/** What one page brought. */
export interface Page {
  /** All that Coder counts, on whatever page. */
  readonly count: number;
  /** Rows of this page, those that could not be read included. */
  readonly rows: number;
}

export interface PagesOptions {
  readonly size: number;
  /** More pages than this are no list. */
  readonly most: number;
  /** Pages that are asked for at the same time, once the first has told how many there are. */
  readonly atOnce: number;
  readonly read: (offset: number) => Promise<Page>;
}

/**
 * Reads page after page until all that is counted was asked for. A page may be short, since Coder leaves out what it may
 * not show; a longer one than was asked for counts too.
 *
 * @returns what the newest page counted.
 * @throws UnexpectedResponseError when there is no end; else what `read` threw first, after all that was under way.
 */
export async function readPages({ size, most, atOnce, read }: PagesOptions): Promise<number> {
  let [count, next, pages, failed] = [1, 0, 0, false];
  const readOne = async (): Promise<void> => {
    if (pages++ === most) throw new UnexpectedResponseError("Coder's list of workspaces does not end");
    const offset = next;
    next += size;
    const page = await read(offset);
    count = page.count;
    next = Math.max(next, offset + page.rows);
  };
  const readOn = async (): Promise<void> => {
    try {
      while (next < count && !failed) await readOne();
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  await readOne();
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, readOn));
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return count;
}
