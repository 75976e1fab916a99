/** One unit's place in the queue of its service (`start-queue.ts`): entered, taken over, watched and left. */
import * as z from 'zod';
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import { isUnitName } from '../shared/names.ts';
import { decodePayload, encodePayload } from '../shared/payloads.ts';
import { compareSequence } from '../shared/sequence.ts';
import { isStoreError, type Store, type Watch, type Znode } from '../shared/store.ts';
import { leasePath } from '../shared/znodes.ts';

/** Whether it is the unit's turn. `why`: one sentence for people. */
export type Place = { readonly kind: 'has' } | { readonly kind: 'waits'; readonly why: string };

/** Who has a place in a queue. */
export interface Queued {
  readonly host: string;
  readonly unit: string;
}

export interface StartPlaceOptions extends Queued {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly service: string;
  readonly mayWrite: () => boolean;
  readonly onChange: () => void;
}

interface Own {
  readonly name: string;
  readonly session: string;
}

const schema = z.object({ turn: z.boolean() });
const PREFIX = 'service:';
/** Host, unit, and the number that ZooKeeper appends. */
const NAME = /^([^:]+):(.+)_-?\d+$/;
const RETRY_MS = 1_000;
/** Nothing is looked for without a reason: whatever concerns it is watched. */
const TICK_MS = 600_000;
/** Names that are told of those who have a turn. */
const NAMES_TOLD = 3;

/** The queue of a service. No label of a lease has a colon. */
export const queuePath = (service: string): string => leasePath(`${PREFIX}${service}`);

/** The service whose queue a child of `leases` is; undefined: it is a lease. */
export function queueOf(name: string): string | undefined {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
}

/** Who a place belongs to; undefined: nobody, it is not one. */
export function queuedBy(name: string): Queued | undefined {
  const [, host, unit] = NAME.exec(name) ?? [];
  return host !== undefined && unit !== undefined && isUnitName(unit) ? { host, unit } : undefined;
}

/** Whether a place says that its unit has its turn. */
export function hasTurn({ data, path }: Znode): boolean {
  const decoded = decodePayload(schema, data, path);
  return decoded.ok && decoded.value.turn;
}

export class StartPlace {
  private readonly path: string;
  private readonly loop: Loop;
  private atOnce = 1;
  private wanted = false;
  /** It is to be left, though it may be wanted again by now. */
  private leaving = false;
  private own: Own | undefined;
  /** A place of ours may be there that is not known. */
  private doubt = true;
  private turnIn: string | undefined;
  /** Our place says that we have our turn. */
  private marked = false;
  private announced = '';
  private why = 'it waits for its turn to start';
  private watches = new Map<string, Watch>();
  /** Places before ours that were seen to have their turn. */
  private readonly starting = new Set<string>();
  private problem = false;

  constructor(private readonly options: StartPlaceOptions) {
    const { clock, log, service, unit } = options;
    this.path = queuePath(service);
    this.loop = new Loop({
      name: `turn of ${unit}`,
      clock,
      log,
      gatherMs: 0,
      tickMs: () => (this.problem ? RETRY_MS : TICK_MS),
      pass: () => this.pass(),
    });
  }

  enter(atOnce: number): void {
    if (this.wanted && this.atOnce === atOnce) return;
    this.wanted = true;
    this.atOnce = atOnce;
    this.loop.trigger();
  }

  leave(): void {
    if (!this.wanted) return;
    this.wanted = false;
    this.leaving = true;
    this.turnIn = undefined;
    this.loop.trigger();
  }

  look(): void {
    this.loop.trigger();
  }

  /** It is not wanted, and nothing of it is left. */
  get gone(): boolean {
    return !this.wanted && !this.leaving;
  }

  get state(): Place {
    const { state } = this.options.store;
    if (state.kind !== 'connected') return { kind: 'waits', why: 'it waits for its turn, and ZooKeeper is silent' };
    return this.turnIn === state.session ? { kind: 'has' } : { kind: 'waits', why: this.why };
  }

  async close(): Promise<void> {
    this.wanted = false;
    this.watch([]);
    await this.loop.stop();
  }

  private async pass(): Promise<void> {
    const { store, log, mayWrite, unit } = this.options;
    const { state } = store;
    this.problem = false;
    if (state.kind !== 'connected') return this.announce();
    if (this.own && this.own.session !== state.session) this.forget();
    if (!mayWrite()) return;
    try {
      if (this.leaving) await this.giveUp(state.session);
      if (this.wanted) await this.advance(state.session);
    } catch (error) {
      this.problem = true;
      this.doubt = true;
      if (!isStoreError(error, 'connection-loss', 'session-lost', 'deadline', 'no-node'))
        log.warn(`${unit}: its turn to start could not be asked for: ${messageOf(error)}; tried again`, { unit });
    }
    this.announce();
  }

