import { describe, expect, it } from 'vitest';
import { check, type Evidence } from './checker.ts';
import { type Look, unsettled } from './counts.ts';
import type { FaultRecord } from './faults.ts';
import { type JournalEntry, readJournal } from './journal.ts';
import { readProcesses } from './processes.ts';

/** Seconds of the hand-made lines below. */
const S = 1000;

const MESSAGE_IDS = {
  started: '39f53479d3a045ac8e11786248231fbf',
  stopping: 'de5b426a63be47a7b6ac3eaac82e2f6f',
  exited: '98e322203f7a4ed290d09fe03c09fe15',
  succeeded: '7ad2d189f7e94e70a38c781354912448',
  failed: 'd9b373ed55a64feb8242e02dbe79a49c',
  restarting: '5eb03494b6584870a536b337290809b3',
};

/** What journalctl prints for one entry that was said at `seconds`, and received a little later. */
function line(seconds: number, fields: Readonly<Record<string, string>>): string {
  const said = 1_700_000_000 + seconds;
  return JSON.stringify({
    __MONOTONIC_TIMESTAMP: String(seconds * 1e6 + 500),
    __REALTIME_TIMESTAMP: String(said * 1e6 + 500),
    _SOURCE_REALTIME_TIMESTAMP: String(said * 1e6),
    _BOOT_ID: 'boot1',
    ...fields,
  });
}

function unit(seconds: number, name: string, what: keyof typeof MESSAGE_IDS, invocation = 'a', boot = 'boot1'): string {
  const fields = { _PID: '1', UNIT: `${name}.service`, MESSAGE_ID: MESSAGE_IDS[what], MESSAGE: `${what} ${name}` };
  return line(seconds, { ...fields, INVOCATION_ID: `${name} ${invocation}`, _BOOT_ID: boot });
}

function daemon(seconds: number, message: string): string {
  return line(seconds, { _PID: '77', _SYSTEMD_UNIT: 'servicewatcher.service', PRIORITY: '3', MESSAGE: message });
}

function host(name: string, ...lines: string[]): JournalEntry[] {
  return readJournal(name, lines.join('\n'));
}

function fault(kind: FaultRecord['kind'], from: number, to: number, more: Partial<FaultRecord> = {}): FaultRecord {
  return {
    kind,
    round: 1,
    hosts: [],
    servers: [],
    beganAt: from * S,
    endedAt: to * S,
    noQuorumMs: 0,
    settledAt: (to + 1) * S,
    ...more,
  };
}

function violations(evidence: Partial<Evidence>): string[] {
  const found = check({ entries: [], processes: [], faults: [], looks: [], ...evidence });
  return found.map(({ kind, at, host, evidence: what }) => `${kind} ${at / S} ${host ?? '-'}: ${what}`);
}

