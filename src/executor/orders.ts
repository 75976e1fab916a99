/**
 * What this host is told: its own desired state, and the units that the spec declares, as far as they are to be obeyed.
 * What cannot be read, or is older than what was obeyed before, is reported and changes nothing.
 */
import type { Logger } from '../shared/log.ts';
import { unitsOf } from '../shared/names.ts';
import { decodeDesired, decodeSpecRecord } from '../shared/payloads.ts';
import type { Desired, Version } from '../shared/state.ts';
import type { Store, Watch, Znode } from '../shared/store.ts';
import { desiredPath, SPEC } from '../shared/znodes.ts';
import { accept } from './accept.ts';

export interface OrdersEvents {
  /** Something of what this host is told changed. */
  readonly onChange: () => void;
  /** A newer desired state was accepted; called before `onChange`. */
  readonly onAccepted: () => void;
}

const NONE: ReadonlySet<string> = new Set();

export class Orders {
  /** The newest desired state that was accepted. */
  desired: Desired | undefined;
  /** Its version, or that of what was obeyed before the daemon started. */
  applied: Version = { epoch: 0, generation: 0 };
  /** Why the newest desired state is not obeyed, if so. */
  refused: string | undefined;
  /** The desired state was written since this process began to read. */
  fresh = false;
  private recalledOnce = NONE;
  /** Units that were told to run once only here, until they are told otherwise. */
  private readonly everOnce = new Set<string>();
  /** Units that were named by orders whose spec was not known here, since one was last. */
  private readonly named = new Set<string>();
  private spec: { readonly digest: string; readonly units: ReadonlySet<string> } | undefined;
  private readonly unread = new Set(['desired', 'spec']);
  private watches: readonly Watch[] = [];

  constructor(
    private readonly host: string,
    private readonly log: Logger,
    private readonly events: OrdersEvents,
  ) {}

  /** Begins to watch; `applied` and `runOnce`: as they were before the daemon started. */
  open(store: Store, applied: Version, runOnce: ReadonlySet<string>): void {
    this.applied = applied;
    this.recalledOnce = runOnce;
    for (const unit of runOnce) this.everOnce.add(unit);
    this.watches = [
      store.watch(desiredPath(this.host), (node) => this.onDesired(node)),
      store.watch(SPEC, (node) => this.onSpec(node)),
    ];
  }

  close(): void {
    for (const watch of this.watches) watch.close();
  }

  /** Both znodes have been read once, whether or not they exist. */
  get read(): boolean {
    return this.unread.size === 0;
  }

  /** Units with `isolation: stop` of the newest desired state that was accepted, before the daemon started, too. */
  get runOnce(): ReadonlySet<string> {
    if (!this.desired) return this.recalledOnce;
    return new Set(this.desired.units.filter((unit) => unit.isolation === 'stop').map((unit) => unit.unit));
  }

  /** Those, and the ones that this host was told to run once only before: while they run, others must not. */
  get onceBefore(): ReadonlySet<string> {
    return this.everOnce;
  }

  /**
   * Units of the newest readable spec; as long as that is not the one which the desired state was computed from, those that
   * were named since as well: that one of them has failed must not be forgotten when it is named no more because of it.
   */
  get declared(): ReadonlySet<string> {
    const units = this.spec?.units ?? NONE;
    return this.named.size === 0 || this.declaredByDesired.size > 0 ? units : new Set([...units, ...this.named]);
  }

  /** Units of the very spec that the desired state was computed from; none while that spec is not known. */
  get declaredByDesired(): ReadonlySet<string> {
    return this.desired !== undefined && this.desired.spec === this.spec?.digest ? this.spec.units : NONE;
  }

  private onDesired(node: Znode | undefined): void {
    const isFirst = this.unread.delete('desired');
    if (isFirst) this.events.onChange();
    if (!node) {
      // a znode that is gone says nothing about what shall run: the last order stands until the leader writes another
      if (this.desired || this.applied.epoch > 0) this.refuse(`${desiredPath(this.host)} was removed`);
      return;
    }
    const decoded = decodeDesired(node.data, node.path);
    if (!decoded.ok) {
      this.refuse(decoded.problem);
      return;
    }
    const acceptance = accept(decoded.value, this.host, this.applied, this.desired);
    if (acceptance.kind === 'refuse') {
      this.refuse(acceptance.why);
      return;
    }
    const cured = this.refused !== undefined;
    this.refused = undefined;
    if (acceptance.kind === 'unchanged') {
      if (cured) this.events.onChange();
      return;
    }
    this.desired = decoded.value;
    this.fresh = !isFirst;
    this.name(decoded.value);
    for (const { unit, isolation } of decoded.value.units) {
      if (isolation === 'stop') this.everOnce.add(unit);
      else this.everOnce.delete(unit);
    }
    this.applied = { epoch: decoded.value.epoch, generation: decoded.value.generation };
    this.log.debug(`desired state (epoch ${this.applied.epoch}, generation ${this.applied.generation}) accepted`);
    this.events.onAccepted();
    this.events.onChange();
  }

  private refuse(why: string): void {
    this.log.error(`${why}; nothing is changed because of it`, { host: this.host });
    this.refused = why;
    this.events.onChange();
  }

  private onSpec(node: Znode | undefined): void {
    if (this.unread.delete('spec')) this.events.onChange();
    if (!node) return;
    const decoded = decodeSpecRecord(node.data, node.path);
    if (!decoded.ok) {
      this.log.error(`${decoded.problem}; the last readable spec stays in force here`);
      return;
    }
    this.spec = { digest: decoded.value.digest, units: new Set(decoded.value.spec.services.flatMap(unitsOf)) };
    if (this.desired) this.name(this.desired);
    this.events.onChange();
  }

  /** Keeps in mind what is named while its spec is not known here. */
  private name({ spec, units }: Desired): void {
    if (spec === this.spec?.digest) this.named.clear();
    else for (const { unit } of units) this.named.add(unit);
  }
}
