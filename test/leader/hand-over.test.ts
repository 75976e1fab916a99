/** What hosts are told while a unit goes from one to another, case by case. */
import { describe, expect, it } from 'vitest';
import type { HandOver, PendingHandOver } from '../../src/leader/hand-over.ts';
import type { Isolation } from '../../src/shared/spec.ts';
import { type At, decide, entry, WRITTEN, withdrawn } from './hand-over-hosts.ts';

/** `w1: -a` (told to stop it), `w2: a`, and who waits: `w2 gets b after w1`. */
function words({ units, pending }: HandOver): string[] {
  const told = [...units].flatMap(([host, all]) =>
    all.map((each) => `${host}: ${each.withdrawn ? '-' : ''}${each.service}`),
  );
  return [...told, ...pending.map(waits)];
}

const waits = ({ unit, to, from }: PendingHandOver) =>
  `${to} gets ${unit.replace('.service', '')} after ${from.join(' ')}`;

/** `w1` had the unit, `w2` shall have it. */
function move(w1: At, w2: At = {}, isolation: Isolation = 'stop'): string[] {
  return words(
    decide({
      w1: { written: [entry('a', isolation)], obeys: WRITTEN, up: { a: 'active' }, ...w1 },
      w2: { wanted: [entry('a', isolation)], written: [], obeys: WRITTEN, ...w2 },
    }),
  );
}

const HANDED_OVER = ['w2: a'];
const WAITING = ['w1: -a', 'w2 gets a after w1'];