describe('a unit that may run once only', () => {
  it('may move from host to host', () => {
    const entries = [
      ...host('w1', unit(1, 'single', 'started'), unit(5, 'single', 'stopping'), unit(6, 'single', 'succeeded')),
      ...host('w2', unit(6.01, 'single', 'started')),
    ];
    const faults = [fault('daemon-stop', 5, 6, { hosts: ['w1'] })];
    const processes = readProcesses(
      'begin single.service w1 9 1.0\nalive single.service w1 9 5.5\nend single.service w1 9 6.00\nbegin single.service w2 8 6.01\n',
    );
    expect(violations({ entries, faults, processes })).toEqual([]);
  });

  it('is found on two hosts when one began before systemd said that the other was gone', () => {
    const entries = [
      ...host('w1', unit(1, 'single', 'started'), unit(5, 'single', 'stopping'), unit(6, 'single', 'succeeded')),
      ...host('w2', unit(5.9, 'single', 'started')),
    ];
    const faults = [fault('daemon-stop', 5, 6, { hosts: ['w1'] })];
    expect(violations({ entries, faults })).toEqual([
      'two-at-once 5.9 w2: single.service began on w2 at 5.900 s, while on w1 it ran from 1.000 s until 6.000 s, says systemd',
    ]);
  });

  it('is found on two hosts when one never ended', () => {
    const entries = [...host('w1', unit(1, 'stubborn', 'started')), ...host('w2', unit(9, 'stubborn', 'started'))];
    expect(violations({ entries })).toEqual([
      'two-at-once 9 w2: stubborn.service began on w2 at 9.000 s, while on w1 it ran from 1.000 s to the end, says systemd',
    ]);
  });

  it('is gone when its host loses its power', () => {
    const entries = [...host('w1', unit(1, 'single', 'started')), ...host('w2', unit(9, 'single', 'started'))];
    const faults = [fault('host-power', 4, 12, { hosts: ['w1'], offAt: 4.1 * S })];
    expect(violations({ entries, faults })).toEqual([]);
    const elsewhere = [fault('host-power', 4, 12, { hosts: ['w3'], offAt: 4.1 * S })];
    expect(violations({ entries, faults: elsewhere })).toHaveLength(1);
  });

  it('is found on two hosts by the lock that its process held', () => {
    const processes = readProcesses('begin single.service w1 9 1.0\nconflict single.service w2 8 4.5\n');
    expect(violations({ processes })).toEqual([
      'two-at-once 4.5 w2: single.service began on w2 while a process of it on another host still held its lock',
    ]);
  });

  it('is found on two hosts by a sign of life after the beginning on the other', () => {
    const processes = readProcesses(
      'begin single.service w1 9 1.0\nbegin single.service w2 8 4.5\nalive single.service w1 9 4.6\nalive single.service w2 8 5.0\n',
    );
    expect(violations({ processes })).toEqual([
      'two-at-once 4.5 w2: single.service began on w2 at 4.500 s, while on w1 it ran from 1.000 s until 4.600 s, says its process',
    ]);
  });

  it('may have the pid of one that ran before a boot', () => {
    const processes = readProcesses(
      'begin single.service w1 9 1.0\nbegin single.service w2 9 5.0\nalive single.service w2 9 5.5\nbegin single.service w1 9 8.0\n',
    );
    expect(violations({ processes })).toEqual([]);
  });

  it('is another matter than one that may run often', () => {
    const entries = [...host('w1', unit(1, 'one', 'started')), ...host('w2', unit(9, 'one', 'started'))];
    expect(violations({ entries })).toEqual([]);
  });
});

