/**
 * Runs hooks' programs on this host: each as a transient systemd service, so that it is not shut in with the daemon, its
 * output lands in the journal, and all its processes together are bounded in time, number and memory, and end with it,
 * whatever has become of the daemon.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../shared/error-text.ts';
import { escapeControl } from '../shared/log.ts';
import type { Command } from '../shared/model.ts';
import type { JobOutcome, Systemd } from './systemd.ts';

export interface HookProgram {
  /** Letters and digits: no two programs of the same name run at once. */
  readonly name: string;
  readonly description: string;
  readonly argv: Command;
  /** Then all its processes get SIGTERM, and SIGKILL 5 s later. */
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly input: string;
  /** Of each line of its output in the journal. */
  readonly journalFields: Readonly<Record<string, string>>;
}

export type ProgramOutcome =
  | { readonly kind: 'done' }
  /** One clause. */
  | { readonly kind: 'failed' | 'timeout'; readonly why: string }
  /** Nothing is known of its end (the bus went away): it may be running still, for as long as its time limit lets it. */
  | { readonly kind: 'unknown'; readonly why: string };

/** A program that tells others of a change needs few processes; one that forks for ever soon has this many. */
const LIMITS = { tasks: 128, memoryBytes: 512 * 1024 * 1024, cpuWeight: 20 };

/** systemd.exec(5): what a process ends with whose program cannot be executed. */
const EXIT_EXEC = 203;
const NEVER = new AbortController().signal;

/** The transient service that runs a hook's program. */
export function hookUnit(name: string): string {
  return `servicewatcher-hook-${name}.service`;
}

export class HookPrograms {
  /** What programs read is written to `folder`. */
  constructor(
    private readonly systemd: Systemd,
    private readonly folder: string,
  ) {}

  /** Removes input that a killed daemon left behind. Never rejects. */
  async clean(): Promise<void> {
    const left = await readdir(this.folder).catch(() => []);
    await Promise.allSettled(left.map((file) => rm(join(this.folder, file), { force: true })));
  }

  /** Runs the program to its end, which comes also when this daemon ends first. Its input is gone when this resolves. */
  async run(program: HookProgram): Promise<ProgramOutcome> {
    const { name, description, argv, timeoutMs, environment, journalFields } = program;
    const unit = hookUnit(name);
    // such a message would end our connection to the bus
    if (argv.some((argument) => argument.includes('\0')))
      return { kind: 'failed', why: 'its arguments hold a null byte' };
    const inputFile = join(this.folder, name);
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeFile(inputFile, program.input, { mode: 0o600 });
      const command = {
        unit,
        // systemd writes it into a file of settings
        description: escapeControl(description),
        argv,
        timeoutMs,
        environment,
        inputFile,
        journalFields,
        limits: LIMITS,
      };
      return await this.outcomeOf(unit, timeoutMs, await this.systemd.run(command, NEVER));
    } catch (error) {
      return { kind: 'unknown', why: messageOf(error) };
    } finally {
      await rm(inputFile, { force: true }).catch(() => undefined);
    }
  }

  private async outcomeOf(unit: string, timeoutMs: number, outcome: JobOutcome): Promise<ProgramOutcome> {
    switch (outcome.kind) {
      case 'done':
        return { kind: 'done' };
      case 'disconnected':
      case 'canceled':
        return { kind: 'unknown', why: `it was interrupted (${outcome.kind})` };
      case 'refused':
        return { kind: 'failed', why: `systemd did not run it: ${outcome.message}` };
      case 'timeout':
      case 'deadline':
        return timedOut(timeoutMs);
      default:
        return await this.failure(unit, timeoutMs);
    }
  }

  /** Asks how it ended, then lets systemd forget it: what failed is in the journal, and is no unit that anybody could mend. */
  private async failure(unit: string, timeoutMs: number): Promise<ProgramOutcome> {
    const { result, code, status } = await this.systemd.exitInfo(unit);
    await this.systemd.resetFailed(unit);
    if (result === 'timeout') return timedOut(timeoutMs);
    if (code === 'exited' && status === EXIT_EXEC)
      return { kind: 'failed', why: 'it could not be executed: see that it is there, and executable' };
    const how = code === 'exited' ? `it ended with status ${status}` : `it was killed by signal ${status}`;
    return { kind: 'failed', why: code === 'none' ? `it did not start (${result})` : `${how} (${result})` };
  }
}

function timedOut(timeoutMs: number): ProgramOutcome {
  return {
    kind: 'timeout',
    why: `it was still running after ${timeoutMs / 1000} s, and was killed with all its processes`,
  };
}
