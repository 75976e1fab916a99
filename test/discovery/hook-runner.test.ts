/** How one hook is told what waits for it: in order, one run at a time, a failed one again a few times. */
import { beforeEach, expect, it } from 'vitest';
import type { ClusterEvent } from '../../src/discovery/hook-event.ts';
import { HookQueue } from '../../src/discovery/hook-queue.ts';
import { type HookOutcome, type HookRun, HookRunner } from '../../src/discovery/hook-runner.ts';
import { Slots } from '../../src/discovery/hook-slots.ts';
import type { Hook } from '../../src/shared/spec.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';

const DONE: HookOutcome = { kind: 'done' };
const FAILED: HookOutcome = { kind: 'failed', why: 'it ended with status 3' };
const HOOK: Hook = { events: ['member-join'], on: {}, filter: {}, run: ['/opt/told', 'x'], timeoutMs: 5_000 };
const joined = (host: string): ClusterEvent => ({ event: 'member-join', host });

let clock: FakeClock;
let log: MemoryLog;
let counted: string[];
let runs: { readonly at: number; readonly run: HookRun }[];
let saves: number;
/** What is being saved is on disk. */
let disk: Promise<void>;

beforeEach(() => {
  clock = new FakeClock();
  log = new MemoryLog();
  counted = [];
  runs = [];
  saves = 0;
  disk = Promise.resolve();
});

/** A runner of a program that takes 100 ms and ends like this: each outcome once, the last one for ever. */
function runnerOf(outcomes: readonly HookOutcome[], slots = new Slots(16), key = 'abc'): HookRunner {
  const left = [...outcomes];
  return new HookRunner(key, HOOK, new HookQueue(), {
    host: 'w9',
    clock,
    log,
    slots,
    metrics: {
      ran: (result) => void counted.push(result),
      leftOut: (events) => events > 0 && counted.push(`-${events}`),
    },
    leader: () => 'w1',
    save: async () => {
      saves += 1;
      await disk;
    },
    run: (run) => {
      runs.push({ at: clock.now(), run });
      const outcome = (left.length > 1 ? left.shift() : left[0]) ?? DONE;
      return new Promise((resolve) => void clock.after(100, () => resolve(outcome)));
    },
  });
}

const inputs = () => runs.map(({ run }) => run.input.replaceAll(/\t.*\n/g, ' ').trim());

it('is run with what waits, and what comes meanwhile is told together afterwards', async () => {
  const runner = runnerOf([DONE]);
  runner.add([joined('w1')]);
  runner.add([joined('w2')]);
  await clock.advance(50);
  runner.add([joined('w3')]);
  await clock.advance(300);
  expect(inputs()).toEqual(['w1', 'w2 w3']);
  expect(runs.map(({ at }) => at)).toEqual([0, 100]);
  expect(runs[0]?.run).toMatchObject({
    name: 'abc',
    argv: ['/opt/told', 'x'],
    timeoutMs: 5_000,
    input: 'w1\t-\t-\t-\n',
    environment: { SERVICEWATCHER_EVENT: 'member-join', SERVICEWATCHER_SELF: 'w9', SERVICEWATCHER_LEADER: 'w1' },
    journalFields: { SERVICEWATCHER_HOOK: '/opt/told', SERVICEWATCHER_HOOK_EVENT: 'member-join' },
  });
  expect(counted).toEqual(['done', 'done']);
  expect(log.at('info')).toEqual([
    'the hook /opt/told x, told member-join w1: done',
    'the hook /opt/told x, told member-join of 2: done',
  ]);
  expect(runner.queue.length).toBe(0);
});

it('that fails is run again with the same after a growing pause, and later events wait', async () => {
  const runner = runnerOf([FAILED, { kind: 'timeout', why: 'it hung' }, DONE]);
  runner.add([joined('w1')]);
  await clock.advance(10);
  runner.add([joined('w2')]);
  await clock.advance(10_000);
  expect(inputs()).toEqual(['w1', 'w1', 'w1', 'w2']);
  expect(runs.map(({ at }) => at)).toEqual([0, 1_100, 6_200, 6_300]);
  expect(counted).toEqual(['failed', 'timeout', 'done', 'done']);
  expect(log.at('warn')).toEqual([
    'the hook /opt/told x, told member-join w1: it ended with status 3; tried again in 1 s',
    'the hook /opt/told x, told member-join w1: it hung; tried again in 5 s',
  ]);
});

