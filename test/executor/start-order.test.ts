/** Ordered starts (`start`, `after`) of a whole pretended cluster: what is being started at any moment, and what waits for what. */
import { describe, expect, it } from 'vitest';
import type { StartOrder } from '../../src/shared/attachments.ts';
import type { MultiService, Service } from '../../src/shared/spec.ts';
import type { ActiveState } from '../../src/shared/state.ts';
import { discoveryPath } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';
import type { UnitScript } from '../fakes/systemd-script.ts';
import { checkOf } from '../fixtures/health-check.ts';

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'];
const UNITS = KEYS.map((key) => `es@${key}.service`);
const serial: StartOrder = { atOnce: 1, until: 'active', timeoutMs: 60_000 };
const base = { enabled: true, isolation: 'keep' } as const;
const es = (change: Partial<MultiService> = {}): MultiService => ({
  ...base,
  name: 'es',
  type: 'multi',
  instances: Object.fromEntries(KEYS.map((key) => [key, 1])),
  force: {},
  exclusive: false,
  start: serial,
  ...change,
});

class Cluster {
  readonly clock = new FakeClock();
  readonly ensemble = new FakeEnsemble({ clock: this.clock });
  readonly daemons = new Map<string, FakeDaemon>();
  /** Units in the order in which systemd was asked to start them. */
  readonly asked: string[] = [];
  /** Most units that were being started at one moment, by the beginning of their names. */
  readonly most = new Map<string, number>();
  readonly hosts: FakeHost[];
  onStart: (unit: string) => void = () => {};
  private readonly starting = new Map<string, Set<string>>();

  /** `isHealthy`: what checks of a host's instances, of which the last word is the host, find. */
  constructor(
    names: readonly string[],
    scripts: Readonly<Record<string, Partial<UnitScript>>>,
    isHealthy: (host: string) => boolean = () => true,
  ) {
    this.hosts = names.map((name) => {
      const host: FakeHost = new FakeHost(name, this.clock, this.ensemble, '/nonexistent', {
        probe: () => async (probe) =>
          probe.kind === 'exec' && isHealthy(probe.command.at(-1) ?? '') ? { ok: true } : { ok: false, output: 'sick' },
        systemd: { onState: (unit, active) => this.onState(name, unit, active) },
        onAsked: (line) => {
          if (!line.startsWith('start ')) return;
          const unit = line.slice('start '.length);
          this.asked.push(unit);
          this.onStart(unit);
        },
      });
      for (const [unit, script] of Object.entries(scripts)) host.systemd.define(unit, script);
      return host;
    });
  }

  async boot(...services: readonly Service[]): Promise<void> {
    for (const host of this.hosts) this.daemons.set(host.name, await host.boot(specOf(...services)));
  }

  /** Number of hosts where each of these units is active. */
  active(...units: string[]): number {
    return units.filter((unit) => this.hosts.some((host) => host.systemd.state(unit).active === 'active')).length;
  }

  untilActive(units: readonly string[], withinMs = 60_000): Promise<void> {
    return this.clock.until(`${units.join()} to run`, () => this.active(...units) === units.length, withinMs);
  }

  /** What the reports say of why a unit waits. */
  waiting(unit: string): (string | undefined)[] {
    const reports = [...this.daemons.values()].map((daemon) => daemon.executor.observed);
    return reports.flatMap((report) =>
      (report?.units ?? []).flatMap((seen) => (seen.unit === unit && seen.waiting !== undefined ? [seen.waiting] : [])),
    );
  }

  /** All hosts lose their power. */
  powerOff(): void {
    for (const daemon of this.daemons.values()) daemon.kill();
    for (const host of this.hosts) host.systemd.powerOff();
  }

  powerOn(...services: readonly Service[]): Promise<void> {
    for (const host of this.hosts) host.systemd.reconnect();
    return this.boot(...services);
  }

  private onState(host: string, unit: string, active: ActiveState): void {
    const service = unit.replace(/[@.].*/, '');
    const now = this.starting.get(service) ?? new Set();
    this.starting.set(service, now);
    if (active === 'activating') now.add(`${host} ${unit}`);
    else now.delete(`${host} ${unit}`);
    this.most.set(service, Math.max(this.most.get(service) ?? 0, now.size));
  }
}

const slow = { 'es@.service': { startMs: 300 }, 'web.service': { startMs: 300 }, 'db.service': { startMs: 300 } };

