/** Runs the programs of templates (what checks a file, what is told of it) as transient services, whose output is read. */
import { constants } from 'node:os';
import type { Command } from '../shared/attachments.ts';
import { messageOf } from '../shared/error-text.ts';
import type { CommandResult } from '../shared/run-command.ts';
import type { Systemd } from './systemd.ts';
import { type ProgramEnd, TransientPrograms } from './transient-programs.ts';

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
  private readonly programs: TransientPrograms;

  /** What programs print is written to `folder`. */
  constructor(systemd: Systemd, folder: string) {
    this.programs = new TransientPrograms(systemd, folder);
  }

  /** Runs the program to its end, at most some 5 s longer than it may take, and answers as `runCommand` does. Never rejects. */
  async run({ argv, maxOutputBytes, signal, ...program }: ServiceProgram): Promise<CommandResult> {
    const service = {
      ...program,
      unit: templateUnit(program.name),
      argv: [ENV, '--', ...argv] as const,
      environment: {},
      limits: LIMITS,
      file: { kind: 'output', maxBytes: maxOutputBytes } as const,
    };
    try {
      return resultOf(await this.programs.run(service, signal));
    } catch (error) {
      return signal.aborted ? { kind: 'aborted', output: '' } : { kind: 'failed', why: messageOf(error) };
    }
  }
}

function resultOf(end: ProgramEnd): CommandResult {
  switch (end.kind) {
    case 'done':
      return { kind: 'exited', code: 0, output: end.output };
    case 'exited':
      return { kind: 'exited', code: end.status, output: end.output };
    case 'killed': {
      const signal = signalName(end.status);
      if (signal === undefined) return { kind: 'failed', why: `it did not start (${end.result})` };
      return { kind: 'killed', signal, output: end.output };
    }
    case 'timeout':
      return { kind: 'timeout', output: end.output };
    case 'failed':
    case 'interrupted':
      return { kind: 'failed', why: end.why };
  }
}

function signalName(number: number): NodeJS.Signals | undefined {
  const names = Object.keys(constants.signals).filter(isSignal);
  return names.find((name) => constants.signals[name] === number);
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}
