/** Many clients at once, over connections of any speed that fail: who gets which server. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countClients } from '../../src/discovery/choose.ts';
import { clientsAmong } from '../../src/discovery/client-entry.ts';
import { TURN_MS } from '../../src/discovery/turn.ts';
import { clientsPath } from '../../src/shared/znodes.ts';
import { type Held, LABEL, PickWorld } from './pick-world.ts';

const WITHIN_MS = 120_000;

/** A clock's worth of chance from one number: the same one gives the same run. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const world = (seed: number, latencyMs: number) => {
  const random = seeded(seed);
  return new PickWorld(() => 1 + Math.floor(random() * latencyMs));
};

const servers = fc.integer({ min: 1, max: 6 }).map((n) => Array.from({ length: n }, (_, at) => `w${at + 1}`));
const seed = fc.nat();
const latencyMs = fc.constantFrom(1, 10, 100);
/** When each client comes, ms. */
const arrivals = fc.array(fc.constantFrom(0, 0, 0, 5, 50), { minLength: 1, maxLength: 25 });

type Mishap = 'reset' | 'lost answer' | 'silence' | 'stop, timers first' | 'stop, messages first';

/**
 * What befalls a client: its connection is cut for a while, the answer to its next request is lost, or its process is
 * stopped for longer than a turn may take, and then goes on with what it had read before.
 */
const mishap = fc.record({
  client: fc.nat(24),
  at: fc.nat(400),
  kind: fc.constantFrom<Mishap[]>('reset', 'lost answer', 'silence', 'stop, timers first', 'stop, messages first'),
});
/** Its turn is taken away meanwhile. With a session this long its connection is not in doubt then, with the default one it is. */
const STOPPED_MS = TURN_MS + 500;
const sessionMs = fc.constantFrom(4_000, 10_000);

function befall(held: Held, kind: Mishap, within: PickWorld): void {
  switch (kind) {
    case 'lost answer':
      held.store.loseNextAnswer();
      return;
    case 'reset':
      held.store.cut('reset');
      within.clock.after(100, () => held.store.heal());
      return;
    case 'silence':
      held.store.cut('answers');
      within.clock.after(300, () => held.store.heal());
      return;
    case 'stop, timers first':
    case 'stop, messages first':
      held.process.pause();
      within.clock.after(STOPPED_MS, () => held.process.resume(kind === 'stop, timers first' ? 'timers' : 'messages'));
      return;
  }
}

/** Lets every client come at its time. */
function come(within: PickWorld, times: readonly number[], sessionTimeoutMs?: number): Held[] {
  const held: Held[] = [];
  for (const [index, at] of times.entries())
    within.clock.after(at, () => held.push(within.hold(`c${index}`, sessionTimeoutMs)));
  return held;
}

/** What counts a client that has the server it was told of last. */
const entryOf = ({ client, told }: Held) => `${client}=${told.at(-1)?.split('@')[0]}`;

/** The same number for the same session. */
function numberOf(known: Map<string, number>, session: string): number {
  const number = known.get(session) ?? known.size;
  known.set(session, number);
  return number;
}

