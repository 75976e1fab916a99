/**
 * Stops in good order (`deregistration_delay`): whole daemons on pretended hosts, and what others find of their units at
 * the moment at which systemd is asked to stop them.
 */
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import type { HostIntent } from '../../src/shared/cluster.ts';
import { digestOf } from '../../src/shared/digest.ts';
import { encodeHostIntent } from '../../src/shared/payloads.ts';
import type { Service } from '../../src/shared/spec.ts';
import { proposeSpec } from '../../src/shared/spec-store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, SESSION_MS, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const DELAY_MS = 2_000;
const UNIT = 'web.service';
const ONCE = 'once.service';
const discovery = { label: 'web', onlyHealthy: true, deregistrationDelayMs: DELAY_MS };

function web(change: Partial<Service> = {}): Service {
  const base = { name: 'web', enabled: true, isolation: 'keep', discovery, ...change } as const;
  return { ...base, type: 'shared', count: 2 };
}
const once: Service = {
  name: 'once',
  enabled: true,
  isolation: 'stop',
  discovery: { ...discovery, label: 'once' },
  type: 'shared',
  count: 1,
};
const plain: Service = { name: 'plain', enabled: true, isolation: 'keep', type: 'shared', count: 2 };
const waits = (values: string) => ({ prestart: `echo ${values} {instance:plain}` });

/** A stop that a daemon asked systemd for, and what others found of the unit then. */
interface Stop {
  readonly host: string;
  readonly unit: string;
  readonly at: number;
  /** Since when nothing of it was registered; undefined: it still was. */
  readonly unfoundSince: number | undefined;
}

class World {
  readonly clock = new FakeClock();
  readonly ensemble = new FakeEnsemble({ clock: this.clock });
  readonly operator = this.ensemble.connect({ sessionTimeoutMs: 60_000 });
  readonly daemons = new Map<string, FakeDaemon>();
  readonly stops: Stop[] = [];
  readonly hosts: FakeHost[];
  services: readonly Service[] = [];
  private readonly removedAt = new Map<string, number>();

  constructor() {
    this.ensemble.onApplied = (_session, operations) => {
      for (const { op, path } of operations) if (op === 'remove') this.removedAt.set(path, this.clock.now());
    };
    this.hosts = ['w1', 'w2', 'w3'].map((name) => {
      const host = new FakeHost(name, this.clock, this.ensemble, '/nonexistent', {
        onAsked: (line) => this.onAsked(name, line),
      });
      for (const unit of [UNIT, ONCE, 'plain.service']) host.systemd.define(unit, { startMs: 20, stopMs: 20 });
      return host;
    });
  }

  async boot(...services: readonly Service[]): Promise<this> {
    this.services = services;
    for (const host of this.hosts) await this.start(host);
    await this.untilRegistered(2);
    return this;
  }

  async start(host: FakeHost): Promise<void> {
    this.daemons.set(host.name, await host.boot(specOf(...this.services)));
  }

  daemon(name: string): FakeDaemon {
    const daemon = this.daemons.get(name);
    if (!daemon) throw new Error(`${name} has no daemon`);
    return daemon;
  }

  host(name: string): FakeHost {
    const host = this.hosts.find((each) => each.name === name);
    if (!host) throw new Error(`there is no ${name}`);
    return host;
  }

  apply(...services: readonly Service[]): Promise<unknown> {
    this.services = services;
    const spec = specOf(...services);
    const at = this.clock.date().toISOString();
    const change = { spec, digest: digestOf(spec), proposedBy: 'operator', at, intent: 'replace' } as const;
    return this.clock.finish('the new services', proposeSpec(this.operator, change));
  }

  async intend(host: string, state: HostIntent['state'] | undefined): Promise<void> {
    const path = `/hosts/${host}`;
    const exists = this.ensemble.tree.get(path) !== undefined;
    const data = encodeHostIntent({ host, state: state ?? 'cordoned', since: '', why: '' });
    if (state === undefined) {
      if (exists) await this.clock.finish('the intent to go', this.operator.remove(path));
    } else if (exists) await this.clock.finish('the intent', this.operator.set(path, data));
    else await this.clock.finish('the intent', this.operator.create(path, data, 'persistent'));
  }

  registered(label = 'web'): string[] {
    return [...(this.ensemble.tree.get(`/discovery/${label}`)?.children ?? [])].sort();
  }

  running(unit = UNIT): string[] {
    return this.hosts.filter((host) => host.systemd.state(unit).active === 'active').map(({ name }) => name);
  }

