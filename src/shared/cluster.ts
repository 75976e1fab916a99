/**
 * What is known of the hosts beside their units: who is a member, what operators ask for, and what the leader notes. Nothing
 * here does anything; what crosses ZooKeeper is parsed into these types where it is read.
 */

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
