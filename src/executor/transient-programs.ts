/**
 * Runs programs of the user's, of hooks and of templates, to their ends, each as a transient systemd service: so that it is
 * not shut in with the daemon, and all its processes together are bounded in time, number and memory, and end with it,
 * whatever has become of the daemon. Here is what all of them need; what an end means for whoever asked is said there.
 */
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { escapeControl } from '../shared/log.ts';
import type { Systemd, TransientCommand } from './systemd.ts';

/** `description`: any text; `timeoutMs`: then all its processes get SIGTERM, and SIGKILL 5 s later. */
export interface TransientProgram extends Omit<TransientCommand, 'inputFile' | 'outputFile'> {
  /** A name without `/`, as no other program has at the time: of the file that it reads, or that gets what it prints. */
  readonly name: string;
  readonly file:
    | { readonly kind: 'input'; readonly text: string }
    | { readonly kind: 'output'; readonly maxBytes: number };
}

/** How it ended. `output`: the first bytes of what it printed, as UTF-8; empty where that went to the journal. */
export type ProgramEnd =
  | { readonly kind: 'done' | 'timeout'; readonly output: string }
  /** By itself, with a status other than 0, or by a signal that was not systemd's. `result`: systemd's, as in `ExitInfo`. */
  | {
      readonly kind: 'exited' | 'killed';
      /** Exit status, or signal number. */
      readonly status: number;
      readonly result: string;
      readonly output: string;
    }
  /** It did not start; one clause. */
  | { readonly kind: 'failed'; readonly why: string }
  /** It may be running still, for as long as its time limit lets it; one clause. */
  | { readonly kind: 'interrupted'; readonly why: string };

export class TransientPrograms {
  /** Files of programs are written to `folder`, which nobody else may read. */
  constructor(
    private readonly systemd: Systemd,
    private readonly folder: string,
  ) {}

  /** Removes files that a killed daemon left behind. Never rejects. */
  async clean(): Promise<void> {
    const left = await readdir(this.folder).catch(() => []);
    await Promise.allSettled(left.map((file) => rm(join(this.folder, file), { force: true })));
  }

  /**
   * Runs the program to its end, which comes also when this daemon ends first. Its file is gone when this settles. Rejects
   * as `Systemd.run` does, and when the file cannot be written or read.
   */
  async run({ name, file, ...program }: TransientProgram, signal: AbortSignal): Promise<ProgramEnd> {
    // such a message would end our connection to the bus
    if (program.argv.some((word) => word.includes('\0')))
      return { kind: 'failed', why: 'its arguments hold a null byte' };
    const path = join(this.folder, name);
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await writeFile(path, file.kind === 'input' ? file.text : '', { mode: 0o600 });
      const command: TransientCommand = {
        ...program,
        // systemd writes it into a file of settings
        description: escapeControl(program.description),
        ...(file.kind === 'input' ? { inputFile: path } : { outputFile: path }),
      };
      const outcome = await this.systemd.run(command, signal);
      const output = file.kind === 'input' ? '' : await firstOf(path, file.maxBytes);
      switch (outcome.kind) {
        case 'done':
          return { kind: 'done', output };
        case 'timeout':
        case 'deadline':
          return { kind: 'timeout', output };
        case 'refused':
          return { kind: 'failed', why: `systemd did not run it: ${outcome.message}` };
        case 'disconnected':
        case 'canceled':
          return { kind: 'interrupted', why: `it was interrupted (${outcome.kind})` };
        default:
          return await this.failure(program.unit, output);
      }
    } finally {
      await rm(path, { force: true }).catch(() => undefined);
    }
  }

  /**
   * Asks how it ended, then lets systemd forget it: what went wrong is told by whoever asked for it, and it is no unit that
   * anybody could mend.
   */
  private async failure(unit: string, output: string): Promise<ProgramEnd> {
    const { result, code, status } = await this.systemd.exitInfo(unit);
    await this.systemd.resetFailed(unit);
    if (result === 'timeout') return { kind: 'timeout', output };
    switch (code) {
      case 'exited':
        return { kind: 'exited', status, result, output };
      case 'killed':
      case 'dumped':
        return { kind: 'killed', status, result, output };
      case 'none':
        return { kind: 'failed', why: `it did not start (${result})` };
    }
  }
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
