/**
 * Runs the programs of templates (what checks a file, what is told of it) as transient systemd services: not shut in with
 * the daemon, bounded in time, number and memory, and ended with all that they started, whatever becomes of the daemon.
 */
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../shared/error-text.ts';
import { escapeControl } from '../shared/log.ts';
import type { Command } from '../shared/model.ts';
import type { CommandResult } from '../shared/run-command.ts';
import type { JobOutcome, Systemd } from './systemd.ts';

export interface ServiceProgram {
  /** Letters and digits: no two programs of the same name run at once. */
  readonly name: string;
  readonly description: string;
  /** The first word is looked for in systemd's own search path. */
  readonly argv: Command;
  /** Then all its processes get SIGTERM, and SIGKILL 5 s later. */
  readonly timeoutMs: number;
  /** What it prints beyond this many bytes is left out of the answer. */
  readonly maxOutputBytes: number;
  /** Aborted: it is ended. */
  readonly signal: AbortSignal;
}

/** A check reads a file, and tells what it found: as much as a hook may take (`hook-programs.ts`), and no file without end. */
const LIMITS = { tasks: 128, memoryBytes: 512 * 1024 * 1024, cpuWeight: 100, fileBytes: 256 * 1024 * 1024 };
/** It looks for the program as a shell would, and says what is wrong when there is none. */
const ENV = '/usr/bin/env';

/** The transient service that runs a template's program. */
export function templateUnit(name: string): string {
  return `servicewatcher-template-${name}.service`;
}

export class TemplatePrograms {
  /** What programs print is written to `folder`. */
  constructor(
    private readonly systemd: Systemd,
    private readonly folder: string,
  ) {}

  /** Runs the program to its end, at most some 5 s longer than it may take, and answers as `runCommand` does. Never rejects. */
  async run({ name, description, argv, timeoutMs, maxOutputBytes, signal }: ServiceProgram): Promise<CommandResult> {
    // such a message would end our connection to the bus
    if (argv.some((word) => word.includes('\0'))) return { kind: 'failed', why: 'its arguments hold a null byte' };
    const unit = templateUnit(name);
    const outputFile = join(this.folder, name);
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeFile(outputFile, '', { mode: 0o600 });
      const command = {
        unit,
        // systemd writes it into a file of settings
        description: escapeControl(description),
        argv: [ENV, '--', ...argv] as const,
        timeoutMs,
        environment: {},
        outputFile,
        limits: LIMITS,
      };
      const outcome = await this.systemd.run(command, signal);
      return await this.resultOf(unit, outcome, await firstOf(outputFile, maxOutputBytes));
    } catch (error) {
      return signal.aborted ? { kind: 'aborted', output: '' } : { kind: 'failed', why: messageOf(error) };
    } finally {
      await rm(outputFile, { force: true }).catch(() => undefined);
    }
  }

  private async resultOf(unit: string, outcome: JobOutcome, output: string): Promise<CommandResult> {
    switch (outcome.kind) {
      case 'done':
        return { kind: 'exited', code: 0, output };
      case 'timeout':
      case 'deadline':
        return { kind: 'timeout', output };
      case 'refused':
        return { kind: 'failed', why: `systemd did not run it: ${outcome.message}` };
      case 'disconnected':
      case 'canceled':
        return { kind: 'failed', why: `it was interrupted (${outcome.kind})` };
      default:
        return await this.failure(unit, output);
    }
  }

  /** Asks how it ended, then lets systemd forget it: what was wrong is told by whoever asked for it. */
  private async failure(unit: string, output: string): Promise<CommandResult> {
    const { result, code, status } = await this.systemd.exitInfo(unit);
    await this.systemd.resetFailed(unit);
    if (result === 'timeout') return { kind: 'timeout', output };
    if (code === 'exited') return { kind: 'exited', code: status, output };
    const signal = signalName(status);
    if (code === 'none' || signal === undefined) return { kind: 'failed', why: `it did not start (${result})` };
    return { kind: 'killed', signal, output };
  }
}

function signalName(number: number): NodeJS.Signals | undefined {
  const names = Object.keys(constants.signals).filter(isSignal);
  return names.find((name) => constants.signals[name] === number);
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}

/** The beginning of a file as UTF-8. */
async function firstOf(path: string, bytes: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    // `stream`: a character that was cut in the middle is left out
    return new TextDecoder().decode(buffer.subarray(0, bytesRead), { stream: true });
  } finally {
    await file.close();
  }
}
