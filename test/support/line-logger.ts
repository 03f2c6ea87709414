import { errorText } from '../../src/base/errors.ts';
import type { LogFields, Logger } from '../../src/base/logger.ts';

export interface LineLoggerOptions {
  /** Told what is logged, with its fields, as `level message {fields} error`; a stack comes below. */
  readonly onLine: (line: string) => void;
  /** Whether what is only for debugging is told too. Default false. */
  readonly isDebugging?: boolean;
}

/** A logger that says everything in lines, for people who read why a test failed. */
export function lineLogger(options: LineLoggerOptions, context: LogFields = {}): Logger {
  const { onLine, isDebugging = false } = options;
  const line =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const { error, stack, ...rest } = { ...context, ...fields };
      const told = error === undefined ? '' : ` ${errorText(error)}`;
      const below = typeof stack === 'string' ? `\n${stack}` : '';
      onLine(`${level} ${message} ${JSON.stringify(rest)}${told}${below}`);
    };
  return {
    debug: isDebugging ? line('debug') : () => undefined,
    ...{ info: line('info'), warn: line('warn'), error: line('error') },
    child: (fields) => lineLogger(options, { ...context, ...fields }),
  };
}
