import { Agent, request } from 'undici';

/** PEM texts for a connection by TLS: the server's authority and, where it asks for one, our own certificate. */
export interface TlsTexts {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name that has to be in the server's certificate. Default: the URL's. */
  readonly servername?: string;
}

/** The status that a URL answers with, or undefined when it does not answer within two seconds. */
export async function statusOf(url: string, tls?: TlsTexts): Promise<number | undefined> {
  const agent = new Agent({ connect: { ...tls } });
  try {
    const answer = await request(url, { dispatcher: agent, signal: AbortSignal.timeout(2000) });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return undefined;
  } finally {
    await agent.destroy();
  }
}
