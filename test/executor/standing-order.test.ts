import { describe, expect, it } from 'vitest';
import { StandingOrder } from '../../src/executor/standing-order.ts';
import type { DesiredUnit } from '../../src/shared/state.ts';
import { placed } from '../fixtures/snapshot.ts';

const UNIT = placed('a.service', { prestart: { script: 'echo {instance:b}', values: { b: ['w1'] } } });
const ONCE: DesiredUnit = { ...UNIT, isolation: 'stop' };
const LATE = placed('late.service', { after: [{ service: 'b', where: 'anywhere' }] });

interface World {
  readonly units?: readonly DesiredUnit[];
  readonly runOnce?: readonly string[];
  readonly fresh?: boolean;
  readonly isolated?: boolean;
  readonly cleared?: readonly string[];
  readonly unconfirmed?: boolean;
}

/** An order of these units (none: it is not known), and a lease on what may run once. */
function standing({ units, runOnce = [], fresh = true, isolated = false, cleared = [], ...lease }: World) {
  const desired = units && { host: 'w1', epoch: 1, generation: 1, spec: 'sha256:now', units };
  return new StandingOrder(
    { desired, runOnce: new Set(runOnce), fresh },
    { isolated, cleared: new Set(cleared), unconfirmed: lease.unconfirmed ?? false },
  );
}

describe('an order', () => {
  const moved = { ...UNIT, prestart: { script: 'echo {instance:b}', values: { b: ['w2'] } } };
  const mended = { ...UNIT, prestart: { script: 'echo mended {instance:b}', values: { b: ['w1'] } } };

  it.each<[string, before: boolean, afterwards: boolean, World]>([
    ['that names it in the same form', true, true, { units: [UNIT] }],
    ['that is not known', false, false, {}],
    ['that names others', false, false, { units: [placed('b.service')] }],
    ['that withdraws it', false, false, { units: [{ ...UNIT, withdrawn: true }] }],
    ['with other values for its script', false, false, { units: [moved] }],
    ['with another script', false, true, { units: [mended] }],
  ])('%s asks for a start: %s; once its script has run: %s', (_what, before, afterwards, world) => {
    expect([standing(world).asksFor(UNIT, false), standing(world).asksFor(UNIT, true)]).toEqual([before, afterwards]);
  });

  it.each<[string, World, before: boolean, afterwards: boolean]>([
    ['while the lease covers it', { cleared: ['a.service'] }, true, true],
    ['not while it has yet to be covered, but goes on when its script has run', {}, false, true],
    ['not when others may soon run it', { isolated: true }, false, false],
  ])('asks for a start of what may run once %s', (_what, world, before, afterwards) => {
    const order = standing({ units: [ONCE], ...world });
    expect([order.asksFor(ONCE, false), order.asksFor(ONCE, true)]).toEqual([before, afterwards]);
  });

  it.each<[string, World, readonly DesiredUnit[], string | undefined]>([
    ['not when it is fresh', { units: [LATE] }, [LATE], undefined],
    ['when what waits for other hosts may have been told to long ago', { fresh: false, units: [LATE] }, [LATE], 'long'],
    ['not when what comes after others does not wait', { fresh: false, units: [LATE] }, [], undefined],
    [
      'not for what waits for this host alone',
      { fresh: false, units: [{ ...LATE, after: [{ service: 'b', where: 'same-host' }] }] },
      [LATE],
      undefined,
    ],
    ['not while it is not known', { fresh: false }, [LATE], undefined],
    ['when the session was lost since, and something may run once', { unconfirmed: true, runOnce: ['x'] }, [], 'lost'],
    ['not when it was lost and nothing may run once only', { unconfirmed: true }, [], undefined],
    ['not while the lease is confirmed', { runOnce: ['x'] }, [], undefined],
  ])('is to be written anew %s', (_what, world, waiting, why) => {
    const doubt = standing(world).doubt(new Map(waiting.map(({ unit }) => [unit, 'it waits'])));
    if (why === undefined) expect(doubt).toBeUndefined();
    else expect(doubt).toContain(why);
  });
});
