/**
 * Addresses of the hosts that probes ask for. The system's resolver blocks a thread for each question, of which there are
 * few, and the connection to ZooKeeper needs them, too: where a name server is silent, the probes that wait for it must not
 * take all. So each name is asked for once at a time, and few names at once; a name that has been answered before and is not
 * now is where it was.
 */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { Turns } from './turns.ts';

/** Questions at once. libuv gives half of its threads to them: deploy/servicewatcher.service asks for 16 threads. */
export const LOOKUPS_AT_ONCE = 4;
/** How long an answer is waited for when there is an earlier one. */
const PATIENCE_MS = 100;
/** Names whose last answers are kept. */
const MAX_KEPT = 1_000;

type Addresses = readonly LookupAddress[];
type Resolve = (name: string, options: LookupOptions) => Promise<Addresses>;

/** Asks `resolve`, and keeps what it has answered. */
export function sharing(resolve: Resolve): LookupFunction {
  const names = new Names(resolve);
  return (name, options, callback) => {
    names.find(name, options).then(
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

class Names {
  private readonly turns = new Turns(LOOKUPS_AT_ONCE);
  private readonly pending = new Map<string, Promise<Addresses>>();
  /** In the order of the answers. */
  private readonly answered = new Map<string, Addresses>();

  constructor(private readonly resolve: Resolve) {}

  find(name: string, options: LookupOptions): Promise<Addresses> {
    const key = JSON.stringify([name, options.family, options.hints]);
    const asked = this.pending.get(key) ?? this.ask(key, name, options);
    const earlier = this.answered.get(key);
    if (earlier === undefined) return asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(earlier), PATIENCE_MS);
      asked
        .then(resolve, (error: unknown) => (isSilence(error) ? resolve(earlier) : reject(error)))
        .finally(() => clearTimeout(timer));
    });
  }

  private ask(key: string, name: string, options: LookupOptions): Promise<Addresses> {
    const signal = new AbortController().signal;
    const asked = this.turns
      .run(() => this.resolve(name, options), signal)
      .then((found = []) => {
        this.keep(key, found);
        return found;
      });
    this.pending.set(key, asked);
    const forget = () => this.pending.delete(key);
    asked.then(forget, forget);
    return asked;
  }

  private keep(key: string, found: Addresses): void {
    this.answered.delete(key);
    this.answered.set(key, found);
    const [oldest] = this.answered.keys();
    if (this.answered.size > MAX_KEPT && oldest !== undefined) this.answered.delete(oldest);
  }
}

/** No name server has said anything. */
function isSilence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAI_AGAIN';
}

/** For the option `lookup` of connections. Probes whose time is over give up; the question stays until it is answered. */
export const lookupShared: LookupFunction = sharing((name, options) => lookup(name, { ...options, all: true }));
