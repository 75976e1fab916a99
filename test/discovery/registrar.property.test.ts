/** Whatever happens in whatever order: in the end just what runs is registered, and what others wrote is theirs. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Registrar } from '../../src/discovery/registrar.ts';
import { decodeRegistration, encodeRegistration, type Registration } from '../../src/discovery/registration.ts';
import type { DesiredUnit, Health, Observed } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { checkOf } from '../fixtures/health-check.ts';

const CHECK = checkOf();
const LABELS = ['a', 'b'] as const;
const UNITS = ['one', 'two', 'three'] as const;

/** What one unit is to be, and is. */
interface Unit {
  readonly desired: boolean;
  readonly label: (typeof LABELS)[number];
  readonly active: boolean;
  /** Undefined: it has no check. */
  readonly health: Health['state'] | undefined;
  readonly onlyHealthy: boolean;
}

const unit = fc.record<Unit>({
  desired: fc.boolean(),
  label: fc.constantFrom(...LABELS),
  active: fc.boolean(),
  health: fc.constantFrom(undefined, 'healthy', 'unhealthy', 'starting'),
  onlyHealthy: fc.boolean(),
});
const units = fc.tuple(unit, unit, unit);

const place = fc.record({ label: fc.constantFrom(...LABELS), id: fc.constantFrom('w1', 'w1:two') });
const step = fc.oneof(
  { weight: 6, arbitrary: units.map((now) => ({ kind: 'told' as const, now })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'killed' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'expired' as const }) },
  { weight: 1, arbitrary: fc.nat(6_000).map((ms) => ({ kind: 'silence' as const, ms })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'answer lost' as const }) },
  { weight: 1, arbitrary: place.map((at) => ({ kind: 'removed' as const, ...at })) },
  { weight: 1, arbitrary: place.map((at) => ({ kind: 'spoilt' as const, ...at })) },
  { weight: 3, arbitrary: fc.nat(20).map((ms) => ({ kind: 'time' as const, ms })) },
);

const desiredOf = (all: readonly Unit[]): DesiredUnit[] =>
  all.flatMap(({ desired, label, health, onlyHealthy }, index) => {
    const service = UNITS[index] ?? 'none';
    const discovery = { label, onlyHealthy };
    const base = { unit: `${service}.service`, service, isolation: 'keep', why: { kind: 'kept' }, discovery } as const;
    return desired ? [{ ...base, ...(health && { check: CHECK }) }] : [];
  });
const reportOf = (all: readonly Unit[]): Observed => ({
  host: 'w1',
  epoch: 1,
  generation: 1,
  units: all.map(({ active, health }, index) => ({
    unit: `${UNITS[index] ?? 'none'}.service`,
    load: 'loaded',
    active: active ? 'active' : 'inactive',
    sub: active ? 'running' : 'dead',
    ...(active && health && { health: { state: health } }),
  })),
});

/** `LABEL UNIT HEALTHY` of each unit that shall be registered. */
const expected = (all: readonly Unit[]) =>
  all
    .flatMap(({ desired, label, active, health, onlyHealthy }, index) => {
      const healthy = health === undefined || health === 'healthy';
      return desired && active && (healthy || !onlyHealthy) ? [`${label} ${UNITS[index]}.service ${healthy}`] : [];
    })
    .sort();

class Host {
  readonly clock = new FakeClock({ files: false });
  readonly ensemble = new FakeEnsemble({ clock: this.clock });
  readonly other = this.ensemble.connect({ sessionTimeoutMs: 600_000 });
  private readonly log = new MemoryLog();
  private readonly registrars: Registrar[] = [];
  private store: FakeStore = this.other;
  private now: readonly Unit[] | undefined;

  async boot(): Promise<void> {
    const store = this.ensemble.connect();
    this.store = store;
    const registrar = new Registrar({ host: 'w1', store, clock: store.process, log: this.log, address: () => 'w1' });
    this.registrars.push(registrar);
    // as the agent does, in each session
    store.onState((state) => {
      if (state.kind === 'connected') registrar.joined();
    });
    await this.clock.until('a session', () => store.state.kind === 'connected');
    if (this.now) this.tell(this.now);
  }

  tell(now: readonly Unit[]): void {
    this.now = now;
    this.registrars.at(-1)?.update(desiredOf(now), reportOf(now));
  }

  async happen(what: typeof step extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
    switch (what.kind) {
      case 'told':
        return this.tell(what.now);
      case 'killed':
        this.store.kill();
        return this.boot();
      case 'expired':
        if (this.store.state.kind === 'connected') this.ensemble.expire(this.store.state.session);
        return this.clock.until('a session', () => this.store.state.kind === 'connected');
      case 'silence':
        this.store.cut('silent');
        await this.clock.advance(what.ms);
        this.store.heal();
        return;
      case 'answer lost':
        this.store.loseNextAnswer();
        return;
      case 'removed':
        await this.clock.finish(
          'a removal',
          this.other.remove(path(what)).catch(() => undefined),
        );
        return;
      case 'spoilt':
        await this.clock.finish(
          'a change',
          this.other.set(path(what), Buffer.from('spoilt')).catch(() => undefined),
        );
        return;
      case 'time':
        return this.clock.advance(what.ms);
    }
  }

  registered(): string[] {
    const { tree } = this.ensemble;
    return LABELS.flatMap((label) =>
      [...(tree.get(`/discovery/${label}`)?.children ?? [])].map((id) => {
        const decoded = decodeRegistration(tree.get(path({ label, id }))?.data ?? Buffer.alloc(0), id);
        return decoded.ok ? `${label} ${decoded.value.unit} ${decoded.value.healthy}` : `${label} unreadable`;
      }),
    ).sort();
  }

  /** A process that was killed has nothing to end. */
  async close(): Promise<void> {
    const last = this.registrars.at(-1);
    if (last) await this.clock.finish('the end', last.close());
  }
}

const path = ({ label, id }: { readonly label: string; readonly id: string }) => `/discovery/${label}/${id}`;

it('what runs is registered in the end, and nothing else, whatever happened before', async () => {
  const told = units.filter((all) => all.every(({ health }) => health !== 'starting'));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), told, async (steps, last) => {
      const host = new Host();
      await host.boot();
      for (const each of steps) await host.happen(each);
      host.tell(last);
      await host.clock.advance(30_000);
      const found = host.registered();
      await host.close();
      expect(found).toEqual(expected(last));
    }),
    { numRuns: 1_000 },
  );
});

it('what a watcher has registered is never taken from it, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      const host = new Host();
      await host.clock.until('a session', () => host.other.state.kind === 'connected');
      const entry: Registration = { label: 'a', id: 'w1', host: 'w1', address: 'w1', healthy: true, source: 'watch' };
      await host.clock.finish('the label', host.other.ensure('/discovery/a'));
      await host.clock.finish('the watcher', host.other.create(path(entry), encodeRegistration(entry), 'ephemeral'));
      const before = host.ensemble.tree.get(path(entry))?.czxid;
      await host.boot();
      for (const each of steps) if (each.kind !== 'removed' && each.kind !== 'spoilt') await host.happen(each);
      await host.clock.advance(10_000);
      const after = host.ensemble.tree.get(path(entry))?.czxid;
      await host.close();
      expect(after).toBe(before);
    }),
    { numRuns: 300 },
  );
});
