import { beforeEach, describe, expect, it } from 'vitest';
import { Departures, LEAVING_DELAY_MS } from '../../src/executor/departures.ts';
import type { DesiredUnit } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';

const UNIT = 'web.service';
const LIMIT_MS = 4_000;
const NONE = new Set<string>();

let clock: FakeClock;
let found: Set<string>;
let departures: Departures;

beforeEach(() => {
  clock = new FakeClock();
  found = new Set([UNIT]);
  departures = new Departures({ clock, mayBeFound: (unit) => found.has(unit), limitMs: LIMIT_MS });
});

function unit(delayMs: number, name = 'web', label = 'web'): DesiredUnit {
  const discovery = { label, onlyHealthy: true, ...(delayMs > 0 && { deregistrationDelayMs: delayMs }) };
  return { unit: `${name}.service`, service: name, isolation: 'keep', why: { kind: 'kept' }, discovery };
}
const ours = () => true;
/** How long the stop of the unit has to wait from now on. */
const left = () => {
  const at = departures.notBefore(NONE).get(UNIT);
  return at === undefined ? undefined : at - clock.now();
};

describe('the stop of a unit', () => {
  it('waits for nothing without a delay', () => {
    departures.follow([unit(0)], ours);
    expect(left()).toBeUndefined();
  });

  it('comes its delay after it was found last, however long ago that was', async () => {
    departures.follow([unit(1_000)], ours);
    found.clear();
    departures.follow([unit(1_000)], ours);
    expect(left()).toBe(1_000);
    await clock.advance(600);
    departures.follow([unit(1_000)], ours);
    expect(left()).toBe(400);
  });

  it('waits anew when it was found meanwhile', async () => {
    found.clear();
    departures.follow([unit(1_000)], ours);
    await clock.advance(600);
    found.add(UNIT);
    departures.follow([unit(1_000)], ours);
    found.clear();
    departures.follow([unit(1_000)], ours);
    expect(left()).toBe(1_000);
  });

  it('comes in the end though it is found for ever, as while ZooKeeper is silent', async () => {
    departures.follow([unit(1_000)], ours);
    departures.asked([UNIT]);
    await clock.advance(3_000);
    departures.follow([unit(1_000)], ours);
    departures.asked([UNIT]);
    expect(left()).toBe(LIMIT_MS + 1_000 - 3_000);
    // to be stopped no more, and then again
    departures.asked([]);
    departures.asked([UNIT]);
    expect(left()).toBe(LIMIT_MS + 1_000);
  });

  it('waits as it was named last when no order names it any more, after a restart of the daemon, too', () => {
    departures.follow([unit(1_000)], ours);
    departures.follow([], ours);
    expect(left()).toBeDefined();
    const next = new Departures({ clock, mayBeFound: () => false, limitMs: LIMIT_MS });
    next.recall(departures.remembered);
    next.follow(undefined, ours);
    next.follow([], ours);
    expect(next.notBefore(NONE).get(UNIT)).toBe(clock.now() + 1_000);
    next.follow([], () => false);
    expect(next.remembered.size).toBe(0);
  });

  it('waits for nothing when what it does is at stake', () => {
    departures.follow([unit(1_000)], ours);
    expect(departures.notBefore(new Set([UNIT])).size).toBe(0);
  });

  it('does not hold up the end of a daemon for longer than that has', async () => {
    departures.follow([unit(3_600_000)], ours);
    const begun = clock.now();
    expect(departures.leftWhenLeaving(UNIT, begun)).toBe(LEAVING_DELAY_MS);
    await clock.advance(LEAVING_DELAY_MS - 1);
    expect(departures.leftWhenLeaving(UNIT, begun)).toBe(1);
    await clock.advance(1);
    expect(departures.leftWhenLeaving(UNIT, begun)).toBe(0);
    expect(departures.leftWhenLeaving('other.service', begun)).toBe(0);
  });

  it('does not hold up the end of a daemon for its registration, which stays while ZooKeeper is silent', async () => {
    departures.follow([unit(1_000)], ours);
    const begun = clock.now();
    await clock.advance(LIMIT_MS);
    expect(departures.leftWhenLeaving(UNIT, begun)).toBe(1_000);
  });
});

describe('what is registered', () => {
  it('is as desired, but nothing of what is being stopped, or is not named any more', () => {
    departures.follow([unit(1_000, 'a'), unit(1_000, 'b'), unit(0, 'c')], ours);
    departures.follow([unit(1_000, 'b'), unit(0, 'c')], ours);
    const registrable = departures.registrable([unit(1_000, 'b'), unit(0, 'c')], new Set(['c.service']));
    expect(registrable.map((each) => [each.unit, each.withdrawn ?? false, each.discovery?.label])).toEqual([
      ['a.service', true, 'web'],
      ['b.service', false, 'web'],
      ['c.service', true, 'web'],
    ]);
  });
});
