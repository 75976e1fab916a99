/** Random faults on real hosts break no promise; and a promise that is broken is found, in the journals of real hosts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { check } from '../chaos/checker.ts';
import { ChaosCluster } from '../chaos/cluster.ts';
import { unsettled } from '../chaos/counts.ts';
import type { FaultRecord } from '../chaos/faults.ts';
import { DAEMON, type JournalEntry } from '../chaos/journal.ts';
import { readProcesses } from '../chaos/processes.ts';
import { runChaos } from '../chaos/run.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { DEADLINE_MS } from './cluster.ts';

/** `npm run chaos -- --seed 34 --hosts 3 --servers 3` makes the same faults. */
const SEED = 34;
const CHAOS_MS = 40_000;

describeOnHosts('chaos', () => {
  it('of faults that a seed decides breaks no promise', async () => {
    const said: string[] = [];
    const log = (line: string) => said.push(line);
    const result = await runChaos({ seed: SEED, hosts: 3, servers: 3, durationMs: CHAOS_MS, log });
    expect(result.broken, said.join('\n')).toBeUndefined();
    expect(result.violations, said.join('\n')).toEqual([]);
    expect(result.faults.length).toBeGreaterThanOrEqual(5);
  }, 180_000);

  describe('that nobody owns up to', () => {
    let cluster: ChaosCluster;
    /** Of the journals, each once. */
    const entries: JournalEntry[] = [];
    beforeAll(async () => {
      cluster = await ChaosCluster.start({ hosts: 2, servers: 1 });
      await untilSettled();
    });
    afterAll(() => cluster?.destroy());

    const untilSettled = () =>
      untilEqual(async () => unsettled(await cluster.look()), undefined, {
        deadlineMs: DEADLINE_MS,
        what: 'why the cluster is not settled',
      });

    it('is found in the journals, each kind by its name', async () => {
      const [host] = cluster.lab.hosts;
      if (host === undefined) throw new Error('no host');
      const evidence = async () => {
        entries.push(...(await cluster.journals()));
        const processes = readProcesses(await cluster.processes());
        return check({ entries, processes, faults: [], looks: [] });
      };
      expect(await evidence()).toEqual([]);

      const idle = async (unit: string) => {
        const runs = await cluster.runsOn(unit);
        return cluster.lab.hosts.find(({ name }) => !runs.includes(name));
      };
      // by hand where it is not placed, while it runs on the other; a daemon that is not frozen stops it at once
      const other = await idle('single.service');
      await other?.systemctl('kill', '--signal=STOP', '--kill-who=main', DAEMON);
      await other?.systemctl('start', 'single.service');
      const words = ['says systemd', 'still held its lock'];
      const witnesses = async () => {
        const found = (await evidence()).filter(({ kind }) => kind === 'two-at-once');
        return words.filter((each) => found.some(({ evidence }) => evidence.includes(each)));
      };
      await untilEqual(witnesses, words, { deadlineMs: DEADLINE_MS, what: 'who says that two hosts ran one unit' });
      await other?.systemctl('kill', '--signal=CONT', '--kill-who=main', DAEMON);
      await host.systemctl('stop', 'everywhere.service');
      await host.systemctl('restart', 'stranger.service');
      await host.systemctl('kill', '--signal=KILL', '--kill-who=main', DAEMON);
      const kinds = async () => [...new Set((await evidence()).map(({ kind }) => kind))].sort();
      await untilEqual(kinds, ['daemon-ended', 'needless-restart', 'stranger-touched', 'two-at-once'], {
        deadlineMs: DEADLINE_MS,
        what: 'the kinds of what was found',
      });
    });

    it('is none when systemd starts a killed unit again by itself, and one when the unit is stopped before', async () => {
      await untilSettled();
      const unit = 'restarting.service';
      const [where] = await cluster.runsOn(unit);
      const host = cluster.lab.hosts.find(({ name }) => name === where);
      if (host === undefined) throw new Error(`${unit} runs nowhere`);
      const kill = `systemctl kill --signal=KILL --kill-who=main ${unit}`;
      const struck = async (command: string): Promise<FaultRecord> => {
        const beganAt = monotonicNow();
        await host.mustSh('sh', '-c', command);
        const endedAt = monotonicNow();
        return {
          kind: 'unit-killed',
          round: 1,
          hosts: [host.name],
          servers: [],
          unit,
          beganAt,
          endedAt,
          noQuorumMs: 0,
        };
      };
      const found = async (fault: FaultRecord) => {
        entries.push(...(await cluster.journals()));
        const violations = check({ entries, processes: [], faults: [fault], looks: [] });
        return violations.filter(({ at }) => at >= fault.beganAt).map(({ kind }) => kind);
      };

      const left = await struck(kill);
      const hasReturned = async () => {
        await found(left);
        const starts = entries.filter(
          (entry) => entry.kind === 'unit' && entry.change === 'started' && entry.unit === unit,
        );
        return starts.some(({ at }) => at > left.beganAt);
      };
      await until(hasReturned, { deadlineMs: DEADLINE_MS, what: `${unit} to return` });
      await untilSettled();
      expect(await found(left)).toEqual([]);

      const stopped = await struck(`${kill}; systemctl stop ${unit}`);
      const isTold = async () => (await found(stopped)).includes('not-left-to-systemd');
      await until(isTold, { deadlineMs: DEADLINE_MS, what: 'the stop to be found' });
    });
  });
});
