/**
 * New content for a file: written beside it, checked, put in its place in one step, then told to whoever reads it. A
 * daemon that is killed at any moment leaves the old file or the new one, and a reload that is due is made up for by the
 * next one: a mark in `folder` stands for it.
 */
import { lstat, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from '../shared/attachments.ts';
import { digestOf } from '../shared/digest.ts';
import { messageOf } from '../shared/error-text.ts';
import { type CommandResult, runCommand } from '../shared/run-command.ts';
import type { Template } from '../shared/spec.ts';

export interface TemplateFileOptions {
  readonly template: Template;
  /** For marks of reloads that are due. */
  readonly folder: string;
  /** Reloads a unit that runs, and starts none; answers what went wrong. */
  readonly reloadUnit: (unit: string, signal: AbortSignal) => Promise<string | undefined>;
  readonly signal: AbortSignal;
  /** Runs a program to its end, within its limits. Never rejects. */
  readonly run: (program: TemplateProgram) => Promise<CommandResult>;
}

/** What checks a file, or is told of it. */
export interface TemplateProgram {
  /** Letters and digits, another for each destination. */
  readonly name: string;
  readonly description: string;
  readonly argv: Command;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly signal: AbortSignal;
}

/** What was done. `problem`: one sentence; the file is as it was, unless `written`. */
export type Applied =
  | { readonly kind: 'same' }
  | { readonly kind: 'done'; readonly written: boolean; readonly reloaded: boolean }
  | { readonly kind: 'failed'; readonly written: boolean; readonly problem: string };

const CHECK_MS = 30_000;
const RELOAD_MS = 60_000;
const LOOKUP_MS = 5_000;
const MAX_OUTPUT_BYTES = 4096;

interface Ids {
  readonly uid: number;
  readonly gid: number;
}

export class TemplateFile {
  /** What the destination is called where no path can be. */
  private readonly name: string;
  private readonly mark: string;
  private ids: Ids | undefined;

  constructor(private readonly options: TemplateFileOptions) {
    this.name = digestOf(options.template.destination)
      .replace(/^sha256:/, '')
      .slice(0, 32);
    this.mark = join(options.folder, this.name);
  }

  /** Never rejects. One call at a time. */
  async apply(text: string): Promise<Applied> {
    let written = false;
    try {
      const { owner } = this.options.template;
      if (owner !== undefined) this.ids ??= await this.lookUp(owner);
      if (!(await this.isSame(text))) {
        const problem = await this.replace(text);
        if (problem !== undefined) return { kind: 'failed', written, problem };
        written = true;
      } else if (!(await exists(this.mark))) return { kind: 'same' };
      // whoever reads the new file need not wait for the disk: it is in its place already
      const onDisk = written ? sync(dirname(this.options.template.destination)) : Promise.resolve();
      const problem = await bothEnded(this.reload(), onDisk);
      if (problem !== undefined) return { kind: 'failed', written, problem };
      await rm(this.mark, { force: true });
      return { kind: 'done', written, reloaded: this.options.template.reload !== undefined };
    } catch (error) {
      return { kind: 'failed', written, problem: wordsOf(error, this.options.template.destination) };
    }
  }

  /** The file has this content, these permissions and this owner. */
  private async isSame(text: string): Promise<boolean> {
    const { destination, mode } = this.options.template;
    const stat = await lstat(destination).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (!stat || stat.isSymbolicLink()) return false;
    if (!stat.isFile()) throw new Error(`${destination} is there and is no file`);
    if ((stat.mode & 0o7777) !== mode || stat.size !== Buffer.byteLength(text)) return false;
    if (this.ids && (stat.uid !== this.ids.uid || stat.gid !== this.ids.gid)) return false;
    return (await readFile(destination)).equals(Buffer.from(text));
  }

  private async replace(text: string): Promise<string | undefined> {
    const { destination, mode, reload } = this.options.template;
    // neither hidden from `check`, which may want to be in the same folder, nor taken for a file of that folder
    const temporary = join(dirname(destination), `.${basename(destination)}.servicewatcher`);
    await rm(temporary, { force: true });
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(text);
        if (this.ids) await file.chown(this.ids.uid, this.ids.gid);
        await file.chmod(mode);
      } finally {
        await file.close();
      }
      // a slow disk and a slow check are waited for together
      const problem = await bothEnded(this.check(temporary), sync(temporary));
      if (problem !== undefined) return problem;
      if (reload) {
        await mkdir(this.options.folder, { recursive: true, mode: 0o700 });
        await writeFile(this.mark, `${destination}\n`, { mode: 0o600 });
      }
      this.options.signal.throwIfAborted();
      await rename(temporary, destination);
    } finally {
      await rm(temporary, { force: true });
    }
    return undefined;
  }

  private async check(file: string): Promise<string | undefined> {
    const { check } = this.options.template;
    if (!check) return undefined;
    const fault = faultOf(await this.run('Check', filled(check, file), CHECK_MS));
    return fault === undefined ? undefined : `the check ${check.join(' ')} ${fault}`;
  }

  private async reload(): Promise<string | undefined> {
    const { reload } = this.options.template;
    switch (reload?.kind) {
      case undefined:
        return undefined;
      case 'unit': {
        const why = await this.options.reloadUnit(reload.unit, this.options.signal);
        return why === undefined ? undefined : `${reload.unit} was not reloaded: ${why}`;
      }
      case 'exec': {
        const fault = faultOf(await this.run('Reload', reload.command, RELOAD_MS));
        return fault === undefined ? undefined : `the reload ${reload.command.join(' ')} ${fault}`;
      }
      default:
        return reload satisfies never;
    }
  }

  /** `user`: with the user's own group. */
  private async lookUp(owner: string): Promise<Ids> {
    const [user = '', group] = owner.split(':');
    const entry = await this.entryOf('passwd', user);
    const gid = group === undefined ? entry[3] : (await this.entryOf('group', group))[2];
    return { uid: Number(entry[2]), gid: Number(gid) };
  }

  /** A line of passwd(5) or group(5), wherever this machine has its users from. */
  private async entryOf(database: 'passwd' | 'group', name: string): Promise<readonly string[]> {
    const { signal } = this.options;
    const command: Command = ['getent', database, name];
    const result = await runCommand(command, { timeoutMs: LOOKUP_MS, signal, maxOutputBytes: MAX_OUTPUT_BYTES });
    const fields = result.kind === 'exited' && result.code === 0 ? (result.output.split('\n')[0] ?? '').split(':') : [];
    if (/^\d+$/.test(fields[2] ?? '') && (database === 'group' || /^\d+$/.test(fields[3] ?? ''))) return fields;
    throw new Error(`there is no ${database === 'passwd' ? 'user' : 'group'} ${name} on this host`);
  }

  private run(what: string, argv: Command, timeoutMs: number): Promise<CommandResult> {
    const { template, signal, run } = this.options;
    const description = `${what} of the template ${template.source}`;
    return run({ name: this.name, description, argv, timeoutMs, maxOutputBytes: MAX_OUTPUT_BYTES, signal });
  }
}

