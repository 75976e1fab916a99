import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { monotonicNow, until, untilEqual } from './until.ts';

it('answers the first value that is not false, undefined or null', async () => {
  const answers = [false, undefined, null, 0];
  expect(await until(() => answers.shift(), { deadlineMs: 1000, what: 'a number', everyMs: 1 })).toBe(0);
});

it('says after the deadline what was waited for and what was seen last', async () => {
  const failing = () => {
    throw new Error('no such host');
  };
  await expect(until(failing, { deadlineMs: 20, what: 'w1 to lead', everyMs: 1 })).rejects.toThrow(
    'waited 20 ms for w1 to lead; last seen: Error: no such host',
  );
});

it('gives up a condition that never answers', async () => {
  await expect(until(() => new Promise(() => {}), { deadlineMs: 20, what: 'an answer' })).rejects.toThrow('an answer');
});

it('reads a clock that counts from the machine’s boot', async () => {
  const before = monotonicNow();
  const uptimeMs = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]) * 1000;
  // /proc/uptime also counts the time spent suspended, and only hundredths of seconds.
  expect(before).toBeLessThanOrEqual(uptimeMs + 20);
  expect(monotonicNow()).toBeGreaterThanOrEqual(before);
});

it('waits for a value, and says which one it saw instead', async () => {
  const states = ['activating', 'active'];
  await untilEqual(() => states.shift(), 'active', { deadlineMs: 1000, what: 'the state', everyMs: 1 });
  await expect(untilEqual(() => ['w1'], ['w2'], { deadlineMs: 20, what: 'the leader', everyMs: 1 })).rejects.toThrow(
    'waited 20 ms for the leader: ["w2"]; last seen: ["w1"]',
  );
});
