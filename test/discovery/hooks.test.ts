/** Hooks of one host over a pretended ZooKeeper: what their programs are told when the cluster changes. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HookFile, HookState } from '../../src/discovery/hook-memory.ts';
import type { HookOutcome, HookRun } from '../../src/discovery/hook-runner.ts';
import { EMPTY_VIEW } from '../../src/discovery/hook-view.ts';
import { Hooks } from '../../src/discovery/hooks.ts';
import { encodeRegistration, registrationPath } from '../../src/discovery/registration.ts';
import { encodeBatches, type HistoryEvent, RING_PREFIX, type Ring } from '../../src/shared/history.ts';
import type { Hook, Service } from '../../src/shared/model.ts';
import { encodeDesired, encodeEpoch, encodeMember, encodeSpecRecord } from '../../src/shared/payloads.ts';
import { StoreError } from '../../src/shared/store.ts';
import {
  DESIRED,
  DISCOVERY,
  desiredPath,
  discoveryPath,
  EPOCH,
  HISTORY,
  MEMBERS,
  memberPath,
  SPEC,
} from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeEnsemble, FakeStore } from '../fakes/store.ts';

const WEB: Service = {
  name: 'web',
  type: 'shared',
  count: 1,
  enabled: true,
  isolation: 'keep',
  discovery: { label: 'http', role: 'backend', onlyHealthy: true },
};

let clock: FakeClock;
let ensemble: FakeEnsemble;
/** How long each message takes one way. */
let latencyMs: number;
/** Writes what the rest of the cluster would. */
let others: FakeStore;
let log: MemoryLog;
let state: HookState;
let told: string[];
let running: { readonly hooks: Hooks; readonly process: FakeProcess; readonly store: FakeStore }[];
/** How a run ends; default: done after 10 ms. */
let outcomeOf: (run: HookRun) => Promise<HookOutcome>;

beforeEach(async () => {
  clock = new FakeClock();
  latencyMs = 1;
  ensemble = new FakeEnsemble({ clock, latencyMs: () => latencyMs });
  log = new MemoryLog();
  state = { seen: EMPTY_VIEW, queues: new Map() };
  told = [];
  running = [];
  outcomeOf = () => new Promise((resolve) => void clock.after(10, () => resolve({ kind: 'done' })));
  others = ensemble.connect({ sessionTimeoutMs: 60_000 });
  await clock.until('a session', () => others.state.kind === 'connected');
  for (const path of [MEMBERS, DESIRED, HISTORY, DISCOVERY]) await done(others.ensure(path));
});

afterEach(() => clock.finish('the end', Promise.all(running.map(({ hooks }) => hooks.close()))));

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('ZooKeeper', promise);
const hook = (more: Partial<Hook>): Hook => ({
  events: ['member-join'],
  on: {},
  filter: {},
  run: ['/told'],
  timeoutMs: 1_000,
  ...more,
});

/** The daemon on w9 becomes a member, and begins with its hooks. */
async function boot(labels: Readonly<Record<string, string>> = {}): Promise<(typeof running)[number]> {
  const process = new FakeProcess(clock);
  const store = ensemble.connect({ process });
  const file: HookFile = {
    load: async () => state,
    // a disk takes its time, and what a killed daemon had not written is lost
    save: (saved) =>
      new Promise((resolve) => {
        process.after(5, () => {
          state = saved;
          resolve();
        });
      }),
  };
  const run = (run: HookRun) => {
    const lines = run.input.trimEnd().split('\n');
    told.push(
      `${run.argv.join(' ')}: ${run.environment.SERVICEWATCHER_EVENT} ${lines.join('; ').replaceAll('\t', ' ')}`,
    );
    return outcomeOf(run);
  };
  const metrics = { ran: () => {}, leftOut: () => {} };
  const hooks = new Hooks({ host: 'w9', labels: () => labels, store, clock: process, log, file, run, metrics });
  const daemon = { hooks, process, store };
  running.push(daemon);
  await clock.until('a session', () => store.state.kind === 'connected');
  await clock.finish('the start', hooks.start());
  await clock.advance(1_000);
  return daemon;
}

function kill(daemon: (typeof running)[number]): void {
  running = running.filter((each) => each !== daemon);
  daemon.process.kill();
  daemon.store.kill();
}

