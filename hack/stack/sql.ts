import { createConnection } from 'node:net';
import { StackError } from './errors.ts';

export interface SqlConnection {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** Types of messages of PostgreSQL's protocol 3.0 that matter here; the bytes are in its manual, "Message Formats". */
const fromServer = { authentication: 'R', error: 'E', ready: 'Z', row: 'D' };
const cleartextPassword = 3;

/**
 * Runs one or more statements in a connection of its own and gives the rows as texts. For tests that must change what
 * no API of Coder can, such as the age of a job, and to see whether the server takes connections.
 * @throws StackError TOOL_FAILED with the server's message.
 */
export function runSql(
  connection: SqlConnection,
  sql: string,
): Promise<readonly (readonly (string | null)[])[]> {
  const { port, user, password, database } = connection;
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    const rows: (string | null)[][] = [];
    let failure: string | undefined;
    let asked = false;
    let pending: Buffer = Buffer.alloc(0);
    const fail = (message: string): void => {
      socket.destroy();
      reject(new StackError('TOOL_FAILED', `Postgres on port ${port}: ${message}`));
    };
    socket.setTimeout(30_000, () => fail('no answer within 30 s'));
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => fail(failure ?? 'the connection was closed'));
    socket.once('connect', () => {
      const parameters = ['user', user, 'database', database, ''].map((text) => `${text}\0`).join('');
      socket.write(message(undefined, Buffer.from(`\0\x03\0\0${parameters}`, 'latin1')));
    });
    const handle = (type: string, body: Buffer): void => {
      if (type === fromServer.authentication && body.readInt32BE(0) === cleartextPassword) {
        socket.write(message('p', Buffer.from(`${password}\0`)));
      } else if (type === fromServer.error) {
        failure = errorMessage(body);
      } else if (type === fromServer.row) {
        rows.push(rowValues(body));
      } else if (type === fromServer.ready) {
        if (asked) {
          socket.removeAllListeners('close').end(message('X', Buffer.alloc(0)));
          if (failure === undefined) resolve(rows);
          else fail(failure);
        } else {
          asked = true;
          socket.write(message('Q', Buffer.from(`${sql}\0`)));
        }
      }
    };
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 5 && pending.length > pending.readInt32BE(1)) {
        const length = pending.readInt32BE(1);
        handle(String.fromCharCode(pending[0] ?? 0), pending.subarray(5, length + 1));
        pending = pending.subarray(length + 1);
      }
    });
  });
}

/** Type, length of itself and the body, body. The very first message of a connection has no type. */
function message(type: string | undefined, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type ?? ''), length, body]);
}

/** An error is a list of fields, each a letter and a text; M is the message for people. */
function errorMessage(body: Buffer): string {
  const field = body
    .toString('utf8')
    .split('\0')
    .find((text) => text.startsWith('M'));
  return field?.slice(1) ?? 'an error without a message';
}

function rowValues(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return values;
}
