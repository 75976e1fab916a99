import { expect, it } from 'vitest';
import { inFlight, parseRequests, type Sent, sentWithin, summary } from './requests.ts';

function sent(begun: number, ended: number, change: Partial<Sent> = {}): Sent {
  return { url: 'http://w1/', kept: true, method: 'GET', begun, ended, oldest: null, ok: true, said: 'w2', ...change };
}

it('a line that is not whole yet is left out', () => {
  const lines = [sent(1, 2), sent(3, 4)].map((each) => JSON.stringify(each));
  expect(parseRequests(`${lines[0]}\n${lines[1]?.slice(0, 20)}`)).toEqual([sent(1, 2)]);
  expect(parseRequests('')).toEqual([]);
});

it('requests belong to the time in which they were sent', () => {
  const all = [sent(9, 30), sent(10, 11), sent(20, 21)];
  expect(sentWithin(all, 10, 20)).toEqual([sent(10, 11)]);
});

it('those are in flight that were sent before the moment is over, and answered after it began', () => {
  const all = [sent(1, 9), sent(1, 10), sent(20, 30), sent(21, 30), sent(1, 99)];
  expect(inFlight(all, 10, 20)).toEqual([sent(1, 10), sent(20, 30), sent(1, 99)]);
  expect(inFlight(all, 9)).toEqual([sent(1, 9), sent(1, 10), sent(1, 99)]);
});

it('what failed is told with its reasons', () => {
  const failed = { method: 'POST', ok: false, said: 'socket hang up' } as const;
  expect(summary([sent(0, 41.2), sent(0, 5, failed), sent(0, 6, failed)])).toBe(
    '3 requests, 2 failed (POST: socket hang up); slowest 41 ms',
  );
  expect(summary([])).toBe('0 requests, 0 failed; slowest 0 ms');
});
