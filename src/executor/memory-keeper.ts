/**
 * Keeps the memory file up to date: changes that come while it is being written become one more write. What the disk has
 * refused is written by the next write that is asked for, and `saveApplied` asks for one.
 */
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import type { Version } from '../shared/state.ts';
import type { MemoryFile, Remembered } from './memory-file.ts';

export class MemoryKeeper {
  private writing: Promise<void> = Promise.resolve();
  private due = false;
  private savedApplied: Version | undefined;
  /** Why the latest write has failed, if so: that is said once. */
  private refusal: string | undefined;

  /** `remembered` is asked at the moment of each write. */
  constructor(
    private readonly file: MemoryFile,
    private readonly remembered: () => Remembered,
    private readonly log: Logger,
  ) {}

  /** What the process before has saved. */
  async load(): Promise<Remembered> {
    const remembered = await this.file.load();
    this.savedApplied = remembered.applied;
    return remembered;
  }

  /** Asks for a write, unless this version is on disk, or on its way there, already. */
  saveApplied(applied: Version): void {
    if (applied !== this.savedApplied) this.save();
  }

  /** Asks for a write. */
  save(): void {
    if (this.due) return;
    this.due = true;
    this.writing = this.writing.then(() => this.write());
  }

  /** Resolves when all that was asked for is on disk, or the disk has refused. */
  get saved(): Promise<void> {
    return this.writing;
  }

  private async write(): Promise<void> {
    this.due = false;
    try {
      const remembered = this.remembered();
      this.savedApplied = remembered.applied;
      await this.file.save(remembered);
      this.refusal = undefined;
    } catch (error) {
      this.savedApplied = undefined;
      const why = messageOf(error);
      if (why !== this.refusal) this.log.error(`the state file could not be written: ${why}; tried again`);
      this.refusal = why;
    }
  }
}
