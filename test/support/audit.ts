import { readFileSync } from 'node:fs';
import type { Kubernetes } from '../../hack/stack/kubernetes.ts';

/** What tests look at of a line of the API server's audit log. */
export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly name?: string;
  };
  readonly annotations?: Readonly<Record<string, string>>;
  /** Only at the levels that write it down. */
  readonly requestObject?: { readonly spec?: Readonly<Record<string, unknown>> };
}

/** All that the API server has written down so far. */
export function audited({ auditLogFile }: Pick<Kubernetes, 'auditLogFile'>): readonly AuditEvent[] {
  if (auditLogFile === undefined) throw new Error('The servers were started without an audit log');
  return (
    readFileSync(auditLogFile, 'utf8')
      .split('\n')
      // The server may be in the middle of the last line.
      .slice(0, -1)
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as AuditEvent)
  );
}