it('that fails again and again is given up, which is said, and goes on with what came after', async () => {
  const runner = runnerOf([FAILED, FAILED, FAILED, FAILED, FAILED, DONE]);
  runner.add([joined('w1')]);
  await clock.advance(10);
  runner.add([joined('w2')]);
  await clock.advance(60_000);
  // the count of attempts begins anew
  expect(inputs()).toEqual(['w1', 'w1', 'w1', 'w1', 'w2', 'w2']);
  expect(counted).toEqual(['failed', 'failed', 'failed', 'failed', 'given-up', 'failed', 'done']);
  expect(log.at('error')).toEqual([
    'the hook /opt/told x, told member-join w1: it ended with status 3; given up after 4 attempts, it goes on with what came after',
  ]);
  expect(runner.queue.length).toBe(0);
});

it('of whose end nothing is known is run again without being counted', async () => {
  const lost: HookOutcome = { kind: 'unknown', why: 'the bus went away' };
  const runner = runnerOf([lost, lost, lost, lost, lost, lost, DONE]);
  runner.add([joined('w1')]);
  await clock.advance(60_000);
  expect(runs).toHaveLength(7);
  expect(counted).toEqual(['done']);
});

it('whose run throws is run again: no bug there ends the daemon', async () => {
  let calls = 0;
  const options = { host: 'w9', clock, log, slots: new Slots(1), leader: () => undefined, save: async () => {} };
  const metrics = { ran: (result: string) => void counted.push(result), leftOut: () => {} };
  const run = () => (calls++ === 0 ? Promise.reject(new Error('no disk')) : Promise.resolve(DONE));
  const runner = new HookRunner('abc', HOOK, new HookQueue(), { ...options, metrics, run });
  runner.add([joined('w1')]);
  await clock.advance(10_000);
  expect(counted).toEqual(['done']);
  expect(log.at('warn').join()).toContain('no disk');
});

it('keeps what is being told when it is closed, waits for that run, and begins no other', async () => {
  const runner = runnerOf([DONE]);
  runner.add([joined('w1')]);
  await clock.advance(10);
  runner.add([joined('w2')]);
  expect(runner.queue.saved.events).toEqual([joined('w1'), joined('w2')]);
  await clock.finish('the end', runner.close());
  expect(clock.now()).toBe(100);
  await clock.advance(60_000);
  expect(inputs()).toEqual(['w1']);
  expect(runner.queue.saved.events).toEqual([joined('w2')]);
});

it('is told how many events were left out before', async () => {
  const runner = runnerOf([DONE]);
  runner.add([joined('w0')]);
  await clock.advance(10);
  runner.add(Array.from({ length: 10_002 }, (_, index) => joined(`w${index + 1}`)));
  await clock.advance(5_000);
  expect(runs[1]?.run.environment.SERVICEWATCHER_LEFT_OUT).toBe('3');
  expect(runs[1]?.run.input).toMatch(/^w4\t/);
  expect(runs[2]?.run.environment.SERVICEWATCHER_LEFT_OUT).toBe('0');
  expect(counted).toContain('-3');
  expect(log.at('warn')).toEqual([
    'the hook /opt/told x cannot keep up: more than 10000 events wait for it, and the oldest are left out',
    'the hook /opt/told x: 3 events before this one were left out',
  ]);
});

it('runs beside others up to the number of slots, and never beside itself', async () => {
  const slots = new Slots(2);
  const runners = ['a', 'b', 'c'].map((key) => runnerOf([DONE], slots, key));
  for (const runner of runners) runner.add([joined('w1')]);
  await clock.advance(1_000);
  expect(runs.map(({ at, run }) => `${run.name} ${at}`)).toEqual(['a 0', 'b 0', 'c 100']);
});

it('that waits for a slot when it is closed leaves it to others', async () => {
  const slots = new Slots(1);
  const [a, b, c] = ['a', 'b', 'c'].map((key) => runnerOf([DONE], slots, key));
  for (const runner of [a, b, c]) runner?.add([joined('w1')]);
  await clock.finish('the end of b', b?.close() ?? Promise.resolve());
  await clock.advance(1_000);
  expect(runs.map(({ run }) => run.name)).toEqual(['a', 'c']);
});

it('is told nothing that is not on disk yet', async () => {
  let written = () => {};
  disk = new Promise((resolve) => {
    written = resolve;
  });
  const runner = runnerOf([DONE]);
  runner.add([joined('w1')]);
  await clock.advance(1_000);
  runner.add([joined('w2')]);
  await clock.advance(1_000);
  expect(runs).toEqual([]);
  written();
  await clock.advance(50);
  expect(inputs()).toEqual(['w1']);
  await clock.advance(1_000);
  expect(inputs()).toEqual(['w1', 'w2']);
  // before each run and after it
  expect(saves).toBe(4);
});
