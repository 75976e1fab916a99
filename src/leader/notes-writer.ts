/**
 * Writes what this leader knows and nobody could read elsewhere to the `leader` znode: which lost hosts are held, who is
 * joining, what of a rebalance is refused. Fenced; written only when it changes.
 */
import type { LeaderNotes } from '../shared/cluster.ts';
import { encodeNotes } from '../shared/rebalance.ts';
import type { Operation, Store } from '../shared/store.ts';
import { LEADER, MAX_DATA_BYTES } from '../shared/znodes.ts';

export class NotesWriter {
  private written: Buffer | undefined;

  constructor(
    private readonly store: Store,
    private readonly fence: Operation,
  ) {}

  /** Rejects when the fence or ZooKeeper refuses: resign then. Notes that are too large are left out. */
  async write(notes: LeaderNotes): Promise<void> {
    const data = encodeNotes(notes);
    if (this.written?.equals(data) || data.length > MAX_DATA_BYTES) return;
    await this.store.ensure(LEADER);
    await this.store.transaction([this.fence, { op: 'set', path: LEADER, data }]);
    this.written = data;
  }
}
