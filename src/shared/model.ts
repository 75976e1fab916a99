/**
 * The words of ARCHITECTURE.md as types. Every other file speaks of services, units, instances, desired and observed in these
 * shapes. Nothing here does anything; payloads that cross ZooKeeper are parsed into these types by `payloads.ts`.
 */

/** What happens to a unit when its host is cut off from ZooKeeper: it runs on, or it is stopped before others may start it. */
export type Isolation = 'keep' | 'stop';

interface ServiceBase {
  /** Name as written in the configuration, without `.service`; global and shared ones may be an instance, `a@b`. */
  readonly name: string;
  /** `false`: placed nowhere, and stopped where it runs. */
  readonly enabled: boolean;
  /** Script text run before each start; may hold `{instance:UNIT}` references. */
  readonly prestart?: string;
  readonly isolation: Isolation;
}

/** One instance of `name.service` on every eligible host. */
export interface GlobalService extends ServiceBase {
  readonly type: 'global';
}

/** `count` instances of `name.service`, at most one per host. */
export interface SharedService extends ServiceBase {
  readonly type: 'shared';
  readonly count: number;
}

/** A template unit: each key of `instances` is the unit `name@key.service` with a count of its own. */
export interface MultiService extends ServiceBase {
  readonly type: 'multi';
  /** Instance key → wanted count. */
  readonly instances: Readonly<Record<string, number>>;
  /** Instance key → the only host it may run on. A forced key always has count 1. */
  readonly force: Readonly<Record<string, string>>;
  /** At most one instance of the whole template per host. */
  readonly exclusive: boolean;
}

export type Service = GlobalService | SharedService | MultiService;

/** When so many hosts vanish at once that the fault is probably elsewhere: nothing moves for `holdMs`. */
export interface Brake {
  /** Fraction of the hosts, 0 to 1; the brake engages when strictly more are lost at once. */
  readonly above: number;
  readonly atLeast: number;
  readonly holdMs: number;
}

/** The validated part of the configuration that concerns the whole cluster. The cluster has exactly one at a time. */
export interface Spec {
  /** In the order of the file. Names are unique. */
  readonly services: readonly Service[];
  readonly brake: Brake;
}

/** (epoch, generation) orders all desired states. */
export interface Version {
  readonly epoch: number;
  readonly generation: number;
}

/** Why a host may not take (or keep) a certain unit, or anything at all. */
export type ExclusionReason =
  | 'failed' // the unit failed on this host, until reset-failed or reload
  | 'not-installed' // no such unit file on this host
  | 'masked'
  | 'invalid-unit' // systemd cannot load it (bad-setting, error)
  | 'cordoned'
  | 'draining'
  | 'leaving' // its daemon is stopping, and its units with it
  | 'joining' // just joined: new instances wait for others to join (partitioner_boundary)
  | 'held' // the host is gone, but the brake holds its instances where they were
  | 'forced-elsewhere' // `force` names another host
  | 'forced-host-absent' // `force` names a host that is not a member
  | 'already-has-one' // at most one of this unit per host
  | 'exclusive'; // another instance of the same exclusive template has the host

/** Why an instance left the host it was on. */
export type MoveCause =
  | { readonly kind: 'host-lost' }
  | { readonly kind: 'excluded'; readonly reason: ExclusionReason }
  | { readonly kind: 'displaced'; readonly by: string } // another unit of the same exclusive template had to have the host
  | { readonly kind: 'surplus' }; // the count went down

/** Why an instance is where it is. */
export type Why =
  | { readonly kind: 'kept' }
  | { readonly kind: 'adopted' } // it was running there before anything was placed
  | { readonly kind: 'every-host' }
  | { readonly kind: 'least-loaded' }
  | { readonly kind: 'forced' }
  | { readonly kind: 'moved'; readonly from: string; readonly because: MoveCause };