async function put(path: string, data: Buffer): Promise<void> {
  const there = await done(others.get(path));
  if (there) await done(others.set(path, data));
  else await done(others.create(path, data, 'persistent'));
}

async function propose(hooks: readonly Hook[], services: readonly Service[] = [WEB]): Promise<void> {
  const spec = { ...specOf(...services), hooks };
  await put(SPEC, encodeSpecRecord({ spec, digest: 'sha256:x', proposedBy: 'w1', at: '2026-01-01', earlier: [] }));
}

const memberOf = (host: string, more: { readonly role?: string; readonly leaving?: boolean } = {}) =>
  encodeMember({
    host,
    machineId: host,
    address: `10.0.0.${host.slice(1)}`,
    url: 'http://x',
    labels: more.role === undefined ? {} : { role: more.role },
    software: '1',
    file: 'x',
    election: '/election/n_1',
    ...(more.leaving && { leaving: true }),
  });
const join = (host: string, role?: string) =>
  put(memberPath(host), memberOf(host, { ...(role !== undefined && { role }) }));
const vanish = (host: string) => done(others.remove(memberPath(host)));
const place = (host: string, ...services: string[]) =>
  put(
    desiredPath(host),
    encodeDesired({
      host,
      epoch: 1,
      generation: 1,
      spec: 'x',
      units: services.map((service) => ({
        unit: `${service}.service`,
        service,
        isolation: 'keep',
        why: { kind: 'kept' },
      })),
    }),
  );
const register = async (label: string, host: string, more: { readonly role?: string } = {}) => {
  await done(others.ensure(discoveryPath(label)));
  const registration = {
    label,
    id: host,
    host,
    address: 'a',
    port: 80,
    healthy: true,
    source: 'watch' as const,
    ...more,
  };
  await put(registrationPath(label, host), encodeRegistration(registration));
};
let batches = 0;
const happen = async (kind: string, host: string, more: Partial<HistoryEvent> = {}, ring: Ring = 'host') => {
  const event = { at: clock.date().toISOString(), kind, host, unit: 'web.service', reason: 'x', why: 'so', ...more };
  for (const data of encodeBatches(host, `b${batches++}`, [event]))
    await done(others.create(RING_PREFIX[ring], data, 'persistent-sequential'));
};
/** The leader tells what it has decided. */
const decide = (kind: string, host: string) => happen(kind, host, {}, 'leader');

describe('a hook for members', () => {
  const all = hook({ events: ['member-join', 'member-leave', 'member-failed'] });

  it('that is new on a host is told of all who are there, in one run', async () => {
    await propose([all]);
    await join('w1', 'backend');
    await join('w2');
    await boot();
    expect(told).toEqual(['/told: member-join w1 10.0.0.1 backend role=backend; w2 10.0.0.2 - -']);
  });

  it('is told who comes, who leaves in good order and who fails, with role and labels', async () => {
    await propose([all]);
    await boot();
    await join('w1', 'backend');
    await join('w2');
    await clock.advance(1_000);
    await vanish('w1');
    await clock.advance(1_000);
    await put(memberPath('w2'), memberOf('w2', { leaving: true }));
    await clock.advance(1_000);
    await vanish('w2');
    await clock.advance(1_000);
    expect(told).toEqual([
      '/told: member-join w1 10.0.0.1 backend role=backend; w2 10.0.0.2 - -',
      '/told: member-failed w1 10.0.0.1 backend role=backend',
      '/told: member-leave w2 10.0.0.2 - -',
    ]);
  });

  it('is told that a host left in good order also when it said so a moment before it was gone', async () => {
    await propose([all]);
    await join('w1');
    await boot();
    told = [];
    await put(memberPath('w1'), memberOf('w1', { leaving: true }));
    await clock.advance(20);
    await vanish('w1');
    await clock.advance(1_000);
    expect(told).toEqual(['/told: member-leave w1 10.0.0.1 - -']);
  });

  it('that asks for a role is told of no other', async () => {
    await propose([hook({ filter: { role: 'backend' } })]);
    await boot();
    await join('w1', 'frontend');
    await join('w2', 'backend');
    await join('w3');
    await clock.advance(1_000);
    expect(told).toEqual(['/told: member-join w2 10.0.0.2 backend role=backend']);
  });

  it('is told of an unreadable entry nothing at all', async () => {
    await propose([all]);
    await boot();
    await join('w1');
    await clock.advance(1_000);
    await put(memberPath('w1'), Buffer.from('?'));
    await put(memberPath('w2'), Buffer.from('?'));
    await clock.advance(1_000);
    expect(told).toEqual(['/told: member-join w1 10.0.0.1 - -']);
  });
});

