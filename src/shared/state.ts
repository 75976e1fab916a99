/**
 * Words of ARCHITECTURE.md as types: the desired and the observed state of a host, unit by unit, and why each is as it is.
 * Nothing here does anything; what crosses ZooKeeper is parsed into these types by `payloads.ts`.
 */
import type { Attachments } from './attachments.ts';
import type { Isolation } from './spec.ts';

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
