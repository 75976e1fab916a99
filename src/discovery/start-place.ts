/** One unit's place in the queue of its service (`start-queue.ts`): entered, taken over, watched and left. */

import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import { isStoreError, type Store } from '../shared/store.ts';
import { describeWait, encodePlace, placePrefix, placesAmong, type Queued, queuePath } from './queued.ts';
import { WatchedPlaces } from './watched-places.ts';

/** Whether it is the unit's turn. `why`: one sentence for people. */
export type Place = { readonly kind: 'has' } | { readonly kind: 'waits'; readonly why: string };

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

const RETRY_MS = 1_000;
/** Nothing is looked for without a reason: whatever concerns it is watched. */
const TICK_MS = 600_000;

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
  private why: string;
  private readonly watched: WatchedPlaces;
  private problem = false;

  constructor(private readonly options: StartPlaceOptions) {
    const { store, clock, log, service, unit } = options;
    this.path = queuePath(service);
    this.why = describeWait(unit, [], false);
    this.watched = new WatchedPlaces({ store, path: this.path, onChange: () => this.loop.trigger() });
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
    this.watched.follow([]);
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
    this.watched.follow([]);
  }

  private async giveUp(session: string): Promise<void> {
    const { store } = this.options;
    const mine = this.doubt ? await this.find() : undefined;
    const name = this.own?.name ?? mine?.name;
    this.watched.follow([]);
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
    if (at < this.atOnce) {
      this.watched.follow([], own.name);
      await this.take(own);
      return;
    }
    const before = queue.slice(0, at);
    const [predecessor = own.name] = before.slice(-1);
    const isFirst = at === this.atOnce || this.watched.hasTurn(predecessor);
    this.why = describeWait(this.options.unit, before, isFirst);
    this.watched.follow(isFirst ? before : [predecessor], own.name);
  }

  private async take(own: Own): Promise<void> {
    this.turnIn = own.session;
    this.announce();
    if (this.marked) return;
    // whoever is next waits for this
    await this.options.store.set(`${this.path}/${own.name}`, encodePlace({ turn: true }));
    this.marked = true;
  }

  private async queue(): Promise<string[]> {
    return placesAmong((await this.options.store.children(this.path)) ?? []);
  }

  /** A place that is there for this host's unit. */
  private async find(): Promise<{ readonly name: string; readonly owner: string | undefined } | undefined> {
    const { store } = this.options;
    const prefix = placePrefix(this.options);
    const name = (await this.queue()).find((each) => each.startsWith(prefix));
    const node = name === undefined ? undefined : await store.get(`${this.path}/${name}`);
    return node && name !== undefined ? { name, owner: node.owner } : undefined;
  }

  private async makePlace(session: string): Promise<Own> {
    const { store } = this.options;
    await store.ensure(this.path);
    const data = encodePlace({ turn: false });
    const found = this.doubt ? await this.find() : undefined;
    this.doubt = true;
    let name: string;
    if (found === undefined) {
      const path = await store.create(`${this.path}/${placePrefix(this.options)}`, data, 'ephemeral-sequential');
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
}
