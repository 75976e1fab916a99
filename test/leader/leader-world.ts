/** One leader on a pretended ensemble; the test plays the executors, the operators and the vandals. */
import { Election, type Leadership } from '../../src/leader/election.ts';
import { Leader } from '../../src/leader/leader.ts';
import type { Move } from '../../src/leader/placement.ts';
import type { Member } from '../../src/shared/cluster.ts';
import { digestOf } from '../../src/shared/digest.ts';
import { decodeDesired, encodeMember, encodeObserved, encodeSpecRecord } from '../../src/shared/payloads.ts';
import type { GlobalService, SharedService, Spec } from '../../src/shared/spec.ts';
import type { ActiveState, Desired, Observed, ObservedUnit } from '../../src/shared/state.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { TIMINGS } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

export const base = { enabled: true, isolation: 'keep' } as const;
export const everywhere: GlobalService = { ...base, name: 'everywhere', type: 'global' };
export const one: SharedService = { ...base, name: 'one', type: 'shared', count: 1 };
export const three: SharedService = { ...base, name: 'three', type: 'shared', count: 3 };

export function seen(unit: string, active: ActiveState, change: Partial<ObservedUnit> = {}): ObservedUnit {
  return { unit, load: 'loaded', active, sub: active, ...change };
}

export const failed = (unit: string) => seen(unit, 'failed', { failure: { kind: 'failed', message: 'it failed' } });

export class LeaderWorld {
  readonly log = new MemoryLog();
  readonly terms: Leadership[] = [];
  readonly moves: Move[] = [];
  readonly brakes: boolean[] = [];
  readonly convergences: number[] = [];
  readonly election: Election;
  /** Of the last term. */
  private leader: Leader | undefined;

  private constructor(
    readonly clock: FakeClock,
    readonly ensemble: FakeEnsemble,
    readonly store: FakeStore,
    readonly operator: FakeStore,
  ) {
    const onLeading = (term: Leadership) => this.lead(term);
    this.election = new Election({ store, host: 'w1', machineId: 'w1', clock, log: this.log, onLeading });
  }

  static async create(): Promise<LeaderWorld> {
    const clock = new FakeClock();
    const ensemble = new FakeEnsemble({ clock });
    const store = ensemble.connect({ sessionTimeoutMs: 4_000 });
    const operator = ensemble.connect({ sessionTimeoutMs: 4_000 });
    await clock.until('the sessions', () => [store, operator].every(({ state }) => state.kind === 'connected'));
    await clock.finish('the parents', Promise.all(PARENTS.map((parent) => operator.ensure(parent))));
    return new LeaderWorld(clock, ensemble, store, operator);
  }

  private lead(term: Leadership): void {
    this.terms.push(term);
    this.leader = new Leader(term, {
      host: 'w1',
      store: this.store,
      clock: this.clock,
      log: this.log,
      metrics: {
        placed: () => {},
        moved: (moved) => void this.moves.push(...moved),
        cluster: ({ brake }) => void this.brakes.push(brake),
        converged: (seconds) => void this.convergences.push(seconds),
      },
      loopTickMs: TIMINGS.loopTickMs,
      reactionMs: TIMINGS.reactionMs,
      boundaryMs: TIMINGS.boundaryMs,
      onEpochTooLow: (epoch) => this.election.raiseEpochAbove(epoch),
    });
  }

  /** What the leader of the last term tells of the cluster. */
  get assignments(): Leader['assignments'] {
    return this.leader?.assignments;
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.clock.finish('an answer', promise);
  }

  async put(path: string, data: Buffer | string): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (this.ensemble.tree.get(path)) await this.done(this.operator.set(path, bytes));
    else await this.done(this.operator.create(path, bytes, 'persistent'));
  }

  async writeSpec(spec: Spec): Promise<void> {
    const at = this.clock.date().toISOString();
    await this.put('/spec', encodeSpecRecord({ spec, digest: digestOf(spec), proposedBy: 'w1', at, earlier: [] }));
  }

  async join(host: string, change: Partial<Member> = {}): Promise<void> {
    await this.put(
      `/members/${host}`,
      encodeMember({
        host,
        machineId: host,
        address: host,
        url: `http://${host}:9780`,
        labels: {},
        software: 'test',
        file: 'sha256:',
        election: '/election/n_0',
        ...change,
      }),
    );
  }

  async leave(...hosts: readonly string[]): Promise<void> {
    await this.done(this.operator.transaction(hosts.map((host) => ({ op: 'remove', path: `/members/${host}` }))));
  }

  async observe(host: string, units: readonly ObservedUnit[], change: Partial<Observed> = {}): Promise<void> {
    const { epoch, generation } = this.desired(host) ?? { epoch: 0, generation: 0 };
    await this.put(`/observed/${host}`, encodeObserved({ host, epoch, generation, units, ...change }));
  }

  /** Every host obeys at once: what is desired runs. */
  async obey(...hosts: readonly string[]): Promise<void> {
    for (const host of hosts) {
      const wanted = this.desired(host)?.units.filter(({ withdrawn }) => !withdrawn) ?? [];
      await this.observe(
        host,
        wanted.map(({ unit }) => seen(unit, 'active')),
      );
    }
  }

  desired(host: string): Desired | undefined {
    const node = this.ensemble.tree.get(`/desired/${host}`);
    const decoded = node && decodeDesired(node.data, `/desired/${host}`);
    return decoded?.ok ? decoded.value : undefined;
  }

  /** Names of the units that a host is told of. */
  units(host: string): string[] {
    return this.desired(host)?.units.map(({ unit }) => unit) ?? [];
  }

  /** How often the desired states were written, the first time not counted. */
  versions(...hosts: readonly string[]): (number | undefined)[] {
    return hosts.map((host) => this.ensemble.tree.get(`/desired/${host}`)?.version);
  }

  version(host: string): number | undefined {
    return this.versions(host)[0];
  }

  /** Those of the hosts that are told of the unit. */
  holders(unit: string, ...hosts: readonly string[]): string[] {
    return hosts.filter((host) => this.units(host).includes(unit));
  }

  /** Joins hosts, starts the leader, and has the hosts obey its first placement. */
  async begin(spec: Spec, ...hosts: readonly string[]): Promise<void> {
    await this.writeSpec(spec);
    for (const host of hosts) {
      await this.join(host);
      await this.observe(host, []);
    }
    await this.done(this.election.join(undefined));
    await this.clock.advance(TIMINGS.boundaryMs + 500);
    await this.obey(...hosts);
    // what may run once is placed when all hosts have said that they obey what is written
    await this.clock.advance(500);
    await this.obey(...hosts);
    await this.clock.until('a settled cluster', () => this.assignments?.settled === true);
  }
}