describe('a healthy unit', () => {
  const stopped = (name: string, at: number, where = 'w1') =>
    host(where, unit(1, name, 'started'), unit(at, name, 'stopping'), unit(at + 0.1, name, 'succeeded'));

  it('is restarted without need when no fault was made, and its daemon is quoted', () => {
    const entries = [
      ...stopped('two', 5),
      ...host('w1', daemon(4.9, 'stopping two.service: it is not placed here any more')),
    ];
    expect(violations({ entries })).toEqual([
      'needless-restart 5 w1: two.service on w1: stopping two (its daemon: stopping two.service: it is not placed here any more)',
    ]);
  });

  it('is restarted without need when another host was struck, or at another time', () => {
    const entries = stopped('two', 5);
    expect(violations({ entries, faults: [fault('daemon-stop', 4, 6, { hosts: ['w1'] })] })).toEqual([]);
    expect(violations({ entries, faults: [fault('daemon-stop', 4, 6, { hosts: ['w2'] })] })).toHaveLength(1);
    expect(violations({ entries, faults: [fault('daemon-stop', 5.1, 6, { hosts: ['w1'] })] })).toHaveLength(1);
    expect(violations({ entries, faults: [fault('daemon-stop', 1, 3, { hosts: ['w1'] })] })).toHaveLength(1);
  });

  it('may be stopped once for a fault, and not again', () => {
    const faults = [fault('unit-stopped-by-hand', 4, 6, { hosts: ['w1'], unit: 'two.service' })];
    const again = host('w1', unit(5.2, 'two', 'started', 'b'), unit(5.4, 'two', 'exited', 'b'));
    expect(violations({ entries: [...stopped('two', 5), ...again], faults })).toEqual([
      'needless-restart 5.4 w1: two.service on w1: exited two (its daemon said nothing about it)',
    ]);
  });

  it('is not explained by a fault of another unit', () => {
    const faults = [fault('unit-fail', 4, 6, { hosts: ['w1'], unit: 'one.service' })];
    expect(violations({ entries: stopped('two', 5), faults })).toHaveLength(1);
  });

  it('may be stopped on one host when its count was lowered, not on two', () => {
    const faults = [fault('reload-changed', 4, 6, { unit: 'three.service' })];
    expect(violations({ entries: stopped('three', 5), faults })).toEqual([]);
    expect(violations({ entries: [...stopped('three', 5), ...stopped('three', 5.1, 'w2')], faults })).toHaveLength(1);
  });

  it.each([
    // a session of 4 s whose last sign of life may be 0.67 s old
    ['two', 'daemon-freeze', 3.4, true],
    ['two', 'daemon-freeze', 3.2, false],
    ['single', 'daemon-freeze', 2.1, true],
    ['single', 'daemon-freeze', 1.9, false],
    ['everywhere', 'daemon-freeze', 9, false],
    ['two', 'host-cable', 1.7, true],
    ['two', 'host-cable', 0.7, false],
    ['single', 'host-cable', 0.7, false],
    ['two', 'host-power', 0.1, true],
    ['everywhere', 'host-power', 0.1, true],
    ['single', 'daemon-kill', 1.5, false],
    ['single', 'dbus-restart', 9, false],
    ['single', 'disk-full', 9, false],
    ['two', 'reload', 9, false],
  ] as const)('%s may be stopped for %s of %f s: %s', (name, kind, lasted, may) => {
    const faults = [fault(kind, 4, 4 + lasted, { hosts: ['w1'] })];
    expect(violations({ entries: stopped(name, 4 + lasted), faults })).toHaveLength(may ? 0 : 1);
  });

  it.each([
    ['single', 'server-freeze', 0, false],
    ['single', 'server-kill', 0.5, false],
    ['single', 'quorum-freeze', 1.5, true],
    ['two', 'quorum-freeze', 9, false],
  ] as const)('%s may be stopped for %s with %f s without a quorum: %s', (name, kind, noQuorum, may) => {
    const faults = [fault(kind, 4, 9, { servers: ['zk1'], noQuorumMs: noQuorum * S })];
    expect(violations({ entries: stopped(name, 8), faults })).toHaveLength(may ? 0 : 1);
  });

  it.each([
    [6.8, true],
    [7, false],
  ])(
    'may be stopped at second %f for a silence since 4, though all seemed settled before anybody noticed: %s',
    (at, may) => {
      const faults = [fault('quorum-freeze', 4, 5.1, { servers: ['zk1'], noQuorumMs: 1 * S, settledAt: 5.6 * S })];
      expect(violations({ entries: stopped('single', at), faults })).toHaveLength(may ? 0 : 1);
    },
  );

  it('may be stopped for two silences that follow one another', () => {
    const both = [
      fault('daemon-kill', 4, 5.5, { hosts: ['w1'], settledAt: 10 * S }),
      fault('server-freeze', 5, 9, { servers: ['zk1'] }),
    ];
    expect(violations({ entries: stopped('single', 8), faults: both })).toEqual([]);
  });
});

