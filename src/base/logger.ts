/** Structured fields of a log line. Values must be safe to print: no tokens, no bodies. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The only logging interface the code knows; src/telemetry/logger.ts makes one of winston. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

/** Swallows everything. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
