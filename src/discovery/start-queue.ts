/**
 * Whose turn it is to start: for each service with `start:` a queue `leases/service:<name>` of ephemerals, each named after
 * its host and unit. The first `atOnce` of them have a turn; one that takes its turn says so in its znode. Whoever waits
 * watches only the one before it; the first that waits, those that have a turn. So the end of a turn wakes one waiter.
 *
 * Invariant: at most `atOnce` units have a turn, as long as sessions live: the places before one's own only become fewer.
 */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { Store } from '../shared/store.ts';
import { type Place, StartPlace } from './start-place.ts';

export interface StartQueueOptions {
  readonly store: Store;
  readonly host: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** What `state` answers for some unit has changed. */
  readonly onChange: () => void;
}

export interface StartWish {
  readonly service: string;
  readonly atOnce: number;
}

export class StartQueue {
  private readonly places = new Map<string, { readonly service: string; readonly place: StartPlace }>();
  private readonly unsubscribe: () => void;
  /** Session in which the host's membership is confirmed. */
  private joinedIn: string | undefined;

  constructor(private readonly options: StartQueueOptions) {
    this.unsubscribe = options.store.onState(() => this.look());
  }

  /** The units that are to have a turn, or keep the one they have; all others give theirs, or their place, up. */
  want(wishes: ReadonlyMap<string, StartWish>): void {
    for (const [unit, { service, place }] of this.places) {
      if (wishes.get(unit)?.service !== service) place.leave();
      if (place.gone) this.drop(unit);
    }
    for (const [unit, { service, atOnce }] of wishes) {
      const known = this.places.get(unit);
      if (known && known.service !== service) this.drop(unit);
      this.placeOf(unit, service).enter(atOnce);
    }
  }

  state(unit: string): Place {
    return this.places.get(unit)?.place.state ?? { kind: 'waits', why: 'it waits for its turn to start' };
  }

  /** The host has joined in the present session: its places may be taken. */
  joined(): void {
    const { state } = this.options.store;
    this.joinedIn = state.kind === 'connected' ? state.session : undefined;
    this.look();
  }

  /** The host's name is not ours any more: nothing is written until it has joined anew. */
  left(): void {
    this.joinedIn = undefined;
  }

  private look(): void {
    for (const { place } of this.places.values()) place.look();
  }

  /** Ends all activity. Places in the queues stay until the session ends, or the host's next process takes them over. */
  async close(): Promise<void> {
    this.unsubscribe();
    await Promise.all([...this.places.values()].map(({ place }) => place.close()));
  }

  private placeOf(unit: string, service: string): StartPlace {
    const known = this.places.get(unit);
    if (known) return known.place;
    const place = new StartPlace({ ...this.options, unit, service, mayWrite: () => this.mayWrite() });
    this.places.set(unit, { service, place });
    return place;
  }

  private mayWrite(): boolean {
    const { state } = this.options.store;
    return state.kind === 'connected' && state.session === this.joinedIn;
  }

  private drop(unit: string): void {
    void this.places.get(unit)?.place.close();
    this.places.delete(unit);
  }
}
