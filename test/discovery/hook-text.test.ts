/** What a hook's program reads: lines and variables that no value from ZooKeeper can forge. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../../src/discovery/hook-event.ts';
import { environmentOf, lineOf, MAX_LINES, takeBatch } from '../../src/discovery/hook-text.ts';
import { HOOK_EVENTS } from '../../src/shared/spec.ts';

const context = { self: 'w9', leader: 'w1', leftOut: 0 };
const joined: ClusterEvent = {
  event: 'member-join',
  host: 'w1',
  address: '10.0.0.1',
  role: 'backend',
  labels: { zone: 'a', role: 'backend' },
};
const failed: ClusterEvent = {
  event: 'unit-failed',
  host: 'w1',
  address: '10.0.0.1',
  unit: 'web.service',
  service: 'web',
  why: 'it ended',
};

describe('a line', () => {
  it.each<[ClusterEvent, string]>([
    [joined, 'w1|10.0.0.1|backend|role=backend,zone=a'],
    [{ event: 'member-failed', host: 'w1' }, 'w1|-|-|-'],
    [
      { event: 'registered', host: 'w1', address: 'a', role: 'r', label: 'web', port: 80, id: 'w1:x' },
      'w1|a|r|-|web|80|w1:x',
    ],
    [{ event: 'unit-started', host: 'w1', unit: 'web.service', service: 'web' }, 'w1|-|-|-|web.service|web'],
    [failed, 'w1|10.0.0.1|-|-|web.service|web|it ended'],
    [
      {
        event: 'unit-moved',
        host: 'w2',
        unit: 'web.service',
        service: 'web',
        from: 'w1',
        to: 'w2',
        why: 'w1 was lost',
      },
      'w2|-|-|-|web.service|web|w1|w2|w1 was lost',
    ],
    [{ event: 'leader-changed', host: 'w2', from: 'w1', to: 'w2' }, 'w2|-|-|-|w1'],
  ])('of %j', (event, expected) => {
    expect(lineOf(event)).toBe(`${expected.replaceAll('|', '\t')}\n`);
  });

  const anyText = fc.string({ unit: 'binary' });
  const anyEvent = fc.record(
    {
      event: fc.constantFrom(...HOOK_EVENTS),
      host: fc.constant('w1'),
      address: anyText,
      role: anyText,
      labels: fc.dictionary(anyText, anyText),
      label: anyText,
      id: anyText,
      port: fc.nat(65_535),
      service: anyText,
      why: anyText,
    },
    { requiredKeys: ['event', 'host'] },
  );

  it('is one line with its own number of columns, whatever the values are', () => {
    const columns = (event: ClusterEvent) => lineOf(event).split('\t').length;
    fc.assert(
      fc.property(anyEvent, (event) => {
        expect(lineOf(event)).toMatch(/^[^\p{Cc}\u2028\u2029]+(\t[^\p{Cc}\u2028\u2029]+)+\n$/u);
        expect(columns(event)).toBe(columns({ event: event.event, host: 'w1' }));
      }),
    );
  });

  it('has a variable beside it for each value, without any control character', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        for (const value of Object.values(environmentOf([event], context))) expect(value).not.toMatch(/\p{Cc}/u);
      }),
    );
  });

  it('is bounded, however long a value is', () => {
    expect(lineOf({ ...joined, address: 'a'.repeat(1e6), labels: { a: 'b'.repeat(1e6) } }).length).toBeLessThan(5_000);
  });
});

describe('the environment', () => {
  it('of one event says all that its line says, and where the program runs', () => {
    expect(environmentOf([joined], context)).toEqual({
      SERVICEWATCHER_EVENT: 'member-join',
      SERVICEWATCHER_COUNT: '1',
      SERVICEWATCHER_SELF: 'w9',
      SERVICEWATCHER_LEADER: 'w1',
      SERVICEWATCHER_LEFT_OUT: '0',
      SERVICEWATCHER_HOST: 'w1',
      SERVICEWATCHER_ADDRESS: '10.0.0.1',
      SERVICEWATCHER_ROLE: 'backend',
      SERVICEWATCHER_LABELS: 'role=backend,zone=a',
    });
  });

  it('of a move says from where to where, and why', () => {
    const event: ClusterEvent = { ...failed, event: 'unit-moved', from: 'w1', to: 'w2', host: 'w2' };
    expect(environmentOf([event], { ...context, leader: undefined, leftOut: 7 })).toEqual({
      SERVICEWATCHER_EVENT: 'unit-moved',
      SERVICEWATCHER_COUNT: '1',
      SERVICEWATCHER_SELF: 'w9',
      SERVICEWATCHER_LEFT_OUT: '7',
      SERVICEWATCHER_HOST: 'w2',
      SERVICEWATCHER_ADDRESS: '10.0.0.1',
      SERVICEWATCHER_UNIT: 'web.service',
      SERVICEWATCHER_SERVICE: 'web',
      SERVICEWATCHER_FROM: 'w1',
      SERVICEWATCHER_TO: 'w2',
      SERVICEWATCHER_WHY: 'it ended',
    });
  });

  it('of several says only what is the same for all', () => {
    const environment = environmentOf([joined, { ...joined, host: 'w2', address: '10.0.0.2' }], context);
    expect(environment).toMatchObject({ SERVICEWATCHER_COUNT: '2', SERVICEWATCHER_ROLE: 'backend' });
    expect(environment).not.toHaveProperty('SERVICEWATCHER_HOST');
    expect(environment).not.toHaveProperty('SERVICEWATCHER_ADDRESS');
  });
});

describe('one run', () => {
  it('is told the events of one kind that stand together at the head', () => {
    const queue = [joined, { ...joined, host: 'w2' }, failed, joined];
    expect(takeBatch(queue)).toEqual([joined, { ...joined, host: 'w2' }]);
    expect(takeBatch(queue.slice(2))).toEqual([failed]);
    expect(takeBatch([])).toEqual([]);
  });

  it('is told no more than it can read at once, and never nothing', () => {
    expect(takeBatch(Array.from({ length: 3_000 }, () => joined))).toHaveLength(MAX_LINES);
    const long = { ...failed, why: 'x'.repeat(2_000) };
    const few = takeBatch(Array.from({ length: 1_000 }, () => long));
    expect(few.length).toBeGreaterThan(100);
    expect(few.length).toBeLessThan(150);
  });
});
