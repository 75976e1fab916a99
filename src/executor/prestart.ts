/**
 * Runs a `prestart` script on the host that is about to start the unit: as a transient systemd service, so that its
 * output lands in the journal, its time is limited, all its processes end with it, and a failed one shows in
 * `systemctl --failed`.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../shared/error-text.ts';
import { substitute } from '../shared/prestart-text.ts';
import type { DesiredUnit, Failure } from '../shared/state.ts';
import type { JobOutcome, Systemd } from './systemd.ts';

/** A script that takes longer is killed, and the start has failed. As systemd's own DefaultTimeoutStartSec. */
export const PRESTART_TIMEOUT_MS = 90_000;
/** systemd's limit for the length of a unit name. */
const MAX_UNIT_LENGTH = 255;

export type PrestartResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Nothing is known of its end (the bus went away, we were told to stop): try again later. */
  | { readonly kind: 'unknown'; readonly why: string };

/** The transient unit that runs the script of `unit`. */
export function prestartUnit(unit: string): string {
  const name = `servicewatcher-prestart-${unit}`;
  if (name.length <= MAX_UNIT_LENGTH) return name;
  return `servicewatcher-prestart-${createHash('sha256').update(unit).digest('hex')}.service`;
}

export class Prestart {
  /** Scripts are written to `folder`: not below /run, which Debian mounts noexec. */
  constructor(
    private readonly systemd: Systemd,
    private readonly folder: string,
    private readonly host: string,
  ) {}

  /** Removes scripts that a killed daemon left behind. */
  async clean(): Promise<void> {
    const left = await readdir(this.folder).catch(() => []);
    await Promise.all(left.map((file) => rm(join(this.folder, file), { force: true })));
  }

  /** Runs the script with its references replaced; the file is gone when this resolves. */
  async run(desired: DesiredUnit, signal: AbortSignal): Promise<PrestartResult> {
    if (!desired.prestart) return { kind: 'done' };
    const { unit } = desired;
    const text = substitute(desired.prestart.script, desired.prestart.values);
    const file = join(this.folder, unit);
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeFile(file, text.startsWith('#!') ? text : `#!/bin/sh\n${text}`, { mode: 0o700 });
    } catch (error) {
      return {
        kind: 'failed',
        failure: this.failure(unit, `its script could not be written to ${file}: ${String(error)}`),
      };
    }
    try {
      const outcome = await this.systemd.run(
        {
          unit: prestartUnit(unit),
          description: `Prestart script of ${unit}`,
          argv: [file],
          timeoutMs: PRESTART_TIMEOUT_MS,
          environment: { SERVICEWATCHER_UNIT: unit, SERVICEWATCHER_HOST: this.host },
        },
        signal,
      );
      return this.result(unit, outcome);
    } catch (error) {
      return { kind: 'unknown', why: messageOf(error) };
    } finally {
      await rm(file, { force: true });
    }
  }

  private result(unit: string, outcome: JobOutcome): PrestartResult {
    switch (outcome.kind) {
      case 'done':
        return { kind: 'done' };
      case 'disconnected':
      case 'canceled':
        return { kind: 'unknown', why: `the prestart script was interrupted (${outcome.kind})` };
      case 'refused':
        return { kind: 'failed', failure: this.failure(unit, `systemd did not run it: ${outcome.message}`) };
      case 'timeout':
      case 'deadline':
        return {
          kind: 'failed',
          failure: this.failure(unit, `it was still running after ${PRESTART_TIMEOUT_MS / 1000} s`),
        };
      default:
        return { kind: 'failed', failure: this.failure(unit, `it ended with an error (${outcome.kind})`) };
    }
  }

  private failure(unit: string, what: string): Failure {
    const journal = `journalctl -u ${prestartUnit(unit)}`;
    return {
      kind: 'prestart',
      message: `the prestart script failed: ${what}; see ${journal}, then systemctl reload servicewatcher`,
    };
  }
}
