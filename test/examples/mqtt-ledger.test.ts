/** How the messages of the clients are counted. */
import { describe, expect, it } from 'vitest';
import { brokerAt, count, gapsOf, movedAt, parseLines } from './mqtt-ledger.ts';

const ledgerOf = (texts: Record<string, readonly string[]>) =>
  new Map(Object.entries(texts).map(([client, lines]) => [client, parseLines(`${lines.join('\n')}\n`)]));

describe('a ledger', () => {
  const ledger = ledgerOf({
    a: [
      '10 connected w1',
      '20 sent 1',
      '25 confirmed 1',
      '26 received a 1',
      '30 sent 2',
      '40 sent 3',
      '41 received a 3',
    ],
    b: ['11 connected w2', '27 received a 1', '28 received a 1', '42 received a 3', '50 note received a 2'],
  });

  it('counts who received what, what nobody did, and what came again', () => {
    expect(count(ledger)).toEqual({ sent: 3, confirmed: 1, received: 4, missing: 2, lost: 2, repeated: 1 });
  });

  it('counts what was sent within a time only, whenever it is received', () => {
    expect(count(ledger, 20, 30)).toEqual({ sent: 1, confirmed: 1, received: 2, missing: 0, lost: 0, repeated: 1 });
    expect(count(ledger, 40)).toEqual({ sent: 1, confirmed: 0, received: 2, missing: 0, lost: 0, repeated: 0 });
  });

  it('tells what a client misses that had no broker from what was lost', () => {
    const one = ledgerOf({ a: ['20 sent 1', '25 confirmed 1', '26 received a 1'], c: ['1 connected w1'] });
    const lost = (from: number, to: number) => count(one, 20, 30, [{ client: 'c', from, to }]).lost;
    expect([lost(10, 20), lost(10, 21), lost(22, 24), lost(25, 29), lost(26, 29)]).toEqual([1, 0, 0, 0, 1]);
  });

  it('tells when a client was connected to none', () => {
    const lines = ['1 connected w1', '5 disconnected', '6 disconnected', '9 connected w2', '12 disconnected'];
    expect(gapsOf(ledgerOf({ a: lines })).map(({ from, to }) => [from, to])).toEqual([
      [5, 9],
      [6, 9],
      [12, Infinity],
    ]);
  });

  it('leaves out a line that is not complete', () => {
    expect(parseLines('1 sent 1\n2 sent 1')).toEqual([{ at: 1, kind: 'sent', number: 1 }]);
  });

  it('tells who had which broker when, and when it had another', () => {
    const lines = parseLines('1 connected w1\n5 disconnected\n6 connected w1\n7 disconnected\n9 connected w2\n');
    expect([0, 1, 5, 6, 8, 9].map((at) => brokerAt(lines, at))).toEqual([
      undefined,
      'w1',
      undefined,
      'w1',
      undefined,
      'w2',
    ]);
    expect([movedAt(lines, 'w1', 4), movedAt(lines, 'w2', 4), movedAt(lines, 'w2', 8)]).toEqual([9, 6, undefined]);
  });
});
