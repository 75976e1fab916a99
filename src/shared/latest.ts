/** A value that changes, for whoever iterates: each iteration begins with the present value, and skips to the newest. */

type End = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: unknown };

export class Latest<T> {
  private held: { readonly value: T } | undefined;
  private ended: End | undefined;
  private wake: () => void = () => {};
  private changed = this.next();

  /** Undefined before the first one. */
  get value(): T | undefined {
    return this.held?.value;
  }

  set(value: T): void {
    if (this.ended) return;
    this.held = { value };
    this.tell();
  }

  /** Every iteration ends, those that come, too; with `error` by throwing it. The first call counts. */
  end(error?: unknown): void {
    this.ended ??= error === undefined ? { kind: 'done' } : { kind: 'failed', error };
    this.tell();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    let seen: { readonly value: T } | undefined;
    for (;;) {
      const { held, ended, changed } = this;
      if (ended?.kind === 'failed') throw ended.error;
      if (ended) return;
      if (held && held !== seen) {
        seen = held;
        yield held.value;
      } else await changed;
    }
  }

  private tell(): void {
    this.wake();
    this.changed = this.next();
  }

  private next(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}
