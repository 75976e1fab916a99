/**
 * What this host reads for its hooks: which there are, whether they concern it, and what they are told of. Nothing but the
 * spec is looked at where no hook is. While ZooKeeper is silent, what was read last stands.
 */
import type { Clock } from '../shared/clock.ts';
import type { Member } from '../shared/cluster.ts';
import { Collection } from '../shared/collection.ts';
import { digestOf } from '../shared/digest.ts';
import type { Logger } from '../shared/log.ts';
import { isLabel } from '../shared/names.ts';
import { type Decoded, decodeDesired, decodeEpoch, decodeMember, decodeSpecRecord } from '../shared/payloads.ts';
import type { Hook } from '../shared/spec.ts';
import type { Store, Watch } from '../shared/store.ts';
import { desiredPath, EPOCH, MEMBERS, SPEC } from '../shared/znodes.ts';
import { Directory, type FollowedLabels } from './directory.ts';
import type { ClusterEvent } from './hook-event.ts';
import { UnitEvents } from './hook-history.ts';
import { labelsForHooks } from './hook-labels.ts';
import { type ServiceOfUnit, selects, servicesByUnit } from './hook-match.ts';
import type { Position } from './hook-memory.ts';
import { registrationKey, type View, type ViewRegistration } from './hook-view.ts';

export interface HookSourcesOptions {
  readonly host: string;
  readonly labels: () => Readonly<Record<string, string>>;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: () => void;
  readonly onUnitEvents: (events: readonly ClusterEvent[], position: Position) => void;
}

export class HookSources {
  /** Members that have said that they leave, since `forgetLeavers` was called. */
  readonly leavers = new Set<string>();
  services: ServiceOfUnit = new Map();
  labels: FollowedLabels = new Set();
  private declared: ReadonlyMap<string, Hook> | undefined;
  /** Services of which this host is to run an instance; undefined: not read yet. */
  private placed: ReadonlySet<string> | undefined;
  private leader: string | undefined;
  private members: Collection<Member> | undefined;
  private directory: Directory | undefined;
  private units: UnitEvents | undefined;
  private epoch: Watch | undefined;
  private readonly watches: readonly Watch[];

  constructor(private readonly options: HookSourcesOptions) {
    const { store, host, log, onChange } = options;
    this.watches = [
      store.watch(SPEC, (node) => {
        const decoded = node && decodeSpecRecord(node.data, node.path);
        // one that cannot be read is reported by whoever proposes and leads; the hooks stay as they are
        if (decoded?.ok) this.onSpec(decoded.value.spec.hooks ?? [], servicesByUnit(decoded.value.spec.services));
        onChange();
      }),
      store.watch(desiredPath(host), (node) => {
        const decoded = node && decodeDesired(node.data, node.path);
        if (decoded && !decoded.ok) {
          log.debug(`${decoded.problem}; hooks stay where they are`);
          this.placed ??= new Set();
        } else {
          const units = decoded?.value.units.filter((unit) => !unit.withdrawn) ?? [];
          this.placed = new Set(units.map((unit) => unit.service));
        }
        onChange();
      }),
    ];
  }

  /** The hooks that concern this host, by key; undefined: not known yet. */
  get selected(): ReadonlyMap<string, Hook> | undefined {
    const { declared, placed } = this;
    if (declared === undefined || placed === undefined) return undefined;
    const facts = { labels: this.options.labels(), services: placed };
    return new Map([...declared].filter(([, hook]) => selects(hook.on, facts)));
  }

  /** Reads what these hooks are told of, and nothing else; `position`: where the history was read to. */
  follow(hooks: readonly Hook[], position: Position | undefined): void {
    const { store, clock, log, onChange, onUnitEvents } = this.options;
    if (hooks.length > 0 && !this.members) {
      this.members = new Collection(store, MEMBERS, (data, path) => this.decodeMember(data, path), log, onChange);
      this.epoch = store.watch(EPOCH, (node) => {
        const decoded = node && decodeEpoch(node.data, node.path);
        if (decoded?.ok) this.leader = decoded.value.leader;
        onChange();
      });
    } else if (hooks.length === 0) this.closeMembers();
    this.followLabels(labelsOf(hooks));
    const forUnits = hooks.some(({ events }) => events.some((event) => event.startsWith('unit-')));
    if (forUnits) {
      const members = () => this.members?.present.length ?? 0;
      this.units ??= new UnitEvents({ store, clock, log, position, members, onRead: onUnitEvents });
    } else {
      this.units?.close();
      this.units = undefined;
    }
  }

