import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAULT_KINDS, FAULTS, isOfServers } from './faults.ts';
import { mayMeet, mayShareHost, type Round, type Size, schedule } from './schedule.ts';

const FIVE: Size = { hosts: 5, servers: 5 };

function rounds(seed: number, number: number, size = FIVE): Round[] {
  const all = schedule(seed, size);
  return Array.from({ length: number }, () => all.next().value);
}

const faultsOf = (some: readonly Round[]) => some.flatMap(({ faults }) => [...faults]);

describe('the schedule', () => {
  it('is the same for the same seed', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        expect(rounds(seed, 50)).toEqual(rounds(seed, 50));
      }),
      { numRuns: 20 },
    );
  });

  it('of seed 1 begins like this for as long as the kinds stay the same', () => {
    expect(
      rounds(1, 3).map(({ faults }) => faults.map(({ kind, lastsMs }) => `${kind} ${lastsMs}`)),
    ).toMatchInlineSnapshot(`
      [
        [
          "host-power 6628",
        ],
        [
          "server-stop 919",
          "unit-started-by-hand 0",
        ],
        [
          "unit-stopped-by-hand 0",
        ],
      ]
    `);
  });

  it('differs from seed to seed', () => {
    const texts = Array.from({ length: 100 }, (_, seed) => JSON.stringify(rounds(seed, 5)));
    expect(new Set(texts).size).toBe(100);
  });

  it('brings every kind of fault within as many faults as there are kinds, twice over', () => {
    for (let seed = 0; seed < 50; seed++) {
      const kinds = faultsOf(rounds(seed, 200)).map(({ kind }) => kind);
      expect(new Set(kinds.slice(0, 2 * FAULT_KINDS.length))).toEqual(new Set(FAULT_KINDS));
    }
  });

  it('keeps to the kinds it is told', () => {
    const kinds = faultsOf(rounds(3, 50, { ...FIVE, only: ['reload', 'host-cable'] })).map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(['reload', 'host-cable']));
  });

  it('has one or two faults in a round, and both often', () => {
    const sizes = rounds(7, 200).map(({ faults }) => faults.length);
    expect(sizes.filter((size) => size === 1).length).toBeGreaterThan(50);
    expect(sizes.filter((size) => size === 2).length).toBeGreaterThan(50);
  });

  it('lets only those meet that can be undone, and lasts as long as its kind says', () => {
    const property = (seed: number, size: Size) => {
      for (const { faults } of rounds(seed, 100, size)) {
        for (const fault of faults) {
          const { lasts, units } = FAULTS[fault.kind];
          if (lasts.length === 0) expect(fault.lastsMs).toBe(0);
          else expect(lasts.some(([least, most]) => fault.lastsMs >= least && fault.lastsMs <= most)).toBe(true);
          expect(fault.unit === undefined).toBe(units === undefined);
        }
        const [first, second] = faults;
        if (second === undefined) continue;
        expect(mayMeet(first.kind, second.kind, size)).toBe(true);
        expect(second.sameHost && !mayShareHost(first.kind, second.kind)).toBe(false);
        expect(first.sameHost).toBe(false);
      }
    };
    const size = fc.record({ hosts: fc.integer({ min: 1, max: 9 }), servers: fc.constantFrom(3, 5, 7) });
    fc.assert(fc.property(fc.integer(), size, property), { numRuns: 30 });
  });
});

describe('faults that meet', () => {
  it('leave a quorum, unless one of them is there to take it', () => {
    expect(mayMeet('server-kill', 'server-freeze', FIVE)).toBe(true);
    expect(mayMeet('server-kill', 'server-freeze', { hosts: 3, servers: 3 })).toBe(false);
    for (const kind of FAULT_KINDS.filter(isOfServers)) {
      expect(mayMeet(kind, 'quorum-kill', FIVE)).toBe(false);
      expect(mayMeet('quorum-kill', kind, FIVE)).toBe(false);
    }
  });

  it('are the same in either order', () => {
    for (const a of FAULT_KINDS) {
      for (const b of FAULT_KINDS) {
        expect(mayMeet(a, b, FIVE)).toBe(mayMeet(b, a, FIVE));
        expect(mayShareHost(a, b)).toBe(mayShareHost(b, a));
      }
    }
  });

  it('do not share a host that is switched off, nor a daemon', () => {
    expect(mayShareHost('host-power', 'host-cable')).toBe(false);
    expect(mayShareHost('daemon-kill', 'daemon-freeze')).toBe(false);
    expect(mayShareHost('daemon-kill', 'host-cable')).toBe(true);
  });
});
