/** Turns to start, on a pretended ensemble: who has one, who is told, and what becomes of places when processes and sessions end. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { queuePath } from '../../src/discovery/queued.ts';
import { StartQueue } from '../../src/discovery/start-queue.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

/** The part of a host's daemon that takes turns. */
class Host {
  readonly store: FakeStore;
  readonly queue: StartQueue;
  readonly log = new MemoryLog();
  changes = 0;

  constructor(
    readonly name: string,
    private readonly ensemble: FakeEnsemble,
  ) {
    this.store = ensemble.connect();
    this.queue = new StartQueue({
      store: this.store,
      host: name,
      clock: this.store.process,
      log: this.log,
      onChange: () => {
        this.changes += 1;
      },
    });
    this.store.onState((state) => {
      if (state.kind === 'connected') this.queue.joined();
    });
  }

  want(atOnce: number, ...units: string[]): void {
    this.queue.want(new Map(units.map((unit) => [unit, { service: 'es', atOnce }])));
  }

  has(unit = 'es.service'): boolean {
    return this.queue.state(unit).kind === 'has';
  }

  why(unit = 'es.service'): string {
    const state = this.queue.state(unit);
    return state.kind === 'waits' ? state.why : 'has its turn';
  }

  /** SIGKILL. */
  kill(): void {
    this.store.kill();
  }

  /** The next process on the same host. */
  next(): Host {
    return new Host(this.name, this.ensemble);
  }
}

class Rig {
  readonly clock = new FakeClock({ files: false });
  readonly ensemble = new FakeEnsemble({ clock: this.clock });

  host(name: string): Host {
    return new Host(name, this.ensemble);
  }

  /** Hosts that have asked for a turn one after the other. */
  async inOrder(atOnce: number, ...names: string[]): Promise<Host[]> {
    const hosts: Host[] = [];
    for (const name of names) {
      const host = this.host(name);
      hosts.push(host);
      host.want(atOnce, 'es.service');
      await this.clock.advance(200);
    }
    return hosts;
  }

  names(): string[] {
    return [...(this.ensemble.tree.get(queuePath('es'))?.children ?? [])].sort();
  }
}

const turns = (hosts: readonly Host[]) => hosts.filter((host) => host.has()).map(({ name }) => name);

describe('turns to start', () => {
  it('are had by so many at once as may, in the order in which they came', async () => {
    const rig = new Rig();
    const hosts = await rig.inOrder(2, 'w1', 'w2', 'w3', 'w4', 'w5');
    expect(turns(hosts)).toEqual(['w1', 'w2']);
    hosts[1]?.want(2);
    await rig.clock.advance(100);
    expect(turns(hosts)).toEqual(['w1', 'w3']);
    hosts[0]?.want(2);
    await rig.clock.advance(100);
    expect(turns(hosts)).toEqual(['w3', 'w4']);
    for (const host of hosts) host.want(2);
    await rig.clock.advance(100);
    expect(rig.names()).toEqual([]);
  });

  it('say to who waits who starts now, or who is before', async () => {
    const rig = new Rig();
    const hosts = await rig.inOrder(2, 'w1', 'w2', 'w3', 'w4');
    expect(hosts.map((host) => host.why())).toEqual([
      'has its turn',
      'has its turn',
      'it waits for its turn to start: w1 and w2 start it now',
      'it waits for its turn to start, after w3',
    ]);
    const other = rig.host('w5');
    other.want(2, 'es@5.service');
    hosts[0]?.want(2);
    hosts[1]?.want(2);
    hosts[2]?.want(2);
    await rig.clock.advance(200);
    const last = rig.host('w6');
    last.want(1, 'es@6.service');
    await rig.clock.advance(200);
    expect(other.why('es@5.service')).toBe('has its turn');
    expect(last.why('es@6.service')).toBe(
      'it waits for its turn to start: w4 (es.service) and w5 (es@5.service) start it now',
    );
  });

  it('wake one waiter when they end, however many there are', async () => {
    const rig = new Rig();
    const hosts = await rig.inOrder(1, ...Array.from({ length: 30 }, (_, index) => `w${index}`));
    const before = hosts.map((host) => host.changes);
    let reads = 0;
    const { tree } = rig.ensemble;
    const get = tree.get.bind(tree);
    tree.get = (path) => {
      reads += 1;
      return get(path);
    };
    hosts[0]?.want(1);
    await rig.clock.advance(500);
    expect(turns(hosts)).toEqual(['w1']);
    const woken = hosts.filter((host, index) => host.changes > (before[index] ?? 0)).map(({ name }) => name);
    expect(woken).toEqual(['w0', 'w1', 'w2']);
    expect(reads).toBeLessThan(30);
  });

  it('pass by one that gives its place up, or dies', async () => {
    const rig = new Rig();
    const hosts = await rig.inOrder(1, 'w1', 'w2', 'w3', 'w4');
    hosts[1]?.want(1);
    hosts[2]?.kill();
    await rig.clock.advance(100);
    hosts[0]?.want(1);
    await rig.clock.until('the last to have it', () => hosts[3]?.has() ?? false, 6_000);
  });

  it('are not had while nothing is heard of ZooKeeper, and had again when it was there all the time', async () => {
    const rig = new Rig();
    const [host] = await rig.inOrder(1, 'w1');
    if (!host) throw new Error('there is one');
    const { changes } = host;
    host.store.cut('reset');
    await rig.clock.advance(100);
    expect(host.why()).toBe('it waits for its turn, and ZooKeeper is silent');
    expect(host.changes).toBeGreaterThan(changes);
    host.store.heal();
    await rig.clock.until('its turn', () => host.has(), 1_000);
  });

  it('end with the session: it queues anew, behind those that came meanwhile', async () => {
    const rig = new Rig();
    const [host, other] = await rig.inOrder(1, 'w1', 'w2');
    host?.store.cut('silent');
    await rig.clock.until('the turn of the other', () => other?.has() ?? false, 6_000);
    expect(host?.has()).toBe(false);
    host?.store.heal();
    await rig.clock.advance(1_000);
    expect(host?.why()).toBe('it waits for its turn to start: w2 starts it now');
    other?.want(1);
    await rig.clock.until('its turn', () => host?.has() ?? false, 1_000);
  });

  it('leave a place to the next process of the host, which takes it over before the session has ended', async () => {
    const rig = new Rig();
    const [first, second, third] = await rig.inOrder(1, 'w1', 'w2', 'w3');
    second?.kill();
    const next = second?.next();
    next?.want(1, 'es.service');
    await rig.clock.advance(500);
    expect(rig.names()).toHaveLength(3);
    first?.want(1);
    await rig.clock.advance(100);
    expect(next?.has()).toBe(true);
    await rig.clock.advance(6_000);
    expect(next?.has()).toBe(true);
    expect(third?.has()).toBe(false);
    next?.want(1);
    await rig.clock.advance(100);
    expect(third?.has()).toBe(true);
  });

  it('of other services and units have nothing to do with each other', async () => {
    const rig = new Rig();
    const [host] = await rig.inOrder(1, 'w1');
    const other = rig.host('w2');
    other.queue.want(new Map([['db.service', { service: 'db', atOnce: 1 }]]));
    host?.want(1, 'es.service', 'es@2.service');
    await rig.clock.advance(200);
    expect(other.has('db.service')).toBe(true);
    expect([host?.has(), host?.has('es@2.service')]).toEqual([true, false]);
  });

  it('are asked for again by a unit that gave its place up a moment ago, at the end', async () => {
    const rig = new Rig();
    const [host, other] = await rig.inOrder(1, 'w1', 'w2');
    host?.want(1);
    host?.want(1, 'es.service');
    await rig.clock.advance(200);
    expect([host?.has(), other?.has()]).toEqual([false, true]);
  });

  it('come back after somebody removed a place', async () => {
    const rig = new Rig();
    const [host, other] = await rig.inOrder(1, 'w1', 'w2');
    const operator = rig.ensemble.connect();
    for (const name of rig.names())
      await rig.clock.finish('the removal', operator.remove(`${queuePath('es')}/${name}`));
    await rig.clock.until('both to have a place again', () => rig.names().length === 2, 5_000);
    await rig.clock.advance(200);
    expect(host?.has()).not.toBe(other?.has());
  });
});

