/**
 * The words of ARCHITECTURE.md as types. Every other file speaks of services, units, instances, desired and observed in these
 * shapes. Nothing here does anything; payloads that cross ZooKeeper are parsed into these types by `payloads.ts`.
 */

/** What happens to a unit when its host is cut off from ZooKeeper: it runs on, or it is stopped before others may start it. */
export type Isolation = 'keep' | 'stop';

/** A program and its arguments, run without a shell. */
export type Command = readonly [string, ...string[]];

/**
 * What tells whether an instance does its work. `{host}`, `{address}` and `{instance}` are filled in on its host. Healthy:
 * `http` answers 2xx, `tcp` accepts a connection, `exec` exits with 0.
 */
export type Probe =
  | { readonly kind: 'http'; readonly url: string }
  /** `host:port`. */
  | { readonly kind: 'tcp'; readonly address: string }
  | { readonly kind: 'exec'; readonly command: Command };

/** How an instance's health is found out, by the executor of its host, and what follows from it. */
export interface HealthCheck {
  readonly probe: Probe;
  /** From the end of one probe to the next one's start. */
  readonly intervalMs: number;
  /** A probe without an answer by then has failed. */
  readonly timeoutMs: number;
  /** Probes in a row that must succeed before the instance is healthy, and fail before it is unhealthy; 1 or more. */
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
  /** Failures this early after the start count for nothing. */
  readonly startPeriodMs: number;
  readonly onUnhealthy: 'report' | 'restart' | 'move';
  /** Restarts or moves of one unit in any hour; then it stays as it is, and is reported. */
  readonly limitPerHour: number;
}

/** Each running instance is registered under `label` for others to find. */
export interface Discovery {
  readonly label: string;
  readonly port?: number;
  readonly role?: string;
  /** Published as it is; the values are texts. */
  readonly info?: Readonly<Record<string, string>>;
  /** Only while its check says that it is healthy; without a check, while it is active. */
  readonly onlyHealthy: boolean;
  /** From the end of its registration to a stop that we decide, ms; more than 0. */
  readonly deregistrationDelayMs?: number;
}

/** At most `atOnce` instances of the service are being started at any time in the whole cluster; each until it is so. */
export interface StartOrder {
  readonly atOnce: number;
  readonly until: 'active' | 'healthy';
  /** An instance that takes longer gives its turn away. */
  readonly timeoutMs: number;
}

/** Started only once `service` runs (and is healthy, if it has a check): anywhere, or on the same host. */
export interface StartAfter {
  readonly service: string;
  readonly where: 'anywhere' | 'same-host';
}

/** What a service has beside its placement; all of it reaches the executor with the unit. */
export interface Attachments {
  readonly check?: HealthCheck;
  readonly discovery?: Discovery;
  readonly start?: StartOrder;
  readonly after?: readonly StartAfter[];
}

/** The hosts that something concerns: all that have the labels, and run an instance of the service; both if given. */
export interface HostSelector {
  readonly labels?: Readonly<Record<string, string>>;
  readonly service?: string;
}

/** A file that is rendered from what is registered and placed, on every selected host. */
export interface Template {
  /** Absolute paths on the host. */
  readonly source: string;
  readonly destination: string;
  readonly on: HostSelector;
  /** Must exit with 0 before the file is replaced; `{file}` stands for the new content's path. */
  readonly check?: Command;
  readonly reload?:
    | { readonly kind: 'unit'; readonly unit: string }
    | { readonly kind: 'exec'; readonly command: Command };
  /** Permission bits. */
  readonly mode: number;
  /** `user` or `user:group`; default: as the daemon. */
  readonly owner?: string;
  /** How long nothing is rendered after the file was written; after a longer silence a change is acted upon at once. */
  readonly debounceMs: number;
}

export const HOOK_EVENTS = [
  'member-join',
  'member-leave',
  'member-failed',
  'registered',
  'unregistered',
  'unit-started',
  'unit-moved',
  'unit-failed',
  'leader-changed',
] as const;
export type HookEvent = (typeof HOOK_EVENTS)[number];

