import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HandOver, handOver, type PendingHandOver, unsureHosts } from '../../src/leader/hand-over.ts';
import type { HostState, HostView, Placement } from '../../src/leader/placement.ts';
import { differs, renderUnits } from '../../src/leader/render.ts';
import type { ActiveState, Desired, DesiredUnit, Isolation, Observed, Service } from '../../src/shared/model.ts';
import { compare, unitsOf } from '../../src/shared/names.ts';
import { specOf } from '../fakes/daemon.ts';

const SPEC = 'sha256:';
const NOBODY: ReadonlySet<string> = new Set();

function entry(name: string, isolation: Isolation = 'stop', change: Partial<DesiredUnit> = {}): DesiredUnit {
  return { unit: `${name}.service`, service: name, isolation, why: { kind: 'kept' }, ...change };
}

const withdrawn = (name: string, isolation: Isolation = 'stop') => entry(name, isolation, { withdrawn: true });

/** What one host is, is told, and says. */
interface At {
  readonly state?: HostState;
  readonly wanted?: readonly DesiredUnit[];
  /** Written for it now, as generation `written.at` of epoch 1 (default 5). */
  readonly written?: readonly DesiredUnit[];
  /** The generation that it reports; undefined: there is no report. */
  readonly obeys?: number;
  /** Default 1. */
  readonly epoch?: number;
  readonly refused?: string;
  readonly leaving?: boolean;
  readonly up?: Readonly<Record<string, ActiveState>>;
}

const WRITTEN = 5;

/** The hand-over among these hosts; those of `lost` are members no more. */
function decide(
  hosts: Readonly<Record<string, At>>,
  { everywhere = NOBODY, lost = NOBODY, unsure = NOBODY }: Readonly<Record<string, ReadonlySet<string>>> = {},
): HandOver {
  const all = Object.entries(hosts);
  const written = new Map<string, Desired>();
  const observed = new Map<string, Observed>();
  for (const [host, at] of all) {
    if (at.written) written.set(host, { host, epoch: 1, generation: WRITTEN, spec: SPEC, units: at.written });
    if (at.obeys === undefined) continue;
    observed.set(host, {
      host,
      epoch: at.epoch ?? 1,
      generation: at.obeys,
      ...(at.refused !== undefined && { refused: at.refused }),
      ...(at.leaving && { leaving: true }),
      units: Object.entries(at.up ?? {}).map(([name, active]) => ({
        unit: `${name}.service`,
        load: 'loaded',
        active,
        sub: 'x',
      })),
    });
  }
  const live = all.filter(([host]) => !lost.has(host));
  return handOver({
    wanted: new Map(live.map(([host, at]) => [host, at.wanted ?? []])),
    written,
    observed,
    hosts: live.map(([name, { state }]) => ({ name, state: state ?? 'ready', excluded: new Map() })),
    unsure,
    everywhere,
  });
}

/** `w1: -a` (told to stop it), `w2: a`, and who waits: `w2 gets b after w1`. */
function words({ units, pending }: HandOver): string[] {
  const told = [...units].flatMap(([host, all]) =>
    all.map((each) => `${host}: ${each.withdrawn ? '-' : ''}${each.service}`),
  );
  return [...told, ...pending.map(waits)];
}

const waits = ({ unit, to, from }: PendingHandOver) =>
  `${to} gets ${unit.replace('.service', '')} after ${from.join(' ')}`;

/** `w1` had the unit, `w2` shall have it. */
function move(w1: At, w2: At = {}, isolation: Isolation = 'stop'): string[] {
  return words(
    decide({
      w1: { written: [entry('a', isolation)], obeys: WRITTEN, up: { a: 'active' }, ...w1 },
      w2: { wanted: [entry('a', isolation)], written: [], obeys: WRITTEN, ...w2 },
    }),
  );
}

const HANDED_OVER = ['w2: a'];
const WAITING = ['w1: -a', 'w2 gets a after w1'];

