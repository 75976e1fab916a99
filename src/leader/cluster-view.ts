/** What a leader reads of the cluster, kept up to date for as long as it leads. */

import type { HostIntent, Member, RebalanceWish } from '../shared/cluster.ts';
import { Collection } from '../shared/collection.ts';
import type { Logger } from '../shared/log.ts';
import { decodeHostIntent, decodeMember, decodeObserved, decodeSpecRecord } from '../shared/payloads.ts';
import { decodeWish } from '../shared/rebalance.ts';
import type { SpecRecord } from '../shared/spec.ts';
import type { Observed } from '../shared/state.ts';
import type { Store, Watch, Znode } from '../shared/store.ts';
import { HOSTS, MEMBERS, OBSERVED, REBALANCE, SPEC } from '../shared/znodes.ts';

export class ClusterView {
  readonly members: Collection<Member>;
  readonly observed: Collection<Observed>;
  readonly intents: Collection<HostIntent>;
  /** The last readable spec; undefined: none, or none readable yet. */
  spec: SpecRecord | undefined;
  /** What a `rebalance` asks for at the moment. */
  rebalance: RebalanceWish | undefined;
  private specRead = false;
  private rebalanceRead = false;
  private readonly watches: readonly Watch[];

  constructor(
    store: Pick<Store, 'watch' | 'watchChildren'>,
    private readonly log: Logger,
    private readonly onChange: () => void,
  ) {
    this.members = new Collection(store, MEMBERS, decodeMember, log, onChange);
    this.observed = new Collection(store, OBSERVED, decodeObserved, log, onChange);
    this.intents = new Collection(store, HOSTS, decodeHostIntent, log, onChange);
    this.watches = [
      store.watch(SPEC, (node) => this.onSpec(node)),
      store.watch(REBALANCE, (node) => this.onRebalance(node)),
    ];
  }

  /** Everything that exists has been read once: decisions may be made. */
  get ready(): boolean {
    // a move that an earlier leader has begun would be taken back by one that does not know of the wish
    return this.specRead && this.rebalanceRead && this.members.ready && this.observed.ready && this.intents.ready;
  }

  close(): void {
    for (const watch of this.watches) watch.close();
    for (const collection of [this.members, this.observed, this.intents]) collection.close();
  }

  private onSpec(node: Znode | undefined): void {
    this.specRead = true;
    if (node) {
      const decoded = decodeSpecRecord(node.data, node.path);
      if (decoded.ok) this.spec = decoded.value;
      else this.log.error(`${decoded.problem}; the placement stays as it is until a reload proposes a readable spec`);
    }
    this.onChange();
  }

  private onRebalance(node: Znode | undefined): void {
    this.rebalanceRead = true;
    const decoded = node && decodeWish(node.data, node.path);
    if (decoded && !decoded.ok) this.log.error(`${decoded.problem}; nothing is moved for it`);
    this.rebalance = decoded?.ok ? decoded.value : undefined;
    this.onChange();
  }
}
