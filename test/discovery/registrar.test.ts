import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Registrar } from '../../src/discovery/registrar.ts';
import { decodeRegistration, encodeRegistration, type Registration } from '../../src/discovery/registration.ts';
import type { DesiredUnit, Observed, ObservedUnit } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { checkOf } from '../fixtures/health-check.ts';

const CHECK = checkOf({ probe: { kind: 'tcp', address: '{address}:80' } });

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let operator: FakeStore;
let log: MemoryLog;
let registrar: Registrar;
let running: Registrar[];

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  operator = ensemble.connect({ sessionTimeoutMs: 60_000 });
  log = new MemoryLog();
  running = [];
  await clock.until('a session', () => operator.state.kind === 'connected');
  await boot();
});

afterEach(() => clock.finish('the end', Promise.all(running.map((each) => each.close()))));

/** A new process of the daemon, which joins at once. */
async function boot(): Promise<void> {
  store = ensemble.connect();
  registrar = new Registrar({ host: 'w1', store, clock, log, address: () => '198.18.0.1' });
  running.push(registrar);
  await clock.until('a session', () => store.state.kind === 'connected');
  registrar.joined();
}

function desire(unit: string, more: Partial<DesiredUnit> & { readonly label?: string } = {}): DesiredUnit {
  const { label = 'web', ...rest } = more;
  const service = unit.replace(/(@.*)?\.service$/, '');
  const discovery = { label, onlyHealthy: true };
  return { unit, service, isolation: 'keep', why: { kind: 'kept' }, discovery, ...rest };
}

const seen = (unit: string, more: Partial<ObservedUnit> = {}): ObservedUnit => ({
  unit,
  load: 'loaded',
  active: 'active',
  sub: 'running',
  ...more,
});
const report = (...units: ObservedUnit[]): Observed => ({ host: 'w1', epoch: 1, generation: 1, units });

async function told(desired: readonly DesiredUnit[], observed: Observed): Promise<void> {
  registrar.update(desired, observed);
  await clock.advance(100);
}

const childrenOf = (path: string) => [...(ensemble.tree.get(path)?.children ?? [])];

/** Path below `/discovery` → what is registered there; undefined: not readable. */
function registered(): Record<string, Registration | undefined> {
  const labels = childrenOf('/discovery');
  const paths = labels.flatMap((label) => childrenOf(`/discovery/${label}`).map((id) => `${label}/${id}`));
  return Object.fromEntries(
    paths.map((path) => {
      const decoded = decodeRegistration(ensemble.tree.get(`/discovery/${path}`)?.data ?? Buffer.alloc(0), path);
      return [path, decoded.ok ? decoded.value : undefined];
    }),
  );
}
const places = () => Object.keys(registered()).sort();
const by = <T>(what: string, promise: Promise<T>) => clock.finish(what, promise);

const WEB: Registration = {
  label: 'web',
  id: 'w1',
  host: 'w1',
  address: '198.18.0.1',
  healthy: true,
  unit: 'web.service',
  source: 'service',
};

