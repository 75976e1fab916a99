/**
 * What the daemon of one host does in the cluster: executor, election, leader, membership and history, wired together over
 * whatever store, systemd and clock it is given. The daemon gives it the real ones, the tests pretended ones. It holds no
 * rule of its own.
 */
import { Registrar } from './discovery/registrar.ts';
import { StartQueue } from './discovery/start-queue.ts';
import { Executor } from './executor/executor.ts';
import type { ExecutorOptions } from './executor/executor-options.ts';
import { UnitHistory } from './executor/unit-history.ts';
import { Election, type Leadership } from './leader/election.ts';
import { Leader, type LeaderOptions } from './leader/leader.ts';
import { objection, planChange } from './leader/plan.ts';
import type { Member } from './shared/cluster.ts';
import { Membership } from './shared/membership.ts';
import { readSnapshot } from './shared/snapshot.ts';
import type { Spec } from './shared/spec.ts';
import { describeOutcome, proposeSpec } from './shared/spec-store.ts';
import type { SessionState } from './shared/store.ts';

/** What the host's configuration file says of the cluster. */
export interface AgentFile {
  readonly name: string;
  readonly spec: Spec;
  readonly digest: string;
}

export interface AgentOptions
  extends Omit<
      ExecutorOptions,
      'events' | 'metrics' | 'onReport' | 'address' | 'turns' | 'isRegistered' | 'mayBeFound'
    >,
    Pick<LeaderOptions, 'reactionMs' | 'boundaryMs'> {
  readonly machineId: string;
  readonly executorMetrics: ExecutorOptions['metrics'];
  readonly leaderMetrics: LeaderOptions['metrics'];
  /** Its file, as it is now. */
  readonly file: () => AgentFile;
  /** The host as a member, but for what this knows itself. */
  readonly describe: () => Pick<Member, 'address' | 'url' | 'labels' | 'software'>;
  /** The host has joined, for the first time or anew, and its file was put to the cluster. */
  readonly onJoined: () => void;
  /** As in `Membership`. */
  readonly onNameTaken: (why: string) => void;
  /** A term begins or, undefined, has ended. */
  readonly onTerm?: (term: Leadership | undefined) => void;
}

export class Agent {
  readonly executor: Executor;
  readonly election: Election;
  readonly membership: Membership;
  readonly registrar: Registrar;
  private readonly starts: StartQueue;
  /** While this host leads. */
  leader: Leader | undefined;
  private readonly history: UnitHistory;
  private readonly unsubscribe: () => void;
  private leaving = false;

  constructor(private readonly options: AgentOptions) {
    const { host, machineId, store, clock, log, executorMetrics: metrics } = options;
    this.history = new UnitHistory({ host, store, clock, log, mayWrite: () => this.membership.joined });
    const onChange = () => this.executor.look();
    this.registrar = new Registrar({ host, store, clock, log, address: () => options.describe().address, onChange });
    this.starts = new StartQueue({ host, store, clock, log, onChange });
    this.executor = new Executor({
      ...options,
      metrics,
      events: this.history,
      address: () => options.describe().address,
      turns: this.starts,
      isRegistered: (unit) => this.registrar.isRegistered(unit),
      mayBeFound: (unit) => this.registrar.mayBeFound(unit),
      onReport: (report, desired) => this.registrar.update(desired, report),
    });
    this.election = new Election({ store, host, machineId, clock, log, onLeading: (term) => this.lead(term) });
    this.membership = new Membership({
      store,
      clock,
      log,
      describe: () => this.describe(),
      elect: (earlier) => this.election.join(earlier),
      onJoined: async (continuous) => {
        this.registrar.joined();
        this.starts.joined();
        this.executor.joined(continuous);
        await this.propose('start');
        options.onJoined();
      },
      onInterrupted: () => {
        this.executor.left();
        this.registrar.left();
        this.starts.left();
      },
      onNameTaken: options.onNameTaken,
    });
    this.unsubscribe = store.onState((state) => this.onState(state));
  }

  /** Recalls what was before, then begins to watch. */
  async start(): Promise<void> {
    await this.executor.start();
  }

  /** The file was read again: failures are cleared, and it is put to the cluster. */
  async reload(): Promise<void> {
    await this.executor.clearFailures();
    await this.membership.refresh();
    await this.propose('replace').catch((error: unknown) =>
      this.options.log.error(
        `the new configuration could not be proposed to the cluster: ${String(error)}; reload again once ZooKeeper answers`,
      ),
    );
  }

  /**
   * Ends in good order: stops the host's units, or only those that may run once, and leaves. Answers whether the session
   * may be ended: not while a unit runs that others must not start.
   */
  async leave(which: 'all' | 'once-only', signal: AbortSignal): Promise<boolean> {
    this.leaving = true;
    const [left] = await Promise.all([
      this.executor.stopUnits(which, signal),
      this.membership.refresh().then(() => this.election.leave()),
    ]);
    if (left.length > 0) {
      this.options.log.error(
        `${left.join(' ')} did not stop, and must not run twice (isolation: stop): others take over when the session of this host has expired`,
      );
      await this.history.close();
      return false;
    }
    await this.membership.close();
    await this.executor.close();
    await this.registrar.close();
    await this.starts.close();
    await this.history.close();
    this.unsubscribe();
    return true;
  }

  /** Ends everything but the session: its znodes hold the host's place until the next process takes them over. */
  async makeWay(): Promise<void> {
    this.options.log.info('systemd starts this daemon again: units run on, the host stays a member');
    // the election is left, so that another host leads at once, and nobody waits for a candidate that is gone
    await Promise.allSettled([
      this.election.leave(),
      this.membership.close(),
      this.executor.close(),
      this.registrar.close(),
      this.starts.close(),
    ]);
    await this.history.close();
  }

  private describe(): Omit<Member, 'election'> {
    const { host, machineId, describe, file } = this.options;
    return { host, machineId, ...describe(), file: file().digest, ...(this.leaving && { leaving: true }) };
  }

  private async propose(intent: 'start' | 'replace'): Promise<void> {
    const { store, host, clock, log } = this.options;
    const { name, spec, digest } = this.options.file();
    const outcome = await proposeSpec(store, {
      spec,
      digest,
      proposedBy: host,
      at: clock.date().toISOString(),
      intent,
      object: async () => objection(planChange(spec, await readSnapshot(store), []), name),
    });
    const { level, text } = describeOutcome(outcome, name);
    const isNew = outcome.kind === 'created' || outcome.kind === 'replaced';
    log[level](text, { digest, ...(isNew && { event: 'spec-replaced' }) });
  }

  private onState(state: SessionState): void {
    if (state.kind === 'lost') this.executor.left();
  }

  private lead(term: Leadership): void {
    const { options } = this;
    options.onTerm?.(term);
    this.leader = new Leader(term, {
      ...options,
      metrics: options.leaderMetrics,
      onEpochTooLow: (epoch) => this.election.raiseEpochAbove(epoch),
    });
    term.signal.addEventListener('abort', () => {
      this.leader = undefined;
      options.onTerm?.(undefined);
    });
  }
}
