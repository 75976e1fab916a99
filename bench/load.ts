/** The load of `discovery-load` as its parent sees it: a process in the lab's network, on none of its hosts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lab } from '../test/harness/lab.ts';
import { projectRoot } from '../test/harness/project.ts';
import { until } from '../test/harness/until.ts';

export interface LoadPlan {
  /** ZooKeeper's, `host:port` each. */
  readonly servers: readonly string[];
  /** Addresses of the hosts whose daemons are asked. */
  readonly hosts: readonly string[];
  /** Sessions that hold the registrations. */
  readonly sessions: number;
  /** Labels that the registrations are spread over. */
  readonly labels: number;
  /** Registrations that are there at any time. */
  readonly present: number;
  /** Registrations that are made in a minute; as many are removed. */
  readonly perMinute: number;
  readonly picksPerMinute: number;
}

/** What was done since the beginning. */
export interface LoadCounts {
  /** Ms of the process's own clock. */
  readonly at: number;
  /** All that shall be present is, and the rates hold from now on. */
  readonly filled: boolean;
  readonly registered: number;
  readonly removed: number;
  readonly present: number;
  readonly picked: number;
  readonly pickFailures: number;
  /** Answers of daemons to questions for a label. */
  readonly answers: number;
  /** Events of streams. */
  readonly events: number;
  /** How long each pick took since the last report, ms. */
  readonly pickMs: readonly number[];
}

/** The program, bundled by `scripts/bench.mjs`. */
const PROGRAM = join(projectRoot, 'dist/bench-load.cjs');

export class Load {
  /** Of all picks so far, ms. */
  readonly pickMs: number[] = [];
  private latest: LoadCounts | undefined;
  private readonly child: ChildProcess;

  private constructor(lab: Lab, plan: LoadPlan) {
    const argv = ['setpriv', '--pdeathsig', 'KILL', process.execPath, PROGRAM, JSON.stringify(plan)];
    const [command = '', ...args] = lab.enter(argv);
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (this.child.stdout) createInterface(this.child.stdout).on('line', (line) => this.onLine(line));
  }

  /** Resolves when all that shall be present is registered. */
  static async start(lab: Lab, plan: LoadPlan): Promise<Load> {
    const load = new Load(lab, plan);
    try {
      const deadlineMs = 30_000 + plan.present * 5;
      await until(() => load.latest?.filled === true, {
        deadlineMs,
        what: 'all registrations of the load',
        everyMs: 50,
      });
      return load;
    } catch (error) {
      await load.stop();
      throw error;
    }
  }

  /** As it was reported last, at most a quarter of a second ago. Throws when the load has ended by itself. */
  get counts(): LoadCounts {
    const { exitCode, signalCode } = this.child;
    if (this.latest === undefined || exitCode !== null || signalCode !== null)
      throw new Error(`the load has ended by itself (${exitCode ?? signalCode})`);
    return this.latest;
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }

  /** What the process prints is this program's own. */
  private onLine(line: string): void {
    const counts: LoadCounts = JSON.parse(line);
    this.latest = counts;
    this.pickMs.push(...counts.pickMs);
  }
}
