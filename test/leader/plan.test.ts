import { describe, expect, it } from 'vitest';
import { objection, type PlanSources, planChange, stopsTooMuch } from '../../src/leader/plan.ts';
import type { Service } from '../../src/shared/spec.ts';
import type { DesiredUnit } from '../../src/shared/state.ts';
import { specOf } from '../fakes/daemon.ts';
import { checkOf } from '../fixtures/health-check.ts';
import { type HostPart, placed, seen, snapshotOf } from '../fixtures/snapshot.ts';

const base = { enabled: true, isolation: 'keep' } as const;
const everywhere: Service = { ...base, name: 'everywhere', type: 'global' };
const two: Service = { ...base, name: 'two', type: 'shared', count: 2 };
const reader: Service = { ...base, name: 'reader', type: 'shared', count: 1, prestart: 'echo {instance:two}' };

function unit(service: string, hosts?: readonly string[]): DesiredUnit {
  const prestart = hosts && { script: 'echo {instance:two}', values: { two: hosts } };
  return placed(`${service}.service`, prestart && { prestart });
}

/** A cluster in which everything that is desired runs. */
function cluster(hosts: Readonly<Record<string, readonly DesiredUnit[]>>): PlanSources {
  const parts = Object.entries(hosts).map(([host, desired]): [string, HostPart] => [
    host,
    { desired, observed: desired.map((each) => seen(each.unit)) },
  ]);
  return snapshotOf([], Object.fromEntries(parts));
}

const running = cluster({
  w1: [unit('everywhere'), unit('two')],
  w2: [unit('everywhere'), unit('two')],
  w3: [unit('everywhere')],
});

describe('a plan', () => {
  it('is empty for the spec that is in force', () => {
    expect(planChange(specOf(everywhere, two), running, [])).toEqual({
      changes: [],
      unplaced: [],
      running: 5,
      stopped: 0,
    });
  });

  it('names what a new service would start, and why there', () => {
    const planned = planChange(specOf(everywhere, two, { ...two, name: 'new', count: 1 }), running, []);
    expect(planned.changes).toEqual([{ kind: 'start', unit: 'new.service', host: 'w3', why: 'least loaded' }]);
  });

  it('names what a lower count, a removed and a disabled service would stop', () => {
    expect(planChange(specOf(everywhere, { ...two, count: 1 }), running, []).changes).toEqual([
      { kind: 'stop', unit: 'two.service', host: 'w2', why: 'no longer wanted' },
    ]);
    expect(planChange(specOf(two), running, []).changes.map(({ kind, unit: name }) => `${kind} ${name}`)).toEqual([
      'stop everywhere.service',
      'stop everywhere.service',
      'stop everywhere.service',
    ]);
  });

  it('says what would move if hosts were gone', () => {
    expect(planChange(specOf(everywhere, two), running, ['w1']).changes).toEqual([
      { kind: 'stop', unit: 'everywhere.service', host: 'w1', why: 'host lost' },
      { kind: 'move', unit: 'two.service', from: 'w1', to: 'w3', why: 'host lost' },
    ]);
  });

  it('says what would be restarted because the hosts in its prestart script change', () => {
    const before = cluster({ w1: [unit('two'), unit('reader', ['w1'])], w2: [] });
    const planned = planChange(specOf({ ...two, count: 2 }, reader), before, []);
    expect(planned.changes.map(({ kind, unit: name }) => `${kind} ${name}`)).toEqual([
      'restart reader.service',
      'start two.service',
    ]);
  });

  it('says what would be checked or registered in another way, and that it runs on', () => {
    const discovery = { label: 'two', onlyHealthy: true };
    const registered = (label: string) => ({ ...unit('two'), discovery: { ...discovery, label } });
    const planned = planChange(
      specOf({ ...two, discovery, after: [{ service: 'everywhere', where: 'anywhere' }] }),
      cluster({ w1: [registered('two')], w2: [registered('old')] }),
      [],
    );
    expect(planned.changes).toEqual([
      { kind: 'update', unit: 'two.service', host: 'w1', why: 'after: it is not restarted' },
      { kind: 'update', unit: 'two.service', host: 'w2', why: 'discovery, after: it is not restarted' },
    ]);
    expect(planned.stopped).toBe(0);
  });

  describe('when a check fails of what should move then', () => {
    const check = checkOf({ onUnhealthy: 'move' });
    const one: Service = { ...base, name: 'one', type: 'shared', count: 1, check };
    const observed = [seen('one.service', { health: { state: 'unhealthy' } })];
    const sick = snapshotOf([], { w1: { desired: [{ ...unit('one'), check }], observed }, w2: {} });

    it('names that move, and does not hold it against the spec', () => {
      const planned = planChange(specOf(one), sick, [], 1_000_000);
      expect(planned.changes).toEqual([
        { kind: 'move', unit: 'one.service', from: 'w1', to: 'w2', why: 'unhealthy there' },
      ]);
      expect([planned.running, planned.stopped]).toEqual([1, 0]);
    });

    it('leaves it out where nobody asks, and while the brake is engaged', () => {
      expect(planChange(specOf(one), sick, []).changes).toEqual([]);
      const notes = { epoch: 1, held: [], brake: true, joining: [] };
      expect(planChange(specOf(one), { ...sick, notes }, [], 1_000_000).changes).toEqual([]);
    });
  });

  it('gives nothing new to a host that joined a moment ago, and moves nothing from those that are held', () => {
    const notes = { epoch: 1, held: ['w9'], brake: false, joining: ['w3'] };
    const lost = new Map(running.desired).set('w9', {
      epoch: 1,
      generation: 1,
      host: 'w9',
      spec: '',
      units: [unit('four')],
    });
    const four = { ...two, name: 'four', count: 1 };
    const told = { ...running, desired: lost, notes };
    expect(planChange(specOf(everywhere, two, four), told, []).changes).toEqual([]);
    expect(planChange(specOf(everywhere, two, four), { ...told, notes: { ...notes, held: [] } }, []).changes).toEqual([
      { kind: 'move', unit: 'four.service', from: 'w9', to: 'w1', why: 'host lost' },
    ]);
  });

  it('lists what would stay unplaced', () => {
    expect(planChange(specOf({ ...two, count: 4 }), running, []).unplaced).toMatchObject([{ wanted: 4, placed: 3 }]);
  });
});

describe('the guard of a new spec', () => {
  it('objects to one that stops more than half of what runs', () => {
    const planned = planChange(specOf(two), running, []);
    expect([planned.stopped, planned.running]).toEqual([3, 5]);
    expect(objection(planned, 'new.yml')).toContain('it would stop 3 of the 5 instances that run');
  });

  it('lets one pass that stops half or less', () => {
    const half = cluster({ w1: [unit('everywhere'), unit('two')] });
    expect(stopsTooMuch(planChange(specOf(everywhere), half, []))).toBe(false);
    expect(objection(planChange(specOf(everywhere, { ...two, count: 1 }), running, []), 'new.yml')).toBeUndefined();
  });

  it('takes a service that says it is disabled at its word', () => {
    expect(stopsTooMuch(planChange(specOf({ ...everywhere, enabled: false }, two), running, []))).toBe(false);
  });

  it('does not count what does not run', () => {
    const planned = planChange(specOf(), cluster({ w1: [] }), []);
    expect([planned.running, stopsTooMuch(planned)]).toEqual([0, false]);
  });
});