interface Step {
  readonly host: number;
  readonly afterMs: number;
  readonly what: 'want' | 'leave' | 'kill' | 'silent' | 'reset' | 'heal' | 'lose-answer';
}

const steps = fc.array(
  fc.record<Step>({
    host: fc.nat(5),
    afterMs: fc.integer({ min: 0, max: 1_500 }),
    what: fc.constantFrom(
      'want',
      'want',
      'want',
      'leave',
      'leave',
      'kill',
      'silent',
      'reset',
      'heal',
      'heal',
      'lose-answer',
    ),
  }),
  { minLength: 5, maxLength: 60 },
);

/** Sessions end by themselves, of hosts that are silent for long: no server ends one before its time. */
function act(hosts: Host[], { host: index, what }: Step, atOnce: number): void {
  const host = hosts[index];
  if (!host) throw new Error('there is no such host');
  switch (what) {
    case 'want':
      host.want(atOnce, 'es.service');
      return;
    case 'leave':
      host.want(atOnce);
      return;
    case 'kill':
      host.kill();
      hosts[index] = host.next();
      return;
    case 'lose-answer':
      host.store.loseNextAnswer();
      return;
    case 'heal':
      host.store.heal();
      return;
    case 'silent':
    case 'reset':
      host.store.cut(what);
  }
}

it('are never had by more than may, and always by as many as can', async () => {
  const latencies = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), latencies, async (planned, atOnce, delays) => {
      let most = 0;
      let hosts: Host[] = [];
      const clock = new FakeClock({
        files: false,
        onSettled: () => {
          most = Math.max(most, turns(hosts).length);
        },
      });
      let sent = 0;
      const ensemble = new FakeEnsemble({ clock, latencyMs: () => delays[sent++ % delays.length] ?? 1 });
      hosts = Array.from({ length: 6 }, (_, index) => new Host(`w${index}`, ensemble));
      for (const step of planned) {
        act(hosts, step, atOnce);
        await clock.advance(step.afterMs);
      }
      for (const host of hosts) {
        host.store.heal();
        host.want(atOnce, 'es.service');
      }
      await clock.advance(15_000);
      const began: string[] = [];
      while (began.length < hosts.length) {
        const now = hosts.filter((host) => host.has());
        expect(now.length).toBe(Math.min(atOnce, hosts.length - began.length));
        for (const host of now) {
          began.push(host.name);
          host.want(atOnce);
        }
        await clock.advance(3_000);
      }
      expect(most).toBeLessThanOrEqual(atOnce);
      expect(most).toBeGreaterThan(0);
    }),
    { numRuns: 100 },
  );
}, 60_000);