describe('a hook for registrations', () => {
  it('is told what is registered and what is gone, of its label and role alone', async () => {
    await propose([hook({ events: ['registered', 'unregistered'], filter: { label: 'web', role: 'backend' } })]);
    await join('w1');
    await boot();
    await register('web', 'w1', { role: 'backend' });
    await register('web', 'w2', { role: 'other' });
    await register('db', 'w1', { role: 'backend' });
    await clock.advance(1_000);
    await done(others.remove(registrationPath('web', 'w1')));
    await clock.advance(1_000);
    expect(told).toEqual([
      '/told: registered w1 a backend - web 80 w1',
      '/told: unregistered w1 a backend - web 80 w1',
    ]);
  });

  it('without a label is told of all labels', async () => {
    await propose([hook({ events: ['registered'] })]);
    await boot();
    await register('web', 'w1');
    await register('db', 'w2');
    await clock.advance(1_000);
    expect(told.join(' ')).toContain('web 80 w1');
    expect(told.join(' ')).toContain('db 80 w2');
  });
});

describe('a hook for units', () => {
  const units = hook({ events: ['unit-started', 'unit-moved', 'unit-failed'] });

  it('is told of what happens from now on, with service, role and reason, and not of the past', async () => {
    await propose([units]);
    await join('w1', 'node');
    await happen('started', 'w1');
    await boot();
    await happen('failed', 'w1');
    await clock.advance(20);
    await happen('moved', 'w2', { from: 'w1', to: 'w2' });
    await clock.advance(20);
    await happen('started', 'w2');
    await clock.advance(1_000);
    expect(told).toEqual([
      '/told: unit-failed w1 10.0.0.1 backend role=node web.service web so',
      '/told: unit-moved w2 - backend - web.service web w1 w2 so',
      '/told: unit-started w2 - backend - web.service web',
    ]);
  });

  it('is told by the times of events, though hosts tell some of them late', async () => {
    await propose([units]);
    await boot();
    const [early, late] = ['2026-01-01T00:00:10.000Z', '2026-01-01T00:00:10.001Z'];
    await happen('moved', 'w2', { from: 'w1', to: 'w2', at: late });
    await happen('failed', 'w1', { at: early });
    await clock.advance(1_000);
    expect(told.map((line) => line.split(' ')[1])).toEqual(['unit-failed', 'unit-moved']);
  });

  it('is told after a crash of what happened meanwhile, once', async () => {
    await propose([units]);
    const first = await boot();
    await happen('failed', 'w1');
    await clock.advance(1_000);
    expect(told).toHaveLength(1);
    kill(first);
    await happen('failed', 'w2');
    await clock.advance(10_000);
    await boot();
    expect(told.map((line) => line.split(' ').slice(1, 3).join(' '))).toEqual(['unit-failed w1', 'unit-failed w2']);
  });

  it('is told that something is missing when the history is too short for what happened meanwhile', async () => {
    await propose([units]);
    const first = await boot();
    await happen('failed', 'w1');
    await clock.advance(1_000);
    kill(first);
    for (let each = 0; each < 1_010; each++) await happen('drift', 'w2');
    const names = (await done(others.children(HISTORY))) ?? [];
    for (const name of names.slice(0, 11)) await done(others.remove(`${HISTORY}/${name}`));
    await happen('failed', 'w3');
    await boot();
    expect(told.at(-1)).toContain('unit-failed w3');
    expect(log.at('warn').join()).toContain('the history no longer holds up to 10 batches');
  });

  it('begins with the new history when ZooKeeper has lost the old one', async () => {
    await propose([units]);
    for (let each = 0; each < 5; each++) await happen('drift', 'w2');
    const first = await boot();
    kill(first);
    for (const name of (await done(others.children(HISTORY))) ?? []) await done(others.remove(`${HISTORY}/${name}`));
    await done(others.remove(HISTORY));
    await done(others.ensure(HISTORY));
    await happen('failed', 'w3');
    await boot();
    expect(told).toEqual(['/told: unit-failed w3 - backend - web.service web so']);
  });
});

