import { createHash } from 'node:crypto';
import { bytesBody, noBody } from '../http/body.ts';
import type { WholeAnswer } from '../http/types.ts';

/** A document that never changes while the process lives, as bytes, with the hash by which clients know it again. */
export class Document {
  /** SHA-512 of the bytes, in upper-case hexadecimal digits as those of Kubernetes' own documents. */
  readonly hash: string;
  readonly #bytes: Buffer;

  constructor(content: object) {
    this.#bytes = Buffer.from(JSON.stringify(content));
    this.hash = createHash('sha512').update(this.#bytes).digest('hex').toUpperCase();
  }

  /** The document, or 304 to a client that has it. */
  answer(
    ifNoneMatch: string | undefined,
    { contentType, headers = {} }: Pick<WholeAnswer, 'contentType' | 'headers'> = {},
  ): WholeAnswer {
    const etag = `"${this.hash}"`;
    const isKnown = matches(ifNoneMatch, etag);
    return {
      code: isKnown ? 304 : 200,
      ...(contentType === undefined ? {} : { contentType }),
      headers: { etag, vary: 'Accept', ...headers },
      body: isKnown ? noBody : bytesBody(this.#bytes),
    };
  }
}

/** Whether an If-None-Match header names the entity tag. Weak ones count too: the content is the same to the byte. */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
