import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Client, choose, countClients } from '../../src/discovery/choose.ts';

const clients = (...entries: string[]): Client[] =>
  entries.map((entry) => {
    const [client = '', server = ''] = entry.split('=');
    return { client, server };
  });
const self = { client: 'me' };

describe('the choice of a server', () => {
  it.each<[string, string[], Client[], string[]]>([
    ['is nothing where there is none', [], [], []],
    ['is the first by name when nobody has a client', ['w2', 'w1'], [], ['w1', 'w2']],
    ['is the one with the fewest clients', ['w1', 'w2'], clients('a=w1'), ['w2', 'w1']],
    ['counts what each has', ['w1', 'w2', 'w3'], clients('a=w1', 'b=w1', 'c=w3'), ['w2', 'w3', 'w1']],
    [
      'takes no notice of clients of servers that are gone',
      ['w1', 'w2'],
      clients('a=w9', 'b=w9', 'c=w1'),
      ['w2', 'w1'],
    ],
    ['does not count what the client itself has', ['w1', 'w2'], clients('me=w1'), ['w1', 'w2']],
    ['takes a server that is named twice once', ['w1', 'w1'], [], ['w1']],
    ['compares names as they are, whatever the locale', ['w10', 'W9', 'w9'], [], ['W9', 'w10', 'w9']],
  ])('%s', (_name, servers, among, expected) => {
    expect(choose(servers, among, self)).toEqual(expected);
  });

  it('keeps the server that the client has, however loaded, and falls back to the others', () => {
    const among = clients('a=w2', 'b=w2', 'c=w1');
    expect(choose(['w1', 'w2', 'w3'], among, { client: 'me', keep: 'w2' })).toEqual(['w2', 'w3', 'w1']);
  });

  it('forgets a server that is to be kept but gone', () => {
    expect(choose(['w1'], [], { client: 'me', keep: 'w2' })).toEqual(['w1']);
  });

  it('begins with another of the equally loaded ones at each turn', () => {
    const among = clients('a=w3');
    const at = (turn: number) => choose(['w1', 'w2', 'w3'], among, self, turn);
    expect([at(0), at(1), at(2), at(-1)]).toEqual([
      ['w1', 'w2', 'w3'],
      ['w2', 'w1', 'w3'],
      ['w1', 'w2', 'w3'],
      ['w2', 'w1', 'w3'],
    ]);
  });
});

const server = fc.stringMatching(/^[a-c][0-9]?$/);
const anyClients = fc.array(fc.record({ client: fc.stringMatching(/^[p-t][0-9]$/), server }), { maxLength: 30 });
const anyServers = fc.array(server, { maxLength: 12 });
const anyTurn = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe('whatever is registered and whoever counts, the choice', () => {
  it('has every server once, and the first has no more clients than any other', () => {
    fc.assert(
      fc.property(anyServers, anyClients, anyTurn, (servers, among, turn) => {
        const order = choose(servers, among, self, turn);
        expect([...order].sort()).toEqual([...new Set(servers)].sort());
        const counts = countClients(among);
        const loads = order.map((id) => counts.get(id) ?? 0);
        expect(loads).toEqual([...loads].sort((a, b) => a - b));
      }),
    );
  });

  it('does not depend on the order in which anything is listed', () => {
    fc.assert(
      fc.property(anyServers, anyClients, anyTurn, (servers, among, turn) => {
        expect(choose([...servers].reverse(), [...among].reverse(), self, turn)).toEqual(
          choose(servers, among, self, turn),
        );
      }),
    );
  });

  it('leaves clients that come one after the other at most 1 apart, from nothing', () => {
    fc.assert(
      fc.property(fc.uniqueArray(server, { minLength: 1 }), fc.array(anyTurn, { maxLength: 60 }), (servers, turns) => {
        const among: Client[] = [];
        for (const [index, turn] of turns.entries()) {
          const [first = ''] = choose(servers, among, { client: `n${index}` }, turn);
          among.push({ client: `n${index}`, server: first });
          const counts = countClients(among);
          const loads = servers.map((id) => counts.get(id) ?? 0);
          expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});