/** A program that is run on every selected host when something happens. */
export interface Hook {
  readonly events: readonly HookEvent[];
  readonly on: HostSelector;
  /** Only what matches all that is given. */
  readonly filter: {
    readonly host?: string;
    readonly service?: string;
    readonly label?: string;
    readonly role?: string;
  };
  readonly run: Command;
  readonly timeoutMs: number;
}

interface ServiceBase extends Attachments {
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
  readonly templates?: readonly Template[];
  readonly hooks?: readonly Hook[];
}

/** (epoch, generation) orders all desired states. */
export interface Version {
  readonly epoch: number;
  readonly generation: number;
}

/** Why a host may not take (or keep) a certain unit, or anything at all. */
export type ExclusionReason =
  | 'failed' // the unit failed on this host, until reset-failed or reload
  | 'unhealthy' // its check fails there, or made it leave within the last hour, and another host can take it
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
  | { readonly kind: 'surplus' } // the count went down
  | { readonly kind: 'rebalanced'; readonly by: string }; // an operator asked for it on this host, to even out the load

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

/** That an instance left a host because its check failed there. */
export interface HealthMove {
  readonly from: string;
  /** Milliseconds since 1970, by the clock of the leader that decided it. */
  readonly at: number;
}

/** One unit that a host shall run. */
export interface DesiredUnit extends Attachments {
  readonly unit: string;
  readonly service: string;
  readonly isolation: Isolation;
  readonly why: Why;
  readonly prestart?: DesiredPrestart;
  /** Services of `after` (anywhere) that run nowhere, or are healthy nowhere, as this was written; in their order. */
  readonly waitsFor?: readonly string[];
  /** Moves of the unit for its health within the last hour, or longer ago; one instance of each unit has them, if any. */
  readonly moves?: readonly HealthMove[];
  /** It is to go to another host, which gets it as soon as this one has stopped it. */
  readonly withdrawn?: boolean;
}

/** What counts of a unit where it is registered. */
export type RegistrableUnit = Pick<DesiredUnit, 'unit' | 'service' | 'check' | 'discovery' | 'withdrawn'>;

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

/** What the check of an instance says. `starting`: not yet healthy since its start. */
export interface Health {
  readonly state: 'starting' | 'healthy' | 'unhealthy';
  /** While it is not healthy: what a probe said that failed, cut to 1 KiB; taken anew now and then. */
  readonly output?: string;
  /** What was done about it, or why nothing is done any more, one sentence. */
  readonly action?: string;
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
  /** Of a unit with a check, while it is active. */
  readonly health?: Health;
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

/** One instance that shall go to another host, for nothing but an even load. */
export interface AskedMove {
  readonly unit: string;
  readonly from: string;
  readonly to: string;
}

/** One that the leader does not make. */
export interface RefusedMove extends AskedMove {
  /** One sentence. */
  readonly why: string;
}

/** The `rebalance` znode: moves that an operator's command asks for, while it lasts. The command puts in the next when one is done. */
export interface RebalanceWish {
  /** The same as long as the wish is of the same command, and of no other's. */
  readonly id: string;
  /** Host on which it is asked for. */
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
  /** In the order in which they are to be made. */
  readonly moves: readonly AskedMove[];
}

/** The `leader` znode: what the leader of an epoch knows, and nobody could read elsewhere. */
export interface LeaderNotes {
  readonly epoch: number;
  /** Lost hosts whose instances stay where they were for a while, sorted. */
  readonly held: readonly string[];
  /** They are held as many were lost at once. */
  readonly brake: boolean;
  /** Members that take no new shared or multi instances yet, sorted. */
  readonly joining: readonly string[];
  /** Moves of the wish with this id that it does not make. */
  readonly rebalance?: { readonly id: string; readonly refused: readonly RefusedMove[] };
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
