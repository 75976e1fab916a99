/**
 * Logging for a service of systemd: one line per event on standard error, prefixed with `<priority>` as sd-daemon(3)
 * asks, so that journald shows the right priority; fields follow the sentence as `key=value`.
 */

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** A sentence for people, and fields for machines. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
