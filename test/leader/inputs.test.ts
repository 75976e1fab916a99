import { describe, expect, it } from 'vitest';
import { type HostInputs, hostViews, placedOn, runningOn } from '../../src/leader/inputs.ts';
import type { HostIntent } from '../../src/shared/cluster.ts';
import {
  ACTIVE_STATES,
  type ActiveState,
  type Desired,
  type ExclusionReason,
  type Failure,
  type Observed,
  type ObservedUnit,
} from '../../src/shared/state.ts';

function seen(unit: string, active: ActiveState, kind?: Failure['kind']): ObservedUnit {
  return { unit, load: 'loaded', active, sub: '', ...(kind && { failure: { kind, message: '' } }) };
}

const observed = (host: string, ...units: ObservedUnit[]): Observed => ({ host, epoch: 1, generation: 1, units });
const intent = (host: string, state: HostIntent['state']): HostIntent => ({ host, state, since: '', why: '' });

function inputs(change: Partial<HostInputs>): HostInputs {
  return {
    members: ['w1'],
    observed: new Map([['w1', observed('w1')]]),
    intents: new Map(),
    leaving: new Set(),
    joining: new Set(),
    held: new Set(),
    ...change,
  };
}

const states = (change: Partial<HostInputs>) =>
  Object.fromEntries(hostViews(inputs(change)).map(({ name, state }) => [name, state]));

describe('the state of a host', () => {
  it('is ready when it has reported and nothing stands against it', () => {
    expect(states({})).toEqual({ w1: 'ready' });
  });

  it('is leaving when its entry and its report say so: the report alone may be of an earlier process', () => {
    const leaving = new Map([['w1', { ...observed('w1'), leaving: true }]]);
    expect(states({ observed: leaving })).toEqual({ w1: 'ready' });
    expect(states({ leaving: new Set(['w1']) })).toEqual({ w1: 'ready' });
    expect(states({ observed: leaving, leaving: new Set(['w1']) })).toEqual({ w1: 'leaving' });
  });

  it('is joining as long as it waits for others, or has not reported', () => {
    expect(states({ joining: new Set(['w1']) })).toEqual({ w1: 'joining' });
    expect(states({ observed: new Map() })).toEqual({ w1: 'joining' });
  });

  it.each(['cordoned', 'draining'] as const)('is %s when the operator says so, whatever else', (state) => {
    const intents = new Map([['w1', intent('w1', state)]]);
    expect(states({ intents, joining: new Set(['w1']), observed: new Map() })).toEqual({ w1: state });
  });

  it('is held when the brake holds it, beside the live ones', () => {
    expect(states({ held: new Set(['w2']) })).toEqual({ w1: 'ready', w2: 'held' });
  });

  it('does not exist for a report or an intent without a member', () => {
    const intents = new Map([['w9', intent('w9', 'cordoned')]]);
    expect(states({ intents, observed: new Map([['w8', observed('w8')]]) })).toEqual({ w1: 'joining' });
  });
});

describe('what a host cannot run', () => {
  const reasons: Record<Failure['kind'], ExclusionReason> = {
    failed: 'failed',
    prestart: 'failed',
    'start-timeout': 'failed',
    'start-refused': 'failed',
    'not-found': 'not-installed',
    masked: 'masked',
    'invalid-unit': 'invalid-unit',
  };
  const kinds: readonly Failure['kind'][] = [
    'failed',
    'prestart',
    'start-timeout',
    'start-refused',
    'not-found',
    'masked',
    'invalid-unit',
  ];

  it.each(kinds)('follows from a failure of kind %s', (kind) => {
    const report = observed('w1', seen('a.service', 'inactive', kind), seen('b.service', 'active'));
    const [view] = hostViews(inputs({ observed: new Map([['w1', report]]) }));
    expect([...(view?.excluded ?? [])]).toEqual([['a.service', reasons[kind]]]);
  });
});

describe('where units are', () => {
  it('is read from the desired states as placed', () => {
    const desired = (host: string, ...units: string[]): [string, Desired] => [
      host,
      {
        host,
        epoch: 1,
        generation: 1,
        spec: '',
        units: units.map((unit) => ({ unit, service: 'x', isolation: 'keep', why: { kind: 'kept' } })),
      },
    ];
    const placed = placedOn(new Map([desired('w1', 'a.service', 'b.service'), desired('w2', 'a.service')]));
    expect(Object.fromEntries(placed)).toEqual({ 'a.service': ['w1', 'w2'], 'b.service': ['w1'] });
  });

  it('is read from the reports as running: active or reloading, nothing else', () => {
    const all = ACTIVE_STATES;
    const report = observed('w1', ...all.map((active) => seen(`${active}.service`, active)));
    expect([...runningOn(new Map([['w1', report]])).keys()]).toEqual(['active.service', 'reloading.service']);
  });
});
