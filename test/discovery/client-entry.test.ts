import { describe, expect, it } from 'vitest';
import {
  clientsAmong,
  compareNumbers,
  decodeClientEntry,
  encodeClientEntry,
  entryName,
  isClientId,
  turnPrefix,
  turnsAmong,
} from '../../src/discovery/client-entry.ts';

const WHO = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';

describe('the name of a client', () => {
  it.each(['c1', 'sensor-7.plant_2', 'user@host:1', 'x'.repeat(100)])('may be %s', (id) => {
    expect(isClientId(id)).toBe(true);
  });
  it.each(['', 'a/b', 'a=b', 'a b', 'a\nb', 'ä', 'x'.repeat(101)])('may not be %j', (id) => {
    expect(isClientId(id)).toBe(false);
  });
});

describe('the children of clients/<label>', () => {
  it('name client and server, whatever a registration may be called', () => {
    const entry = { client: 'user@host:1', server: 'w1:kafka@1' };
    expect(clientsAmong([entryName(entry), `${turnPrefix(WHO)}0000000001`, 'rubbish', '=w1'])).toEqual([entry]);
  });

  it('have turns in the order of their numbers, and nothing else for one', () => {
    const at = (number: string) => `${turnPrefix(WHO)}${number}`;
    const names = [at('0000000010'), 'turn-x-1', `c=${at('0000000001')}`, at('0000000009')];
    expect(turnsAmong(names).map(({ number }) => number)).toEqual([9, 10]);
    expect(turnsAmong(names)[0]).toEqual({ name: at('0000000009'), who: WHO, number: 9 });
  });

  it('keep their order when ZooKeeper’s numbers go on at the lowest', () => {
    const numbers = ['-2147483647', '2147483647', '-2147483648', '2147483646'];
    const turns = turnsAmong(numbers.map((number) => turnPrefix(WHO) + number));
    expect(turns.map(({ number }) => number)).toEqual([2147483646, 2147483647, -2147483648, -2147483647]);
    expect(compareNumbers(1, 1)).toBe(0);
  });

  it('are read back as they were written, and say what is wrong with them', () => {
    const value = { client: 'c1', server: 'w1', by: 'w2, process 5' };
    expect(decodeClientEntry(encodeClientEntry(value), '/clients/mqtt/c1=w1')).toEqual({ ok: true, value });
    expect(decodeClientEntry(Buffer.from('{"version":1}'), '/clients/mqtt/c1=w1')).toMatchObject({
      ok: false,
      problem: expect.stringContaining('/clients/mqtt/c1=w1 is not valid: client'),
    });
  });
});