/** Makes a file, or the names in a folder, outlast a power cut. */
async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Answers or rejects as `work` does, or else rejects as `other` does: when both have ended, and not before. */
async function bothEnded<T>(work: Promise<T>, other: Promise<void>): Promise<T> {
  const [first, second] = await Promise.allSettled([work, other]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return first.value;
}

function filled([program, ...args]: Command, file: string): Command {
  const fill = (word: string) => word.replaceAll('{file}', () => file);
  return [fill(program), ...args.map(fill)];
}

/** What went wrong, with the last of what it printed. */
function faultOf(result: CommandResult): string | undefined {
  switch (result.kind) {
    case 'exited':
      return result.code === 0 ? undefined : `ended with status ${result.code}${said(result.output)}`;
    case 'killed':
      return `was killed by ${result.signal}${said(result.output)}`;
    case 'timeout':
      return `did not end in time and was killed${said(result.output)}`;
    case 'aborted':
      return 'was interrupted';
    case 'failed':
      return `could not be started: ${result.why}`;
    default:
      return result satisfies never;
  }
}

function said(output: string): string {
  const lines = output.split('\n').flatMap((line) => line.trim() || []);
  return lines.length === 0 ? ', and printed nothing' : `: ${lines.join(' | ')}`;
}

function wordsOf(error: unknown, destination: string): string {
  if (codeOf(error) === 'EROFS')
    return `${destination} may not be written by the daemon: allow its folder with ReadWritePaths= (systemctl edit servicewatcher, then restart it)`;
  return `${destination} could not be written: ${messageOf(error)}`;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
