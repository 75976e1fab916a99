/**
 * The leader's copy of all `desired/<host>` znodes, and the only way to change them: many per transaction, each
 * transaction opened by the fence of this leadership, so that a deposed leader cannot write whatever it believes.
 */
import type { Logger } from '../shared/log.ts';
import type { Desired } from '../shared/model.ts';
import { decodeDesired, encodeDesired } from '../shared/payloads.ts';
import type { Operation, Store } from '../shared/store.ts';
import { DESIRED, desiredPath, MAX_DATA_BYTES } from '../shared/znodes.ts';

/** Per transaction: small enough to be answered in a few milliseconds, large enough to write 5,000 hosts in a second. */
const MAX_OPERATIONS = 100;
const MAX_TRANSACTION_BYTES = 512 * 1024;

export class DesiredWriter {
  /** Readable desired states as they are written. */
  readonly written = new Map<string, Desired>();
  /** Hosts that have a desired znode, readable or not. */
  private readonly existing = new Set<string>();

  private constructor(
    private readonly store: Store,
    private readonly fence: Operation,
    private readonly log: Logger,
  ) {}

  /** Reads all desired states there are; an unreadable one is reported, and written anew by the first placement. */
  static async open(store: Store, fence: Operation, log: Logger): Promise<DesiredWriter> {
    const writer = new DesiredWriter(store, fence, log);
    await store.ensure(DESIRED);
    const hosts = (await store.children(DESIRED)) ?? [];
    await Promise.all(hosts.map((host) => writer.read(host)));
    return writer;
  }

  /** Hosts that have a desired znode. */
  get hosts(): readonly string[] {
    return [...this.existing];
  }

  /** Writes these states and removes those of `gone`; answers how many states were written: not those that are too large. Rejects when the fence or ZooKeeper refuses: resign then. */
  async write(states: readonly Desired[], gone: readonly string[]): Promise<number> {
    const steps: { readonly operation: Operation; readonly bytes: number; readonly done: () => void }[] = [];
    for (const state of states) {
      const data = encodeDesired(state);
      if (data.length > MAX_DATA_BYTES) {
        this.log.error(
          `the desired state of ${state.host} is ${data.length} bytes, more than the ${MAX_DATA_BYTES} that ZooKeeper takes; it is not written. Shorten its prestart scripts or declare fewer units`,
        );
        continue;
      }
      const path = desiredPath(state.host);
      const operation: Operation = this.existing.has(state.host)
        ? { op: 'set', path, data }
        : { op: 'create', path, data, mode: 'persistent' };
      steps.push({ operation, bytes: data.length, done: () => this.wrote(state) });
    }
    const written = steps.length;
    for (const host of gone) {
      const operation: Operation = { op: 'remove', path: desiredPath(host) };
      steps.push({ operation, bytes: 0, done: () => this.removed(host) });
    }
    for (let first = 0; first < steps.length; ) {
      let last = first;
      for (let bytes = 0; last < steps.length && last - first < MAX_OPERATIONS; last++) {
        bytes += steps[last]?.bytes ?? 0;
        if (bytes > MAX_TRANSACTION_BYTES && last > first) break;
      }
      const batch = steps.slice(first, last);
      await this.store.transaction([this.fence, ...batch.map((step) => step.operation)]);
      for (const step of batch) step.done();
      first = last;
    }
    return written;
  }

  private async read(host: string): Promise<void> {
    const node = await this.store.get(desiredPath(host));
    if (!node) return;
    this.existing.add(host);
    const decoded = decodeDesired(node.data, node.path);
    if (decoded.ok) this.written.set(host, decoded.value);
    else this.log.error(`${decoded.problem}; it is written anew`, { host });
  }

  private wrote(state: Desired): void {
    this.existing.add(state.host);
    this.written.set(state.host, state);
  }

  private removed(host: string): void {
    this.existing.delete(host);
    this.written.delete(host);
  }
}
