/** A logger that keeps what was said. */
import type { LogFields, Logger } from '../../src/shared/log.ts';

export interface LogEntry {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: LogFields;
}

export class MemoryLog implements Logger {
  readonly entries: LogEntry[] = [];

  /** `onEntry` is called with each line. */
  constructor(private readonly onEntry: (entry: LogEntry) => void = () => {}) {}

  debug(message: string, fields: LogFields = {}): void {
    this.add({ level: 'debug', message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.add({ level: 'info', message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.add({ level: 'warn', message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.add({ level: 'error', message, fields });
  }

  private add(entry: LogEntry): void {
    this.entries.push(entry);
    this.onEntry(entry);
  }

  /** Messages of one level. */
  at(level: keyof Logger): string[] {
    return this.entries.filter((entry) => entry.level === level).map((entry) => entry.message);
  }
}
