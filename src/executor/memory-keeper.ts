/** Keeps the memory file up to date: changes that come while it is being written become one more write. */
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import type { MemoryFile, Remembered } from './memory-file.ts';

export class MemoryKeeper {
  private writing: Promise<void> = Promise.resolve();
  private due = false;

  /** `remembered` is asked at the moment of each write. */
  constructor(
    private readonly file: MemoryFile,
    private readonly remembered: () => Remembered,
    private readonly log: Logger,
  ) {}

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
      await this.file.save(this.remembered());
    } catch (error) {
      this.log.error(`the state file could not be written: ${messageOf(error)}`);
    }
  }
}
