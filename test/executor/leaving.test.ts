/** How a daemon that is being stopped stops its units; the test says how systemd, and those that found a unit, behave. */
import { beforeEach, describe, expect, it } from 'vitest';
import { HeldUnits } from '../../src/executor/held-units.ts';
import { Leaving } from '../../src/executor/leaving.ts';
import type { UnitState } from '../../src/executor/systemd.ts';
import type { ActiveState } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';

const A = 'a.service';
const B = 'b.service';

let clock: FakeClock;
let connected: boolean;
/** Units of ours. */
let ours: Set<string>;
let states: Map<string, UnitState>;
/** What systemd says when it is asked. */
let told: Map<string, UnitState>;
let runOnce: Set<string>;
let atStake: Set<string>;
let busy: Set<string>;
/** Units that do not stop. */
let stubborn: Set<string>;
/** Until when a unit may be found, ms of the clock. */
let foundUntil: Map<string, number>;
/** What was done, in order. */
let done: string[];
let leaving: Leaving;
beforeEach(() => {
  clock = new FakeClock();
  connected = true;
  ours = new Set([A, B]);
  states = new Map([is(A, 'active'), is(B, 'active')]);
  told = new Map();
  [runOnce, atStake, busy, stubborn] = [new Set(), new Set(), new Set(), new Set()];
  foundUntil = new Map();
  done = [];
  const table = {
    states,
    ours: () => new Map([...ours].map((unit) => [unit, undefined])),
    isOurs: (unit: string) => ours.has(unit),
    forgotten: (unit: string) => void done.push(`forget ${unit}`),
  };
  const orders = { runOnce, onceBefore: new Set<string>() };
  leaving = new Leaving({
    clock,
    systemd: {
      get connected() {
        return connected;
      },
    },
    table,
    held: new HeldUnits({ orders, table, isStopping: () => false }),
    lease: {
      get atStake() {
        return atStake;
      },
      release: () => void done.push('release'),
    },
    jobs: {
      isBusy: (unit) => busy.has(unit),
      stopAll: async (units, signal, ready) => {
        const all = units.map(async (unit) => {
          await ready(unit);
          if (signal.aborted) return;
          done.push(`stop ${unit} at ${clock.now() - begun}`);
          if (!stubborn.has(unit)) states.set(...is(unit, 'inactive'));
        });
        await Promise.all(all);
      },
    },
    departures: { leftWhenLeaving: (unit) => Math.max(0, (foundUntil.get(unit) ?? 0) - clock.now()) },
    teller: { register: (stopping) => void done.push(`register without ${[...stopping].join(' ')}`) },
    survey: async () => {
      for (const [unit, state] of told) states.set(unit, state);
    },
  });
});

let begun = 0;
const aborting = () => new AbortController();

function is(unit: string, active: ActiveState): [string, UnitState] {
  return [unit, { unit, load: 'loaded', active, sub: '' }];
}

/** Leaves, and answers what is not down of what may run once. */
function leave(which: 'all' | 'once-only', signal = aborting().signal): Promise<readonly string[]> {
  begun = clock.now();
  return clock.finish('the daemon to have left', leaving.stop(which, signal));
}

describe('a daemon that leaves', () => {
  it('stops all units of ours that run, forgets them, and gives the lease back', async () => {
    ours.add('down.service');
    states.set(...is('down.service', 'inactive'));
    expect(await leave('all')).toEqual([]);
    expect(done).toEqual([
      `stop ${A} at 0`,
      `stop ${B} at 0`,
      `forget ${A}`,
      `forget ${B}`,
      'forget down.service',
      'release',
    ]);
  });

  it('stops what may run once only where the others stay, and tells at once that it is not to be found', async () => {
    runOnce.add(B);
    expect(await leave('once-only')).toEqual([]);
    expect(done).toEqual([`register without ${B}`, `stop ${B} at 0`, `forget ${B}`, 'release']);
  });

  it('stops a unit, too, whose start was asked for a moment ago', async () => {
    states.set(...is(A, 'inactive'));
    busy.add(A);
    await leave('all');
    expect(done).toContain(`stop ${A} at 0`);
  });

  it('says which units that may run once did not stop; they stay ours, and the lease is kept', async () => {
    runOnce.add(A);
    stubborn = new Set([A, B]);
    expect(await leave('all')).toEqual([A]);
    expect(done).toEqual([`stop ${A} at 0`, `stop ${B} at 0`]);
  });

  it('stops a unit only when those that found it had time to leave, and the others at once', async () => {
    foundUntil.set(A, clock.now() + 1_000);
    await leave('all');
    expect(done.slice(0, 2)).toEqual([`stop ${B} at 0`, `stop ${A} at 1000`]);
  });

  it('lets nobody wait for a unit that others may soon run, nor for one that is down by now', async () => {
    for (const unit of [A, B]) foundUntil.set(unit, clock.now() + 1_000);
    clock.after(300, () => {
      atStake = new Set([A]);
    });
    clock.after(500, () => void states.set(...is(B, 'inactive')));
    await leave('all');
    expect(done.slice(0, 2)).toEqual([`stop ${A} at 300`, `stop ${B} at 500`]);
  });

  it('waits no longer when its own time is over', async () => {
    foundUntil.set(A, clock.now() + 60_000);
    const controller = aborting();
    clock.after(700, () => controller.abort());
    await leave('all', controller.signal);
    expect(clock.now() - begun).toBe(700);
    expect(done).not.toContainEqual(expect.stringContaining(`stop ${A}`));
  });

  it('that has just begun asks systemd first what runs', async () => {
    states.clear();
    told = new Map([is(A, 'active'), is(B, 'inactive')]);
    await leave('all');
    expect(done).toEqual([`stop ${A} at 0`, `forget ${A}`, `forget ${B}`, 'release']);
  });

  it('waits for a systemd that cannot be asked for 2 s, then takes for running what it does not know', async () => {
    connected = false;
    states.clear();
    await leave('all');
    expect(done.slice(0, 2)).toEqual([`stop ${A} at 2000`, `stop ${B} at 2000`]);
  });

  it('goes on as soon as systemd can be asked', async () => {
    connected = false;
    states.clear();
    told = new Map([is(A, 'active'), is(B, 'inactive')]);
    clock.after(500, () => {
      connected = true;
    });
    await leave('all');
    expect(done[0]).toBe(`stop ${A} at 500`);
  });
});
