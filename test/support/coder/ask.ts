import type { Answer, Question, StreamedEvent } from './contract.ts';

/** A question as it goes over the wire. */
export interface SentQuestion {
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes?: Buffer;
}

export function sent({ body, headers = {}, token }: Question, ownToken: string): SentQuestion {
  const bytes = bytesOf(body);
  const sender = token === undefined ? ownToken : token;
  return {
    headers: {
      ...(sender === null ? {} : { 'coder-session-token': sender }),
      ...(bytes === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(bytes === undefined ? {} : { bytes }),
  };
}

export async function askOverHttp(url: string, method: string, question: SentQuestion): Promise<Answer> {
  const { headers, bytes } = question;
  const response = await fetch(url, {
    method,
    headers,
    redirect: 'manual',
    ...(bytes === undefined ? {} : { body: new Uint8Array(bytes) }),
  });
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    text: await response.text(),
  };
}

function bytesOf(body: Question['body']): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Reads a stream of events over HTTP, and hangs up when it is not read any more. */
export async function* eventsOverHttp(
  url: string,
  { headers }: SentQuestion,
): AsyncGenerator<StreamedEvent, void, undefined> {
  const hangUp = new AbortController();
  try {
    const { body, status } = await fetch(url, { headers, signal: hangUp.signal });
    if (status !== 200 || body === null) throw new Error(`${url} answers ${status} and no stream`);
    yield* eventsIn(body.pipeThrough(new TextDecoderStream()));
  } finally {
    hangUp.abort();
  }
}

export async function* eventsIn(
  pieces: AsyncIterable<string>,
): AsyncGenerator<StreamedEvent, void, undefined> {
  let rest = '';
  for await (const piece of pieces) {
    const frames = `${rest}${piece}`.split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) yield eventOf(frame);
  }
}

function eventOf(frame: string): StreamedEvent {
  const fields = new Map(frame.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]));
  return { event: fields.get('event') ?? '', data: fields.get('data') ?? '' };
}
