import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { matches, renderEvents } from '../../src/cli/events.ts';
import type { HistoryEvent } from '../../src/shared/history.ts';

function event(change: Partial<HistoryEvent> = {}): HistoryEvent {
  return { at: '2026-01-01T00:00:00.000Z', kind: 'started', reason: 'placed', why: 'it is placed here', ...change };
}
const plain = stripVTControlCharacters;

describe('the events', () => {
  it('of a service are those of all its units, whether or not they name the service', () => {
    const of = (service: string) => (change: Partial<HistoryEvent>) => matches(event(change), { service });
    const worker = of('worker');
    expect([{ service: 'worker' }, { unit: 'worker.service' }, { unit: 'worker@1.service' }].map(worker)).toEqual([
      true,
      true,
      true,
    ]);
    expect([{ service: 'work' }, { unit: 'worker2.service' }, {}, { host: 'worker' }].map(worker)).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(of('getty@tty1')({ unit: 'getty@tty1.service' })).toBe(true);
    expect(of('getty@tty1')({ unit: 'getty@tty2.service' })).toBe(false);
    expect(of('worker@1.service')({ unit: 'worker@1.service' })).toBe(true);
  });

  it('of a host are those on it, and those of instances that left or reached it', () => {
    const on = (change: Partial<HistoryEvent>) => matches(event(change), { host: 'w1' });
    expect([{ host: 'w1' }, { host: 'w2', from: 'w1', to: 'w2' }, { host: 'w2' }, {}].map(on)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(matches(event({ host: 'w1', service: 'a' }), { host: 'w1', service: 'b' })).toBe(false);
  });

  it('are lines in columns: time, host, unit, what, why', () => {
    const moved = { kind: 'moved', host: 'w10', unit: 'web.service', from: 'w1', to: 'w10', why: 'host lost' };
    const brake = { kind: 'brake-engaged', why: 'many hosts were lost' };
    expect(renderEvents([event(moved), event(brake)]).map(plain)).toEqual([
      '2026-01-01T00:00:00.000Z  w10  web.service  moved from w1  host lost',
      '2026-01-01T00:00:00.000Z  -    -            brake-engaged  many hosts were lost',
    ]);
  });

  it('cannot make a terminal do anything: whoever writes to ZooKeeper may write control characters', () => {
    const [line] = renderEvents([event({ why: 'a\u001b[2Jb\nc' })]);
    expect(line).toMatch(/a\\x1b\[2Jb\\nc$/);
  });
});
