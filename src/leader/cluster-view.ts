/** What a leader reads of the cluster, kept up to date for as long as it leads. */

import { Collection } from '../shared/collection.ts';
import type { Logger } from '../shared/log.ts';
import type { HostIntent, Member, Observed, SpecRecord } from '../shared/model.ts';
import { decodeHostIntent, decodeMember, decodeObserved, decodeSpecRecord } from '../shared/payloads.ts';
import type { Store, Watch, Znode } from '../shared/store.ts';
import { HOSTS, MEMBERS, OBSERVED, SPEC } from '../shared/znodes.ts';

export class ClusterView {
  readonly members: Collection<Member>;
  readonly observed: Collection<Observed>;
  readonly intents: Collection<HostIntent>;
  /** The last readable spec; undefined: none, or none readable yet. */
  spec: SpecRecord | undefined;
  private specRead = false;
  private readonly specWatch: Watch;

  constructor(
    store: Store,
    private readonly log: Logger,
    private readonly onChange: () => void,
  ) {
    this.members = new Collection(store, MEMBERS, decodeMember, log, onChange);
    this.observed = new Collection(store, OBSERVED, decodeObserved, log, onChange);
    this.intents = new Collection(store, HOSTS, decodeHostIntent, log, onChange);
    this.specWatch = store.watch(SPEC, (node) => this.onSpec(node));
  }

  /** Everything that exists has been read once: decisions may be made. */
  get ready(): boolean {
    return this.specRead && this.members.ready && this.observed.ready && this.intents.ready;
  }

  close(): void {
    this.specWatch.close();
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
}
