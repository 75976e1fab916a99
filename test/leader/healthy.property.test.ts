/** Whole daemons of three hosts whose units are all healthy, while daemons die and the network to ZooKeeper fails at random. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Service } from '../../src/shared/model.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const NAMES = ['w1', 'w2', 'w3'] as const;
const base = { enabled: true, isolation: 'keep' } as const;
/** Services with an instance on every host, or on one host only: nothing of them can go elsewhere. */
const SPEC = specOf(
  { ...base, name: 'everywhere', type: 'global' } satisfies Service,
  { ...base, name: 'three', type: 'shared', count: 3 } satisfies Service,
  {
    ...base,
    name: 'pinned',
    type: 'multi',
    instances: { a: 1 },
    force: { a: 'w2' },
    exclusive: false,
  } satisfies Service,
);
const FILES = ['everywhere.service', 'three.service', 'pinned@.service'];
const RUNNING = [
  ['everywhere.service', 'three.service'],
  ['everywhere.service', 'pinned@a.service', 'three.service'],
  ['everywhere.service', 'three.service'],
];

const host = fc.constantFrom(...NAMES);
const event = fc.oneof(
  fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 1, max: 9_000 }) } as const),
  fc.record({ kind: fc.constantFrom('cut', 'reset', 'heal', 'kill', 'boot', 'bus-down', 'bus-up'), host } as const),
  fc.record({ kind: fc.constantFrom('no-quorum', 'quorum') } as const),
);
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

class Cluster {
  readonly clock = new FakeClock();
  readonly ensemble = new FakeEnsemble({ clock: this.clock });
  readonly hosts = new Map(NAMES.map((name) => [name, new FakeHost(name, this.clock, this.ensemble)]));
  readonly daemons = new Map<string, FakeDaemon>();
  private readonly withoutBus = new Set<string>();

  constructor() {
    for (const each of this.hosts.values()) for (const file of FILES) each.systemd.define(file, { stopMs: 20 });
  }

  async boot(name: (typeof NAMES)[number]): Promise<void> {
    const made = this.daemons.has(name) ? undefined : await this.hosts.get(name)?.boot(SPEC);
    if (made) this.daemons.set(name, made);
  }

  running(): string[][] {
    return [...this.hosts.values()].map(({ systemd }) => systemd.running());
  }

  async apply(happens: Event): Promise<void> {
    switch (happens.kind) {
      case 'wait':
        return this.clock.advance(happens.ms);
      case 'no-quorum':
        return this.ensemble.stop();
      case 'quorum':
        return this.quorum();
      case 'boot':
        return this.boot(happens.host);
      case 'kill':
        this.daemons.get(happens.host)?.kill();
        this.daemons.delete(happens.host);
        return;
      case 'cut':
        return this.daemons.get(happens.host)?.store.cut('silent');
      case 'reset':
        return this.daemons.get(happens.host)?.store.cut('reset');
      case 'heal':
        return this.daemons.get(happens.host)?.store.heal();
      case 'bus-down':
        this.withoutBus.add(happens.host);
        return this.hosts.get(happens.host)?.systemd.disconnect();
      case 'bus-up':
        return this.busUp(happens.host);
    }
  }

  async mend(): Promise<void> {
    this.quorum();
    for (const name of NAMES) {
      this.busUp(name);
      await this.boot(name);
      this.daemons.get(name)?.store.heal();
    }
  }

  private quorum(): void {
    if (!this.ensemble.isServing) this.ensemble.start();
  }

  private busUp(name: (typeof NAMES)[number]): void {
    if (this.withoutBus.delete(name)) this.hosts.get(name)?.systemd.reconnect();
  }
}

describe('healthy units', () => {
  it('are not touched by anything that happens to daemons, the bus and the network', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40 }), async (events) => {
        const cluster = new Cluster();
        for (const name of NAMES) await cluster.boot(name);
        await cluster.clock.until('all to run', () => JSON.stringify(cluster.running()) === JSON.stringify(RUNNING));
        await cluster.clock.advance(1_000);
        for (const each of cluster.hosts.values()) each.asked.length = 0;
        for (const happens of events) {
          await cluster.apply(happens);
          await cluster.clock.advance(1);
        }
        await cluster.mend();
        await cluster.clock.advance(40_000);
        expect([...cluster.hosts.values()].flatMap((each) => each.asked)).toEqual([]);
        expect(cluster.running()).toEqual(RUNNING);
      }),
      { numRuns: 50 },
    );
  }, 60_000);
});
