/** What a client of the pretended ensemble has asked for: each until it is answered, fails, or takes too long. */
import { type SessionState, StoreError, type StoreErrorCode } from '../../src/shared/store.ts';
import type { FakeProcess } from './process.ts';

export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: StoreErrorCode; readonly path: string };

interface Pending {
  sent: boolean;
  send(): void;
  fail(code: StoreErrorCode): void;
}

export class FakeRequests {
  private readonly pending = new Set<Pending>();

  constructor(
    private readonly process: FakeProcess,
    private readonly timeoutMs: number,
    /** Of the client. */
    private readonly state: () => SessionState['kind'],
  ) {}

  /** `exchange` sends it, at once or when there is a connection, and calls back with what is answered. */
  ask<T>(path: string, exchange: (onAnswer: (answer: Answer<T>) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        if (!this.pending.delete(entry)) return;
        cancel();
        then();
      };
      const fail = (code: StoreErrorCode, at = path) =>
        settle(() => reject(new StoreError(code, at, `ZooKeeper, ${at}: ${code}`)));
      const entry: Pending = {
        sent: false,
        fail,
        send: () => {
          entry.sent = true;
          exchange((answer) => (answer.ok ? settle(() => resolve(answer.value)) : fail(answer.code, answer.path)));
        },
      };
      const cancel = this.process.after(this.timeoutMs, () => fail('deadline'));
      this.pending.add(entry);
      const state = this.state();
      if (state === 'closed') fail('closed');
      else if (state === 'connected') entry.send();
    });
  }

  /** There is a connection. */
  sendAll(): void {
    for (const entry of [...this.pending]) entry.send();
  }

  fail(code: StoreErrorCode, which: 'all' | 'sent' | 'unsent'): void {
    for (const entry of [...this.pending]) if (which === 'all' || entry.sent === (which === 'sent')) entry.fail(code);
  }
}
