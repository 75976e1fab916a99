/**
 * Which hosts a leader reckons with, and in what state: who is there, who has just joined, who was lost and is held by
 * the brake, who left in good order. Remembered from pass to pass; what follows from it is decided by pure files.
 */
import type { Logger } from '../shared/log.ts';
import type { Spec } from '../shared/spec.ts';
import { applyBrake, BRAKE_RELEASED } from './brake.ts';
import type { ClusterView } from './cluster-view.ts';
import type { DesiredWriter } from './desired-writer.ts';
import { hostViews, leavingMembers } from './inputs.ts';
import { applyJoining, NOBODY_JOINING } from './joining.ts';
import type { HostView } from './placement.ts';
import { describeBrake } from './why.ts';

/** The hosts at one moment. */
export interface Roll {
  /** Live hosts, in the order of their names. */
  readonly hosts: readonly string[];
  /** Lost hosts whose instances stay where they were for a while. */
  readonly held: ReadonlySet<string>;
  /** One for each live or held host. */
  readonly views: readonly HostView[];
  /** Hosts that have a desired state and are neither live nor held. */
  readonly gone: readonly string[];
  /** Some host waits for others to join. */
  readonly joining: boolean;
}

/**
 * How long hosts may take to be back after something that all of them went through: a ZooKeeper that lost its data, or one
 * whose leader slept and, when it woke up, ended all sessions at once. A host tries again after 3 s at the latest (see the
 * dialer), and an attempt takes its time.
 */
const COME_BACK_MS = 5_000;

export class Attendance {
  private joining = NOBODY_JOINING;
  private brake = BRAKE_RELEASED;
  /** Hosts that said they would leave: their going is no loss that the brake should count. */
  private readonly leavers = new Set<string>();
  /** There was no desired state at all when the term began. */
  private begunEmpty: boolean | undefined;
  private storeWasLost = false;
  /** Hosts that have had a desired state during this term: what such a host has obeyed is no sign of a loss. */
  private readonly told = new Set<string>();
  /** Hosts that are missing while they may yet be on their way back. */
  private awaited: ReadonlySet<string> = new Set();

  /** `backSince`: when the leader's own host was connected again after it had not been, ms of its clock, if so. */
  constructor(
    private readonly view: ClusterView,
    private readonly boundaryMs: number,
    private readonly backSince: number | undefined,
    private readonly log: Logger,
  ) {}

  /** Lost hosts are being held. */
  get braking(): boolean {
    return this.brake.engaged !== undefined;
  }

  /** The host has said that it leaves, or was leaving when it was last heard of. */
  hasLeft(host: string): boolean {
    return this.leavers.has(host);
  }

  /** Calls the roll; `now` in ms of the leader's clock. */
  call(writer: DesiredWriter, spec: Spec, now: number): Roll {
    const { members, observed, intents } = this.view;
    const placed = new Set(writer.hosts);
    // an entry that was never readable makes nobody a member; one that was spoilt later leaves a host where it was
    const hosts = members.present.filter((host) => members.values.has(host) || placed.has(host));
    const live = new Set(hosts);
    this.noteLeavers();
    this.applyBrake(
      [...placed].filter((host) => live.has(host) || !this.leavers.has(host)),
      live,
      spec,
      now,
    );
    this.noteLostStore(writer, hosts);
    const boundaryMs = this.storeWasLost ? Math.max(this.boundaryMs, COME_BACK_MS) : this.boundaryMs;
    this.joining = applyJoining(this.joining, hosts, (host) => writer.written.has(host), boundaryMs, now);
    this.awaitHosts(
      [...placed].filter((host) => !live.has(host) && !this.leavers.has(host)),
      now,
    );
    const held = new Set([...(this.brake.engaged?.hosts ?? []), ...this.awaited]);
    const { joining } = this.joining;
    const leaving = leavingMembers(members.values);
    return {
      hosts,
      held,
      views: hostViews({ members: hosts, observed: observed.values, intents: intents.values, leaving, joining, held }),
      gone: writer.hosts.filter((host) => !live.has(host) && !held.has(host)),
      joining: joining.size > 0,
    };
  }

  /** When the waits under way end, ms of the leader's clock. */
  get ends(): readonly number[] {
    const ends: number[] = [];
    if (this.joining.joining.size > 0) ends.push(this.joining.until);
    if (this.brake.engaged) ends.push(this.brake.engaged.until);
    if (this.awaited.size > 0) ends.push(this.awaitUntil);
    return ends;
  }

  private noteLeavers(): void {
    for (const member of this.view.members.values.values()) {
      if (member.leaving) this.leavers.add(member.host);
      else this.leavers.delete(member.host);
    }
  }

  private get awaitUntil(): number {
    return (this.backSince ?? Number.NEGATIVE_INFINITY) + COME_BACK_MS;
  }

  /** A leader that was cut off itself a moment ago cannot tell hosts that are lost from hosts that are not back yet. */
  private awaitHosts(missing: readonly string[], now: number): void {
    const before = this.awaited;
    this.awaited = new Set(now < this.awaitUntil ? missing : []);
    const more = missing.filter((host) => this.awaited.has(host) && !before.has(host));
    if (more.length > 0)
      this.log.warn(
        `${more.join(', ')} may be on the way back: this host had lost its connection as well; their instances stay theirs until ${COME_BACK_MS / 1000} s after it came back`,
      );
  }

  /** Nothing is written, but a host has obeyed an order before: what was written is lost. */
  private noteLostStore(writer: DesiredWriter, hosts: readonly string[]): void {
    this.begunEmpty ??= writer.hosts.length === 0;
    if (!this.begunEmpty || this.storeWasLost) return;
    for (const host of writer.hosts) this.told.add(host);
    const obeyed = (host: string) => this.view.observed.values.get(host)?.epoch ?? 0;
    this.storeWasLost = hosts.some((host) => !this.told.has(host) && obeyed(host) > 0);
    if (this.storeWasLost)
      this.log.warn(
        `ZooKeeper has lost the desired states of hosts that are at work: for ${COME_BACK_MS / 1000} s after the last one is back nothing is placed anew`,
      );
  }

  private applyBrake(expected: readonly string[], live: ReadonlySet<string>, spec: Spec, now: number): void {
    const before = this.braking;
    this.brake = applyBrake(this.brake, expected, live, spec.brake, now);
    if (before || !this.brake.engaged) return;
    this.log.error(describeBrake([...this.brake.engaged.hosts], spec.brake.holdMs));
  }
}