describe('clients that come at the same moment', () => {
  it('differ by at most 1 between servers, each having had the fewest clients when it was chosen', async () => {
    await fc.assert(
      fc.asyncProperty(
        servers,
        arrivals,
        fc.array(mishap, { maxLength: 6 }),
        latencyMs,
        seed,
        sessionMs,
        async (...args) => {
          const [ids, times, mishaps, latency, chance, session] = args;
          const w = world(chance, latency);
          await w.register(...ids);
          const excess: number[] = [];
          w.ensemble.onApplied = (_session, operations) => {
            const made = operations.flatMap((each) => (each.op === 'create' ? clientsAmong([each.path.slice(9)]) : []));
            for (const { client, server } of made) {
              const others = w.clients().filter((each) => `${LABEL}/${each.client}` !== client);
              const counts = countClients(others);
              excess.push((counts.get(server) ?? 0) - Math.min(...ids.map((id) => counts.get(id) ?? 0)));
            }
          };
          const held = come(w, times, session);
          for (const { client, at, kind } of mishaps) {
            w.clock.after(at, () => {
              const victim = held[client];
              if (victim) befall(victim, kind, w);
            });
          }
          await w.clock.advance(500);
          await w.clock.until('all to have one', () => held.every(({ told }) => told.length > 0), WITHIN_MS);
          expect(excess.length).toBeGreaterThanOrEqual(times.length);
          expect(Math.max(...excess)).toBe(0);
          expect(w.spread(ids)).toBeLessThanOrEqual(1);
          expect(w.clients()).toHaveLength(times.length);
          // each was told of the one that it counts for
          expect(w.entries()).toEqual(held.map(entryOf).sort());
        },
      ),
      { numRuns: 100 },
    );
  });

  it('choose in the order in which they came', async () => {
    await fc.assert(
      fc.asyncProperty(servers, arrivals, latencyMs, seed, async (ids, times, latency, chance) => {
        const w = world(chance, latency);
        await w.register(...ids);
        const came: number[] = [];
        const chose: number[] = [];
        const clientOf = new Map<string, number>();
        w.ensemble.onApplied = (session, operations) => {
          const made = operations.flatMap((each) => (each.op === 'create' ? [each.path] : []));
          for (const path of made) {
            if (path.startsWith('/clients/mqtt/turn-')) came.push(numberOf(clientOf, session));
            else if (path.includes('=')) chose.push(numberOf(clientOf, session));
          }
        };
        const held = come(w, times);
        await w.clock.advance(100);
        await w.clock.until('all to have one', () => held.every(({ told }) => told.length > 0), WITHIN_MS);
        expect(chose).toEqual(came);
        expect(chose).toHaveLength(times.length);
      }),
      { numRuns: 100 },
    );
  });

  it('all get one, though some of them die or are frozen in the middle', async () => {
    const fate = fc.record({ client: fc.nat(24), at: fc.nat(150), kind: fc.constantFrom('kill', 'freeze') });
    await fc.assert(
      fc.asyncProperty(servers, arrivals, fc.array(fate, { maxLength: 8 }), latencyMs, seed, async (...args) => {
        const [ids, times, fates, latency, chance] = args;
        const w = world(chance, latency);
        await w.register(...ids);
        const held = come(w, times);
        const gone = new Set<Held>();
        for (const { client, at, kind } of fates) {
          w.clock.after(at, () => {
            const victim = held[client];
            if (!victim) return;
            gone.add(victim);
            if (kind === 'kill') victim.store.kill();
            else victim.process.pause();
          });
        }
        await w.clock.advance(500);
        const living = held.filter((each) => !gone.has(each));
        await w.clock.until('the living to have one', () => living.every(({ told }) => told.length > 0), WITHIN_MS);
        await w.clock.advance(5_000);
        expect(w.entries()).toEqual(living.map(entryOf).sort());
        expect(w.turns()).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it('end at a live server each, whichever servers come and go meanwhile', async () => {
    const change = fc.record({ server: fc.constantFrom('w1', 'w2', 'w3', 'w4'), at: fc.nat(600) });
    await fc.assert(
      fc.asyncProperty(arrivals, fc.array(change, { maxLength: 12 }), latencyMs, seed, async (...args) => {
        const [times, changes, latency, chance] = args;
        const w = world(chance, latency);
        await w.register('w1');
        const held = come(w, times);
        const live = new Set(['w1']);
        let now = 0;
        for (const { server, at } of [...changes].sort((a, b) => a.at - b.at)) {
          await w.clock.advance(Math.max(0, at - now));
          now = Math.max(now, at);
          if (live.delete(server)) await w.unregister(server);
          else {
            live.add(server);
            await w.write(server);
          }
        }
        if (live.size === 0) {
          live.add('w9');
          await w.write('w9');
        }
        const settled = () =>
          w.turns().length === 0 &&
          w.clients().length === times.length &&
          w.clients().every(({ server }) => live.has(server)) &&
          isDeepStrictEqual(w.entries(), held.map(entryOf).sort());
        // what happened last has come to everybody's ears by then
        await w.clock.advance(5_000);
        await w.clock.until('all to have a live one', settled, WITHIN_MS);
        await w.clock.advance(10_000);
        expect(settled()).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

it('knows the path that its checks look at', () => {
  expect(clientsPath(LABEL)).toBe('/clients/mqtt');
});