  untilRegistered(count: number): Promise<void> {
    return this.clock.until(`${count} to be registered`, () => this.registered().length === count, 20_000);
  }

  private onAsked(host: string, line: string): void {
    const [verb, unit = ''] = line.split(' ');
    if (verb !== 'stop') return;
    const path = `/discovery/${unit.replace('.service', '')}/${host}`;
    const found = this.ensemble.tree.get(path) !== undefined;
    const unfoundSince = found ? undefined : (this.removedAt.get(path) ?? Number.NEGATIVE_INFINITY);
    this.stops.push({ host, unit, at: this.clock.now(), unfoundSince });
  }
}

let world: World;
afterEach(() => {
  for (const daemon of world.daemons.values()) daemon.kill();
});

/** From the end of its registration to its stop, ms; the newest stop of the unit. */
function waited(unit = UNIT): number {
  const stop = world.stops.findLast((each) => each.unit === unit);
  if (!stop) throw new Error(`${unit} was not stopped`);
  return stop.at - (stop.unfoundSince ?? stop.at);
}

const JUST = { min: DELAY_MS, max: DELAY_MS + 100 };
function expectWaited(unit = UNIT): void {
  expect(waited(unit)).toBeGreaterThanOrEqual(JUST.min);
  expect(waited(unit)).toBeLessThan(JUST.max);
}

const plans: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['is disabled', () => world.apply(web({ enabled: false }))],
  ['is removed', () => world.apply({ ...plain, count: 1 })],
  ['has its host drained', async () => world.intend(world.running()[0] ?? '', 'draining')],
  ['has other values in its prestart script', () => world.apply(web(waits('on')), { ...plain, count: 1 })],
];
it.each(plans)('a unit that %s is found no more first, and stopped when its delay is over', async (what, plan) => {
  world = await new World().boot(web(what.includes('values') ? waits('on') : {}), plain);
  await world.clock.advance(5_000);
  world.stops.length = 0;
  const begun = world.clock.now();
  await plan();
  await world.clock.until('the stop', () => world.stops.some(({ unit }) => unit === UNIT));
  expectWaited();
  // no more than a few round trips, and the time in which events are gathered
  expect(world.clock.now() - begun).toBeLessThan(DELAY_MS + 500);
});

it('no other unit waits for it', async () => {
  world = await new World().boot(web(), plain);
  const begun = world.clock.now();
  await world.apply(web({ enabled: false }), { ...plain, enabled: false });
  await world.clock.until('the other to be down', () => world.running('plain.service').length === 0);
  expect(world.clock.now() - begun).toBeLessThan(500);
  expect(world.running()).toHaveLength(2);
  const waiting = () =>
    [...world.daemons.values()].flatMap(({ executor }) => executor.observed?.units ?? []).map((unit) => unit.waiting);
  expect(waiting()).toContainEqual(expect.stringContaining('deregistration_delay'));
});

it('one that is to run on after all does so, and is found again', async () => {
  world = await new World().boot(web());
  const before = world.registered();
  await world.apply(web({ enabled: false }));
  await world.untilRegistered(0);
  await world.clock.advance(DELAY_MS / 2);
  await world.apply(web());
  await world.untilRegistered(2);
  await world.clock.advance(2 * DELAY_MS);
  expect([world.registered(), world.stops]).toEqual([before, []]);
});

it.each(['all', 'once-only'] as const)('one whose daemon is stopped (%s) is stopped after its delay', async (which) => {
  world = await new World().boot(web(), once);
  await world.clock.until('it to be registered', () => world.registered('once').length === 1);
  const [name = ''] = world.registered('once');
  const had = world.running().includes(name);
  await world.clock.finish('the stop', world.daemon(name).stop(which), 20_000);
  expectWaited(ONCE);
  expect(world.running(ONCE)).not.toContain(name);
  expect(world.running().includes(name)).toBe(had && which === 'once-only');
});

it('one that is to be stopped as its daemon is killed is stopped by the next, after its delay', async () => {
  world = await new World().boot(web());
  const name = world.running().find((each) => world.daemon(each).leader === undefined) ?? '';
  world.daemon(name).kill();
  await world.apply(web({ enabled: false }));
  await world.clock.until('the other to be found no more', () => world.registered().length === 1);
  world.services = [web()];
  await world.start(world.host(name));
  // the entry is that of the process before
  await world.clock.until('it to be found no more, too', () => world.registered().length === 0, 1_000);
  await world.clock.until('the stop', () => world.running().length === 0);
  expect(world.stops.at(-1)?.host).toBe(name);
  expectWaited();
});

