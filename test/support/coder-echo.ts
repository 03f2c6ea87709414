import type { ArchiveFiles } from '../../src/coder/archive.ts';

/**
 * Content for Coder's `echo` provisioner, which plays recorded answers instead of running Terraform: one serialised
 * protobuf message a stage. The format is that of Coder 2.30.
 */
export interface EchoOptions {
  /** Keeps every start, stop and delete running until it is cancelled. Default false. */
  readonly blocked?: boolean;
  /** Lets the import fail with this error, at most 100 characters of ASCII. */
  readonly importError?: string;
  /** Tells one content from another that plays the same. */
  readonly note?: string;
}

export function echoFiles(options: EchoOptions = {}): ArchiveFiles {
  const { blocked = false, importError, note = '' } = options;
  return {
    'README.md': note,
    '0.init.protobuf': Buffer.from('1a00', 'hex'),
    '0.parse.protobuf':
      importError === undefined ? Buffer.from('1200', 'hex') : nested(0x12, nested(0x0a, importError)),
    '0.plan.protobuf': Buffer.from('22041a027b7d', 'hex'),
    // A log line and then nothing more: the job waits for the end of the stage.
    '0.apply.protobuf': Buffer.from(blocked ? '0a090802120568656c6c6f' : '2a00', 'hex'),
    '0.graph.protobuf': Buffer.from('3200', 'hex'),
  };
}

/** A protobuf field that holds bytes: its tag, their number, the bytes. */
function nested(tag: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as Buffer);
  if (bytes.length > 127) throw new RangeError('Only lengths of one byte are supported');
  return Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
}
