import { describe, expect, it } from 'vitest';
import type { Move } from '../../src/leader/placement.ts';
import { type Departure, movesByOrigin, placementEvents, type Told } from '../../src/leader/placement-events.ts';
import type { Desired, DesiredUnit, Why } from '../../src/shared/state.ts';

const KEPT: Why = { kind: 'kept' };
const unit = (name: string, why: Why = KEPT, withdrawn = false): DesiredUnit => ({
  unit: `${name}.service`,
  service: name,
  isolation: 'keep',
  why,
  ...(withdrawn && { withdrawn }),
});
const desired = (host: string, ...units: DesiredUnit[]): Desired => ({
  host,
  epoch: 1,
  generation: 1,
  spec: 's',
  units,
});

interface Change {
  readonly before?: readonly Desired[];
  readonly after?: readonly Desired[];
  readonly gone?: readonly string[];
  readonly moves?: readonly Move[];
  readonly departure?: Departure;
}

function events({ before = [], after = [], gone = [], moves = [], departure = 'lost' }: Change): string[] {
  const written = new Map(before.map((state) => [state.host, state]));
  const known = new Set(written.keys());
  const change = { before: written, known, after, gone, moves: movesByOrigin(moves), departureOf: () => departure };
  return placementEvents(change).map(line);
}

function line({ kind, unit: name, host, from, to, reason, why }: Told): string {
  return [kind, name, host, from && `${from}>${to}`, reason, `(${why})`].filter((part) => part !== undefined).join(' ');
}

describe('a placement that is written', () => {
  it('tells which host joined, and what it got and why', () => {
    expect(events({ after: [desired('w1', unit('a', { kind: 'least-loaded' }))] })).toEqual([
      'member-joined w1 joined (it takes part from now on)',
      'placed a.service w1 least-loaded (least loaded)',
    ]);
  });

  it('tells nothing of what stays, whatever the reason is by now', () => {
    const before = [desired('w1', unit('a', { kind: 'least-loaded' }))];
    expect(events({ before, after: [desired('w1', unit('a'))] })).toEqual([]);
  });

  it('tells a move once, where it arrives', () => {
    const because = { kind: 'excluded', reason: 'failed' } as const;
    const moves = [{ unit: 'a.service', from: 'w1', to: 'w2', because }];
    const before = [desired('w1', unit('a')), desired('w2')];
    const after = [desired('w1'), desired('w2', unit('a', { kind: 'moved', from: 'w1', because }))];
    expect(events({ before, after, moves })).toEqual(['moved a.service w2 w1>w2 failed (failed there)']);
  });

  it('tells what goes without being replaced, and why', () => {
    const before = [desired('w1', unit('a'), unit('b'))];
    const moves: Move[] = [
      { unit: 'b.service', from: 'w1', to: undefined, because: { kind: 'excluded', reason: 'masked' } },
    ];
    expect(events({ before, after: [desired('w1')], moves })).toEqual([
      'removed a.service w1 surplus (no longer wanted)',
      'removed b.service w1 masked (masked there)',
    ]);
  });

  it('tells a planned move when the new host gets the unit, not when the old one is asked to stop it', () => {
    const because = { kind: 'excluded', reason: 'draining' } as const;
    const moves = [{ unit: 'a.service', from: 'w1', to: 'w2', because }];
    const [has, asked] = [desired('w1', unit('a')), desired('w1', unit('a', KEPT, true))];
    expect(events({ before: [has], after: [asked], moves })).toEqual([]);
    const arrived = desired('w2', unit('a', { kind: 'moved', from: 'w1', because }));
    expect(events({ before: [asked, desired('w2')], after: [desired('w1'), arrived], moves })).toEqual([
      'moved a.service w2 w1>w2 draining (host is draining)',
    ]);
  });

  it('tells that a unit goes for good when its host is asked to stop it, once', () => {
    const [has, asked] = [desired('w1', unit('a')), desired('w1', unit('a', KEPT, true))];
    expect(events({ before: [has], after: [asked] })).toEqual(['removed a.service w1 surplus (no longer wanted)']);
    expect(events({ before: [asked], after: [desired('w1')] })).toEqual([]);
  });

  it.each([
    ['left', 'member-left w1 left (its daemon was stopped in good order)'],
    ['lost', 'member-lost w1 lost (its ZooKeeper session ended)'],
    ['gone', 'member-gone w1 gone (it left or was lost before this leader began to lead)'],
  ] as const)('tells how a host went: %s', (departure, told) => {
    const because = { kind: 'host-lost' } as const;
    const moves: Move[] = [
      { unit: 'a.service', from: 'w1', to: 'w2', because },
      { unit: 'b.service', from: 'w1', to: undefined, because },
    ];
    const before = [desired('w1', unit('a'), unit('b'))];
    expect(events({ before, gone: ['w1'], moves, departure })).toEqual([
      told,
      'removed b.service w1 host-lost (host lost)',
    ]);
  });
});