it('what may run once only is stopped at once when its host is cut off in the middle of its delay', async () => {
  world = await new World().boot(web(), {
    ...once,
    discovery: { ...discovery, label: 'once', deregistrationDelayMs: 60_000 },
  });
  await world.clock.until('it to be registered', () => world.registered('once').length === 1);
  const [name = ''] = world.registered('once');
  await world.intend(name, 'draining');
  await world.clock.until('it to be found no more', () => world.registered('once').length === 0);
  await world.clock.advance(1_000);
  expect(world.running(ONCE)).toEqual([name]);
  world.daemon(name).store.cut('silent');
  await world.clock.advance(100);
  // nobody but the daemon is to see to it
  const { guards } = world.host(name).systemd;
  for (const guard of guards.names) guards.end(guard);
  await world.clock.until('the stop', () => !world.running(ONCE).includes(name), SESSION_MS);
  expect(world.stops.filter(({ unit }) => unit === ONCE)).toHaveLength(1);
  await world.clock.until('it to run elsewhere', () => world.running(ONCE).length === 1, 3 * SESSION_MS);
});

it('a unit that dies waits for nothing', async () => {
  world = await new World().boot(web());
  const [name = ''] = world.running();
  world.host(name).systemd.kill(UNIT, 9);
  await world.clock.until(
    'it to run elsewhere',
    () => world.running().length === 2 && !world.running().includes(name),
    1_000,
  );
  expect(world.stops).toEqual([]);
});

it('a unit without a delay is stopped at once', async () => {
  world = await new World().boot(web({ discovery: { label: 'web', onlyHealthy: true } }));
  const begun = world.clock.now();
  await world.apply(web({ enabled: false }));
  await world.clock.until('the stop', () => world.running().length === 0);
  expect(world.clock.now() - begun).toBeLessThan(500);
});

type Step =
  | { readonly kind: 'apply'; readonly count: number; readonly enabled: boolean }
  | { readonly kind: 'intend'; readonly host: string; readonly state: HostIntent['state'] | undefined }
  | { readonly kind: 'kill' | 'stop' | 'restart' | 'crash'; readonly host: string };
const aHost = fc.constantFrom('w1', 'w2', 'w3');
const aStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('apply' as const), count: fc.integer({ min: 1, max: 3 }), enabled: fc.boolean() }),
  fc.record({
    kind: fc.constant('intend' as const),
    host: aHost,
    state: fc.constantFrom<(HostIntent['state'] | undefined)[]>('draining', 'cordoned', undefined),
  }),
  fc.record({
    kind: fc.constantFrom('kill' as const, 'stop' as const, 'restart' as const, 'crash' as const),
    host: aHost,
  }),
);

async function take(step: Step): Promise<void> {
  switch (step.kind) {
    case 'apply':
      await world.apply(
        { ...web(), type: 'shared', count: step.count, enabled: step.enabled },
        { ...once, enabled: step.enabled },
      );
      return;
    case 'intend':
      await world.intend(step.host, step.state);
      return;
    case 'crash':
      world.host(step.host).systemd.kill(UNIT, 9);
      return;
    case 'kill':
      world.daemon(step.host).kill();
      break;
    case 'stop':
      await world.clock.finish('the stop', world.daemon(step.host).stop(), 30_000);
      world.daemon(step.host).kill();
      break;
    case 'restart':
      await world.clock.finish('the end', world.daemon(step.host).makeWay(), 30_000);
      world.daemon(step.host).kill();
  }
  await world.start(world.host(step.host));
}

it('a unit with a delay is never stopped while it is registered, or was less than its delay ago, and every stop ends', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(aStep, fc.integer({ min: 0, max: 2_500 })), { minLength: 1, maxLength: 8 }),
      async (steps) => {
        world = await new World().boot(web(), once);
        for (const [step, ms] of steps) {
          await take(step);
          await world.clock.advance(ms);
        }
        for (const host of world.hosts) await world.intend(host.name, undefined);
        await world.apply({ ...web(), enabled: false }, { ...once, enabled: false });
        const up = () => [...world.running(), ...world.running(ONCE)];
        await world.clock.until('all to be down', () => up().length === 0, SESSION_MS + DELAY_MS + 8_000);
        for (const stop of world.stops) {
          const left = stop.unfoundSince === undefined ? 0 : stop.at - stop.unfoundSince;
          if (left < DELAY_MS)
            throw new Error(`${JSON.stringify(stop)} came ${left} ms after the end of its registration`);
        }
        for (const daemon of world.daemons.values()) daemon.kill();
      },
    ),
    { numRuns: 60 },
  );
});
