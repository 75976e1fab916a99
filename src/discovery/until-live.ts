/** Waiting for a server of a label, and for the connection. */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { Store } from '../shared/store.ts';
import { untilCalled } from '../shared/until-called.ts';
import { Directory } from './directory.ts';
import type { Registration } from './registration.ts';

export interface LabelOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly label: string;
}

/** Resolves when a healthy server is registered under the label; rejects with the signal's reason. */
export function untilLive({ store, clock, log, label }: LabelOptions, signal: AbortSignal): Promise<void> {
  return untilCalled(signal, (done) => {
    const onChange = () => {
      if (directory.entries(label).some(({ healthy }: Registration) => healthy)) done();
    };
    const directory = new Directory({ store, clock, log, onChange });
    directory.follow(label);
    return directory;
  });
}

/** Resolves with the session when there is one; rejects with the signal's reason. */
export function untilConnected(store: Store, signal: AbortSignal): Promise<{ session: string; timeoutMs: number }> {
  return untilCalled(signal, (done) => {
    const look = () => {
      if (store.state.kind === 'connected') done(store.state);
    };
    const close = store.onState(look);
    look();
    return { close };
  });
}
