/** What waits for one hook. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ClusterEvent } from '../../src/discovery/hook-event.ts';
import { HookQueue, MAX_QUEUED } from '../../src/discovery/hook-queue.ts';

const event = (number: number, kind: ClusterEvent['event'] = 'member-join'): ClusterEvent => ({
  event: kind,
  host: `w${number}`,
});
const numbers = (events: readonly ClusterEvent[]) => events.map(({ host }) => Number(host.slice(1)));

it('is told in order, and what is being told is the same until that is over', () => {
  const queue = new HookQueue();
  queue.add([event(1), event(2)]);
  expect(numbers(queue.next())).toEqual([1, 2]);
  queue.add([event(3)]);
  expect(numbers(queue.next())).toEqual([1, 2]);
  expect(queue.length).toBe(3);
  queue.done(0);
  expect(numbers(queue.next())).toEqual([3]);
});

it('is saved with what is being told, so that a killed daemon tells it again', () => {
  const queue = new HookQueue();
  queue.add([event(1), event(2, 'member-failed')]);
  queue.next();
  const again = new HookQueue(queue.saved);
  expect(numbers(again.next())).toEqual([1]);
});

it('leaves out the oldest when there are too many, but nothing of what is being told, and counts them', () => {
  const queue = new HookQueue();
  queue.add([event(1)]);
  queue.next();
  const many = Array.from({ length: MAX_QUEUED + 4 }, (_, index) => event(index + 2));
  expect(queue.add(many)).toBe(5);
  expect(queue.length).toBe(MAX_QUEUED);
  expect(numbers(queue.next())).toEqual([1]);
  expect(queue.leftOut).toBe(5);
  queue.done(0);
  expect(queue.leftOut).toBe(5);
  expect(numbers(queue.next())[0]).toBe(7);
  queue.done(5);
  expect(queue.leftOut).toBe(0);
});

it('tells everything once and in order, however it is filled and emptied', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant('tell'), fc.integer({ min: 1, max: 5 }))), (steps) => {
      const queue = new HookQueue();
      const told: number[] = [];
      let made = 0;
      const tell = () => {
        told.push(...numbers(queue.next()));
        queue.done(0);
      };
      for (const step of steps) {
        if (step === 'tell') tell();
        else if (typeof step === 'number')
          queue.add(
            Array.from({ length: step }, () => event(++made, made % 3 === 0 ? 'member-failed' : 'member-join')),
          );
      }
      while (queue.length > 0) tell();
      expect(told).toEqual(Array.from({ length: made }, (_, index) => index + 1));
    }),
  );
});
