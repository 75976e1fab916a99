/**
 * Words of ARCHITECTURE.md as types: what a configuration says of the whole cluster, services, the brake, templates and
 * hooks. Nothing here does anything; the `spec` znode is parsed into these types by `payloads.ts`.
 */
import type { Attachments, Command } from './attachments.ts';

/** What happens to a unit when its host is cut off from ZooKeeper: it runs on, or it is stopped before others may start it. */
export type Isolation = 'keep' | 'stop';

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

/** The validated part of the configuration that concerns the whole cluster. The cluster has exactly one at a time. */
export interface Spec {
  /** In the order of the file. Names are unique. */
  readonly services: readonly Service[];
  readonly brake: Brake;
  readonly templates?: readonly Template[];
  readonly hooks?: readonly Hook[];
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
