/** A pretended cluster whose hosts obey and report when they like, and any steps that it may take. */
import fc from 'fast-check';
import { type HandOver, handOver, type PendingHandOver, unsureHosts } from '../../src/leader/hand-over.ts';
import type { HostState, HostView, Placement } from '../../src/leader/placement.ts';
import { differs, renderUnits } from '../../src/leader/render.ts';
import { compare, unitsOf } from '../../src/shared/names.ts';
import type { Service } from '../../src/shared/spec.ts';
import type { Desired, DesiredUnit, Observed } from '../../src/shared/state.ts';
import { specOf } from '../fakes/daemon.ts';
import { NOBODY, SPEC } from './hand-over-hosts.ts';

export const HOSTS = ['w1', 'w2', 'w3', 'w4'];
/** How often each unit runs that does not run everywhere, unless a step says otherwise. */
export const COUNTS: Readonly<Record<string, number>> = { keep: 2, once: 1, twice: 2 };
const SERVICES: readonly Service[] = [
  { name: 'everywhere', type: 'global', enabled: true, isolation: 'stop' },
  { name: 'keep', type: 'shared', count: 2, enabled: true, isolation: 'keep' },
  { name: 'once', type: 'shared', count: 1, enabled: true, isolation: 'stop' },
  { name: 'twice', type: 'shared', count: 2, enabled: true, isolation: 'stop' },
];
const CLUSTER = specOf(...SERVICES);
export const EVERYWHERE = new Set(['everywhere']);

/** One host as it really is; the leader knows of it what it reported last. */
interface Real {
  state: Exclude<HostState, 'held' | 'joining'> | 'lost';
  obeyed: Desired | undefined;
  readonly up: Map<string, 'active' | 'deactivating'>;
}

export type Step =
  | { readonly kind: 'lead'; readonly order: readonly string[]; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: 'accept' | 'work' | 'report'; readonly host: string }
  | { readonly kind: 'succeed'; readonly spoilt: readonly string[] }
  | { readonly kind: 'become'; readonly host: string; readonly state: Real['state'] };

/** Hosts that take orders, carry them out and report when they like, and a leader that writes what `handOver` says. */
export class HandOverWorld {
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
export const anOrder = fc.shuffledSubarray(HOSTS, { minLength: HOSTS.length });
export const aStep: fc.Arbitrary<Step> = fc.oneof(
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
export const someSteps = fc.array(aStep, { minLength: 20, maxLength: 120 });
/** Everybody does what there is to do, as often as it takes. */
const ROUNDS = 6;

export function settle(world: HandOverWorld, order: readonly string[]): void {
  for (let round = 0; round < ROUNDS; round++) {
    world.lead(order, COUNTS);
    for (const host of HOSTS)
      for (const kind of ['accept', 'work', 'work', 'report'] as const) world.take({ kind, host });
  }
  world.lead(order, COUNTS);
}
