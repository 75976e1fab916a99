/** Which hosts get the same order anew: those that refused theirs, and those whose order somebody has replaced. */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { Observed } from '../shared/state.ts';
import type { DesiredWriter } from './desired-writer.ts';
import { LateHosts } from './late-hosts.ts';

/** Hosts whose executor refused its desired state get it written anew, at most this often. */
const REWRITE_EVERY_MS = 1_000;

export class Rewrites {
  /** Host → when it was last told anew because it had refused, ms of the leader's clock. */
  private readonly rewritten = new Map<string, number>();
  private readonly late = new LateHosts();
  private replaced: ReadonlySet<string> = new Set();

  constructor(
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  /**
   * Reads the orders of hosts that take long to obey: what was put back before its host saw the newer one is what the host
   * obeys, and nobody refuses anything. Rejects when ZooKeeper does not answer.
   */
  async look(writer: DesiredWriter, observed: ReadonlyMap<string, Observed>): Promise<void> {
    const replaced = new Set<string>();
    const late = this.late.due(writer.written, observed, this.clock.now());
    await Promise.all(
      late.map(async (host) => {
        if (await writer.stands(host)) return;
        replaced.add(host);
        this.log.error(
          `the desired state of ${host} is not what was written: somebody replaced it; it is written anew`,
          { host },
        );
      }),
    );
    this.replaced = replaced;
  }

  /** By the latest look, and the host's report. `now` in ms of the leader's clock. */
  isDue(host: string, observed: Observed | undefined, now: number): boolean {
    if (this.replaced.has(host)) return true;
    if (observed?.refused === undefined) return false;
    if (now - (this.rewritten.get(host) ?? Number.NEGATIVE_INFINITY) < REWRITE_EVERY_MS) return false;
    this.rewritten.set(host, now);
    this.log.warn(`${host} refused its desired state, it is written anew: ${observed.refused}`, { host });
    return true;
  }
}
