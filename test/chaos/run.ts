/** Runs the schedule against a cluster, records what happened, and has it checked. */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stackOf } from '../../src/shared/error-text.ts';
import type { Host } from '../harness/host.ts';
import { monotonicNow, pause, until } from '../harness/until.ts';
import { check } from './checker.ts';
import { ChaosCluster, type ClusterOptions } from './cluster.ts';
import { type Look, unsettled } from './counts.ts';
import { heededBy } from './explain.ts';
import { FAULTS, type FaultKind, type FaultRecord, isOfServers, type PlannedFault } from './faults.ts';
import { begin, chooseTarget, type Struck } from './injector.ts';
import type { JournalEntry } from './journal.ts';
import { readProcesses } from './processes.ts';
import { type Round, schedule } from './schedule.ts';
import { describeViolation, type Violation } from './violation.ts';
import { SETTLE_LIMIT_MS } from './world.ts';

export interface RunOptions extends ClusterOptions {
  readonly seed: number;
  /** How long faults are made for; the round under way is brought to its end. */
  readonly durationMs: number;
  /** Only faults of these kinds; default all. */
  readonly only?: readonly FaultKind[];
  readonly log: (line: string) => void;
  /** Ends the run after the round under way. */
  readonly stop?: AbortSignal;
}

/** A round's time from the end of its last fault to the settled cluster. */
export interface Settling {
  readonly round: number;
  readonly ms: number;
  /** The same, the start of daemons that the faults had ended included. */
  readonly withStartMs: number;
  readonly faults: readonly FaultRecord[];
}

export interface RunResult {
  readonly seed: number;
  readonly hosts: number;
  readonly servers: number;
  readonly durationMs: number;
  readonly faults: readonly FaultRecord[];
  readonly settlings: readonly Settling[];
  readonly violations: readonly Violation[];
  /** Why it ended before its time, other than by `stop`. */
  readonly broken?: string;
  /** Where journals and log were saved: when there are violations, or it ended before its time. */
  readonly evidence?: string;
}

/** Longest that the cluster is waited for; it is a violation far earlier. */
const SETTLE_DEADLINE_MS = 60_000;
const LOOK_EVERY_MS = 100;
const QUORUM_LOOK_EVERY_MS = 100;

/** Boots, makes faults, checks. Rejects when the harness itself fails. Leaves nothing behind. */
export async function runChaos(options: RunOptions): Promise<RunResult> {
  const { hosts, servers, seed, log } = options;
  log(`Booting ${hosts} hosts and ${servers} ZooKeeper servers, seed ${seed} …`);
  const cluster = await ChaosCluster.start(options);
  try {
    return await new ChaosRun(cluster, options).run();
  } finally {
    await cluster.destroy();
  }
}

class ChaosRun {
  readonly #faults: FaultRecord[] = [];
  readonly #looks: Look[] = [];
  readonly #settlings: Settling[] = [];
  /** The end of the last choice of what is struck. */
  #choosing: Promise<unknown> = Promise.resolve();
  readonly #violations: Violation[] = [];
  readonly #entries: JournalEntry[] = [];
  /** Violations that were said. */
  readonly #said = new Set<string>();
  /** Why the cluster was not settled when it was looked at last. */
  #lastWhy = '';

  constructor(
    private readonly cluster: ChaosCluster,
    private readonly options: RunOptions,
  ) {}

  async run(): Promise<RunResult> {
    const { seed, hosts, servers, only, durationMs, stop } = this.options;
    let broken = await this.#begun();
    const start = monotonicNow();
    for (const round of schedule(seed, { hosts, servers, ...(only !== undefined && { only }) })) {
      if (broken !== undefined || monotonicNow() - start >= durationMs || stop?.aborted === true) break;
      const end = await this.#round(round).catch(stackOf);
      if (end !== undefined) broken = `round ${round.number}: ${end}`;
    }
    const lasted = monotonicNow() - start;
    this.#say('Faults are over');
    const violations = await this.#check();
    const evidence = violations.length > 0 || broken !== undefined ? await this.#save() : undefined;
    return {
      ...(broken !== undefined && { broken }),
      seed,
      hosts,
      servers,
      durationMs: lasted,
      faults: this.#faults,
      settlings: this.#settlings,
      violations,
      ...(evidence !== undefined && { evidence }),
    };
  }

