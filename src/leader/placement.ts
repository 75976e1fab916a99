/** What goes into and comes out of `place()`. Plain data: the same input gives the same output, byte for byte. */
import type { Spec } from '../shared/spec.ts';
import type { ExclusionReason, MoveCause, Why } from '../shared/state.ts';

/**
 * `ready`: takes everything. `joining`: keeps what it has, takes global and forced units, no other new instance yet.
 * `cordoned`: keeps what it has or runs, takes nothing new. `draining`: gives everything away. `leaving`:
 * stops all that it has, and gives it away. `held`: the host is gone but the
 * brake holds: keeps what it had, takes nothing new.
 */
export type HostState = 'ready' | 'joining' | 'cordoned' | 'draining' | 'leaving' | 'held';

export interface HostView {
  readonly name: string;
  readonly state: HostState;
  /** Units that cannot run on this very host, and why. */
  readonly excluded: ReadonlyMap<string, ExclusionReason>;
}

export interface PlacementInput {
  readonly spec: Spec;
  /** In any order; names are unique. Hosts that are not listed are lost. */
  readonly hosts: readonly HostView[];
  /** Unit → hosts it was placed on by the placement before, in any order; may name lost hosts and units no longer declared. */
  readonly previous: ReadonlyMap<string, readonly string[]>;
  /** Unit → hosts it was seen running on, in any order. Preferred to other hosts for instances that `previous` does not fix. */
  readonly running: ReadonlyMap<string, readonly string[]>;
}

export interface PlacedInstance {
  readonly host: string;
  readonly why: Why;
}

/** All instances of one unit. */
export interface UnitPlacement {
  readonly unit: string;
  readonly service: string;
  /** For a global service: the number of hosts it is eligible on. */
  readonly wanted: number;
  /** Sorted by host. */
  readonly instances: readonly PlacedInstance[];
}

/** Instances that could not be placed, with the number of hosts that each rule excluded (every live host is counted once). */
export interface Unplaced {
  readonly unit: string;
  readonly service: string;
  readonly wanted: number;
  readonly placed: number;
  /** Sorted by reason. */
  readonly why: readonly { readonly reason: ExclusionReason; readonly hosts: number }[];
}

/** One instance that left a host; `to` is undefined when nothing replaces it. */
export interface Move {
  readonly unit: string;
  readonly from: string;
  readonly to: string | undefined;
  readonly because: MoveCause;
}

export interface Placement {
  /** Every declared unit, enabled or not, sorted by unit. */
  readonly units: ReadonlyMap<string, UnitPlacement>;
  /** Sorted by unit. */
  readonly unplaced: readonly Unplaced[];
  /** Sorted by unit, then `from`. */
  readonly moves: readonly Move[];
}