describe('a unit with discovery', () => {
  it('is registered while it is active, with all that others need to find it', async () => {
    const discovery = { label: 'web', port: 80, role: 'front', info: { zone: 'a' }, onlyHealthy: true };
    await told([desire('web.service', { discovery })], report(seen('web.service')));
    expect(registered()).toEqual({ 'web/w1': { ...WEB, port: 80, role: 'front', info: { zone: 'a' } } });
    expect(registrar.registered).toBe(1);
  });

  it.each(['inactive', 'activating', 'deactivating', 'failed', 'maintenance'] as const)(
    'is not registered while it is %s, and disappears when it becomes so',
    async (active) => {
      await told([desire('web.service')], report(seen('web.service', { active })));
      expect(places()).toEqual([]);
      await told([desire('web.service')], report(seen('web.service')));
      expect(places()).toEqual(['web/w1']);
      await told([desire('web.service')], report(seen('web.service', { active })));
      expect(places()).toEqual([]);
      expect(registrar.registered).toBe(0);
    },
  );

  it('is there for whoever sees what this session writes next, though it is the first of its label', async () => {
    await by('the parent', operator.ensure('/discovery'));
    registrar.update([desire('web.service')], report(seen('web.service')));
    await by('a report', store.create('/report', Buffer.alloc(0), 'ephemeral'));
    expect(places()).toEqual(['web/w1']);
  });

  it('disappears when it is not desired any more, is withdrawn, or the daemon leaves', async () => {
    const up = report(seen('web.service'));
    for (const [desired, observed] of [
      [[], up],
      [[desire('web.service', { withdrawn: true })], up],
      [[desire('web.service')], { ...up, leaving: true }],
    ] as const) {
      await told([desire('web.service')], up);
      expect(places()).toEqual(['web/w1']);
      await told(desired, observed);
      expect(places()).toEqual([]);
    }
  });

  it('is told apart by its instance, and from another service of the same label by its name', async () => {
    const units = ['api.service', 'shard@1.service', 'shard@2.service', 'web.service'];
    await told(
      units.map((unit) => desire(unit)),
      report(...units.map((unit) => seen(unit))),
    );
    expect(places()).toEqual(['web/w1', 'web/w1:1', 'web/w1:2', 'web/w1:web']);
  });

  it('whose instance cannot be part of an id is reported once, and stops no other', async () => {
    const units = [desire('shard@a:b.service'), desire('web.service')];
    for (let times = 0; times < 3; times++) await told(units, report(seen('shard@a:b.service'), seen('web.service')));
    expect(places()).toEqual(['web/w1']);
    expect(log.at('error')).toEqual([expect.stringContaining('shard@a:b.service cannot be registered under web')]);
  });

  it('is found by whoever sees a report that was written after it was told', async () => {
    await told([desire('web.service')], report());
    registrar.update([desire('web.service')], report(seen('web.service')));
    await by('the report', store.create('/report', Buffer.alloc(0), 'ephemeral'));
    expect(places()).toEqual(['web/w1']);
  });

  it('is gone for whoever sees a report that was written after it was told', async () => {
    await told([desire('web.service')], report(seen('web.service')));
    registrar.update([desire('web.service')], report());
    await by('the report', store.create('/report', Buffer.alloc(0), 'ephemeral'));
    expect(places()).toEqual([]);
  });

  it('that is not desired any more while it is being registered disappears all the same', async () => {
    await told([desire('web.service')], report());
    registrar.update([desire('web.service')], report(seen('web.service')));
    registrar.update([], report());
    registrar.update([], report());
    await clock.advance(100);
    expect(places()).toEqual([]);
  });

  it('is not written again as long as nothing changes', async () => {
    await told([desire('web.service')], report(seen('web.service')));
    const version = () => ensemble.tree.get('/discovery/web/w1')?.version;
    const before = version();
    for (let times = 0; times < 5; times++) await told([desire('web.service')], report(seen('web.service')));
    await clock.advance(300_000);
    expect(version()).toBe(before);
  });
});

describe('a unit with a check', () => {
  const unit = (onlyHealthy: boolean) =>
    desire('web.service', { check: CHECK, discovery: { label: 'web', onlyHealthy } });
  const health = (state: 'starting' | 'healthy' | 'unhealthy') => report(seen('web.service', { health: { state } }));

  it('is registered only while it is healthy, if so asked for', async () => {
    for (const [state, expected] of [
      ['starting', []],
      ['healthy', ['web/w1']],
      ['unhealthy', []],
      ['healthy', ['web/w1']],
      ['starting', []],
    ] as const) {
      await told([unit(true)], health(state));
      expect(places(), state).toEqual(expected);
    }
  });

  it('is registered as what it is otherwise', async () => {
    for (const [state, healthy] of [
      ['starting', false],
      ['healthy', true],
      ['unhealthy', false],
    ] as const) {
      await told([unit(false)], health(state));
      expect(registered()['web/w1']?.healthy, state).toBe(healthy);
    }
  });

  it('is not healthy before its check has said anything', async () => {
    await told([unit(true)], report(seen('web.service')));
    expect(places()).toEqual([]);
  });

  it('stays registered when the daemon is started again, until its check has said something', async () => {
    await told([unit(true)], health('healthy'));
    store.kill();
    await boot();
    await told([unit(true)], health('starting'));
    await clock.advance(60_000);
    expect(places()).toEqual(['web/w1']);
    await told([unit(true)], health('unhealthy'));
    expect(places()).toEqual([]);
    await told([unit(true)], health('starting'));
    expect(places()).toEqual([]);
  });
});

