/**
 * Runs a program of the user's to its end, without a shell and never longer than it may: health checks, templates, hooks.
 * It gets a process group of its own, and nothing of that group outlives the answer.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import type { Command } from './attachments.ts';
import { messageOf } from './error-text.ts';

export interface RunOptions {
  /** From the start; then it gets SIGTERM, and SIGKILL `GRACE_MS` later. */
  readonly timeoutMs: number;
  /** Aborted: ended as if its time were over. */
  readonly signal: AbortSignal;
  /** Beside the daemon's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: an empty one. */
  readonly stdin?: string;
  /** What it prints beyond this many bytes is read and dropped. */
  readonly maxOutputBytes: number;
}

/** How it ended. `output`: the first bytes of what it printed on either stream, as UTF-8. */
export type CommandResult =
  | { readonly kind: 'exited'; readonly code: number; readonly output: string }
  /** By a signal that was not ours. */
  | { readonly kind: 'killed'; readonly signal: NodeJS.Signals; readonly output: string }
  | { readonly kind: 'timeout'; readonly output: string }
  | { readonly kind: 'aborted'; readonly output: string }
  /** It could not be started; one clause that says why. */
  | { readonly kind: 'failed'; readonly why: string };

/** How long a program may take to end after SIGTERM. */
export const GRACE_MS = 1_000;
/** How long one that was killed may take to be gone: a process in an uninterruptible wait for a disk is not waited for. */
const GONE_MS = 1_000;
/** How long the rest of the output is waited for when the program is gone: a process of another group may hold the pipe. */
const DRAIN_MS = 200;
/**
 * Of the kernel's choice what to kill when memory runs out (proc(5)), from -1000 to 1000: the daemon is spared, and what it
 * runs for others goes first. It may always be raised.
 */
export const OOM_SCORE_ADJ = 500;
/** What systemd tells the daemon alone. */
const NOT_FOR_CHILDREN = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

/**
 * Runs the command in `/` and answers how it ended, at most `timeoutMs` and some 2 s later. Never rejects. All processes of its
 * group are killed when it ends, those that it left in the background, too; only one that made itself a session escapes.
 */
export function runCommand(command: Command, options: RunOptions): Promise<CommandResult> {
  if (options.signal.aborted) return Promise.resolve({ kind: 'aborted', output: '' });
  const [program, ...args] = command;
  try {
    return new Run(spawn(program, args, spawnOptions(options)), options).result;
  } catch (error) {
    // an argument with a NUL byte, say
    return Promise.resolve({ kind: 'failed', why: messageOf(error) });
  }
}

function spawnOptions({ env }: RunOptions): SpawnOptions {
  const inherited = Object.entries(process.env).filter(([name]) => !NOT_FOR_CHILDREN.includes(name));
  return {
    cwd: '/',
    detached: true,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  };
}

class Run {
  readonly result: Promise<CommandResult>;
  private readonly output: Output;
  /** Why we ended it; undefined: we did not. */
  private endedAs: 'timeout' | 'aborted' | undefined;
  private timer: NodeJS.Timeout;
  private answer: (result: CommandResult) => void = () => {};

  constructor(
    private readonly child: ChildProcess,
    private readonly options: RunOptions,
  ) {
    this.output = new Output(options.maxOutputBytes);
    this.result = new Promise((resolve) => {
      this.answer = resolve;
    });
    this.timer = setTimeout(() => this.end('timeout'), options.timeoutMs);
    options.signal.addEventListener('abort', this.onAbort, { once: true });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.output.add(chunk));
      stream?.on('error', () => {});
    }
    // a program that does not read its input closes the pipe: that is its own affair
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.stdin ?? '');
    child.once('error', (error) => {
      if (child.pid === undefined) this.finish({ kind: 'failed', why: error.message });
    });
    child.once('exit', (code, signal) => this.exited(code, signal));
    // one that is gone already, or a kernel that has no such thing, is no matter
    if (child.pid !== undefined)
      writeFile(`/proc/${child.pid}/oom_score_adj`, `${OOM_SCORE_ADJ}`).catch(() => undefined);
  }

  private readonly onAbort = () => this.end('aborted');

  private end(as: 'timeout' | 'aborted'): void {
    if (this.endedAs) return;
    this.endedAs = as;
    this.signalGroup('SIGTERM');
    this.wait(GRACE_MS, () => {
      this.signalGroup('SIGKILL');
      this.wait(GONE_MS, () => this.finish({ kind: as, output: this.output.text() }));
    });
  }

  private exited(code: number | null, signal: NodeJS.Signals | null): void {
    this.signalGroup('SIGKILL');
    const answer = () => this.finish(this.ending(code, signal));
    this.child.once('close', answer);
    this.wait(DRAIN_MS, answer);
  }

  private ending(code: number | null, signal: NodeJS.Signals | null): CommandResult {
    const output = this.output.text();
    if (this.endedAs) return { kind: this.endedAs, output };
    if (signal !== null) return { kind: 'killed', signal, output };
    return { kind: 'exited', code: code ?? 0, output };
  }

  private wait(ms: number, then: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, ms);
  }

  private signalGroup(signal: NodeJS.Signals): void {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      // ESRCH: nobody is left in it
    }
  }

  /** The first call counts. */
  private finish(result: CommandResult): void {
    clearTimeout(this.timer);
    this.options.signal.removeEventListener('abort', this.onAbort);
    // nothing of a process that holds the pipes may keep the daemon busy
    for (const stream of [this.child.stdin, this.child.stdout, this.child.stderr]) stream?.destroy();
    this.answer(result);
  }
}

/** The first bytes of what was printed. */
class Output {
  private readonly chunks: Buffer[] = [];
  private left: number;

  constructor(maxBytes: number) {
    this.left = maxBytes;
  }

  add(chunk: Buffer): void {
    if (this.left <= 0) return;
    const part = chunk.subarray(0, this.left);
    this.left -= part.length;
    this.chunks.push(part);
  }

  text(): string {
    // `stream`: a character that was cut in the middle is left out
    return new TextDecoder().decode(Buffer.concat(this.chunks), { stream: true });
  }
}
