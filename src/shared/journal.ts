/**
 * Entries with fields of their own for the journal, so that `journalctl SERVICEWATCHER_UNIT=web.service` finds them. Lines
 * on standard error carry none, and journald's own socket is of a kind that Node cannot open: `logger --journald` of
 * util-linux, which is on every host that has systemd, writes one entry a call. One call at a time; when too many wait, or
 * it fails, the entry is written as an ordinary line: nothing is lost but its fields.
 */
import { spawn } from 'node:child_process';
import type { Clock } from './clock.ts';

/** One entry as journald takes it: names of capital letters, digits and `_`. Values without line breaks. */
export type JournalFields = readonly (readonly [name: string, value: string])[];

/** Runs `logger` once with the entry on its standard input; resolves to whether the journal has it. Never rejects. */
export type WriteEntry = (entry: string) => Promise<boolean>;

export interface JournalOptions {
  readonly clock: Clock;
  /** Where a line goes that cannot be an entry. */
  readonly writeLine: (line: string) => void;
  readonly writeEntry: WriteEntry;
}

/** Entries that may wait: at some milliseconds each they are written within a second. */
const MAX_WAITING = 200;
/** What was logged about is done before the first call of `logger`, which stops this process for some milliseconds. */
const DELAY_MS = 20;
/** Failures in a row after which `logger` is not called any more: it is missing, or knows no journal. */
const MAX_FAILURES = 3;
/** A `logger` that takes longer is ended, ms. */
const DEADLINE_MS = 2_000;

export class Journal {
  private readonly waiting: { readonly entry: string; readonly line: string }[] = [];
  private failures = 0;
  private working: Promise<void> | undefined;

  constructor(private readonly options: JournalOptions) {}

  /** Writes an entry soon; `line` is written instead where that cannot be. */
  write(fields: JournalFields, line: string): void {
    if (this.failures >= MAX_FAILURES || this.waiting.length >= MAX_WAITING) {
      this.options.writeLine(line);
      return;
    }
    this.waiting.push({ entry: fields.map(([name, value]) => `${name}=${value}\n`).join(''), line });
    this.working ??= this.workOff();
  }

  /** Resolves when nothing waits any more. */
  async flush(): Promise<void> {
    await this.working;
  }

  private async workOff(): Promise<void> {
    const { clock, writeEntry, writeLine } = this.options;
    await new Promise<void>((resolve) => void clock.after(DELAY_MS, resolve));
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      const written = this.failures < MAX_FAILURES && (await writeEntry(next.entry));
      this.failures = written ? 0 : this.failures + 1;
      if (!written) writeLine(next.line);
    }
    this.working = undefined;
  }
}

/** `logger --journald` of util-linux. */
export const writeEntry: WriteEntry = (entry) =>
  new Promise((resolve) => {
    const child = spawn('logger', ['--journald'], { stdio: ['pipe', 'ignore', 'ignore'], timeout: DEADLINE_MS });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
    // a child that is gone already says so by its exit
    child.stdin.on('error', () => undefined);
    child.stdin.end(entry);
  });