/** What the executor needs to run a `prestart` script before a start. */
export interface DesiredPrestart {
  /** Script text as in the configuration, `{instance:UNIT}` unresolved. */
  readonly script: string;
  /** Reference as written between `{instance:` and `}` → sorted names of the hosts that unit is placed on; empty: nowhere yet. */
  readonly values: Readonly<Record<string, readonly string[]>>;
}

/** One unit that a host shall run. */
export interface DesiredUnit {
  readonly unit: string;
  readonly service: string;
  readonly isolation: Isolation;
  readonly why: Why;
  readonly prestart?: DesiredPrestart;
  /** It is to go to another host, which gets it as soon as this one has stopped it. */
  readonly withdrawn?: boolean;
}

/** What one host shall run, as written by the leader to `desired/<host>`. */
export interface Desired extends Version {
  readonly host: string;
  /** Digest of the spec that this was computed from. */
  readonly spec: string;
  /** Sorted by unit. */
  readonly units: readonly DesiredUnit[];
}

/** systemd's LoadState. `merged` is resolved before it gets here. */
export type LoadState = 'loaded' | 'not-found' | 'masked' | 'bad-setting' | 'error' | 'stub';
/** Every value of systemd's ActiveState. */
export const ACTIVE_STATES = [
  'active',
  'reloading',
  'inactive',
  'failed',
  'activating',
  'deactivating',
  'maintenance',
] as const;
/** systemd's ActiveState. */
export type ActiveState = (typeof ACTIVE_STATES)[number];

/** Why an instance cannot run on a host, as its executor reports it. */
export interface Failure {
  readonly kind: 'failed' | 'prestart' | 'start-timeout' | 'start-refused' | 'not-found' | 'masked' | 'invalid-unit';
  /** One sentence for people: what happened and what to do. */
  readonly message: string;
}

/** What systemd does with one unit on one host. */
export interface ObservedUnit {
  readonly unit: string;
  readonly load: LoadState;
  readonly active: ActiveState;
  /** systemd's SubState, `running`, `dead`, `auto-restart`, … */
  readonly sub: string;
  readonly failure?: Failure;
  /** Why a desired unit has not been started yet, one sentence. */
  readonly waiting?: string;
}

/** What systemd on one host really does, as reported by its executor in `observed/<host>`. */
export interface Observed extends Version {
  readonly host: string;
  /** Set when the executor refused the newest desired state: why. */
  readonly refused?: string;
  /** The daemon is stopping in good order, and its units with it: it starts nothing any more. */
  readonly leaving?: boolean;
  /** Every unit that is desired, active, failed or cannot be loaded; sorted by unit. Loaded inactive units are left out. */
  readonly units: readonly ObservedUnit[];
}

/** A daemon's registration in `members/<host>`. */
export interface Member {
  readonly host: string;
  /** /etc/machine-id: tells a restarted daemon from a second machine with the same name. */
  readonly machineId: string;
  /** Address other hosts reach this one at. */
  readonly address: string;
  /** Base URL of the daemon's HTTP interface, `http://w1:9780`. */
  readonly url: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Version of the daemon's software. */
  readonly software: string;
  /** Digest of the spec in the host's own configuration file. */
  readonly file: string;
  /** Path of the daemon's election znode: its next process removes it, so that nobody waits for it to expire. */
  readonly election: string;
  /** The daemon is stopping in good order: that the host goes then is no fault. */
  readonly leaving?: boolean;
}

/** An operator's intent in `hosts/<host>`. */
export interface HostIntent {
  readonly host: string;
  readonly state: 'cordoned' | 'draining';
  /** ISO 8601. */
  readonly since: string;
  readonly why: string;
}

/** The `spec` znode. */
export interface SpecRecord {
  readonly spec: Spec;
  /** `sha256:…` of the canonical JSON of `spec`. */
  readonly digest: string;
  readonly proposedBy: string;
  /** ISO 8601. */
  readonly at: string;
  /** Digests of specs that this one replaced, or that were refused, newest first; a daemon that starts with one is stale. */
  readonly earlier: readonly string[];
}
