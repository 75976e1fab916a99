/** At most so many at once; who waits comes in first come, first served. */
export class Slots {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(number: number) {
    this.free = number;
  }

  /** Resolves to what must be called once when it is over; to undefined when the signal is aborted before there is room. */
  enter(signal: AbortSignal): Promise<(() => void) | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    if (this.free > 0) {
      this.free -= 1;
      return Promise.resolve(this.leaver());
    }
    return new Promise((resolve) => {
      const onAbort = () => {
        this.waiting.splice(this.waiting.indexOf(admit), 1);
        resolve(undefined);
      };
      const admit = () => {
        signal.removeEventListener('abort', onAbort);
        resolve(this.leaver());
      };
      this.waiting.push(admit);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  private leaver(): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    };
  }
}
