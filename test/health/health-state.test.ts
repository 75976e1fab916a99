import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { look, OUTPUT_EVERY_MS, type Progress, STARTING, toHealth } from '../../src/health/health-state.ts';

const CHECK = { healthyAfter: 2, unhealthyAfter: 3, startPeriodMs: 1_000 };

/** The states after each probe, one a second from `first` on: `+` succeeds, `-` fails. */
function states(results: string, change: Partial<typeof CHECK> = {}, first = 1_000): string {
  let progress: Progress = STARTING;
  return [...results]
    .map((result, index) => {
      const looked = { failure: result === '+' ? undefined : 'no', at: first + index * 1_000, activeSince: 0 };
      progress = look(progress, looked, { ...CHECK, ...change });
      return { starting: 's', healthy: 'h', unhealthy: 'u' }[progress.state];
    })
    .join('');
}

describe('the health of an instance', () => {
  it.each([
    ['', '', 'is that it starts, at first'],
    ['++', 'sh', 'is good after so many successes in a row'],
    ['+-++', 'sssh', 'needs them in a row'],
    ['---', 'ssu', 'is bad after so many failures in a row'],
    ['--+--+--', 'ssssssss', 'needs these in a row, too'],
    ['++--+--', 'shhhhhh', 'stays good as long as they are fewer'],
    ['++---', 'shhhu', 'gets bad'],
    ['---+-++', 'ssuuuuh', 'gets good again after as many successes as at first'],
    ['---++---', 'ssuuhhhu', 'changes as often as it must'],
  ])('%s: %s, %s', (results, expected) => {
    expect(states(results)).toBe(expected);
  });

  it('is not bad for what fails within the start period', () => {
    expect(states('---------', { startPeriodMs: 5_000 }, 0)).toBe('sssssssu'.padEnd(9, 'u'));
    expect(states('++---------', { startPeriodMs: 5_000 }, 0)).toBe('shhhhhhuuuu');
  });

  it('is good within the start period as soon as it may be', () => {
    expect(states('-++', { startPeriodMs: 60_000 }, 0)).toBe('ssh');
  });

  it('never changes but by so many equal results in a row', () => {
    const counts = fc.record({
      healthyAfter: fc.integer({ min: 1, max: 4 }),
      unhealthyAfter: fc.integer({ min: 1, max: 4 }),
    });
    const probes = fc.array(fc.boolean(), { maxLength: 40 });
    fc.assert(
      fc.property(counts, probes, (thresholds, results) => {
        const text = results.map((ok) => (ok ? '+' : '-')).join('');
        const seen = states(text, { ...thresholds, startPeriodMs: 0 });
        [...seen].forEach((state, index) => {
          const before = index === 0 ? 's' : seen[index - 1];
          if (state === before) return;
          const needed = state === 'h' ? '+'.repeat(thresholds.healthyAfter) : '-'.repeat(thresholds.unhealthyAfter);
          expect(text.slice(0, index + 1).endsWith(needed)).toBe(true);
        });
      }),
    );
  });

  it('tells what was said when it got bad, and anew now and then, but not at each probe', () => {
    const fail = (before: Progress, failure: string, at: number) =>
      look(before, { failure, at, activeSince: 0 }, CHECK);
    let progress = STARTING;
    for (const at of [10_000, 10_001, 10_002]) progress = fail(progress, `at ${at}`, at);
    expect(toHealth(progress)).toEqual({ state: 'unhealthy', output: 'at 10002' });
    progress = fail(progress, 'later', 10_002 + OUTPUT_EVERY_MS - 1);
    expect(toHealth(progress).output).toBe('at 10002');
    progress = fail(progress, 'later still', 10_002 + OUTPUT_EVERY_MS);
    expect(toHealth(progress).output).toBe('later still');
  });

  it('says nothing more of failures once it is good', () => {
    let progress = look(STARTING, { failure: 'no', at: 5_000, activeSince: 0 }, CHECK);
    expect(toHealth(progress)).toEqual({ state: 'starting', output: 'no' });
    for (const at of [6_000, 7_000]) progress = look(progress, { failure: undefined, at, activeSince: 0 }, CHECK);
    progress = look(progress, { failure: 'once', at: 8_000, activeSince: 0 }, CHECK);
    expect(toHealth(progress)).toEqual({ state: 'healthy' });
  });
});