  /** What is there now; a part that is not read yet is as `before`. Who leads is told with what is known of that host. */
  view(before: View): View {
    const { members, directory, leader } = this;
    const registrations = directory?.ready ? registrationsOf(directory) : before.registrations;
    if (!members?.ready) return { ...before, registrations };
    return {
      members: new Map([...members.values].map(([host, member]) => [host, viewOf(member)])),
      registrations,
      leader: leader ?? before.leader,
    };
  }

  /** Whether a host is a member; undefined: not known yet. */
  isMember(host: string): boolean | undefined {
    return this.members?.ready ? this.members.values.has(host) : undefined;
  }

  close(): void {
    for (const watch of this.watches) watch.close();
    this.closeMembers();
    this.directory?.close();
    this.units?.close();
  }

  private onSpec(hooks: readonly Hook[], services: ServiceOfUnit): void {
    this.declared = byKey(hooks);
    this.services = services;
  }

  private closeMembers(): void {
    this.members?.close();
    this.epoch?.close();
    this.members = undefined;
    this.epoch = undefined;
    this.leavers.clear();
  }

  private followLabels(labels: FollowedLabels): void {
    if (sameLabels(labels, this.labels)) return;
    const { store, clock, log, onChange } = this.options;
    this.labels = labels;
    this.directory?.close();
    this.directory = undefined;
    if (labels !== 'all' && labels.size === 0) return;
    this.directory = new Directory({ store, clock, log, onChange });
    if (labels === 'all') this.directory.followAll();
    else for (const label of labels) this.directory.follow(label);
  }

  /** The mark is noted as it is read: the znode may be gone when the next look is taken. */
  private decodeMember(data: Buffer, path: string): Decoded<Member> {
    const decoded = decodeMember(data, path);
    if (decoded.ok && decoded.value.leaving) this.leavers.add(decoded.value.host);
    else if (decoded.ok) this.leavers.delete(decoded.value.host);
    return decoded;
  }
}

/**
 * Hooks by what makes them what they are: not their place in the file, nor their time limit, so that what waits for one
 * still does after a change of either.
 */
function byKey(hooks: readonly Hook[]): ReadonlyMap<string, Hook> {
  const found = new Map<string, Hook>();
  for (const hook of hooks) {
    const { events, on, filter, run } = hook;
    let key: string;
    let copy = 0;
    do key = digestOf({ events, on, filter, run, copy: copy++ }).slice('sha256:'.length, 'sha256:'.length + 16);
    while (found.has(key));
    found.set(key, hook);
  }
  return found;
}

function labelsOf(hooks: readonly Hook[]): FollowedLabels {
  const asking = hooks.filter(({ events }) => events.includes('registered') || events.includes('unregistered'));
  if (asking.some(({ filter }) => filter.label === undefined)) return 'all';
  return new Set(asking.flatMap(({ filter: { label } }) => (label !== undefined && isLabel(label) ? [label] : [])));
}

function sameLabels(a: FollowedLabels, b: FollowedLabels): boolean {
  if (a === 'all' || b === 'all') return a === b;
  return a.size === b.size && [...a].every((label) => b.has(label));
}

function viewOf({ address, labels, leaving }: Member) {
  return { address, labels: labelsForHooks(labels), leaving: leaving === true };
}

function registrationsOf(directory: Directory): Map<string, ViewRegistration> {
  const all = directory.labels().flatMap((label) => directory.entries(label));
  return new Map(
    all.map(({ label, id, host, address, port, role, unit }) => {
      const registration = { label, id, host, address, port, role, unit };
      return [registrationKey(registration), registration];
    }),
  );
}
