/** Whatever strangers, or peers of another version, write below discovery/, leases/ and clients/: it is told, and nothing else suffers. */
import { beforeEach, describe, expect, it } from 'vitest';
import { leaseLines } from '../../src/cli/lease-lines.ts';
import { loadLines } from '../../src/cli/status.ts';
import { acquireLease } from '../../src/discovery/acquire-lease.ts';
import { readAllLoads } from '../../src/discovery/client-loads.ts';
import { Directory } from '../../src/discovery/directory.ts';
import { readLeases } from '../../src/discovery/lease-list.ts';
import { pickOnce } from '../../src/discovery/pick-once.ts';
import { encodeRegistration, type Registration } from '../../src/discovery/registration.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let store: FakeStore;
let log: MemoryLog;

beforeEach(async () => {
  clock = new FakeClock();
  log = new MemoryLog();
  store = new FakeEnsemble({ clock }).connect({ sessionTimeoutMs: 60_000 });
  await clock.until('the session', () => store.state.kind === 'connected');
});

async function put(path: string, data: string | Buffer): Promise<void> {
  const parent = path.slice(0, path.lastIndexOf('/'));
  await clock.finish('the parent', store.ensure(parent));
  await clock.finish('a znode', store.create(path, Buffer.from(data), 'persistent'));
}

const GOOD: Registration = { label: 'web', id: 'w1', host: 'w1', address: 'w1', healthy: true, source: 'service' };
const registration = (more: object): string => JSON.stringify({ version: 1, ...GOOD, id: 'bad', ...more });
const nested = (depth: number): string =>
  registration({}).replace('"healthy"', `"info":{"deep":${'['.repeat(depth)}${']'.repeat(depth)}},"healthy"`);

const REGISTRATIONS: readonly (readonly [what: string, data: string | Buffer, problem: RegExp])[] = [
  ['no JSON', 'hello', /^\/discovery\/web\/bad does not hold JSON \(5 bytes\); it is ignored$/],
  ['no bytes', '', /does not hold JSON/],
  ['no text', Buffer.from([0xff, 0xfe, 0, 1]), /does not hold JSON/],
  ['null', 'null', /has format version none/],
  ['a later version', '{"version":2}', /has format version 2, but this software reads 1/],
  ['a version that is no number of ours', '{"version":1e308}', /has format version 1e\+308/],
  ['900 kB', registration({ info: { text: 'x'.repeat(900_000) } }), /holds 90\d{4} bytes, and 73728 are the most/],
  ['lists within lists within lists', nested(30_000), /is not valid: its values are nested too deeply/],
  ['a port that is none', registration({ port: 65_536 }), /is not valid: port: /],
  ['a negative port', registration({ port: -1 }), /is not valid: port: /],
  ['a port that is no number', registration({ port: '80' }), /is not valid: port: /],
  ['an address that is none', registration({ address: 'w1; rm -rf /' }), /address: is neither a host name nor an IP/],
  ['an address of two lines', registration({ address: 'w1\nserver evil 1.2.3.4:80' }), /address: is neither/],
  ['a host that is none', registration({ host: '..' }), /host: is not the name of a host/],
  ['another label', registration({ label: 'api' }), /holds the registration of another label or id than its path/],
  ['another id', registration({ id: 'w9' }), /holds the registration of another label or id than its path/],
  ['an id that begins with dots', registration({ id: '../../members/w1' }), /id: is not the id of a registration/],
  ['an unknown source', registration({ source: 'magic' }), /source: /],
  ['wrong types all over', registration({ info: [1], healthy: 'yes', unit: 7 }), /\(and 2 more\); it is ignored$/],
];

describe.each(REGISTRATIONS)('a registration of %s', (_what, data, problem) => {
  it('is told once, and the others of its label are there', async () => {
    await put('/discovery/web/w1', encodeRegistration(GOOD));
    await put('/discovery/web/bad', data);
    const directory = new Directory({ store, clock, log, onChange: () => {} });
    directory.follow('web');
    await clock.until('all to be read', () => directory.ready);
    expect(directory.entries('web')).toEqual([GOOD]);
    expect(directory.problems()).toEqual([expect.stringMatching(problem)]);
    expect(log.at('error')).toEqual([expect.stringMatching(/; it is not acted upon$/)]);
    expect(log.at('error')[0]?.length).toBeLessThan(400);
    directory.close();
  });

  it('is given to no client', async () => {
    await put('/discovery/web/bad', data);
    await put('/discovery/web/w1', encodeRegistration(GOOD));
    const options = { store, clock, log, label: 'web', who: '00000000-0000-4000-8000-000000000000', by: 'a test' };
    const signal = new AbortController().signal;
    for (const client of ['a', 'b', 'c'])
      expect(await clock.finish('a choice', pickOnce({ ...options, client }, 0, signal))).toEqual(GOOD);
  });
});

