/**
 * The leader's copy of all `desired/<host>` znodes, and the only way to change them: many per transaction, each
 * transaction opened by the fence of this leadership, so that a deposed leader cannot write whatever it believes.
 */
import type { Logger } from '../shared/log.ts';
import { decodeDesired, encodeDesired } from '../shared/payloads.ts';
import type { Desired } from '../shared/state.ts';
import { MAX_PAYLOAD_BYTES, type Operation, type Store } from '../shared/store.ts';
import { DESIRED, desiredPath, HISTORY, MAX_DATA_BYTES } from '../shared/znodes.ts';
import { operationBytes } from '../shared/zookeeper/checks.ts';

/** Per transaction: small enough to be answered in a few milliseconds, large enough to write 5,000 hosts in a second. */
const MAX_OPERATIONS = 100;
/** Bytes of states in one transaction: an event for each of their units, which is longer, still goes along. */
const MAX_TRANSACTION_BYTES = 256 * 1024;

/**
 * Asked before each transaction for what is to go along with it: `operations` come into force if and only if the states
 * do, `done` is called when they have. Where one host's state all but fills a transaction, they follow in their own.
 */
export type Alongside = (
  states: readonly Desired[],
  gone: readonly string[],
) => { readonly operations: readonly Operation[]; readonly done: () => void };

interface Step {
  readonly operation: Operation;
  readonly bytes: number;
  readonly change: { readonly state: Desired } | { readonly gone: string };
}

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
    await Promise.all([store.ensure(DESIRED), store.ensure(HISTORY)]);
    const hosts = (await store.children(DESIRED)) ?? [];
    await Promise.all(hosts.map((host) => writer.read(host)));
    return writer;
  }

  /** Hosts that have a desired znode. */
  get hosts(): readonly string[] {
    return [...this.existing];
  }

  /** What is written for this host is not what it was told: it counts as unreadable, and is written anew. */
  distrust(host: string): void {
    this.written.delete(host);
  }

  /** ZooKeeper holds for this host what was written last. Rejects when ZooKeeper does not answer: resign then. */
  async stands(host: string): Promise<boolean> {
    const state = this.written.get(host);
    const node = await this.store.get(desiredPath(host));
    if (!state || !node) return false;
    const decoded = decodeDesired(node.data, node.path);
    // another version of this program may have written the same in another way
    return decoded.ok && encodeDesired(decoded.value).equals(encodeDesired(state));
  }

  /** Writes these states and removes those of `gone`; answers how many states were written: not those that are too large. Rejects when the fence or ZooKeeper refuses: resign then. */
  async write(states: readonly Desired[], gone: readonly string[], alongside?: Alongside): Promise<number> {
    const steps: Step[] = [];
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
      steps.push({ operation, bytes: data.length, change: { state } });
    }
    const written = steps.length;
    for (const host of gone) {
      const operation: Operation = { op: 'remove', path: desiredPath(host) };
      steps.push({ operation, bytes: 0, change: { gone: host } });
    }
    for (let first = 0; first < steps.length; ) {
      let last = first;
      for (let bytes = 0; last < steps.length && last - first < MAX_OPERATIONS; last++) {
        bytes += steps[last]?.bytes ?? 0;
        if (bytes > MAX_TRANSACTION_BYTES && last > first) break;
      }
      await this.writeBatch(steps.slice(first, last), alongside);
      first = last;
    }
    return written;
  }

  private async writeBatch(batch: readonly Step[], alongside: Alongside | undefined): Promise<void> {
    const states = batch.flatMap(({ change }) => ('state' in change ? [change.state] : []));
    const gone = batch.flatMap(({ change }) => ('gone' in change ? [change.gone] : []));
    const along = alongside?.(states, gone) ?? { operations: [], done: () => {} };
    const operations = [this.fence, ...batch.map((step) => step.operation)];
    const fits = operationBytes([...operations, ...along.operations]) <= MAX_PAYLOAD_BYTES;
    await this.store.transaction(fits ? [...operations, ...along.operations] : operations);
    for (const state of states) this.wrote(state);
    for (const host of gone) this.removed(host);
    if (!fits) for (const operation of along.operations) await this.store.transaction([this.fence, operation]);
    along.done();
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
