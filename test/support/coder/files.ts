import { createHash, randomUUID } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.ts';
import { CONTENT_FILE, contentOf } from './content.ts';
import type { VersionContent } from './definitions.ts';
import { MinuteLimit } from './limit.ts';
import { tarOf } from './tar.ts';

/** So many requests a minute everybody may make to each address below `/files`. */
const MOST_A_MINUTE = 12;

/** What somebody has uploaded. */
export interface StoredFile {
  readonly id: string;
  readonly creatorID: string;
  readonly bytes: Buffer;
  readonly content: VersionContent;
}

/** A request that somebody made to send a file. */
export interface Upload {
  readonly creatorID: string;
  /** Left out when it was refused, since there were too many. */
  readonly fileID?: string;
}

/** Uploads, each of them kept once for everybody who sends it. */
export class Files {
  readonly #limit: MinuteLimit;
  #stored: readonly StoredFile[] = [];
  /** Oldest first. */
  readonly uploads: Upload[] = [];

  constructor(clock: Clock) {
    this.#limit = new MinuteLimit(clock, MOST_A_MINUTE);
  }

  /** @throws CoderError 429 */
  upload(creatorID: string, bytes: Buffer): StoredFile {
    try {
      this.#limit.admit(`${creatorID} POST`);
    } catch (error) {
      this.uploads.push({ creatorID });
      throw error;
    }
    const file = this.keep(creatorID, bytes);
    this.uploads.push({ creatorID, fileID: file.id });
    return file;
  }

  /** Counts a request for a file. @throws CoderError 429 */
  admitRead(readerID: string, id: string): void {
    this.#limit.admit(`${readerID} GET ${id}`);
  }

  knows(creatorID: string, bytes: Buffer): boolean {
    return this.#known(creatorID, bytes) !== undefined;
  }

  /** Stores what somebody sends who is not held to a limit. */
  keep(creatorID: string, bytes: Buffer): StoredFile {
    const known = this.#known(creatorID, bytes);
    if (known !== undefined) return known;
    const file = { id: randomUUID(), creatorID, bytes, content: contentOf(bytes) };
    this.#stored = [...this.#stored, file];
    return file;
  }

  /** An archive that plays the content. */
  keepContent(creatorID: string, content: VersionContent): StoredFile {
    return this.keep(creatorID, tarOf({ [CONTENT_FILE]: JSON.stringify(content) }));
  }

  #known(creatorID: string, bytes: Buffer): StoredFile | undefined {
    const hash = sha256(bytes);
    return this.#stored.find((f) => f.creatorID === creatorID && sha256(f.bytes) === hash);
  }

  find(id: string | undefined): StoredFile | undefined {
    return this.#stored.find((f) => f.id === id);
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
