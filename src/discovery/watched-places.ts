/** The places of a queue that are watched at the moment: which of them are gone, and which have their turn. */
import type { Store, Watch } from '../shared/store.ts';
import { hasTurn } from './queued.ts';

export interface WatchedPlacesOptions {
  readonly store: Store;
  /** The queue. */
  readonly path: string;
  /** One of them is gone, or has its turn now. */
  readonly onChange: () => void;
}

export class WatchedPlaces {
  private readonly watches = new Map<string, Watch>();
  private readonly starting = new Set<string>();

  constructor(private readonly options: WatchedPlacesOptions) {}

  /** It is watched, and was seen to have its turn. */
  hasTurn(name: string): boolean {
    return this.starting.has(name);
  }

  /** Watches these, and no others any more; of one's own place only whether it is gone. */
  follow(others: readonly string[], own?: string): void {
    const names = own === undefined ? others : [own, ...others];
    for (const [name, watch] of this.watches) {
      if (names.includes(name)) continue;
      watch.close();
      this.watches.delete(name);
      this.starting.delete(name);
    }
    for (const name of names) if (!this.watches.has(name)) this.watches.set(name, this.watch(name, name === own));
  }

  private watch(name: string, isOwn: boolean): Watch {
    const { store, path, onChange } = this.options;
    return store.watch(`${path}/${name}`, (node) => {
      if (node === undefined) return onChange();
      if (isOwn || !hasTurn(node) || this.starting.has(name)) return;
      this.starting.add(name);
      onChange();
    });
  }
}