describe('a hook for the leadership', () => {
  it('is told who leads now and who led before', async () => {
    await propose([hook({ events: ['leader-changed'] })]);
    await put(EPOCH, encodeEpoch({ epoch: 1, leader: 'w1' }));
    await boot();
    await put(EPOCH, encodeEpoch({ epoch: 2, leader: 'w1' }));
    await clock.advance(1_000);
    await put(EPOCH, encodeEpoch({ epoch: 3, leader: 'w2' }));
    await clock.advance(1_000);
    expect(told).toEqual(['/told: leader-changed w1 - - - -', '/told: leader-changed w2 - - - w1']);
  });

  it('is told with address, role and labels of the host that leads, though that is read later than who leads', async () => {
    await propose([hook({ events: ['leader-changed'], filter: { role: 'db' } })]);
    for (const name of ['w1', 'w2']) await join(name, 'db');
    await put(EPOCH, encodeEpoch({ epoch: 1, leader: 'w1' }));
    latencyMs = 90;
    await boot();
    latencyMs = 1;
    await put(EPOCH, encodeEpoch({ epoch: 2, leader: 'w2' }));
    await clock.advance(1_000);
    expect(told).toEqual([
      '/told: leader-changed w1 10.0.0.1 db role=db -',
      '/told: leader-changed w2 10.0.0.2 db role=db w1',
    ]);
  });
});

describe('the hosts of a hook', () => {
  it('are those with its labels', async () => {
    await propose([
      hook({ on: { labels: { zone: 'a' } }, run: ['/a'] }),
      hook({ on: { labels: { zone: 'b' } }, run: ['/b'] }),
    ]);
    await join('w1');
    await boot({ zone: 'a' });
    expect(told).toEqual(['/a: member-join w1 10.0.0.1 - -']);
  });

  it('are those that are to run an instance of its service, as long as they are', async () => {
    await propose([hook({ on: { service: 'web' } })]);
    await join('w1');
    await boot();
    expect(told).toEqual([]);
    await place('w9', 'web');
    await clock.advance(1_000);
    expect(told).toEqual(['/told: member-join w1 10.0.0.1 - -']);
    await place('w9');
    await clock.advance(1_000);
    await join('w2');
    await clock.advance(1_000);
    expect(told).toHaveLength(1);
    await place('w9', 'web');
    await clock.advance(1_000);
    expect(told.slice(1)).toEqual(['/told: member-join w1 10.0.0.1 - -; w2 10.0.0.2 - -']);
  });
});

