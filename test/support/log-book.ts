import type { LogFields, Logger } from '../../src/base/logger.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps what is logged, by loggers that are made of it as well. */
export class LogBook implements Logger {
  readonly lines: LogLine[] = [];
  debug = this.#at('debug');
  info = this.#at('info');
  warn = this.#at('warn');
  error = this.#at('error');

  /** Every line with its fields, as `level message {fields}`. */
  get texts(): string[] {
    return this.lines.map(
      ({ level, message, fields }) =>
        `${level} ${message}${Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`}`,
    );
  }

  /** The texts of one level. */
  of(level: 'debug' | 'info' | 'warn' | 'error'): string[] {
    return this.texts.filter((text) => text.startsWith(`${level} `));
  }

  child(): Logger {
    return this;
  }

  #at(level: string): (message: string, fields?: LogFields) => void {
    return (message, fields = {}) => {
      this.lines.push({ level, message, fields });
    };
  }
}