/** What a terminal would take for more than text on one line. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const EVIL = '\u001b[2Jx\u0007\r\n\u009b31m\u2028y';

describe('thousands of registrations that nobody can read', () => {
  it('are told one by one up to a number, and hide no other', async () => {
    await put('/discovery/web/w1', encodeRegistration(GOOD));
    for (let n = 0; n < 2_000; n++) await put(`/discovery/web/bad${n}`, `{"version":1,"n":${n}}`);
    const directory = new Directory({ store, clock, log, onChange: () => {} });
    directory.follow('web');
    await clock.until('all to be read', () => directory.ready);
    expect(directory.entries('web')).toEqual([GOOD]);
    expect(directory.problems()).toHaveLength(2_000);
    expect(log.at('error')).toHaveLength(51);
    expect(log.at('error').at(-1)).toBe(
      'below /discovery/web there is more that cannot be read; it is not told one by one',
    );
    directory.close();
  });

  it('that are written again and again are told when they are other than before', async () => {
    await put('/discovery/web/bad', 'a');
    const directory = new Directory({ store, clock, log, onChange: () => {} });
    directory.follow('web');
    for (const text of ['b', 'c', 'long', 'd']) {
      await clock.advance(1_000);
      await clock.finish('a write', store.set('/discovery/web/bad', Buffer.from(text)));
    }
    await clock.advance(1_000);
    expect(log.at('error').map((text) => /\((\d+) bytes\)/.exec(text)?.[1])).toEqual(['1', '4', '1']);
    directory.close();
  });
});

const HOLDERS: readonly (readonly [what: string, data: string])[] = [
  ['no JSON', 'x'],
  ['a time of 285,000 years', holder({ timeoutMs: Number.MAX_SAFE_INTEGER })],
  ['a negative time', holder({ timeoutMs: -1 })],
  ['a time that is none', holder({}).replace(/"timeoutMs":\d+/, '"timeoutMs":1e999')],
  ['an id with escape sequences', holder({ id: EVIL })],
  ['an id of 4,000 characters', holder({ id: 'x'.repeat(4_000) })],
  ['a host that is none', holder({ host: '../..' })],
  ['900 kB', holder({ more: 'x'.repeat(900_000) })],
];

function holder(more: object): string {
  const since = '2026-01-01T00:00:00.000Z';
  return JSON.stringify({ version: 1, id: 'a', host: 'w1', since, timeoutMs: 1_000, ...more });
}

describe.each(HOLDERS)('a lease whose holder is %s', (_what, data) => {
  it('is shown on one short line, and ends after five minutes', async () => {
    await put('/leases/db/holder', data);
    const lines = leaseLines(await clock.finish('the leases', readLeases(store)));
    expect(lines).toEqual(['lease db: held by somebody else']);
    const abort = new AbortController().signal;
    const times = { acquireTimeoutMs: 400_000, leaseTimeoutMs: 60_000 };
    const acquired = acquireLease({ store, clock, label: 'db', id: 'b', host: 'w2', ...times, signal: abort });
    let answer: unknown;
    void acquired.then((value) => {
      answer = value;
    });
    await clock.advance(290_000);
    expect(answer).toBeUndefined();
    await clock.advance(11_000);
    expect(answer).toEqual({ kind: 'acquired', how: 'ran-out' });
  });
});

it('waiters, queues and clients with names and contents of strangers are shown on lines without control characters', async () => {
  await put('/leases/db/n_0000000001', holder({ id: EVIL }));
  await put('/leases/db/n_0000000002', JSON.stringify({ version: 1, id: 'b', host: 'w2' }));
  await put('/leases/db/n_x', 'x');
  await put('/leases/service:es/w1:es@1.service_0000000001', '[]');
  await put('/leases/service:es/;rm -rf_0000000002', '');
  await put('/leases/ \u202e"{}/n_0000000001', '');
  await put('/clients/mqtt/a=w1', '');
  await put('/clients/mqtt/=', '');
  await put('/clients/mqtt/turn-1', '');
  await put('/clients/mqtt/b=__proto__', 'x');
  await put('/clients/ä ö/b=w1', '');
  const loads = await clock.finish('the loads', readAllLoads(store));
  const lines = [...leaseLines(await clock.finish('the leases', readLeases(store))), ...loadLines(loads)];
  expect(lines).toContain('lease db: held by somebody else; 1 waits: b on w2');
  expect(lines).toContain('clients of mqtt: __proto__ 1, w1 1');
  expect(lines.join('')).not.toMatch(CONTROL);
});