describe('a unit with isolation: stop that moves', () => {
  it('is told to stop on its old host first, and to nobody else until then', () => {
    expect(move({})).toEqual(WAITING);
  });

  it('is started only where it stays, once it is down elsewhere, though somebody has told both to have it', () => {
    const told = { written: [entry('a')], obeys: 3 };
    expect(move({}, told)).toEqual(['w1: -a', 'w2: -a', 'w2 gets a after w1']);
    expect(move({}, { ...told, up: { a: 'active' } })).toEqual(['w1: -a', 'w2: a']);
    expect(move({}, { ...told, obeys: WRITTEN })).toEqual(['w1: -a', 'w2: -a', 'w2 gets a after w1']);
    expect(move({ written: [withdrawn('a')], up: {} }, told)).toEqual(HANDED_OVER);
  });

  it('keeps a host waiting that was told to wait while it still runs elsewhere, however well that host obeys', () => {
    const waiting = { written: [withdrawn('a')], obeys: WRITTEN };
    expect(move({}, waiting)).toEqual(WAITING);
    expect(move({ written: [withdrawn('a')] }, waiting)).toEqual(WAITING);
    expect(move({ written: [withdrawn('a')] }, { ...waiting, obeys: 3 })).toEqual([
      'w1: -a',
      'w2: -a',
      'w2 gets a after w1',
    ]);
    expect(move({ written: [withdrawn('a')], up: {} }, waiting)).toEqual(HANDED_OVER);
  });

  const written = [withdrawn('a')];
  const table: readonly (readonly [string, At, readonly string[]])[] = [
    ['has obeyed, and the unit is down', { written, up: {} }, HANDED_OVER],
    ['has obeyed, and the unit is reported as inactive', { written, up: { a: 'inactive' } }, HANDED_OVER],
    ['has obeyed, and the unit has failed', { written, up: { a: 'failed' } }, HANDED_OVER],
    ['has obeyed, but the unit is still stopping', { written, up: { a: 'deactivating' } }, WAITING],
    ['has obeyed, but the unit is active', { written, up: { a: 'active' } }, WAITING],
    ['has obeyed, but the unit is starting', { written, up: { a: 'activating' } }, WAITING],
    ['has obeyed, but the unit is reloading', { written, up: { a: 'reloading' } }, WAITING],
    ['has obeyed, but the unit is in maintenance', { written, up: { a: 'maintenance' } }, WAITING],
    ['has not obeyed yet, though the unit is down', { written, obeys: WRITTEN - 1, up: {} }, WAITING],
    ['obeys an order of the same number of an earlier leader', { written, epoch: 0, up: {} }, WAITING],
    ['obeys a later order than was written', { written, obeys: WRITTEN + 1, up: {} }, WAITING],
    ['refuses the order, though the unit is down', { written, refused: 'in doubt', up: {} }, WAITING],
    ['was not told to stop it yet, though the unit is down', { up: {} }, WAITING],
    ['is leaving, and the unit is down', { state: 'leaving', leaving: true, up: {} }, HANDED_OVER],
    ['is leaving, but the unit is still stopping', { state: 'leaving', leaving: true, up: { a: 'active' } }, WAITING],
    ['is leaving, but does not say so itself', { state: 'leaving', up: {} }, WAITING],
  ];
  it.each(table)('when its old host %s', (_what, w1, expected) => {
    expect(move(w1)).toEqual(expected);
  });

  it('waits for a host that has never reported', () => {
    const w2 = { wanted: [entry('a')], written: [], obeys: WRITTEN };
    expect(words(decide({ w1: { written: [withdrawn('a')] }, w2 }))).toEqual(WAITING);
  });

  it('waits for a host that the brake holds, whose last word says that the unit runs', () => {
    expect(move({ state: 'held' })).toEqual(WAITING);
  });

  it('is given to its new host at once when the old one is lost, whatever it said last', () => {
    const w1 = { written: [entry('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    const told = decide({ w1, w2: { wanted: [entry('a')], written: [] } }, { lost: new Set(['w1']) });
    expect(words(told)).toEqual(HANDED_OVER);
  });

  it('waits, too, for a host on which somebody started it by hand', () => {
    const w2 = { wanted: [entry('a')], written: [] };
    expect(words(decide({ w1: { written: [], obeys: WRITTEN, up: { a: 'active' } }, w2 }))).toEqual([
      'w2 gets a after w1',
    ]);
  });

  it('stays with the host that has it, though somebody started it elsewhere by hand', () => {
    const w2 = { wanted: [entry('a')], written: [entry('a')] };
    expect(words(decide({ w1: { written: [], obeys: WRITTEN, up: { a: 'active' } }, w2 }))).toEqual(['w2: a']);
  });

  it('waits for a host of which nobody knows what it obeys, though nothing says that it has the unit', () => {
    const w2 = { wanted: [entry('a')], written: [] };
    const w3 = { wanted: [entry('b')], written: [entry('b')] };
    const unsure = new Set(['w1', 'w2', 'w3']);
    expect(words(decide({ w1: {}, w2, w3 }, { unsure }))).toEqual(['w3: b', 'w2 gets a after w1 w3']);
  });

  it('is given first to hosts that run it, or may, though others come before them', () => {
    const gets = { wanted: [entry('a')], written: [] };
    const w2 = { written: [withdrawn('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    const told = ['w2: -a', 'w3: a', 'w1 gets a after w2'];
    const runs = { ...gets, obeys: WRITTEN, up: { a: 'active' } } as const;
    expect(words(decide({ w1: gets, w2, w3: runs }))).toEqual(told);
    expect(words(decide({ w1: gets, w2, w3: gets }, { unsure: new Set(['w3']) }))).toEqual(told);
  });

  it('is told to its old host as it was when it comes back before it was given away', () => {
    const w1 = { written: [withdrawn('a')], obeys: WRITTEN, wanted: [entry('a')], up: {} };
    expect(words(decide({ w1, w2: { written: [], obeys: WRITTEN } }))).toEqual(['w1: a']);
  });

  it('comes back only when the new host has said that it has stopped it', () => {
    const w1 = { wanted: [entry('a')], written: [], obeys: WRITTEN } as const;
    const early = decide({ w1, w2: { written: [entry('a')], obeys: WRITTEN - 1 } });
    expect(words(early)).toEqual(['w2: -a', 'w1 gets a after w2']);
    const late = decide({ w1, w2: { written: [withdrawn('a')], obeys: WRITTEN } });
    expect(words(late)).toEqual(['w1: a']);
  });

  it('is stopped where it is when nobody shall have it any more, and is told until it is down', () => {
    const w1 = { written: [entry('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    expect(words(decide({ w1 }))).toEqual(['w1: -a']);
    expect(words(decide({ w1: { ...w1, written: [withdrawn('a')], up: {} } }))).toEqual([]);
  });

  it('holds back as many new instances as old ones are left, the last hosts first', () => {
    const had = { written: [withdrawn('a')], obeys: WRITTEN } as const;
    const gets = { wanted: [entry('a')], written: [], obeys: WRITTEN } as const;
    const both = decide({
      w1: { ...had, up: { a: 'active' } },
      w2: { ...had, up: { a: 'active' } },
      w3: gets,
      w4: gets,
    });
    expect(words(both)).toEqual(['w1: -a', 'w2: -a', 'w3 gets a after w1 w2', 'w4 gets a after w1 w2']);
    const one = decide({ w1: { ...had, up: {} }, w2: { ...had, up: { a: 'active' } }, w3: gets, w4: gets });
    expect(words(one)).toEqual(['w2: -a', 'w3: a', 'w4 gets a after w2']);
    const busy = { ...had, up: { a: 'active' } } as const;
    const many = decide({ w1: busy, w2: busy, w3: gets, w4: gets, w5: busy });
    expect(many.pending.map(({ to }) => to)).toEqual(['w3', 'w4']);
  });

  it('gives a higher count to others at once, but for the instance that still moves', () => {
    const gets = { wanted: [entry('a')], written: [], obeys: WRITTEN } as const;
    const w1 = { written: [withdrawn('a')], obeys: WRITTEN, up: { a: 'active' } } as const;
    const told = decide({ w1, w2: { ...gets, written: [entry('a')] }, w3: gets, w4: gets });
    expect(words(told)).toEqual(['w1: -a', 'w2: a', 'w3: a', 'w4 gets a after w1']);
  });
});

describe('a unit with isolation: keep that moves', () => {
  it.each(['ready', 'joining', 'cordoned', 'held'] as const)('off a host that is %s is given away at once', (state) => {
    expect(move({ state }, {}, 'keep')).toEqual(HANDED_OVER);
  });

  it.each(['draining', 'leaving'] as const)('off a host that is %s is stopped there first', (state) => {
    expect(move({ state }, {}, 'keep')).toEqual(WAITING);
    expect(move({ state, written: [withdrawn('a', 'keep')], up: {} }, {}, 'keep')).toEqual(HANDED_OVER);
  });

  it('does not wait for a host of which nobody knows what it obeys', () => {
    const w2 = { wanted: [entry('a', 'keep')], written: [] };
    expect(words(decide({ w1: {}, w2 }, { unsure: new Set(['w1']) }))).toEqual(['w2: a']);
  });

  it('does not wait for a host on which somebody started it by hand', () => {
    const w2 = { wanted: [entry('a', 'keep')], written: [] };
    expect(words(decide({ w1: { written: [], obeys: WRITTEN, up: { a: 'active' } }, w2 }))).toEqual(['w2: a']);
  });

  it.each([
    ['keep', 'stop'],
    ['stop', 'keep'],
  ] as const)('waits when it was %s and is %s from now on', (was, is) => {
    const w1 = { written: [entry('a', was)], obeys: WRITTEN, up: { a: 'active' } } as const;
    expect(words(decide({ w1, w2: { wanted: [entry('a', is)], written: [] } }))).toEqual(WAITING);
  });
});

describe('a service that runs everywhere', () => {
  it.each(['keep', 'stop'] as const)('is neither withdrawn nor held back (isolation: %s)', (isolation) => {
    const hosts = {
      w1: { state: 'draining', written: [entry('g', isolation)], obeys: WRITTEN, up: { g: 'active' } },
      w2: { wanted: [entry('g', isolation)], written: [], obeys: WRITTEN },
    } as const;
    expect(words(decide(hosts, { everywhere: new Set(['g']) }))).toEqual(['w2: g']);
  });
});

it('what hosts are told is sorted by unit, and what waits by unit and host', () => {
  const had = { written: ['b', 'd'].map((name) => entry(name)), obeys: WRITTEN } as const;
  const w2 = { wanted: ['a', 'b', 'd'].map((name) => entry(name)), written: [] };
  const told = decide({ w1: { ...had, wanted: ['a', 'c', 'e'].map((name) => entry(name, 'keep')) }, w2 });
  expect(words(told)).toEqual([
    ...['w1: a', 'w1: -b', 'w1: c', 'w1: -d', 'w1: e', 'w2: a'],
    ...['w2 gets b after w1', 'w2 gets d after w1'],
  ]);
  const w3 = { wanted: [entry('b')], written: [] };
  const others = decide({ w1: had, w2: { wanted: [entry('d')], written: [] }, w3 });
  expect(others.pending.map(waits)).toEqual(['w3 gets b after w1', 'w2 gets d after w1']);
});

describe('what a host obeys', () => {
  const written = new Map([['w1', { host: 'w1', epoch: 2, generation: 7, spec: SPEC, units: [] }]]);
  const says = (epoch: number, generation: number) => new Map([['w1', { host: 'w1', epoch, generation, units: [] }]]);
  const table: readonly (readonly [string, ReadonlyMap<string, Observed>, boolean])[] = [
    ['it has not reported', new Map(), false],
    ['it says that it obeys what is written', says(2, 7), true],
    ['it obeys an earlier order', says(2, 6), false],
    ['it obeys an order of another epoch', says(1, 7), false],
    ['it has never obeyed an order', says(0, 0), false],
  ];
  it.each(table)('at the beginning of a term, when %s', (_what, observed, isKnown) => {
    expect(unsureHosts(undefined, ['w1'], written, observed)).toEqual(new Set(isKnown ? [] : ['w1']));
    expect(unsureHosts(new Set(['w1']), ['w1'], written, observed)).toEqual(new Set(isKnown ? [] : ['w1']));
    // what was written during the term is known
    expect(unsureHosts(new Set(), ['w1'], written, observed)).toEqual(new Set());
  });

  it('is not known when nothing is written for it any more, and concerns nobody when it is lost', () => {
    expect(unsureHosts(undefined, ['w1'], new Map(), says(2, 7))).toEqual(new Set(['w1']));
    expect(unsureHosts(new Set(['w1']), [], written, says(2, 6))).toEqual(new Set());
  });
});

const HOSTS = ['w1', 'w2', 'w3', 'w4'];

describe('a unit with isolation: stop that may run on more hosts than shall have it', () => {
  const anAt: fc.Arbitrary<At & { readonly wanted: readonly DesiredUnit[] }> = fc.record({
    wanted: fc.constantFrom([], [entry('a')]),
    written: fc.constantFrom([], [entry('a')], [withdrawn('a')]),
    obeys: fc.constantFrom(WRITTEN, WRITTEN - 1),
    up: fc.constantFrom<NonNullable<At['up']>>({}, { a: 'active' }, { a: 'deactivating' }),
  });
  const waiting: At = { wanted: [entry('a')], written: [withdrawn('a')], obeys: WRITTEN, up: {} };
  const someHosts = fc
    .tuple(anAt, anAt, anAt, fc.constant(waiting))
    .map((each) => Object.fromEntries(HOSTS.map((host, index) => [host, each[index] ?? {}])) as Record<string, At>);
  const has = (units: readonly DesiredUnit[] | undefined) => (units?.length ?? 0) > 0;

  /** Told to stop it, has said so, and that it is down. */
  const hasStopped = ({ written, obeys, up }: At) =>
    written?.[0]?.withdrawn === true && obeys === WRITTEN && up?.a === undefined;

  it('starts where it was told to wait only when those that have it are no more than shall have it', () => {
    let seen = 0;
    fc.assert(
      fc.property(someHosts, (hosts) => {
        const all = Object.entries(hosts);
        const wanted = all.filter(([, at]) => has(at.wanted));
        const others = all.filter(([, at]) => !has(at.wanted));
        const surplus = others.filter(([, at]) => (has(at.written) ? !hasStopped(at) : at.up?.a !== undefined));
        const { units } = decide(hosts);
        const told = HOSTS.filter((host) => units.get(host)?.some(({ withdrawn: waits }) => !waits));
        const begins = told.filter((host) => {
          const at = hosts[host] ?? {};
          return at.written?.[0]?.withdrawn === true && at.up?.a === undefined;
        });
        if (begins.length === 0) return;
        seen += 1;
        if (told.length + surplus.length > wanted.length)
          throw new Error(`${begins} is told to start, though ${surplus.map(([host]) => host)} has it`);
      }),
      { numRuns: 500 },
    );
    expect(seen).toBeGreaterThan(20);
  });
});

const COUNTS: Readonly<Record<string, number>> = { keep: 2, once: 1, twice: 2 };
const SERVICES: readonly Service[] = [
  { name: 'everywhere', type: 'global', enabled: true, isolation: 'stop' },
  { name: 'keep', type: 'shared', count: 2, enabled: true, isolation: 'keep' },
  { name: 'once', type: 'shared', count: 1, enabled: true, isolation: 'stop' },
  { name: 'twice', type: 'shared', count: 2, enabled: true, isolation: 'stop' },
];
const CLUSTER = specOf(...SERVICES);
const EVERYWHERE = new Set(['everywhere']);

/** One host as it really is; the leader knows of it what it reported last. */
interface Real {
  state: Exclude<HostState, 'held' | 'joining'> | 'lost';
  obeyed: Desired | undefined;
  readonly up: Map<string, 'active' | 'deactivating'>;
}

type Step =
  | { readonly kind: 'lead'; readonly order: readonly string[]; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: 'accept' | 'work' | 'report'; readonly host: string }
  | { readonly kind: 'succeed'; readonly spoilt: readonly string[] }
  | { readonly kind: 'become'; readonly host: string; readonly state: Real['state'] };

/** Hosts that take orders, carry them out and report when they like, and a leader that writes what `handOver` says. */
class World {
  readonly hosts = new Map<string, Real>(
    HOSTS.map((name): [string, Real] => [name, { state: 'ready', obeyed: undefined, up: new Map() }]),
  );
  readonly written = new Map<string, Desired>();
  readonly observed = new Map<string, Observed>();
  pending: readonly PendingHandOver[] = [];
  wanted: ReadonlyMap<string, readonly DesiredUnit[]> = new Map();
  private generation = 0;
  private unsure: ReadonlySet<string> | undefined;

  at(host: string): Real {
    const real = this.hosts.get(host);
    if (!real) throw new Error(`there is no ${host}`);
    return real;
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'lead':
        this.lead(step.order, step.counts);
        return;
      case 'accept':
        this.accept(step.host);
        return;
      case 'work':
        this.work(step.host);
        return;
      case 'report':
        this.report(step.host);
        return;
      case 'succeed':
        this.succeed(step.spoilt);
        return;
      case 'become':
        this.become(step.host, step.state);
        return;
    }
  }

  /** Hosts that run the unit, or are named by an order that the leader has written. */
  running(unit: string): string[] {
    return HOSTS.filter((host) => this.at(host).up.has(unit));
  }

  named(unit: string, plainOnly = false): string[] {
    const names = ({ units }: Desired) => units.some((each) => each.unit === unit && !(plainOnly && each.withdrawn));
    return [...this.written.values()].filter(names).map(({ host }) => host);
  }

  private views(): HostView[] {
    return [...this.hosts].flatMap(([name, { state }]) =>
      state === 'lost' ? [] : [{ name, state, excluded: new Map() }],
    );
  }

  /** Each instance goes to the first hosts of `order` that may have one. */
  private render(order: readonly string[], counts: Readonly<Record<string, number>>): Map<string, DesiredUnit[]> {
    const can = order.filter((host) => ['ready', 'cordoned'].includes(this.at(host).state));
    const units: Placement['units'] = new Map(
      SERVICES.flatMap((service) =>
        unitsOf(service).map((unit) => {
          const on = can.slice(0, counts[service.name] ?? can.length).sort(compare);
          const instances = on.map((host) => ({ host, why: { kind: 'kept' } as const }));
          return [unit, { unit, service: service.name, wanted: on.length, instances }] as const;
        }),
      ),
    );
    const placement = { units, unplaced: [], moves: [] };
    return renderUnits(
      placement,
      CLUSTER,
      this.views().map(({ name }) => name),
    );
  }

  handOver(): HandOver {
    const { wanted, written, observed } = this;
    return handOver({
      wanted,
      written,
      observed,
      hosts: this.views(),
      unsure: this.unsure ?? NOBODY,
      everywhere: EVERYWHERE,
    });
  }

  lead(order: readonly string[], counts: Readonly<Record<string, number>>): void {
    for (const [host, { state }] of this.hosts) if (state === 'lost') this.written.delete(host);
    const live = this.views().map(({ name }) => name);
    this.unsure = unsureHosts(this.unsure, live, this.written, this.observed);
    this.wanted = this.render(order, counts);
    const told = this.handOver();
    this.pending = told.pending;
    const changed = [...told.units].filter(([host, units]) => differs(this.written.get(host), units, SPEC));
    if (changed.length === 0) return;
    this.generation += 1;
    for (const [host, units] of changed)
      this.written.set(host, { host, epoch: 1, generation: this.generation, spec: SPEC, units });
  }

  /** The next leader, which knows what is written and reported; the orders of some hosts cannot be read any more. */
  private succeed(spoilt: readonly string[]): void {
    this.unsure = undefined;
    for (const host of spoilt) this.written.delete(host);
  }

  private accept(host: string): void {
    const real = this.at(host);
    if (real.state !== 'lost') real.obeyed = this.written.get(host) ?? real.obeyed;
  }

  private work(host: string): void {
    const { state, obeyed, up } = this.at(host);
    if (state === 'lost') return;
    const plain = (obeyed?.units ?? []).filter((each) => !each.withdrawn).map((each) => each.unit);
    const mine = new Set(state === 'leaving' ? [] : plain);
    for (const [unit, active] of [...up]) {
      if (active === 'deactivating') up.delete(unit);
      else if (!mine.has(unit)) up.set(unit, 'deactivating');
    }
    for (const unit of mine) if (!up.has(unit)) up.set(unit, 'active');
  }

  private report(host: string): void {
    const { state, obeyed, up } = this.at(host);
    if (state === 'lost') return;
    const units = [...up].map(([unit, active]) => ({ unit, load: 'loaded', active, sub: 'x' }) as const);
    const { epoch, generation } = obeyed ?? { epoch: 0, generation: 0 };
    this.observed.set(host, { host, epoch, generation, ...(state === 'leaving' && { leaving: true }), units });
  }

  /** What a lost host ran is taken to be down; one that comes back knows no order. A daemon that leaves does not stay. */
  private become(host: string, state: Real['state']): void {
    const real = this.at(host);
    if (real.state === 'leaving' && state !== 'lost') return;
    real.state = state;
    if (state !== 'lost') return;
    real.obeyed = undefined;
    for (const unit of [...real.up.keys()]) if (!unit.startsWith('keep')) real.up.delete(unit);
    this.observed.delete(host);
  }
}

const aHost = fc.constantFrom(...HOSTS);
const anOrder = fc.shuffledSubarray(HOSTS, { minLength: HOSTS.length });
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('lead'), order: anOrder, counts: fc.constant(COUNTS) }) },
  { weight: 9, arbitrary: fc.record({ kind: fc.constantFrom('accept', 'work', 'report'), host: aHost }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('succeed'),
      spoilt: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.subarray(HOSTS) }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('become'),
      host: aHost,
      state: fc.constantFrom('ready', 'cordoned', 'draining', 'leaving', 'lost'),
    }),
  },
);
const someSteps = fc.array(aStep, { minLength: 20, maxLength: 120 });
/** Everybody does what there is to do, as often as it takes. */
const ROUNDS = 6;

function settle(world: World, order: readonly string[]): void {
  for (let round = 0; round < ROUNDS; round++) {
    world.lead(order, COUNTS);
    for (const host of HOSTS)
      for (const kind of ['accept', 'work', 'work', 'report'] as const) world.take({ kind, host });
  }
  world.lead(order, COUNTS);
}

describe('whatever is placed where, and whenever hosts obey and report', () => {
  const runs = { numRuns: 500 };

  it('a unit that may run n times is named for n hosts at most, and runs on n hosts at most', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new World();
        for (const step of steps) {
          world.take(step);
          for (const [name, count] of Object.entries(COUNTS)) {
            const named = world.named(`${name}.service`).filter((host) => world.at(host).state !== 'lost');
            if (named.length > count) throw new Error(`${name} is named for ${named}`);
            const running = world.running(`${name}.service`);
            if (running.length > count && name !== 'keep') throw new Error(`${name} runs on ${running}`);
          }
        }
      }),
      runs,
    );
  });

  it('the successor of an instance on a draining or leaving host is told only after it was reported down', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new World();
        for (const step of steps) {
          const before = new Map(Object.keys(COUNTS).map((name) => [name, world.named(`${name}.service`, true)]));
          world.take(step);
          if (step.kind !== 'lead') continue;
          for (const [name, count] of Object.entries(COUNTS)) {
            const unit = `${name}.service`;
            const told = world.named(unit, true);
            // had it until this very step, and nobody can have said that it is down since it was told to stop it
            const busy = (before.get(name) ?? []).filter((host) => {
              const { state } = world.at(host);
              const seen = world.observed.get(host)?.units.some((each) => each.unit === unit) ?? false;
              return !told.includes(host) && seen && (state === 'draining' || state === 'leaving');
            });
            if (told.length + busy.length > count) throw new Error(`${name} is told to ${told} while ${busy} has it`);
          }
        }
      }),
      runs,
    );
  });

  it('all hosts are told just what they shall have, but for what waits and what is withdrawn', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new World();
        for (const step of steps) {
          world.take(step);
          if (step.kind !== 'lead') continue;
          const { units, pending } = world.handOver();
          for (const [host, told] of units) {
            const names = told.map(({ unit }) => unit);
            if (names.join() !== [...new Set(names)].sort(compare).join()) throw new Error(`${host} is told ${names}`);
            const plain = told.filter((each) => !each.withdrawn);
            const later = pending.filter(({ to }) => to === host).map(({ unit }) => unit);
            const wanted = (world.wanted.get(host) ?? []).filter(({ unit }) => !later.includes(unit));
            if (!isDeepStrictEqual(plain, wanted)) expect(plain).toEqual(wanted);
          }
        }
      }),
      runs,
    );
  });

  it('units with isolation: keep wait for draining and leaving hosts only, and global services are never touched', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new World();
        for (const step of steps) {
          world.take(step);
          if (step.kind !== 'lead') continue;
          for (const { unit, from } of world.pending) {
            const states = new Set(from.map((host) => world.at(host).state));
            const inOrder = [...states].every((state) => state === 'draining' || state === 'leaving');
            if (unit === 'everywhere.service' || from.length === 0 || (unit === 'keep.service' && !inOrder))
              throw new Error(`${unit} waits for ${from}: ${[...states]}`);
          }
          for (const { host, units } of world.written.values())
            if (units.some((each) => each.withdrawn && EVERYWHERE.has(each.service)))
              throw new Error(`a global service is withdrawn from ${host}`);
        }
      }),
      runs,
    );
  });

  it('a leader that looks again, or the next one, writes nothing new', () => {
    fc.assert(
      fc.property(someSteps, anOrder, (steps, order) => {
        const world = new World();
        for (const step of steps) world.take(step);
        world.lead(order, COUNTS);
        const before = new Map(world.written);
        world.lead(order, COUNTS);
        expect(world.written).toEqual(before);
        world.take({ kind: 'succeed', spoilt: [] });
        world.lead(order, COUNTS);
        expect(world.written).toEqual(before);
      }),
      runs,
    );
  });

  it('nothing waits for ever: once all hosts obey, each has what it shall have, and nothing else runs', () => {
    fc.assert(
      fc.property(someSteps, anOrder, (steps, order) => {
        const world = new World();
        for (const step of steps) world.take(step);
        settle(world, order);
        expect(world.pending).toEqual([]);
        for (const [host, { state, up }] of world.hosts) {
          if (state === 'lost') continue;
          expect(world.written.get(host)?.units).toEqual(world.wanted.get(host));
          expect([...up.keys()].sort(compare)).toEqual(world.wanted.get(host)?.map(({ unit }) => unit));
        }
      }),
      runs,
    );
  });

  it('changes of the count never add a host while another has yet to stop', () => {
    // an order that is spoilt may still be obeyed, and names nobody
    const counted = aStep.chain((step): fc.Arbitrary<Step> => {
      if (step.kind === 'succeed') return fc.constant({ ...step, spoilt: [] });
      if (step.kind !== 'lead') return fc.constant(step);
      return fc.constantFrom(0, 1, 2, 3).map((once) => ({ ...step, counts: { ...COUNTS, once } }));
    });
    fc.assert(
      fc.property(fc.array(counted, { minLength: 20, maxLength: 120 }), (steps) => {
        const world = new World();
        let most = COUNTS.once ?? 0;
        for (const step of steps) {
          const before = world.running('once.service').length;
          world.take(step);
          if (step.kind === 'lead') most = step.counts.once ?? 0;
          const after = world.running('once.service').length;
          // an order of the time of a higher count may be carried out still, but none beyond what is named now
          const named = world.named('once.service').filter((host) => world.at(host).state !== 'lost').length;
          if (after > Math.max(most, before, named)) throw new Error(`it runs on ${world.running('once.service')}`);
        }
      }),
      runs,
    );
  });
});
