import { beforeEach, describe, expect, it } from 'vitest';
import type { Member } from '../../src/shared/cluster.ts';
import { Membership } from '../../src/shared/membership.ts';
import { decodeMember, encodeMember } from '../../src/shared/payloads.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

interface Daemon {
  readonly store: FakeStore;
  readonly membership: Membership;
  readonly log: MemoryLog;
  /** Sessions in which it joined. */
  readonly joined: string[];
  /** What it was told of its earlier election znode. */
  readonly earlier: (string | undefined)[];
  readonly taken: string[];
  failures: number;
}

let clock: FakeClock;
let ensemble: FakeEnsemble;
let labels: Record<string, string>;
/** Whether each join took over without a gap. */
let continuity: boolean[];
let interruptions: string[];

beforeEach(() => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  labels = {};
  continuity = [];
  interruptions = [];
});

const self = (machineId: string): Omit<Member, 'election'> => ({
  host: 'w1',
  machineId,
  address: '10.0.0.1',
  url: 'http://w1:9780',
  labels,
  software: '1',
  file: 'sha256:',
});

function start(machineId: string, failures = 0): Daemon {
  const store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  const [joined, earlier, taken, log]: [string[], (string | undefined)[], string[], MemoryLog] = [
    [],
    [],
    [],
    new MemoryLog(),
  ];
  const daemon: Daemon = {
    store,
    joined,
    earlier,
    taken,
    log,
    failures,
    membership: new Membership({
      store,
      clock,
      log,
      describe: () => self(machineId),
      elect: async (path) => {
        earlier.push(path);
        return `/election/n_${machineId}-${earlier.length}`;
      },
      onJoined: async (continuous) => {
        daemon.failures -= 1;
        if (daemon.failures >= 0) throw new Error('the spec could not be proposed');
        if (store.state.kind === 'connected') joined.push(store.state.session);
        continuity.push(continuous);
      },
      onInterrupted: () => void interruptions.push(machineId),
      onNameTaken: (why) => void taken.push(why),
    }),
  };
  return daemon;
}

function member(): Member | undefined {
  const node = ensemble.tree.get('/members/w1');
  const decoded = node && decodeMember(node.data, '/members/w1');
  return decoded?.ok ? decoded.value : undefined;
}

const owner = () => ensemble.tree.get('/members/w1')?.owner;
const session = ({ store }: Daemon) => (store.state.kind === 'connected' ? store.state.session : undefined);

describe('a membership', () => {
  it('is an ephemeral of the present session that names the election znode', async () => {
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    expect(owner()).toBe(session(daemon));
    expect(member()).toMatchObject({ host: 'w1', machineId: 'm1', election: '/election/n_m1-1' });
    expect(daemon.earlier).toEqual([undefined]);
  });

  it('takes over from its own earlier session at once, and tells the election of its znode', async () => {
    const before = start('m1');
    await clock.until('it to join', () => before.membership.joined);
    before.store.kill();
    const killedAt = clock.now();
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    expect(clock.now() - killedAt).toBeLessThan(500);
    expect(daemon.earlier).toEqual(['/election/n_m1-1']);
    expect(continuity).toEqual([false, true]);
    await clock.advance(10_000);
    expect(owner()).toBe(session(daemon));
    expect(daemon.taken).toEqual([]);
  });

  it('takes over from a process that was leaving, but what that one was told counts no more', async () => {
    const before = start('m1');
    await clock.until('it to join', () => before.membership.joined);
    const entry = member();
    if (!entry) throw new Error('it has no entry');
    const data = encodeMember({ ...entry, leaving: true });
    ensemble.apply('the daemon', [{ op: 'set', path: '/members/w1', data, version: -1 }]);
    before.store.kill();
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    expect(continuity).toEqual([false, false]);
  });

  it('respects a name that another machine holds, and says which one does', async () => {
    const holder = start('m1');
    await clock.until('it to join', () => holder.membership.joined);
    const daemon = start('m2');
    await clock.until('the refusal', () => daemon.taken.length === 1);
    await clock.advance(10_000);
    expect(daemon.taken[0]).toContain('machine m1, address 10.0.0.1, http://w1:9780');
    expect(daemon.membership.joined).toBe(false);
    expect(daemon.earlier).toEqual([]);
    expect(owner()).toBe(session(holder));
    expect(holder.taken).toEqual([]);
  });

  it('tells a daemon whose name was taken over by another one', async () => {
    const first = start('m1');
    await clock.until('it to join', () => first.membership.joined);
    const second = start('m1');
    await clock.until('it to be told', () => first.taken.length === 1);
    expect(second.taken).toEqual([]);
    expect(owner()).toBe(session(second));
  });

  it('joins again when someone removes its znode', async () => {
    const daemon = start('m1');
    const vandal = ensemble.connect();
    await clock.until('it to join', () => daemon.membership.joined && vandal.state.kind === 'connected');
    await clock.advance(1_000);
    await clock.finish('the removal', vandal.remove('/members/w1'));
    await clock.until('it to be back', () => member() !== undefined && daemon.membership.joined);
    expect(owner()).toBe(session(daemon));
    expect(daemon.log.at('warn').join()).toContain('was removed by someone');
    expect(interruptions).toEqual(['m1']);
    expect(continuity).toEqual([false, false]);
  });

  it('joins again in each new session, and is not joined meanwhile', async () => {
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    ensemble.expire(session(daemon) ?? '');
    await clock.until('it to learn of it', () => !daemon.membership.joined);
    await clock.until('it to join', () => daemon.membership.joined);
    expect(daemon.joined).toEqual([...new Set(daemon.joined)]);
    expect(daemon.joined).toHaveLength(2);
    expect(continuity).toEqual([false, false]);
    expect(owner()).toBe(session(daemon));
  });

  it('is not joined a second time when only the connection was broken', async () => {
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    daemon.store.cut('reset');
    await clock.advance(1_000);
    daemon.store.heal();
    await clock.advance(10_000);
    expect(daemon.joined).toHaveLength(1);
    expect(daemon.membership.joined).toBe(true);
  });

  it('replaces an entry that nobody can read, and reports it', async () => {
    const vandal = ensemble.connect();
    await clock.until('a session', () => vandal.state.kind === 'connected');
    await clock.finish('the parent', vandal.ensure('/members'));
    await clock.finish('the entry', vandal.create('/members/w1', Buffer.from('nonsense'), 'persistent'));
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    expect(daemon.log.at('error').join()).toContain('/members/w1');
    expect(owner()).toBe(session(daemon));
  });

  it('tries again, after a pause, when a step fails', async () => {
    const daemon = start('m1', 3);
    await clock.until('it to join', () => daemon.membership.joined);
    expect(daemon.log.at('warn')).toHaveLength(3);
    expect(clock.now()).toBeGreaterThanOrEqual(600);
  });

  it('writes what the host says of itself by now when it is refreshed', async () => {
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    labels = { zone: 'b' };
    await clock.finish('the refresh', daemon.membership.refresh());
    expect(member()).toMatchObject({ labels: { zone: 'b' }, election: '/election/n_m1-1' });
  });

  it('does nothing any more once it is closed', async () => {
    const daemon = start('m1');
    await clock.until('it to join', () => daemon.membership.joined);
    await clock.finish('the close', daemon.membership.close());
    ensemble.expire(session(daemon) ?? '');
    await clock.advance(20_000);
    expect(member()).toBeUndefined();
    expect(daemon.joined).toHaveLength(1);
  });
});
