/** What is not in order once every fault is over (INV-LIVE): in the reports of the daemons, in the data of the ensemble, on the hosts. */
import { decodeHostIntent, decodeSpecRecord } from '../../src/shared/payloads.ts';
import type { Service, Spec } from '../../src/shared/spec.ts';
import type { Orders } from './orders.ts';
import { isOf, serviceOf, wantedOf } from './placement-check.ts';
import type { SimulatedHost, World } from './world.ts';

export class Disorder {
  private inForce: { readonly data: Buffer | undefined; readonly spec: Spec | undefined } = {
    data: undefined,
    spec: undefined,
  };

  constructor(
    private readonly world: World,
    private readonly orders: Orders,
  ) {}

  /** What is not in order yet, one sentence. */
  find(): string | undefined {
    const { world } = this;
    // it waits for what found its units (deregistration_delay), say, and what it leaves then moves
    const ending = world.hosts.find((host) => host.ending !== undefined);
    if (ending) return `the daemon of ${ending.name} is being stopped still`;
    const leaders = world.hosts.filter(({ daemon }) => daemon?.election.leading);
    if (leaders.length !== 1) return `${leaders.length} daemons lead`;
    const leader = leaders[0];
    const flapping = world.hosts.some(({ broken }) => broken.size > 0);
    const assignments = leader?.daemon?.leader?.assignments;
    if (!assignments) return 'the leader has placed nothing';
    const parting = world.hosts.find(isParting);
    if (parting) return `${parting.name} is about to stop a unit`;
    const joining = Object.entries(assignments.hosts).find(([, { state }]) => state === 'joining');
    if (joining) return `${joining[0]} is joining still`;
    const spec = this.specInForce();
    if (!spec) return 'there is no readable spec';
    // a unit that ends again and again is never settled, nor one whose script names one that is placed nowhere
    if (!assignments.settled && !flapping && !this.waits())
      return `the leader says that it is not settled (${this.unsettled()})`;
    for (const service of spec.services) {
      const wrong = this.disorderOf(service, spec, flapping);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** What the `spec` znode holds, if it can be read. */
  private specInForce(): Spec | undefined {
    const data = this.world.ensemble.tree.get('/spec')?.data;
    if (data !== this.inForce.data) {
      const record = data && decodeSpecRecord(data, '/spec');
      this.inForce = { data, spec: record?.ok ? record.value.spec : undefined };
    }
    return this.inForce.spec;
  }

  /** A unit (this one) waits for what will not come. */
  private waits(unit?: string): boolean {
    return this.world.hosts.some((host) =>
      host.daemon?.executor.observed?.units.some(
        (each) => (unit === undefined || each.unit === unit) && this.isVain(host, each.waiting ?? ''),
      ),
    );
  }

  /** It waits for a unit that is placed nowhere, or for a service of which nothing runs. */
  private isVain(host: SimulatedHost, waiting: string): boolean {
    if (waiting.includes('placed nowhere yet')) return true;
    const [, service = '', where] = /^it starts after (\S+), which is not up on (any|this) host/.exec(waiting) ?? [];
    const hosts = where === 'this' ? [host] : this.world.hosts;
    return (
      where !== undefined && !hosts.some((each) => each.fake.systemd.running().some((unit) => isOf(unit, service)))
    );
  }

  /** Where reports differ from orders. */
  private unsettled(): string {
    return this.world.hosts
      .map(({ name, daemon, fake }) => {
        const { epoch = 0, generation = 0, units = [], refused } = daemon?.executor.observed ?? {};
        const told = this.orders
          .newestOf(name)
          ?.units.map(({ unit, withdrawn }) => `${unit}${withdrawn ? ' withdrawn' : ''}`);
        const seen = units.map(
          ({ unit, failure, waiting }) =>
            `${unit} ${fake.systemd.state(unit).active} ${failure?.kind ?? ''} ${waiting ?? ''}`,
        );
        return `${name} ${epoch}.${generation} ${refused ?? ''} told ${told?.join(', ')}, reports ${seen.join(', ')}`;
      })
      .join('; ');
  }

  private disorderOf(service: Service, spec: Spec, flapping: boolean): string | undefined {
    const { world } = this;
    for (const [unit, count] of wantedOf(service)) {
      const running = world.hosts.filter(({ fake }) => fake.systemd.state(unit).active === 'active');
      const may = world.hosts.filter((host) => this.mayTake(host, unit, spec));
      const wanted = Math.min(count ?? world.hosts.length, may.length);
      const cordoned = world.hosts.filter(({ name }) => this.intentOf(name) !== undefined).length;
      if (running.length > (count ?? world.hosts.length))
        return `${unit} runs ${running.length} times, wanted ${count}`;
      const exclusive = service.type === 'multi' && service.exclusive;
      if (running.length < wanted && !exclusive && !flapping && !this.waits(unit))
        return `${unit} runs on ${running.length} hosts, ${wanted} wanted and possible (${cordoned} cordoned)`;
    }
    return undefined;
  }

  private mayTake(host: SimulatedHost, unit: string, spec: Spec): boolean {
    const { active, load } = host.fake.systemd.state(unit);
    if (active === 'failed' || load !== 'loaded' || this.intentOf(host.name) !== undefined) return false;
    const failed = host.daemon?.executor.observed?.units.some((each) => each.unit === unit && each.failure);
    if (failed) return false;
    const service = serviceOf(spec, unit);
    if (service?.type !== 'multi') return true;
    const forced = service.force[unit.slice(unit.indexOf('@') + 1, -'.service'.length)];
    return forced === undefined || forced === host.name;
  }

  private intentOf(host: string): string | undefined {
    const node = this.world.ensemble.tree.get(`/hosts/${host}`);
    const decoded = node && decodeHostIntent(node.data, '');
    return decoded?.ok ? decoded.value.state : node && 'unreadable';
  }
}

/** It is about to stop a unit, as soon as others had time to leave it. */
function isParting({ daemon }: SimulatedHost): boolean {
  return daemon?.executor.observed?.units.some(({ waiting }) => waiting?.includes('deregistration_delay')) ?? false;
}
