/** A logger that keeps what was said. */
import type { LogFields, Logger } from '../../src/shared/log.ts';

export interface LogEntry {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: LogFields;
}

export class MemoryLog implements Logger {
  readonly entries: LogEntry[] = [];

  debug(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'debug', message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'info', message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'warn', message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.entries.push({ level: 'error', message, fields });
  }

  /** Messages of one level. */
  at(level: keyof Logger): string[] {
    return this.entries.filter((entry) => entry.level === level).map((entry) => entry.message);
  }
}