  /** Answers why no fault can be made at all. */
  async #begun(): Promise<string | undefined> {
    const seen = await this.#settled().catch(stackOf);
    if (typeof seen === 'string') return `the cluster did not settle before any fault was made: ${seen}`;
    this.#say('All runs as it should; faults begin');
    return undefined;
  }

  /** Answers why there can be no further round; rejects when a fault could not be made or undone. */
  async #round(round: Round): Promise<string | undefined> {
    await pause(round.restMs);
    await this.#stillSettled(round);
    const taken: Host[] = [];
    const outcomes = await Promise.allSettled(round.faults.map((fault) => this.#fault(round, fault, taken)));
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? (outcome.value ?? []) : []));
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      // what was made all the same explains what is found
      this.#faults.push(...made);
      throw outcome.reason;
    }
    if (made.length === 0) return undefined;
    const endedAt = Math.max(...made.map((fault) => fault.endedAt));
    const heedUntil = Math.max(...made.map(heededBy));
    const seen = await this.#settled(heedUntil).catch((error: unknown) => String(error));
    const isSettled = typeof seen !== 'string';
    for (const fault of made) this.#faults.push({ ...fault, ...(isSettled && { settledAt: seen.at }) });
    const names = made.map(({ kind }) => kind).join(' and ');
    if (!isSettled) {
      this.#violate(`not settled ${seconds(monotonicNow() - endedAt)} s after the end of ${names}: ${seen}`);
      return 'the cluster does not settle any more';
    }
    const ms = seen.at - endedAt;
    const withStartMs = seen.at - Math.max(...made.map((fault) => fault.daemonToldAt ?? fault.endedAt));
    this.#settlings.push({ round: round.number, ms, withStartMs, faults: made });
    this.#say(`round ${round.number}: settled ${seconds(ms)} s after the end of ${names}`);
    if (ms > SETTLE_LIMIT_MS)
      this.#violate(`settled only ${seconds(ms)} s after the end of ${names}: ${this.#lastWhy}`);
    await this.#check();
    return undefined;
  }

  async #fault(round: Round, fault: PlannedFault, taken: Host[]): Promise<FaultRecord | undefined> {
    await pause(fault.afterMs);
    const struck = await this.#choose(fault, taken);
    const what = `round ${round.number}: ${describe(fault, struck)}`;
    if (struck === undefined) {
      this.#say(`${what}: left out, there is none`);
      return undefined;
    }
    const beganAt = monotonicNow();
    this.#say(what);
    const over = new AbortController();
    const noQuorum = isOfServers(fault.kind) ? this.#timeWithoutQuorum(over.signal) : Promise.resolve(0);
    try {
      const effect = await begin(fault.kind, struck, this.cluster);
      await pause(fault.lastsMs);
      let daemonToldAt: number | undefined;
      await effect.undo((at) => {
        daemonToldAt = at;
      });
      const endedAt = monotonicNow();
      over.abort();
      this.#say(`${what}: over`);
      return {
        kind: fault.kind,
        round: round.number,
        hosts: fault.kind === 'reload-changed' ? [] : struck.hosts.map(({ name }) => name),
        servers: struck.servers.map(({ name }) => name),
        ...(struck.unit !== undefined && { unit: struck.unit }),
        beganAt,
        endedAt,
        ...(daemonToldAt !== undefined && { daemonToldAt }),
        ...(effect.offAt !== undefined && { offAt: effect.offAt }),
        noQuorumMs: await noQuorum,
      };
    } finally {
      over.abort();
    }
  }

  /** One after the other: the faults of a round must not choose the same host because neither knew of the other yet. */
  async #choose(fault: PlannedFault, taken: Host[]): Promise<Struck | undefined> {
    const choice = this.#choosing.then(async () => {
      const struck = await chooseTarget(this.cluster, fault, taken);
      taken.push(...(struck?.hosts ?? []));
      return struck;
    });
    this.#choosing = choice.catch(() => undefined);
    return choice;
  }

  /** Milliseconds from now to the last moment without a quorum, until `over`; 0 when it was never missed. */
  async #timeWithoutQuorum(over: AbortSignal): Promise<number> {
    const start = monotonicNow();
    let missed = 0;
    while (!over.aborted) {
      if (!(await this.cluster.hasQuorum())) missed = monotonicNow() - start;
      await pause(QUORUM_LOOK_EVERY_MS);
    }
    return missed;
  }

  /** The first look since which it has been settled; until `heedUntil` it may still become unsettled. */
  async #settled(heedUntil = 0): Promise<Look> {
    let first: Look | undefined;
    const settled = async () => {
      const look = await this.#look();
      const why = unsettled(look);
      if (why !== undefined) {
        first = undefined;
        this.#lastWhy = why;
        throw new Error(why);
      }
      first ??= look;
      return look.at >= heedUntil ? first : undefined;
    };
    return until(settled, { deadlineMs: SETTLE_DEADLINE_MS, what: 'the cluster to settle', everyMs: LOOK_EVERY_MS });
  }

  async #stillSettled(round: Round): Promise<void> {
    const why = unsettled(await this.#look());
    if (why !== undefined)
      this.#violate(`no longer settled before round ${round.number}, though nothing was done: ${why}`);
  }

  async #look(): Promise<Look> {
    const look = await this.cluster.look();
    this.#looks.push(look);
    return look;
  }

  /** All that is violated so far; what was not said yet is said. */
  async #check(): Promise<Violation[]> {
    for (const entry of await this.cluster.journals()) this.#entries.push(entry);
    const processes = readProcesses(await this.cluster.processes());
    const found = check({ entries: this.#entries, processes, faults: this.#faults, looks: this.#looks });
    const all = [...this.#violations, ...found].sort((a, b) => a.at - b.at);
    for (const violation of all) {
      const text = describeViolation(violation);
      if (!this.#said.has(text)) this.#say(`VIOLATION ${text}`);
      this.#said.add(text);
    }
    return all;
  }

  async #save(): Promise<string> {
    const folder = join(tmpdir(), `servicewatcher-chaos-${this.options.seed}-${process.pid}`);
    await this.cluster.saveEvidence(folder, this.#faults);
    return folder;
  }

  #violate(evidence: string): void {
    this.#violations.push({ kind: 'not-settled', at: monotonicNow(), evidence });
  }

  #say(what: string): void {
    this.options.log(`${(monotonicNow() / 1000).toFixed(3)}  ${what}`);
  }
}

function describe(fault: PlannedFault, struck: Struck | undefined): string {
  const { target, does, lasts } = FAULTS[fault.kind];
  const machines = [...(struck?.hosts ?? []), ...(struck?.servers ?? [])].map(({ name }) => name).join(', ');
  const unit = target === 'unit' ? ` ${fault.unit}` : '';
  const time = lasts.length > 0 ? ` for ${seconds(fault.lastsMs)} s` : '';
  return `${fault.kind}${unit}${machines === '' ? '' : ` ${machines}`}${time} (${does})`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
