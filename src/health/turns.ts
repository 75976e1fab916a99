/** At most so many at once, first come, first served. */

interface Waiting {
  readonly begin: () => void;
}

export class Turns {
  private taken = 0;
  private readonly queue: Waiting[] = [];

  constructor(private readonly atOnce: number) {}

  /** Runs `work` when it is its turn; undefined when the signal was aborted before. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    if (!(await this.turn(signal))) return undefined;
    try {
      return await work();
    } finally {
      this.next();
    }
  }

  private turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.taken < this.atOnce) {
      this.taken += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const waiting: Waiting = {
        begin: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(true);
        },
      };
      const onAbort = () => {
        this.queue.splice(this.queue.indexOf(waiting), 1);
        resolve(false);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.queue.push(waiting);
    });
  }

  /** The turn goes to the next that waits. */
  private next(): void {
    const waiting = this.queue.shift();
    if (waiting) waiting.begin();
    else this.taken -= 1;
  }
}
