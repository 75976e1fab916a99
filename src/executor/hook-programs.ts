/** Runs hooks' programs on this host, as transient services whose output lands in the journal. */
import type { Command } from '../shared/attachments.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Systemd } from './systemd.ts';
import { type ProgramEnd, TransientPrograms } from './transient-programs.ts';

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
  private readonly programs: TransientPrograms;

  /** What programs read is written to `folder`. */
  constructor(systemd: Systemd, folder: string) {
    this.programs = new TransientPrograms(systemd, folder);
  }

  /** Removes input that a killed daemon left behind. Never rejects. */
  clean(): Promise<void> {
    return this.programs.clean();
  }

  /** Runs the program to its end, which comes also when this daemon ends first. Its input is gone when this resolves. */
  async run({ input, ...program }: HookProgram): Promise<ProgramOutcome> {
    const file = { kind: 'input', text: input } as const;
    try {
      const end = await this.programs.run({ ...program, unit: hookUnit(program.name), limits: LIMITS, file }, NEVER);
      return outcomeOf(end, program.timeoutMs);
    } catch (error) {
      return { kind: 'unknown', why: messageOf(error) };
    }
  }
}

function outcomeOf(end: ProgramEnd, timeoutMs: number): ProgramOutcome {
  switch (end.kind) {
    case 'done':
      return { kind: 'done' };
    case 'failed':
      return end;
    case 'interrupted':
      return { kind: 'unknown', why: end.why };
    case 'timeout':
      return {
        kind: 'timeout',
        why: `it was still running after ${timeoutMs / 1000} s, and was killed with all its processes`,
      };
    case 'exited':
      return {
        kind: 'failed',
        why:
          end.status === EXIT_EXEC
            ? 'it could not be executed: see that it is there, and executable'
            : `it ended with status ${end.status} (${end.result})`,
      };
    case 'killed':
      return { kind: 'failed', why: `it was killed by signal ${end.status} (${end.result})` };
  }
}
