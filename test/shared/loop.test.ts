import { beforeEach, describe, expect, it } from 'vitest';
import { Loop, type LoopOptions } from '../../src/shared/loop.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';

let clock: FakeClock;
let log: MemoryLog;
let passes: number[];

beforeEach(() => {
  clock = new FakeClock();
  log = new MemoryLog();
  passes = [];
});

function loop(options: Partial<LoopOptions> = {}): Loop {
  const { pass } = options;
  return new Loop({
    name: 'test',
    clock,
    log,
    tickMs: () => 1_000,
    gatherMs: 0,
    ...options,
    pass: () => {
      passes.push(clock.now());
      return pass?.();
    },
  });
}

const takes = (ms: number) => () => new Promise<void>((resolve) => void clock.after(ms, resolve));

describe('a loop', () => {
  it('passes when it is triggered, and then on every tick', async () => {
    loop().trigger();
    await clock.advance(3_500);
    expect(passes).toEqual([0, 1_000, 2_000, 3_000]);
  });

  it('does nothing before it is triggered', async () => {
    loop();
    await clock.advance(5_000);
    expect(passes).toEqual([]);
  });

  it('counts the tick from the end of the last pass', async () => {
    const started = loop({ pass: takes(300) });
    started.trigger();
    await clock.advance(500);
    started.trigger();
    await clock.advance(1_500);
    expect(passes).toEqual([0, 500, 1_800]);
  });

  it('that rests passes at once when it has been quiet, then once for all that happens while it rests', async () => {
    const resting = loop({ gatherMs: 5, restMs: () => 50, pass: takes(20) });
    resting.trigger();
    await clock.advance(10);
    resting.trigger();
    await clock.advance(30);
    resting.trigger();
    await clock.advance(1);
    resting.trigger();
    await clock.advance(200);
    // the rest counts from the end of a pass; 185 ms are more than one
    resting.trigger();
    await clock.advance(100);
    expect(passes).toEqual([5, 75, 246]);
  });

  it('makes exactly one more pass of all that happens during one', async () => {
    const started = loop({ pass: takes(100) });
    started.trigger();
    for (let event = 0; event < 5; event++) {
      await clock.advance(10);
      started.trigger();
    }
    await clock.advance(800);
    expect(passes).toEqual([0, 100]);
  });

  it('gathers what happens within a time into one pass', async () => {
    const started = loop({ gatherMs: 50 });
    for (const at of [0, 20, 49]) {
      await clock.advance(at - clock.now());
      started.trigger();
    }
    await clock.advance(500);
    expect(passes).toEqual([50]);
    started.trigger();
    await clock.advance(100);
    expect(passes).toHaveLength(2);
  });

  it('gathers, too, what happened during a pass', async () => {
    const started = loop({ gatherMs: 50, pass: takes(100) });
    started.trigger();
    await clock.advance(60);
    started.trigger();
    await clock.advance(500);
    expect(passes).toEqual([50, 200]);
  });

  it('asks for the tick after each pass', async () => {
    let tick = 100;
    loop({
      tickMs: () => {
        tick *= 2;
        return tick;
      },
    }).trigger();
    await clock.advance(1_000);
    expect(passes).toEqual([0, 200, 600]);
  });

  it.each([
    ['throws', () => Promise.reject(new Error('broken'))],
    [
      'throws at once',
      () => {
        throw new Error('broken');
      },
    ],
  ])('goes on after a pass that %s, saying so', async (_what, pass) => {
    loop({ pass }).trigger();
    await clock.advance(2_500);
    expect(passes).toEqual([0, 1_000, 2_000]);
    expect(log.at('error')[0]).toContain('test: a pass failed and is tried again: Error: broken');
  });

  it('does not spin when a pass fails while more happens', async () => {
    const started: Loop = loop({
      tickMs: () => 60_000,
      pass: () => {
        started.trigger();
        throw new Error('broken');
      },
    });
    started.trigger();
    await clock.advance(10_000);
    expect(passes.length).toBeGreaterThan(5);
    expect(passes.length).toBeLessThanOrEqual(11);
  });

  it('does not spin when a pass fails whose end of a wait is due already', async () => {
    loop({ tickMs: () => 0, pass: () => Promise.reject(new Error('broken')) }).trigger();
    await clock.advance(1_000);
    expect(passes).toHaveLength(11);
  });

  it('is quiet once it is stopped, and stopping waits for the pass in progress', async () => {
    const started = loop({ pass: takes(100) });
    started.trigger();
    await clock.advance(50);
    started.trigger();
    await clock.finish('the stop', started.stop());
    expect(clock.now()).toBe(100);
    started.trigger();
    await clock.advance(5_000);
    expect(passes).toEqual([0]);
  });

  it('is quiet, too, when it is stopped while it gathers', async () => {
    const started = loop({ gatherMs: 50 });
    started.trigger();
    await started.stop();
    await clock.advance(5_000);
    expect(passes).toEqual([]);
  });
});
