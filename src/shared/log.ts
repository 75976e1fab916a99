/**
 * Logging for a service of systemd: one line per event, prefixed with `<priority>` as sd-daemon(3) asks, so that
 * journald files it under the right priority; fields follow the sentence as `key=value`.
 */

import type { JournalFields } from './journal.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** A sentence for people, and fields for machines. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Priorities of syslog(3). */
const PRIORITY = { error: 3, warn: 4, info: 6, debug: 7 } as const;
type Level = keyof typeof PRIORITY;

export interface LoggerOptions {
  /** Gets each line, without a newline. */
  readonly write: (line: string) => void;
  /** `journal`: lines prefixed with `<priority>`; `terminal`: with the level's name; `json`: one object a line. */
  readonly format: 'journal' | 'terminal' | 'json';
  readonly debug: boolean;
  /** Takes lines with the field `event` in the format `journal`: their fields become the journal's own. Default: they are lines as all others. */
  readonly journal?: { write(fields: JournalFields, line: string): void };
}

/** One event, one line: control characters are escaped, so that nobody's input can forge a second line. */
export function createLogger(options: LoggerOptions): Logger {
  const emit = (level: Level, message: string, fields: LogFields = {}): void => {
    if (options.format === 'json') {
      options.write(JSON.stringify({ level, message, ...fields }));
      return;
    }
    const prefix = options.format === 'journal' ? `<${PRIORITY[level]}>` : `${level.padEnd(5)} `;
    const line = prefix + escapeControl(message) + renderFields(fields);
    if (options.format === 'journal' && options.journal && fields.event !== undefined)
      options.journal.write(journalFields(PRIORITY[level], message, fields), line);
    else options.write(line);
  };
  return {
    debug: (message, fields) => {
      if (options.debug) emit('debug', message, fields);
    },
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
  };
}

function renderFields(fields: LogFields): string {
  let text = '';
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const plain = typeof value === 'string' ? value : String(value);
    text += ` ${key}=${/^[\w@:./+,-]+$/.test(plain) ? plain : escapeControl(JSON.stringify(plain))}`;
  }
  return text;
}

/** `OBJECT_PID` makes `journalctl -u` of this very service show the entry, whichever process hands it over. */
function journalFields(priority: number, message: string, fields: LogFields): JournalFields {
  const own = Object.entries(fields).flatMap(([key, value]) => {
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
    return value === undefined ? [] : [[`SERVICEWATCHER_${name}`, escapeControl(String(value))] as const];
  });
  return [
    ['MESSAGE', escapeControl(message)],
    ['PRIORITY', String(priority)],
    ['SYSLOG_IDENTIFIER', 'servicewatcher'],
    ['OBJECT_PID', String(process.pid)],
    ...own,
  ];
}

/** On one line, and without control characters: a terminal obeys those. */
export function escapeControl(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (c) => {
    if (c === '\n') return '\\n';
    if (c === '\t') return c;
    const code = c.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`;
  });
}