  /** Tells if `state` is another than was told last. */
  private announce(): void {
    const now = JSON.stringify(this.state);
    if (now === this.announced) return;
    this.announced = now;
    this.options.onChange();
  }

  private forget(): void {
    this.own = undefined;
    this.turnIn = undefined;
    this.marked = false;
    this.watch([]);
  }

  private async giveUp(session: string): Promise<void> {
    const { store } = this.options;
    const mine = this.doubt ? await this.find() : undefined;
    const name = this.own?.name ?? mine?.name;
    this.watch([]);
    if (name !== undefined && (this.own || mine?.owner === session)) await removeIfThere(store, `${this.path}/${name}`);
    this.forget();
    this.doubt = false;
    this.leaving = false;
  }

  private async advance(session: string): Promise<void> {
    const own = this.own ?? (await this.makePlace(session));
    this.own = own;
    const queue = await this.queue();
    const at = queue.indexOf(own.name);
    if (at < 0) {
      this.forget();
      this.problem = true;
      return;
    }
    const before = queue.slice(0, at);
    if (at < this.atOnce) {
      this.watch([own.name]);
      await this.take(own);
      return;
    }
    const [predecessor = own.name] = before.slice(-1);
    const isFirst = at === this.atOnce || this.starting.has(predecessor);
    this.why = isFirst
      ? this.describeStarting(before)
      : `it waits for its turn to start, after ${this.describe(predecessor)}`;
    this.watch([own.name, ...(isFirst ? before : [predecessor])]);
  }

  private async take(own: Own): Promise<void> {
    this.turnIn = own.session;
    this.announce();
    if (this.marked) return;
    // whoever is next waits for this
    await this.options.store.set(`${this.path}/${own.name}`, encodePayload({ turn: true }));
    this.marked = true;
  }

  private async queue(): Promise<string[]> {
    const names = (await this.options.store.children(this.path)) ?? [];
    return names.filter((name) => queuedBy(name) !== undefined).sort(compareSequence);
  }

  /** A place that is there for this host's unit. */
  private async find(): Promise<{ readonly name: string; readonly owner: string | undefined } | undefined> {
    const { store, host, unit } = this.options;
    const name = (await this.queue()).find((each) => each.startsWith(`${host}:${unit}_`));
    const node = name === undefined ? undefined : await store.get(`${this.path}/${name}`);
    return node && name !== undefined ? { name, owner: node.owner } : undefined;
  }

  private async makePlace(session: string): Promise<Own> {
    const { store, host, unit } = this.options;
    await store.ensure(this.path);
    const data = encodePayload({ turn: false });
    const found = this.doubt ? await this.find() : undefined;
    this.doubt = true;
    let name: string;
    if (found === undefined) {
      const path = await store.create(`${this.path}/${host}:${unit}_`, data, 'ephemeral-sequential');
      name = path.slice(this.path.length + 1);
    } else {
      name = found.name;
      const path = `${this.path}/${name}`;
      // the place of an earlier session of this host: nobody else has its name
      if (found.owner !== session)
        await store.transaction([
          { op: 'remove', path },
          { op: 'create', path, data, mode: 'ephemeral' },
        ]);
    }
    this.doubt = false;
    return { name, session };
  }

  private describeStarting(names: readonly string[]): string {
    const told = names.slice(0, NAMES_TOLD).map((name) => this.describe(name));
    const more = names.length > told.length ? [`${names.length - told.length} more`] : [];
    const all = [...told, ...more];
    const who = all.length === 1 ? all.join() : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
    return `it waits for its turn to start: ${who} ${names.length === 1 ? 'starts' : 'start'} it now`;
  }

  /** The host, with the unit where that is another instance of the service. */
  private describe(name: string): string {
    const { host, unit } = queuedBy(name) ?? { host: name, unit: this.options.unit };
    return unit === this.options.unit ? host : `${host} (${unit})`;
  }

  /** Watches these, and no others any more. */
  private watch(names: readonly string[]): void {
    for (const [name, watch] of this.watches) {
      if (names.includes(name)) continue;
      watch.close();
      this.watches.delete(name);
      this.starting.delete(name);
    }
    for (const name of names) {
      if (this.watches.has(name)) continue;
      const path = `${this.path}/${name}`;
      this.watches.set(
        name,
        this.options.store.watch(path, (node) => this.onSeen(name, node)),
      );
    }
  }

  private onSeen(name: string, node: Znode | undefined): void {
    const isOwn = name === this.own?.name;
    if (node === undefined) {
      this.loop.trigger();
      return;
    }
    if (isOwn || !hasTurn(node) || this.starting.has(name)) return;
    this.starting.add(name);
    this.loop.trigger();
  }
}

async function removeIfThere(store: Store, path: string): Promise<void> {
  try {
    await store.remove(path);
  } catch (error) {
    if (!isStoreError(error, 'no-node')) throw error;
  }
}
