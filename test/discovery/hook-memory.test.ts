/** What hooks remember on disk. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type HookFile, HookMemory, type HookState, hookFile } from '../../src/discovery/hook-memory.ts';
import { EMPTY_VIEW } from '../../src/discovery/hook-view.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';

let folder: string;
let log: MemoryLog;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-hooks-'));
  log = new MemoryLog();
});
afterEach(() => rm(folder, { recursive: true }));

const registration = { label: 'web', id: 'w1', host: 'w1', address: 'a', port: 80, role: 'r', unit: 'web.service' };
const STATE: HookState = {
  seen: {
    members: new Map([['w1', { address: 'a', labels: { role: 'x' }, leaving: true }]]),
    registrations: new Map([['web/w1', registration]]),
    leader: 'w1',
  },
  position: { history: '4294967298', number: 17 },
  queues: new Map([['abc', { events: [{ event: 'unit-failed', host: 'w1', unit: 'web.service' }], leftOut: 3 }]]),
};
const NOTHING: HookState = { seen: EMPTY_VIEW, queues: new Map() };

it('is as it was saved, and readable by nobody else', async () => {
  const path = join(folder, 'below', 'hooks.json');
  await hookFile(path, log).save(STATE);
  expect(await hookFile(path, log).load()).toEqual(STATE);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(folder, 'below'))).toEqual(['hooks.json']);
});

it('is nothing when there is no file', async () => {
  expect(await hookFile(join(folder, 'none'), log).load()).toEqual(NOTHING);
  expect(log.entries).toEqual([]);
});

it.each<[string, string]>([
  ['no JSON', '{"version":1,'],
  ['another version', '{"version":2,"members":{},"registrations":[],"queues":{}}'],
  ['a member that has no name', '{"version":1,"members":{"../x":{}},"registrations":[],"queues":{}}'],
  [
    'an event that there is not',
    '{"version":1,"members":{},"registrations":[],"queues":{"a":{"events":[{"event":"x","host":"w1"}],"leftOut":0}}}',
  ],
])('is nothing, and that is said, when the file holds %s', async (_what, text) => {
  const path = join(folder, 'hooks.json');
  await writeFile(path, text);
  expect(await hookFile(path, log).load()).toEqual(NOTHING);
  expect(log.at('error')).toEqual([
    `${path} is not readable and starts afresh; hooks are told anew of all that is there`,
  ]);
});

it('is not written when nothing changed', async () => {
  const path = join(folder, 'hooks.json');
  const file = hookFile(path, log);
  await file.save(STATE);
  await writeFile(path, 'touched');
  await file.save(STATE);
  expect(await readFile(path, 'utf8')).toBe('touched');
  await file.save(NOTHING);
  expect(await file.load()).toEqual(NOTHING);
});

/** A file whose writes take so long. */
function slowFile(clock: FakeClock, ms: number, written: [at: number, position: number | undefined][]): HookFile {
  return {
    load: async () => NOTHING,
    save: ({ position }) =>
      new Promise((resolve) => {
        written.push([clock.now(), position?.number]);
        clock.after(ms, resolve);
      }),
  };
}

it('is written once for all changes of a moment, with a pause after it, and for the last time when it is closed', async () => {
  const clock = new FakeClock();
  const written: [number, number | undefined][] = [];
  let number = 0;
  const state = () => ({ ...NOTHING, position: { history: 'x', number } });
  const memory = new HookMemory(slowFile(clock, 20, written), state, clock, log);
  const change = () => {
    number += 1;
    void memory.save();
  };
  change();
  await clock.advance(5);
  change();
  change();
  // a write takes a twentieth of the time at most
  await clock.advance(500);
  expect(written).toEqual([
    [0, 1],
    [420, 3],
  ]);
  change();
  await clock.finish('the end', memory.close());
  expect(written.at(-1)?.[1]).toBe(4);
  expect(clock.now()).toBeLessThan(700);
});

it('that cannot be written is tried again at the next change, and nobody waits for ever', async () => {
  const clock = new FakeClock();
  let calls = 0;
  const file: HookFile = {
    load: async () => NOTHING,
    save: async () => {
      calls += 1;
      throw new Error('no space left');
    },
  };
  const memory = new HookMemory(file, () => NOTHING, clock, log);
  await clock.finish('the first', memory.save());
  await clock.finish('the second', memory.save());
  await clock.finish('the end', memory.close());
  expect(calls).toBe(2);
  expect(log.at('error')[0]).toContain('no space left');
});

it('tells each who waits when what it had to save is on disk, and not before', async () => {
  const clock = new FakeClock();
  const memory = new HookMemory(slowFile(clock, 50, []), () => NOTHING, clock, log);
  const ends: string[] = [];
  const save = (name: string) => memory.save().then(() => void ends.push(`${name} ${clock.now()}`));
  const first = save('first');
  await clock.advance(10);
  const second = save('second');
  await clock.finish('both', Promise.all([first, second]));
  // the second is not in the write that was under way, and waits for the pause of twenty times as long
  expect(ends).toEqual(['first 50', 'second 1100']);
  await clock.finish('the end', memory.close());
});

it('whose write took long once does not hold up the next for much longer', async () => {
  const clock = new FakeClock();
  const written: [number, number | undefined][] = [];
  const memory = new HookMemory(slowFile(clock, 1_000, written), () => NOTHING, clock, log);
  await clock.finish('the first', memory.save());
  await clock.finish('the second', memory.save());
  expect(written.map(([at]) => at)).toEqual([0, 3_000]);
  await clock.finish('the end', memory.close());
});