describe('a unit with isolation: stop that moves', () => {
  it('is told to stop on its old host first, and to nobody else until then', () => {
    expect(move({})).toEqual(WAITING);
  });

  it('is started only where it stays, once it is down elsewhere, though somebody has told both to have it', () => {
    const told = { written: [entry('a')], obeys: 3 };
    expect(move({}, told)).toEqual(['w1: -a', 'w2: -a', 'w2 gets a after w1']);
    expect(move({}, { ...told, up: { a: 'active' } })).toEqual(['w1: -a', 'w2: a']);
    expect(move({}, { ...told, obeys: WRITTEN })).toEqual(['w1: -a', 'w2: -a', 'w2 gets a after w1']);
    expect(move({ written: [withdrawn('a')], up: {} }, told)).toEqual(HANDED_OVER);
  });

  it('keeps a host waiting that was told to wait while it still runs elsewhere, however well that host obeys', () => {
    const waiting = { written: [withdrawn('a')], obeys: WRITTEN };
    expect(move({}, waiting)).toEqual(WAITING);
    expect(move({ written: [withdrawn('a')] }, waiting)).toEqual(WAITING);
    expect(move({ written: [withdrawn('a')] }, { ...waiting, obeys: 3 })).toEqual([
      'w1: -a',
      'w2: -a',
      'w2 gets a after w1',
    ]);
    expect(move({ written: [withdrawn('a')], up: {} }, waiting)).toEqual(HANDED_OVER);
  });

  const written = [withdrawn('a')];
  const table: readonly (readonly [string, At, readonly string[]])[] = [
    ['has obeyed, and the unit is down', { written, up: {} }, HANDED_OVER],
    ['has obeyed, and the unit is reported as inactive', { written, up: { a: 'inactive' } }, HANDED_OVER],
    ['has obeyed, and the unit has failed', { written, up: { a: 'failed' } }, HANDED_OVER],
    ['has obeyed, but the unit is still stopping', { written, up: { a: 'deactivating' } }, WAITING],
    ['has obeyed, but the unit is active', { written, up: { a: 'active' } }, WAITING],
    ['has obeyed, but the unit is starting', { written, up: { a: 'activating' } }, WAITING],
    ['has obeyed, but the unit is reloading', { written, up: { a: 'reloading' } }, WAITING],
    ['has obeyed, but the unit is in maintenance', { written, up: { a: 'maintenance' } }, WAITING],
    ['has not obeyed yet, though the unit is down', { written, obeys: WRITTEN - 1, up: {} }, WAITING],
    ['obeys an order of the same number of an earlier leader', { written, epoch: 0, up: {} }, WAITING],
    ['obeys a later order than was written', { written, obeys: WRITTEN + 1, up: {} }, WAITING],
    ['refuses the order, though the unit is down', { written, refused: 'in doubt', up: {} }, WAITING],
    ['was not told to stop it yet, though the unit is down', { up: {} }, WAITING],
    ['is leaving, and the unit is down', { state: 'leaving', leaving: true, up: {} }, HANDED_OVER],
    ['is leaving, but the unit is still stopping', { state: 'leaving', leaving: true, up: { a: 'active' } }, WAITING],
    ['is leaving, but does not say so itself', { state: 'leaving', up: {} }, WAITING],
  ];
  it.each(table)('when its old host %s', (_what, w1, expected) => {
    expect(move(w1)).toEqual(expected);
  });

  it('waits for a host that has never reported', () => {
    const w2 = { wanted: [entry('a')], written: [], obeys: WRITTEN };
    expect(words(decide({ w1: { written: [withdrawn('a')] }, w2 }))).toEqual(WAITING);
  });

  it('waits for a host that the brake holds, whose last word says that the unit runs', () => {
    expect(move({ state: 'held' })).toEqual(WAITING);
  });

  it('is given to its new host at once when the old one is lost, whatever it said last', () => {
    const w1 = { written: [entry('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    const told = decide({ w1, w2: { wanted: [entry('a')], written: [] } }, { lost: new Set(['w1']) });
    expect(words(told)).toEqual(HANDED_OVER);
  });

  it('waits, too, for a host on which somebody started it by hand', () => {
    const w2 = { wanted: [entry('a')], written: [] };
    expect(words(decide({ w1: { written: [], obeys: WRITTEN, up: { a: 'active' } }, w2 }))).toEqual([
      'w2 gets a after w1',
    ]);
  });

  it('stays with the host that has it, though somebody started it elsewhere by hand', () => {
    const w2 = { wanted: [entry('a')], written: [entry('a')] };
    expect(words(decide({ w1: { written: [], obeys: WRITTEN, up: { a: 'active' } }, w2 }))).toEqual(['w2: a']);
  });

  it('waits for a host of which nobody knows what it obeys, though nothing says that it has the unit', () => {
    const w2 = { wanted: [entry('a')], written: [] };
    const w3 = { wanted: [entry('b')], written: [entry('b')] };
    const unsure = new Set(['w1', 'w2', 'w3']);
    expect(words(decide({ w1: {}, w2, w3 }, { unsure }))).toEqual(['w3: b', 'w2 gets a after w1 w3']);
  });

  it('is given first to hosts that run it, or may, though others come before them', () => {
    const gets = { wanted: [entry('a')], written: [] };
    const w2 = { written: [withdrawn('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    const told = ['w2: -a', 'w3: a', 'w1 gets a after w2'];
    const runs = { ...gets, obeys: WRITTEN, up: { a: 'active' } } as const;
    expect(words(decide({ w1: gets, w2, w3: runs }))).toEqual(told);
    expect(words(decide({ w1: gets, w2, w3: gets }, { unsure: new Set(['w3']) }))).toEqual(told);
  });

  it('is told to its old host as it was when it comes back before it was given away', () => {
    const w1 = { written: [withdrawn('a')], obeys: WRITTEN, wanted: [entry('a')], up: {} };
    expect(words(decide({ w1, w2: { written: [], obeys: WRITTEN } }))).toEqual(['w1: a']);
  });

  it('comes back only when the new host has said that it has stopped it', () => {
    const w1 = { wanted: [entry('a')], written: [], obeys: WRITTEN } as const;
    const early = decide({ w1, w2: { written: [entry('a')], obeys: WRITTEN - 1 } });
    expect(words(early)).toEqual(['w2: -a', 'w1 gets a after w2']);
    const late = decide({ w1, w2: { written: [withdrawn('a')], obeys: WRITTEN } });
    expect(words(late)).toEqual(['w1: a']);
  });

  it('is stopped where it is when nobody shall have it any more, and is told until it is down', () => {
    const w1 = { written: [entry('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    expect(words(decide({ w1 }))).toEqual(['w1: -a']);
    expect(words(decide({ w1: { ...w1, written: [withdrawn('a')], up: {} } }))).toEqual([]);
  });

  it('holds back as many new instances as old ones are left, the last hosts first', () => {
    const had = { written: [withdrawn('a')], obeys: WRITTEN } as const;
    const gets = { wanted: [entry('a')], written: [], obeys: WRITTEN } as const;
    const both = decide({
      w1: { ...had, up: { a: 'active' } },
      w2: { ...had, up: { a: 'active' } },
      w3: gets,
      w4: gets,
    });
    expect(words(both)).toEqual(['w1: -a', 'w2: -a', 'w3 gets a after w1 w2', 'w4 gets a after w1 w2']);
    const one = decide({ w1: { ...had, up: {} }, w2: { ...had, up: { a: 'active' } }, w3: gets, w4: gets });
    expect(words(one)).toEqual(['w2: -a', 'w3: a', 'w4 gets a after w2']);
    const busy = { ...had, up: { a: 'active' } } as const;
    const many = decide({ w1: busy, w2: busy, w3: gets, w4: gets, w5: busy });
    expect(many.pending.map(({ to }) => to)).toEqual(['w3', 'w4']);
  });

  it('gives a higher count to others at once, but for the instance that still moves', () => {
    const gets = { wanted: [entry('a')], written: [], obeys: WRITTEN } as const;
    const w1 = { written: [withdrawn('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    const told = decide({ w1, w2: { ...gets, written: [entry('a')] }, w3: gets, w4: gets });
    expect(words(told)).toEqual(['w1: -a', 'w2: a', 'w3: a', 'w4 gets a after w1']);
  });
});

describe('a unit with isolation: keep that moves', () => {
  it.each(['ready', 'joining', 'cordoned', 'held'] as const)('off a host that is %s is given away at once', (state) => {
    expect(move({ state }, {}, 'keep')).toEqual(HANDED_OVER);
  });

  it.each(['draining', 'leaving'] as const)('off a host that is %s is stopped there first', (state) => {
    expect(move({ state }, {}, 'keep')).toEqual(WAITING);
    expect(move({ state, written: [withdrawn('a', 'keep')], up: {} }, {}, 'keep')).toEqual(HANDED_OVER);
  });

  it('does not wait for a host of which nobody knows what it obeys', () => {
    const w2 = { wanted: [entry('a', 'keep')], written: [] };
    expect(words(decide({ w1: {}, w2 }, { unsure: new Set(['w1']) }))).toEqual(['w2: a']);
  });

  it('does not wait for a host on which somebody started it by hand', () => {
    const w2 = { wanted: [entry('a', 'keep')], written: [] };
    expect(words(decide({ w1: { written: [], obeys: WRITTEN, up: { a: 'active' } }, w2 }))).toEqual(['w2: a']);
  });

  it.each([
    ['keep', 'stop'],
    ['stop', 'keep'],
  ] as const)('waits when it was %s and is %s from now on', (was, is) => {
    const w1 = { written: [entry('a', was)], obeys: WRITTEN, up: { a: 'active' } } as const;
    expect(words(decide({ w1, w2: { wanted: [entry('a', is)], written: [] } }))).toEqual(WAITING);
  });
});

describe('a service that runs everywhere', () => {
  it.each(['keep', 'stop'] as const)('is neither withdrawn nor held back (isolation: %s)', (isolation) => {
    const hosts = {
      w1: { state: 'draining', written: [entry('g', isolation)], obeys: WRITTEN, up: { g: 'active' } },
      w2: { wanted: [entry('g', isolation)], written: [], obeys: WRITTEN },
    } as const;
    expect(words(decide(hosts, { everywhere: new Set(['g']) }))).toEqual(['w2: g']);
  });
});

it('what hosts are told is sorted by unit, and what waits by unit and host', () => {
  const had = { written: ['b', 'd'].map((name) => entry(name)), obeys: WRITTEN } as const;
  const w2 = { wanted: ['a', 'b', 'd'].map((name) => entry(name)), written: [] };
  const told = decide({ w1: { ...had, wanted: ['a', 'c', 'e'].map((name) => entry(name, 'keep')) }, w2 });
  expect(words(told)).toEqual([
    ...['w1: a', 'w1: -b', 'w1: c', 'w1: -d', 'w1: e', 'w2: a'],
    ...['w2 gets b after w1', 'w2 gets d after w1'],
  ]);
  const w3 = { wanted: [entry('b')], written: [] };
  const others = decide({ w1: had, w2: { wanted: [entry('d')], written: [] }, w3 });
  expect(others.pending.map(waits)).toEqual(['w3 gets b after w1', 'w2 gets d after w1']);
});
