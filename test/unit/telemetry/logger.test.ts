import { expect } from 'chai';
import sinon from 'sinon';
import { OperatorError } from '../../../src/base/errors.ts';
import { createLogger, type LoggerOptions, type RootLogger } from '../../../src/telemetry/logger.ts';

/** What a logger writes to standard error while `use` runs. */
async function written(options: LoggerOptions, use: (logger: RootLogger) => void): Promise<string[]> {
  const lines: string[] = [];
  const write = sinon.stub(process.stderr, 'write').callsFake((chunk) => {
    lines.push(String(chunk));
    return true;
  });
  try {
    const logger = createLogger(options);
    use(logger);
    await logger.close();
  } finally {
    write.restore();
  }
  return lines
    .join('')
    .split('\n')
    .filter((line) => line !== '');
}

const json = async (use: (logger: RootLogger) => void): Promise<Record<string, unknown>[]> =>
  (await written({ level: 'info', format: 'json' }, use)).map(
    (line) => JSON.parse(line) as Record<string, unknown>,
  );

describe('createLogger', () => {
  it('writes one JSON object a line, with time, level, message and fields', async () => {
    const [line] = await json((logger) => logger.info('leading', { epoch: 'e1', count: 3 }));
    expect(line).to.deep.include({ level: 'info', message: 'leading', epoch: 'e1', count: 3 });
    expect(line?.timestamp).to.match(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('writes only what is as important as it shall be', async () => {
    const lines = await written({ level: 'warn', format: 'json' }, (logger) => {
      logger.debug('a');
      logger.info('b');
      logger.warn('c');
      logger.error('d');
    });
    expect(lines).to.have.length(2);
  });

  it('prints errors with their causes, and nothing else that hangs on them', async () => {
    const cause = new Error('the reason');
    const error = Object.assign(new OperatorError('CODE', 'what happened', { cause }), { token: 'secret' });
    const [line] = await json((logger) => logger.error('failed', { error }));
    expect(line?.error).to.deep.include({ name: 'OperatorError', code: 'CODE', text: 'what happened' });
    expect(line?.error).to.have.property('stack').that.contains('what happened');
    expect(line?.error).to.have.nested.property('cause.text', 'the reason');
    expect(JSON.stringify(line)).to.not.contain('secret');
  });

  it('does not let a field take the place of the message or the level', async () => {
    const [line] = await json((logger) => logger.info('said', { message: 'other', level: 'error' }));
    expect(line).to.deep.include({ message: 'said', message_: 'other', level: 'info', level_: 'error' });
  });

  it('adds the fields of a child, and of its child, to every line', async () => {
    const [line, plain] = await json((logger) => {
      logger
        .child({ namespace: 'team', error: new Error('of the child') })
        .child({ object: 'x' })
        .warn('careful', { more: 1 });
      logger.info('plain');
    });
    expect(line).to.deep.include({ namespace: 'team', object: 'x', more: 1 });
    expect(line).to.have.nested.property('error.text', 'of the child');
    expect(plain).to.not.have.property('namespace');
  });

  it('writes text for people', async () => {
    const [line] = await written({ level: 'info', format: 'text' }, (logger) =>
      logger.info('leading', { epoch: 'e1', counts: { a: 1 } }),
    );
    expect(line).to.match(/^\S+Z info leading epoch=e1 counts=\{"a":1\}$/);
  });
});
