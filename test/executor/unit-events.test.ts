import { describe, expect, it } from 'vitest';
import { failureEvents, healthEvents } from '../../src/executor/unit-events.ts';
import type { ActiveState, Failure, Observed, ObservedUnit } from '../../src/shared/state.ts';

function unit(name: string, active: ActiveState, kind?: Failure['kind']): ObservedUnit {
  const failure = kind && { failure: { kind, message: `it is ${kind}` } };
  return { unit: `${name}.service`, load: 'loaded', active, sub: active, ...failure };
}
const report = (...units: ObservedUnit[]): Observed => ({ host: 'w1', epoch: 1, generation: 1, units });
const DESIRED = new Set(['a.service']);
const told = (before: Observed | undefined, now: Observed) =>
  failureEvents(before, now, DESIRED).map((event) => `${event.unit} ${event.kind} ${event.reason}: ${event.why}`);

describe('a failure', () => {
  it('is told once when it comes, and once when it goes', () => {
    const [well, broken] = [report(unit('a', 'active')), report(unit('a', 'failed', 'failed'))];
    expect(told(well, broken)).toEqual(['a.service failed failed: it is failed']);
    expect(told(broken, broken)).toEqual([]);
    expect(told(broken, report())).toEqual([
      'a.service cleared reset: its failure was cleared (reset-failed or reload)',
    ]);
    expect(told(broken, well)).toEqual(['a.service cleared started: it was started by hand']);
  });

  it('of another kind is another one', () => {
    const before = report(unit('a', 'inactive', 'prestart'));
    expect(told(before, report(unit('a', 'failed', 'failed')))).toEqual(['a.service failed failed: it is failed']);
  });

  it('that is there when the daemon starts is told as such', () => {
    expect(told(undefined, report(unit('a', 'failed', 'failed')))).toEqual([
      'a.service failed failed: found when the daemon started: it is failed',
    ]);
  });

  it('of a unit that is not to run here is told, but not that its file is missing', () => {
    const now = report(
      unit('b', 'failed', 'failed'),
      unit('c', 'inactive', 'not-found'),
      unit('a', 'inactive', 'masked'),
    );
    expect(told(report(), now)).toEqual([
      'b.service failed failed: it is failed',
      'a.service failed masked: it is masked',
    ]);
    expect(told(now, report())).toEqual(['b.service cleared reset: its failure was cleared (reset-failed or reload)']);
  });
});

describe('a change of health', () => {
  const health = (state: 'starting' | 'healthy' | 'unhealthy', output?: string) =>
    report({ ...unit('a', 'active'), health: { state, ...(output !== undefined && { output }) } });
  const kinds = (before: Observed | undefined, now: Observed) =>
    healthEvents(before, now).map(({ kind, why }) => `${kind}: ${why}`);

  it('is told when it gets bad, once, and when it is good again', () => {
    expect(kinds(health('healthy'), health('unhealthy', 'HTTP 503'))).toEqual(['unhealthy: HTTP 503']);
    expect(kinds(health('unhealthy', 'HTTP 503'), health('unhealthy', 'HTTP 500'))).toEqual([]);
    expect(kinds(health('unhealthy'), health('healthy'))).toEqual(['healthy: its check succeeds again']);
  });

  it('is told when it was bad when the daemon started, but not that a start went well', () => {
    expect(kinds(undefined, health('unhealthy'))).toEqual(['unhealthy: its check fails']);
    expect(kinds(health('starting'), health('healthy'))).toEqual([]);
    expect(kinds(undefined, health('starting'))).toEqual([]);
  });
});
