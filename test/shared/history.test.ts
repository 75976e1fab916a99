import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeBatch,
  EVENT_KINDS,
  encodeBatches,
  type HistoryEvent,
  MAX_BATCH_BYTES,
} from '../../src/shared/history.ts';

const AT = '2026-01-01T00:00:00.000Z';
const PATH = '/history/host-0000000001';

function event(change: Partial<HistoryEvent> = {}): HistoryEvent {
  return {
    at: AT,
    kind: 'placed',
    unit: 'a.service',
    service: 'a',
    host: 'w1',
    reason: 'kept',
    why: 'kept',
    ...change,
  };
}

/** All events of all batches, read back. */
function readBack(batches: readonly Buffer[]): HistoryEvent[] {
  return batches.flatMap((data) => {
    const decoded = decodeBatch(data, PATH);
    if (!decoded.ok) throw new Error(decoded.problem);
    return [...decoded.value.events];
  });
}

const anyEvent = fc.record(
  {
    at: fc.constant(AT),
    kind: fc.constantFrom(...EVENT_KINDS),
    host: fc.constantFrom('w1', 'w2', 'rack-1.example.org'),
    unit: fc.constantFrom('a.service', 'b@1.service'),
    service: fc.constantFrom('a', 'b'),
    from: fc.constantFrom('w3', 'w4'),
    to: fc.constantFrom('w1', 'w2'),
    reason: fc.constantFrom('kept', 'host-lost'),
    why: fc.string({ unit: 'grapheme', maxLength: 40 }),
    epoch: fc.nat(),
    generation: fc.nat(),
  },
  { requiredKeys: ['at', 'kind', 'reason', 'why'] },
);
const text = (events: readonly HistoryEvent[]) =>
  events.map((each) => JSON.stringify(Object.entries(each).sort())).sort();

describe('a batch of the history', () => {
  it('holds what was put into it, whatever that is', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        expect(text(readBack(encodeBatches('w1', 'x', events)))).toEqual(text(events));
      }),
      { numRuns: 300 },
    );
  });

  it('is none where nothing happened', () => {
    expect(encodeBatches('w1', 'x', [])).toEqual([]);
  });

  it('keeps the order of its events', () => {
    const events = [event({ kind: 'failed' }), event({ kind: 'moved', from: 'w1', to: 'w2', host: 'w2' }), event()];
    expect(readBack(encodeBatches('w1', 'x', events)).map(({ kind }) => kind)).toEqual(['failed', 'moved', 'placed']);
  });

  it('is at most 64 KiB large: what is more goes into another one, with an id of its own', () => {
    const events = Array.from({ length: 1_000 }, (_, n) => event({ unit: `u${n}.service`, why: 'ü'.repeat(50) }));
    const batches = encodeBatches('w1', 'x', events);
    expect(batches.length).toBeGreaterThan(2);
    for (const { length } of batches) expect(length).toBeLessThanOrEqual(MAX_BATCH_BYTES);
    for (const { length } of batches.slice(0, -1)) expect(length).toBeGreaterThan(MAX_BATCH_BYTES - 1_000);
    expect(readBack(batches)).toEqual(events);
    const ids = batches.map((data) => decodeBatch(data, PATH)).map((decoded) => decoded.ok && decoded.value.id);
    expect(new Set(ids).size).toBe(batches.length);
  });

  it('tells once what happened alike on many hosts', () => {
    const events = Array.from({ length: 250 }, (_, n) => event({ host: `w${n}` }));
    const batches = encodeBatches('w1', 'x', events);
    expect(batches).toHaveLength(1);
    expect(batches[0]?.length).toBeLessThan(4_000);
    expect(readBack(batches)).toEqual(events);
  });

  it('cuts a reason that is too long, as a script may have printed it', () => {
    const [read] = readBack(encodeBatches('w1', 'x', [event({ why: 'x'.repeat(100_000) })]));
    expect(read?.why).toHaveLength(502);
  });

  it('of a newer version may tell what this one does not know', () => {
    const data = Buffer.from(
      JSON.stringify({ version: 1, by: 'w1', id: 'x', events: [{ ...event({ kind: 'teleported' }), colour: 'red' }] }),
    );
    expect(readBack([data])).toEqual([event({ kind: 'teleported' })]);
  });

  it.each([
    ['no JSON', 'garbage'],
    ['nothing', ''],
    ['another format', JSON.stringify({ version: 2, by: 'w1', id: 'x', events: [] })],
    ['no events', JSON.stringify({ version: 1, by: 'w1', id: 'x' })],
    ['a host that is none', JSON.stringify({ version: 1, by: '../w1', id: 'x', events: [] })],
    ['a time that is none', JSON.stringify({ version: 1, by: 'w1', id: 'x', events: [event({ at: 'yesterday' })] })],
    ['a unit that is none', JSON.stringify({ version: 1, by: 'w1', id: 'x', events: [event({ unit: '../a' })] })],
    ['a kind that is no word', JSON.stringify({ version: 1, by: 'w1', id: 'x', events: [event({ kind: 'A\n' })] })],
  ])('that holds %s is refused with a sentence that names it', (_what, data) => {
    const decoded = decodeBatch(Buffer.from(data), PATH);
    expect(decoded).toEqual({ ok: false, problem: expect.stringContaining(PATH) });
  });

  it('never makes its reader fail, whatever bytes it holds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        expect(decodeBatch(Buffer.from(bytes), PATH).ok).toBe(false);
      }),
    );
  });
});