describe('a unit that systemd starts again by itself', () => {
  const killed = fault('unit-killed', 5, 5.2, { hosts: ['w1'], unit: 'restarting.service' });
  const begins = unit(1, 'restarting', 'started');
  const dies = [unit(5.01, 'restarting', 'exited'), unit(5.02, 'restarting', 'failed')];
  const returns = [unit(5.12, 'restarting', 'restarting'), unit(5.13, 'restarting', 'started', 'b')];
  const elsewhere = host(
    'w2',
    daemon(5.3, 'starting restarting.service: it is placed here'),
    unit(5.31, 'restarting', 'started'),
  );

  it('returns after it was killed, and that is no needless restart', () => {
    expect(violations({ entries: host('w1', begins, ...dies, ...returns), faults: [killed] })).toEqual([]);
    expect(violations({ entries: host('w1', begins, ...dies, ...returns) })).toEqual([
      'needless-restart 5.01 w1: restarting.service on w1: exited restarting (its daemon said nothing about it)',
    ]);
  });

  it('was moved when it began elsewhere, and was stopped where it had returned', () => {
    const stopped = [
      daemon(5.4, 'stopping restarting.service: it is not placed here any more'),
      unit(5.41, 'restarting', 'stopping', 'b'),
    ];
    const entries = [...host('w1', begins, ...dies, ...returns, ...stopped), ...elsewhere];
    expect(violations({ entries, faults: [killed] })).toEqual([
      'not-left-to-systemd 5.3 w2: restarting.service was killed on w1, and the daemon of w2: starting restarting.service: it is placed here',
      'not-left-to-systemd 5.4 w1: restarting.service was killed on w1, and the daemon of w1: stopping restarting.service: it is not placed here any more',
      'needless-restart 5.41 w1: restarting.service on w1: stopping restarting (its daemon: stopping restarting.service: it is not placed here any more)',
    ]);
  });

  it('was kept from its return when systemd did not start it again', () => {
    expect(violations({ entries: host('w1', begins, ...dies), faults: [killed] })).toEqual([
      'not-left-to-systemd 5.01 w1: restarting.service on w1: exited restarting, and systemd did not start it again',
    ]);
  });

  it('was not left alone when its daemon started it, though it is where it was', () => {
    const started = daemon(5.05, 'starting restarting.service: it is placed here');
    expect(violations({ entries: host('w1', begins, ...dies, started, ...returns), faults: [killed] })).toEqual([
      'not-left-to-systemd 5.05 w1: restarting.service was killed on w1, and the daemon of w1: starting restarting.service: it is placed here',
    ]);
  });

  it('may begin elsewhere in place of an instance whose host was lost, but not in place of the one that was killed', () => {
    const w1 = host('w1', begins, ...dies, ...returns);
    const lost = fault('host-power', 4.9, 9, { hosts: ['w3'], offAt: 4.95 * S });
    expect(violations({ entries: [...w1, ...elsewhere], faults: [killed, lost] })).toEqual([]);
    const noLoss = fault('daemon-restart', 4.9, 5.3, { hosts: ['w3'] });
    expect(violations({ entries: [...w1, ...elsewhere], faults: [killed, noLoss] })).toHaveLength(1);
    const own = daemon(5.05, 'starting restarting.service: it is placed here');
    expect(violations({ entries: [...w1, ...host('w1', own)], faults: [killed, lost] })).toHaveLength(1);
  });

  it('may not be stopped for having been killed', () => {
    const entries = host('w1', begins, unit(5.01, 'restarting', 'stopping'), unit(5.02, 'restarting', 'restarting'));
    expect(violations({ entries, faults: [killed] })).toEqual([
      'needless-restart 5.01 w1: restarting.service on w1: stopping restarting (its daemon said nothing about it)',
    ]);
  });
});

describe('strangers', () => {
  const stranger = (...lines: string[]) => violations({ entries: host('w1', ...lines) });

  it('run from the boot on', () => {
    expect(stranger(unit(1, 'stranger', 'started'))).toEqual([]);
    expect(stranger(unit(1, 'stranger', 'started'), unit(9, 'stranger', 'started', 'b', 'boot2'))).toEqual([]);
  });

  it('are touched when they are stopped, or started again', () => {
    expect(stranger(unit(1, 'part@stranger', 'started'), unit(5, 'part@stranger', 'stopping'))).toEqual([
      'stranger-touched 5 w1: part@stranger.service on w1: stopping part@stranger',
    ]);
    expect(stranger(unit(1, 'stranger', 'started'), unit(5, 'stranger', 'started', 'b'))).toEqual([
      'stranger-touched 5 w1: stranger.service on w1: started: it was started a second time',
    ]);
  });

  it('end with their host', () => {
    const entries = host('w1', unit(1, 'stranger', 'started'), unit(5, 'stranger', 'stopping'));
    expect(violations({ entries, faults: [fault('host-reboot', 4.9, 9, { hosts: ['w1'] })] })).toEqual([]);
  });
});

