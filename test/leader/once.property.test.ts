/** Whole daemons of three hosts with a service that may run once only, while the network between them and ZooKeeper fails at random. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Service } from '../../src/shared/model.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const NAMES = ['w1', 'w2', 'w3'] as const;
const UNIT = 'single.service';
const SERVICE: Service = { name: 'single', type: 'shared', count: 1, enabled: true, isolation: 'stop' };

const host = fc.constantFrom(...NAMES);
const event = fc.oneof(
  fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 1, max: 9_000 }) } as const),
  fc.record({ kind: fc.constantFrom('cut', 'reset', 'heal'), host } as const),
  fc.record({ kind: fc.constantFrom('no-quorum', 'quorum') } as const),
);
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

class Cluster {
  readonly clock = new FakeClock();
  readonly ensemble = new FakeEnsemble({ clock: this.clock });
  readonly hosts: readonly FakeHost[];
  readonly daemons = new Map<string, FakeDaemon>();

  constructor() {
    this.hosts = NAMES.map((name) => new FakeHost(name, this.clock, this.ensemble));
    for (const each of this.hosts) each.systemd.define(UNIT, { startMs: 20, stopMs: 200 });
  }

  async boot(): Promise<void> {
    for (const each of this.hosts) this.daemons.set(each.name, await each.boot(specOf(SERVICE)));
    await this.clock.until('it to run', () => this.holders().length === 1);
  }

  /** Hosts on which it has processes. */
  holders(): string[] {
    return this.hosts.filter(({ systemd }) => systemd.state(UNIT).active !== 'inactive').map(({ name }) => name);
  }

  /** Lets time pass, looking again and again. */
  async watch(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 20) {
      await this.clock.advance(20);
      expect(this.holders().length).toBeLessThanOrEqual(1);
    }
  }

  async apply(happens: Event): Promise<void> {
    switch (happens.kind) {
      case 'wait':
        return this.watch(happens.ms);
      case 'no-quorum':
        return this.ensemble.stop();
      case 'quorum':
        if (!this.ensemble.isServing) this.ensemble.start();
        return;
      case 'cut':
        return this.daemons.get(happens.host)?.store.cut('silent');
      case 'reset':
        return this.daemons.get(happens.host)?.store.cut('reset');
      case 'heal':
        return this.daemons.get(happens.host)?.store.heal();
    }
  }
}

describe('a service that may run once only', () => {
  it('never has processes on two hosts, however the network fails, and runs again afterwards', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 30 }), async (events) => {
        const cluster = new Cluster();
        await cluster.boot();
        for (const happens of events) {
          await cluster.apply(happens);
          await cluster.watch(20);
        }
        if (!cluster.ensemble.isServing) cluster.ensemble.start();
        for (const daemon of cluster.daemons.values()) daemon.store.heal();
        await cluster.watch(40_000);
        expect(cluster.holders()).toHaveLength(1);
      }),
      { numRuns: 50 },
    );
  }, 60_000);
});
