/**
 * Addresses of the hosts that probes ask for. The system's resolver blocks a thread for each question, of which there are
 * few, and the connection to ZooKeeper needs them, too: where a name server is silent, the probes that wait for it must not
 * take all. So each name is asked for once at a time, and few names at once.
 */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { Turns } from './turns.ts';

/** Questions at once. libuv gives half of its threads to them: deploy/servicewatcher.service asks for 16 threads. */
export const LOOKUPS_AT_ONCE = 4;

type Resolve = (name: string, options: LookupOptions) => Promise<readonly LookupAddress[]>;

/** For the option `lookup` of connections. Probes whose time is over give up; the question stays until it is answered. */
export const lookupShared: LookupFunction = sharing((name, options) => lookup(name, { ...options, all: true }));

export function sharing(resolve: Resolve): LookupFunction {
  const turns = new Turns(LOOKUPS_AT_ONCE);
  const pending = new Map<string, Promise<readonly LookupAddress[]>>();
  const ask = (name: string, options: LookupOptions): Promise<readonly LookupAddress[]> => {
    const key = JSON.stringify([name, options.family, options.hints]);
    const known = pending.get(key);
    if (known !== undefined) return known;
    const asked = turns.run(() => resolve(name, options), new AbortController().signal).then((found) => found ?? []);
    pending.set(key, asked);
    const forget = () => pending.delete(key);
    asked.then(forget, forget);
    return asked;
  };
  return (name, options, callback) => {
    ask(name, options).then(
      (found) => {
        const [first] = found;
        if (options.all) callback(null, [...found]);
        else if (first) callback(null, first.address, first.family);
        else callback(new Error(`${name} has no address`), '');
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), ''),
    );
  };
}