describe('the registrations of a host', () => {
  const units = [desire('web.service')];
  const up = report(seen('web.service'));
  const gaps: (string | undefined)[] = [];

  beforeEach(() => {
    gaps.length = 0;
    operator.watch('/discovery/web/w1', (node) => void gaps.push(node?.owner));
  });

  it('are taken over without a gap by the next process of the daemon', async () => {
    await told(units, up);
    store.kill();
    await boot();
    await told(units, up);
    await clock.advance(60_000);
    expect(places()).toEqual(['web/w1']);
    expect(gaps.slice(1)).toEqual([expect.any(String), expect.any(String)]);
  });

  it('are removed at once by the next process when the unit has ended meanwhile', async () => {
    await told(units, up);
    store.kill();
    await boot();
    await told(units, report());
    expect(places()).toEqual([]);
  });

  it('are written again in a new session', async () => {
    await told(units, up);
    ensemble.expire(store.state.kind === 'connected' ? store.state.session : '');
    await clock.until('a new session', () => store.state.kind === 'connected');
    await clock.advance(1_000);
    // the host's name must be ours there, too
    expect(places()).toEqual([]);
    registrar.joined();
    await clock.advance(100);
    expect(places()).toEqual(['web/w1']);
  });

  it('stay while ZooKeeper is silent, and follow what happened meanwhile when it is back', async () => {
    await told([...units, desire('api.service')], report(seen('web.service'), seen('api.service')));
    ensemble.stop();
    await clock.advance(60_000);
    await told([...units, desire('api.service')], report(seen('web.service')));
    expect(places()).toEqual(['web/w1', 'web/w1:api']);
    ensemble.start();
    await clock.until('the session', () => store.state.kind === 'connected');
    await clock.advance(2_000);
    expect(places()).toEqual(['web/w1']);
  });

  it('are put right when somebody removes or changes them', async () => {
    await told(units, up);
    await by('a removal', operator.remove('/discovery/web/w1'));
    await clock.advance(100);
    expect(registered()['web/w1']).toEqual(WEB);
    await by('nonsense', operator.set('/discovery/web/w1', Buffer.from('nonsense')));
    await clock.advance(100);
    expect(registered()['web/w1']).toEqual(WEB);
  });

  it('are put right when their label is removed whole', async () => {
    await told(units, up);
    await by('a removal', operator.remove('/discovery/web/w1'));
    await by(
      'the label',
      operator.remove('/discovery/web').catch(() => undefined),
    );
    await clock.advance(3_000);
    expect(registered()['web/w1']).toEqual(WEB);
  });

  it('of one label do not wait for another that somebody spoilt, which is tried again', async () => {
    await by('the parent', operator.ensure('/discovery'));
    await by('an ephemeral where a label should be', operator.create('/discovery/bad', Buffer.alloc(0), 'ephemeral'));
    const both = [desire('api.service', { label: 'bad' }), ...units];
    await told(both, report(seen('api.service'), seen('web.service')));
    expect(places()).toEqual(['web/w1']);
    await clock.advance(10_000);
    const complaints = log.at('warn').filter((line) => line.includes('/discovery/bad/w1 cannot be registered'));
    expect(complaints).toHaveLength(1);
    await by('the mending', operator.remove('/discovery/bad'));
    await clock.advance(2_000);
    expect(places()).toEqual(['bad/w1', 'web/w1']);
  });

  it('leave alone what a watcher has registered at their place, and take it when it is free', async () => {
    const watcher: Registration = { ...WEB, unit: undefined, source: 'watch' };
    await by('the label', operator.ensure('/discovery/web'));
    await by('the watcher', operator.create('/discovery/web/w1', encodeRegistration(watcher), 'ephemeral'));
    await told(units, up);
    await clock.advance(10_000);
    expect(registered()['web/w1']?.source).toBe('watch');
    expect(log.at('error')).toEqual([expect.stringContaining('held by another (watch on w1)')]);
    await told(units, report());
    expect(places()).toEqual(['web/w1']);
    await told(units, up);
    await by('its end', operator.remove('/discovery/web/w1'));
    await clock.advance(2_000);
    expect(registered()['web/w1']).toEqual(WEB);
  });

  it('do not take away what a watcher has registered at the place of a unit that does not run', async () => {
    const watcher: Registration = { ...WEB, unit: undefined, source: 'watch' };
    await by('the label', operator.ensure('/discovery/web'));
    await by('the watcher', operator.create('/discovery/web/w1', encodeRegistration(watcher), 'ephemeral'));
    await told(units, report());
    expect(registered()['web/w1']?.source).toBe('watch');
  });

  it('are not written before the host has joined, nor after its name is gone', async () => {
    registrar.left();
    await told(units, up);
    expect(places()).toEqual([]);
    registrar.joined();
    await clock.advance(100);
    expect(places()).toEqual(['web/w1']);
  });
});
