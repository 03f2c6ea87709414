import winston from 'winston';
import type { Logger, LogFields } from '../base/logger.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `json` for machines, one object a line; `text` for people. */
  readonly format: 'json' | 'text';
}

/** A logger and the way to end it: what it still holds is written first. */
export interface RootLogger extends Logger {
  close(): Promise<void>;
}

/** Under which winston keeps the line that is written. */
const LINE = Symbol.for('message');
/** What would end a line, or tell a terminal to do something, for some reader of it. */
const UNSEEN = /[\p{Cc}\u2028\u2029]/gu;

/** Whatever is told of somebody's text, a line stays one line and says nothing to a terminal. */
const onOneLine = winston.format((info) => {
  const line = info[LINE];
  if (typeof line === 'string') info[LINE] = line.replace(UNSEEN, escaped);
  return info;
});

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A logger that writes to standard error. */
export function createLogger(options: LoggerOptions): RootLogger {
  const { combine, timestamp, json, printf } = winston.format;
  const text = printf(({ timestamp: time, level, message, ...fields }) => {
    const rest = Object.entries(fields).map(
      ([k, v]) => ` ${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`,
    );
    return `${String(time)} ${level} ${String(message)}${rest.join('')}`;
  });
  const root = winston.createLogger({
    level: options.level,
    format: combine(timestamp(), options.format === 'json' ? json() : text, onOneLine()),
    transports: new winston.transports.Console({ stderrLevels: [...logLevels] }),
  });
  return {
    ...wrap(root),
    close: () =>
      new Promise((resolve) => {
        root.once('finish', resolve);
        root.end();
      }),
  };
}

function wrap(target: winston.Logger): Logger {
  const log =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void => {
      if (target.isLevelEnabled(level)) target.log({ level, message, ...printable(fields) });
    };
  return {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    child: (fields) => wrap(target.child(printable(fields))),
  };
}

/** An Error prints as `{}` in JSON, and a field called `message` would be glued to the message. */
function printable(fields: LogFields | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields ?? {}).map(([key, value]) => [
      key === 'message' || key === 'level' ? `${key}_` : key,
      value instanceof Error ? errorFields(value) : value,
    ]),
  );
}

function errorFields(error: Error): Record<string, unknown> {
  return {
    name: error.name,
    text: error.message,
    ...('code' in error ? { code: error.code } : {}),
    stack: error.stack,
    ...(error.cause instanceof Error ? { cause: errorFields(error.cause) } : {}),
  };
}