describe('at least once', () => {
  const all = hook({ events: ['member-join', 'member-leave', 'member-failed'] });

  it('holds when the daemon is killed while the program runs', async () => {
    await propose([all]);
    const first = await boot();
    outcomeOf = () => new Promise(() => {});
    await join('w1');
    await clock.advance(1_000);
    kill(first);
    outcomeOf = async () => ({ kind: 'done' });
    await boot();
    expect(told).toEqual(['/told: member-join w1 10.0.0.1 - -', '/told: member-join w1 10.0.0.1 - -']);
  });

  it('holds for a return that follows what the killed daemon had begun to tell', async () => {
    await propose([all]);
    await join('w1');
    const first = await boot();
    told = [];
    await vanish('w1');
    await clock.until('the departure to be told', () => told.length > 0);
    kill(first);
    await join('w1');
    await boot();
    expect(told.map((line) => line.split(' ')[1])).toEqual(['member-failed', 'member-failed', 'member-join']);
  });

  it('holds for what happens while there is no daemon', async () => {
    await propose([all]);
    await join('w1');
    const first = await boot();
    kill(first);
    await vanish('w1');
    await join('w2');
    told = [];
    await boot();
    expect(told).toEqual(['/told: member-failed w1 10.0.0.1 - -', '/told: member-join w2 10.0.0.2 - -']);
  });

  it('tells of those who left in good order meanwhile that they did, as far as the leader has told', async () => {
    await propose([all]);
    for (const host of ['w1', 'w2', 'w3', 'w4', 'w5']) await join(host);
    await decide('member-left', 'w5');
    const first = await boot();
    kill(first);
    for (const host of ['w1', 'w2', 'w3', 'w5']) await vanish(host);
    await decide('member-left', 'w1');
    await decide('member-left', 'w2');
    await decide('member-joined', 'w2');
    await decide('member-lost', 'w3');
    await decide('member-joined', 'w5');
    for (let each = 0; each < 150; each++) await decide('placed', 'w4');
    told = [];
    await boot();
    expect(told).toEqual([
      '/told: member-leave w1 10.0.0.1 - -',
      '/told: member-failed w2 10.0.0.2 - -; w3 10.0.0.3 - -; w5 10.0.0.5 - -',
    ]);
  });

  it('waits for the word of the leader when the history cannot be read at first', async () => {
    await propose([all]);
    await join('w1');
    const first = await boot();
    kill(first);
    await vanish('w1');
    await decide('member-left', 'w1');
    told = [];
    const unread = vi.spyOn(FakeStore.prototype, 'children');
    unread.mockRejectedValueOnce(new StoreError('deadline', HISTORY, 'no answer'));
    await boot();
    expect(told).toEqual([]);
    await clock.advance(1_000);
    expect(told).toEqual(['/told: member-leave w1 10.0.0.1 - -']);
    unread.mockRestore();
  });

  it('does not tell again what was told when nothing happened', async () => {
    await propose([all, hook({ events: ['registered', 'leader-changed'], run: ['/other'] })]);
    await join('w1');
    await register('web', 'w1');
    await put(EPOCH, encodeEpoch({ epoch: 1, leader: 'w1' }));
    const first = await boot();
    kill(first);
    told = [];
    const second = await boot();
    await clock.finish('the end', second.hooks.close());
    await boot();
    expect(told).toEqual([]);
  });

  it('holds for each hook by itself: a new time limit or place in the file changes nothing, a new program is told all', async () => {
    await propose([all]);
    await join('w1');
    await boot();
    told = [];
    await propose([hook({ run: ['/new'] }), { ...all, timeoutMs: 9_000 }]);
    await clock.advance(1_000);
    expect(told).toEqual(['/new: member-join w1 10.0.0.1 - -']);
  });

  it('holds while a program hangs: nothing that comes and goes meanwhile is left out', async () => {
    await propose([all]);
    await boot();
    let end = () => {};
    outcomeOf = () =>
      new Promise((resolve) => {
        end = () => resolve({ kind: 'done' });
      });
    await join('w1');
    await clock.advance(1_000);
    await join('w2');
    await clock.advance(1_000);
    await vanish('w2');
    await clock.advance(1_000);
    outcomeOf = async () => ({ kind: 'done' });
    end();
    await clock.advance(1_000);
    expect(told.slice(1)).toEqual(['/told: member-join w2 10.0.0.2 - -', '/told: member-failed w2 10.0.0.2 - -']);
  });
});

it('a hook that hangs delays no other', async () => {
  await propose([hook({ run: ['/hangs'] }), hook({ run: ['/quick'] })]);
  await boot();
  outcomeOf = ({ argv }) => (argv[0] === '/hangs' ? new Promise(() => {}) : Promise.resolve({ kind: 'done' }));
  await join('w1');
  await clock.advance(1_000);
  await join('w2');
  await clock.advance(1_000);
  expect(told.filter((line) => line.startsWith('/quick'))).toHaveLength(2);
  expect(told.filter((line) => line.startsWith('/hangs'))).toHaveLength(1);
  expect(running[0]?.hooks.waiting).toBe(2);
  running = [];
});

it('while ZooKeeper is silent nothing happens, and afterwards what changed meanwhile', async () => {
  await propose([hook({ events: ['member-join', 'member-failed'] })]);
  await join('w1');
  await boot();
  told = [];
  ensemble.stop();
  await clock.advance(10_000);
  expect(told).toEqual([]);
  ensemble.start();
  await clock.until('a session', () => others.state.kind === 'connected');
  await join('w2');
  await clock.advance(5_000);
  expect(told).toEqual(['/told: member-join w2 10.0.0.2 - -']);
});

it('an unreadable spec leaves the hooks as they are', async () => {
  await propose([hook({})]);
  await boot();
  await put(SPEC, Buffer.from('?'));
  await clock.advance(1_000);
  await join('w1');
  await clock.advance(1_000);
  expect(told).toHaveLength(1);
});

it('a host without hooks reads nothing but the spec and its own order', async () => {
  await propose([hook({ on: { service: 'web' } })]);
  await join('w1');
  const { hooks } = await boot();
  expect(hooks.waiting).toBe(0);
  expect(state.seen.members.size).toBe(0);
});