describe('the count', () => {
  const look = (at: number, hosts: readonly string[], settled = true, generation = 4, ready = 5): Look => ({
    at: at * S,
    hosts: 5,
    leader: { name: 'w1', epoch: 2, generation, settled, placed: new Map(), ready, failed: [] },
    unready: [],
    active: new Map([['two.service', hosts]]),
  });

  it('is exceeded when the leader calls it settled, look after look', () => {
    const three = ['w1', 'w2', 'w3'];
    expect(violations({ looks: [look(1, three), look(2, three)] })).toEqual([
      'count-exceeded 2 -: two.service runs on w1, w2, w3, its count is 2, and the leader calls the cluster settled',
    ]);
    expect(violations({ looks: [look(1, three, false), look(2, three)] })).toEqual([]);
    expect(violations({ looks: [look(1, three), look(2, ['w1', 'w2']), look(3, three)] })).toEqual([]);
    expect(violations({ looks: [look(1, three), look(2, three, true, 5)] })).toEqual([]);
  });

  it('is not what a leader knows of hosts that it does not hear', () => {
    const cutOff = look(1, ['w1', 'w2', 'w3'], true, 4, 4);
    expect(violations({ looks: [cutOff, { ...cutOff, at: 2 * S }] })).toEqual([]);
  });
});

describe('a cluster', () => {
  const units = [{ unit: 'two.service', class: 'some' as const, count: 2 }];
  const leader = { name: 'w1', epoch: 2, generation: 4, settled: true, ready: 3, failed: [] };
  const settled: Look = {
    at: S,
    hosts: 3,
    leader: { ...leader, placed: new Map([['two.service', ['w1', 'w2']]]) },
    unready: [],
    active: new Map([['two.service', ['w1', 'w2']]]),
  };

  it('is settled when its leader says so, all daemons are ready, and systemd runs what is placed', () => {
    expect(unsettled(settled, units)).toBeUndefined();
    expect(unsettled({ ...settled, leader: undefined }, units)).toBe('no host leads');
    expect(unsettled({ ...settled, hosts: 4 }, units)).toBe('3 of 4 hosts are ready');
    expect(unsettled({ ...settled, unready: ['w3'] }, units)).toBe('the daemon of w3 is not ready');
    expect(unsettled({ ...settled, active: new Map() }, units)).toMatch('is placed on w1, w2 and runs on');
  });
});

describe('a daemon', () => {
  const died = host('w2', unit(1, 'servicewatcher', 'started'), unit(5, 'servicewatcher', 'exited'));

  it('that ends by itself is told, one that was killed is not', () => {
    expect(violations({ entries: died })).toEqual([
      'daemon-ended 5 w2: servicewatcher.service on w2: exited servicewatcher',
    ]);
    expect(violations({ entries: died, faults: [fault('daemon-kill', 4.9, 6, { hosts: ['w2'] })] })).toEqual([]);
    expect(violations({ entries: died, faults: [fault('daemon-freeze', 4.9, 6, { hosts: ['w2'] })] })).toHaveLength(1);
    expect(violations({ entries: died, faults: [fault('daemon-kill', 4.9, 6, { hosts: ['w1'] })] })).toHaveLength(1);
  });

  it.each([
    'the computed placement breaks the rules and is not written: x. Please report this',
    'a listener to a znode failed; this is a bug',
    'internal error, ending: TypeError: x is not a function',
    'executor: a pass failed and is tried again: Error: x',
  ])('that says "%s" has a bug', (message) => {
    expect(violations({ entries: host('w3', daemon(7, message)) })).toEqual([`bug-logged 7 w3: ${message}`]);
  });

  it('that says what goes on has none', () => {
    expect(violations({ entries: host('w3', daemon(7, 'two.service failed to start (job result: failed)')) })).toEqual(
      [],
    );
  });
});