describe('a service that starts in turns', () => {
  it.each([1, 2, 3])(
    'has never more than %i instances being started, and that many as long as there are',
    async (atOnce) => {
      const cluster = new Cluster(['w1', 'w2', 'w3'], slow);
      await cluster.boot(es({ start: { ...serial, atOnce } }));
      const began = cluster.clock.now();
      await cluster.untilActive(UNITS);
      expect(cluster.most.get('es')).toBe(atOnce);
      expect(new Set(cluster.asked).size).toBe(10);
      // joining takes some time; so many starts of 300 ms one after the other do, and hardly more
      expect(cluster.clock.now() - began).toBeLessThan(3_000 + Math.ceil(10 / atOnce) * 330);
    },
  );

  it('starts each only when all that were started before it are registered', async () => {
    const cluster = new Cluster(['w1', 'w2'], slow);
    const seen: number[] = [];
    cluster.onStart = () => seen.push(cluster.ensemble.tree.get(discoveryPath('es'))?.children.size ?? 0);
    await cluster.boot(es({ discovery: { label: 'es', port: 9300, onlyHealthy: true } }));
    const began = cluster.clock.now();
    await cluster.untilActive(UNITS);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // nobody waits for the next look around (5 s)
    expect(cluster.clock.now() - began).toBeLessThan(3_000 + 10 * 350);
  });

  it('waits at a cold start of all hosts, too, with the orders that they had', async () => {
    const cluster = new Cluster(['w1', 'w2', 'w3'], slow);
    await cluster.boot(es());
    await cluster.untilActive(UNITS);
    cluster.powerOff();
    await cluster.clock.advance(10_000);
    cluster.most.clear();
    await cluster.powerOn(es());
    await cluster.untilActive(UNITS);
    expect(cluster.most.get('es')).toBe(1);
  });

  it('says for whom an instance waits, and keeps no other service waiting', async () => {
    const cluster = new Cluster(['w1', 'w2'], { ...slow, 'es@.service': { startMs: 5_000 } });
    await cluster.boot(es({ instances: { a: 1, b: 1 } }), { ...base, name: 'web', type: 'global' });
    await cluster.untilActive(['web.service']);
    await cluster.clock.until('one to start', () => cluster.asked.includes('es@a.service'));
    expect(cluster.active('es@a.service', 'es@b.service')).toBe(0);
    const said = 'it waits for its turn to start: w1 (es@a.service) starts it now';
    await cluster.clock.until('the other to say so', () => cluster.waiting('es@b.service').includes(said), 1_000);
    await cluster.untilActive(['es@a.service', 'es@b.service']);
    expect(cluster.waiting('es@b.service')).toEqual([]);
  });

  it('goes on when an instance fails to start', async () => {
    const cluster = new Cluster(['w1'], slow);
    cluster.hosts[0]?.systemd.define('es@1.service', { startMs: 300, start: 'fails' });
    await cluster.boot(es());
    await cluster.untilActive(UNITS.slice(1));
    expect(cluster.most.get('es')).toBe(1);
  });

  it('goes on after a while when an instance does not come to its end, and leaves that one alone', async () => {
    const cluster = new Cluster(['w1', 'w2'], slow);
    for (const host of cluster.hosts)
      host.systemd.define('es@1.service', { startMs: 500_000, startTimeoutMs: 600_000 });
    await cluster.boot(es({ start: { ...serial, timeoutMs: 5_000 } }));
    await cluster.untilActive(UNITS.slice(1));
    expect(cluster.asked.filter((unit) => unit === 'es@1.service')).toHaveLength(1);
    const stopped = cluster.hosts.flatMap((host) => host.asked.filter((line) => line.startsWith('stop')));
    expect(stopped).toEqual([]);
    expect(cluster.hosts.some((host) => host.systemd.state('es@1.service').active === 'activating')).toBe(true);
  });

  it('is adopted where it runs, without a turn', async () => {
    const cluster = new Cluster(['w1'], { ...slow, 'es@.service': { startMs: 20_000 } });
    await cluster.boot(es({ instances: { a: 1 } }));
    await cluster.clock.until('it to be started', () => cluster.asked.length === 1);
    cluster.daemons.get('w1')?.kill();
    cluster.hosts[0]?.systemd.define('es@b.service');
    cluster.hosts[0]?.systemd.systemctl('start', 'es@b.service');
    await cluster.boot(es({ instances: { a: 1, b: 1 } }));
    const ours = () => [...(cluster.hosts[0]?.memory.remembered.units.keys() ?? [])];
    await cluster.clock.until('both to be ours', () => ours().length === 2, 10_000);
    await cluster.untilActive(['es@a.service']);
    expect(cluster.asked).toEqual(['es@a.service']);
  });

  it('does not stand still when daemons are killed while they have a turn, or wait for one', async () => {
    const cluster = new Cluster(['w1', 'w2', 'w3'], slow);
    await cluster.boot(es());
    for (const name of ['w1', 'w2', 'w3', 'w2', 'w1']) {
      await cluster.clock.advance(700);
      const host = cluster.hosts.find((each) => each.name === name);
      cluster.daemons.get(name)?.kill();
      if (host) cluster.daemons.set(name, await host.boot(specOf(es())));
    }
    await cluster.untilActive(UNITS);
    expect(new Set(cluster.asked)).toHaveLength(cluster.asked.length);
  });

  it('starts nothing while ZooKeeper is away, and stops nothing, and others are started all the same', async () => {
    const cluster = new Cluster(['w1', 'w2'], slow);
    const services = [es({ instances: { a: 1 } }), { ...base, name: 'web', type: 'global' } as const];
    await cluster.boot(...services);
    await cluster.untilActive(['es@a.service', 'web.service']);
    cluster.ensemble.stop();
    await cluster.clock.advance(10_000);
    const where = cluster.hosts.find((host) => host.systemd.state('es@a.service').active === 'active');
    cluster.asked.length = 0;
    for (const unit of ['es@a.service', 'web.service']) where?.systemd.systemctl('stop', unit);
    await cluster.clock.until('the other to run again', () => where?.systemd.state('web.service').active === 'active');
    await cluster.clock.advance(20_000);
    expect(cluster.asked).toEqual(['web.service']);
    expect(cluster.waiting('es@a.service')).toEqual(['it waits for its turn, and ZooKeeper is silent']);
    cluster.ensemble.start();
    await cluster.untilActive(['es@a.service']);
  });
});

