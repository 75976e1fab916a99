/** Which hosts take so long to obey that their order is to be looked at: somebody may have replaced it. Pure. */
import type { Desired, Observed } from '../shared/state.ts';
import { compareVersions } from '../shared/version.ts';

/** A host obeys within a second, and says so. One that takes longer is looked at again after as long. */
const LATE_MS = 5_000;
/** After a change that concerns thousands of hosts: so many are read at once, the others in later passes. */
const LOOKS_PER_PASS = 50;

export class LateHosts {
  /** Host → since when it has been behind, or when its order was looked at last, ms of the leader's clock; longest ago first. */
  private readonly since = new Map<string, number>();

  /**
   * Hosts whose report has been older than what is written for them for `LATE_MS`, and whose order was not looked at for
   * as long; each is taken for looked at now. `now` in ms of the leader's clock.
   */
  due(written: ReadonlyMap<string, Desired>, observed: ReadonlyMap<string, Observed>, now: number): readonly string[] {
    for (const [host, order] of written) {
      const report = observed.get(host);
      if (!report || compareVersions(report, order) >= 0) this.since.delete(host);
      else if (!this.since.has(host)) this.since.set(host, now);
    }
    for (const host of this.since.keys()) if (!written.has(host)) this.since.delete(host);
    const due = [...this.since].flatMap(([host, since]) => (now - since >= LATE_MS ? [host] : []));
    const looks = due.slice(0, LOOKS_PER_PASS);
    for (const host of looks) {
      this.since.delete(host);
      this.since.set(host, now);
    }
    return looks;
  }
}