describe('a service that starts after another', () => {
  const db: Service = { ...base, name: 'db', type: 'shared', count: 1 };
  const web = (where: 'anywhere' | 'same-host'): Service => ({
    ...base,
    name: 'web',
    type: 'global',
    after: [{ service: 'db', where }],
  });
  /** Whether db ran anywhere at each start of web. */
  function watched(): { cluster: Cluster; atStart: number[] } {
    const cluster = new Cluster(['w1', 'w2'], slow);
    const atStart: number[] = [];
    cluster.onStart = (unit) => {
      if (unit === 'web.service') atStart.push(cluster.active('db.service'));
    };
    return { cluster, atStart };
  }
  const running = (cluster: Cluster) =>
    cluster.hosts.filter((host) => host.systemd.state('web.service').active === 'active').map(({ name }) => name);

  it('waits until that is up on any host, and says so', async () => {
    const { cluster, atStart } = watched();
    await cluster.boot(db, web('anywhere'));
    await cluster.clock.until('both to wait', () => cluster.waiting('web.service').length === 2);
    await cluster.clock.until('both to run', () => running(cluster).length === 2);
    expect(atStart).toEqual([1, 1]);
  });

  it('waits for it at a cold start of all hosts, too, with the orders that they had', async () => {
    const { cluster, atStart } = watched();
    await cluster.boot(db, web('anywhere'));
    await cluster.clock.until('both to run', () => running(cluster).length === 2);
    cluster.powerOff();
    await cluster.clock.advance(10_000);
    atStart.length = 0;
    await cluster.powerOn(db, web('anywhere'));
    await cluster.clock.until('both to run again', () => running(cluster).length === 2);
    expect(atStart).toEqual([1, 1]);
  });

  it('runs on when that is down, and is started again after it only', async () => {
    const { cluster, atStart } = watched();
    await cluster.boot(db, web('anywhere'));
    await cluster.clock.until('both to run', () => running(cluster).length === 2);
    for (const host of cluster.hosts) host.systemd.define('db.service', { startMs: 5_000 });
    for (const host of cluster.hosts) {
      if (host.systemd.state('db.service').active === 'active') host.systemd.systemctl('stop', 'db.service');
    }
    await cluster.clock.until('it to be down', () => cluster.active('db.service') === 0);
    await cluster.clock.advance(1_000);
    expect(running(cluster)).toEqual(['w1', 'w2']);
    cluster.hosts[0]?.systemd.systemctl('stop', 'web.service');
    await cluster.clock.until('it to wait', () => cluster.waiting('web.service').length === 1);
    await cluster.clock.until('both to run', () => running(cluster).length === 2);
    expect(atStart).toEqual([1, 1, 1]);
    expect(cluster.hosts.flatMap((host) => host.asked.filter((line) => line.startsWith('stop')))).toEqual([]);
  });

  it('on the same host waits there until that is healthy, and is started at once then', async () => {
    const sick = new Set(['w1', 'w2']);
    const cluster = new Cluster(['w1', 'w2'], slow, (host) => !sick.has(host));
    const check = checkOf({ probe: { kind: 'exec', command: ['/check', '{host}'] }, intervalMs: 200, timeoutMs: 100 });
    await cluster.boot({ ...db, type: 'global', check }, web('same-host'));
    await cluster.clock.until('both to wait', () => cluster.waiting('web.service').length === 2);
    await cluster.clock.advance(20_000);
    expect(running(cluster)).toEqual([]);
    sick.delete('w2');
    await cluster.clock.until('the one that is healthy', () => running(cluster).join() === 'w2', 1_000);
    await cluster.clock.advance(10_000);
    expect(running(cluster)).toEqual(['w2']);
  });

  it('on the same host waits there for that, and where it is not placed for ever', async () => {
    const { cluster } = watched();
    await cluster.boot(db, web('same-host'));
    await cluster.clock.until('one to run', () => running(cluster).length === 1);
    await cluster.clock.advance(20_000);
    const [host] = cluster.hosts.filter((each) => each.systemd.state('db.service').active === 'active');
    expect(running(cluster)).toEqual([host?.name]);
    expect(host?.asked.filter((line) => line.startsWith('start'))).toEqual(['start db.service', 'start web.service']);
    expect(cluster.waiting('web.service')).toEqual(['it starts after db, which is not up on this host yet']);
  });
});
