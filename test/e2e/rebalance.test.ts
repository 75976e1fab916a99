/** A host that joins late stays empty until somebody asks for an even load; then no more moves than that takes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AskedMove } from '../../src/shared/cluster.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { until } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';
import { stoppedAt, viewUnits } from './unit-view.ts';

const SERVICES = ['a', 'b', 'c', 'd'].map((name) => `{name: ${name}, count: 1}`);
const UNITS = [...['a', 'b', 'c', 'd'].map((name) => `${name}.service`), 'once.service', 'agent.service'];

describeOnHosts('three hosts of which one joined late', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const units = Object.fromEntries(UNITS.map((name) => [name, sleeping]));
    cluster = await Cluster.start({
      hosts: 3,
      daemons: 2,
      // a unit that takes its time to start is waited for; one that may run once only is handed over
      units: { ...units, 'once.service': service('ExecStart=sleep infinity\nExecStop=sleep 0.5') },
      services: [...SERVICES, '{name: once, count: 2, isolation: stop}', '{name: agent, type: global}'],
    });
    await cluster.untilCounts({
      ...Object.fromEntries(UNITS.map((name) => [name, 1])),
      'once.service': 2,
      'agent.service': 2,
    });
  });
  afterAll(() => cluster?.destroy());

  const command = (...words: string[]) => cluster.lab.host('w1').sh('servicewatcher', ...words);

  /** What is moved by one rebalance, which must succeed. */
  const moved = async (...words: string[]): Promise<AskedMove[]> => {
    const { code, stdout, stderr } = await command('rebalance', '--yes', '--json', ...words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { made, end } = JSON.parse(stdout);
    expect(end).toBe('done');
    return made;
  };

  it('get an even load when it is asked for, and what need not move runs on', async () => {
    await cluster.deploy(cluster.lab.host('w3'));
    await cluster.untilCounts({ 'agent.service': 3 });
    const before = await cluster.pids(...UNITS);
    expect(
      Object.keys(before).filter((key) => key.startsWith('w3 ')),
      'sticky',
    ).toEqual(['w3 agent.service']);

    // 2 × 4 and 1: it is asked for again as long as the host has just joined
    const shown = await until(
      async () => {
        const answer = await command('rebalance');
        return answer.code === 2 && answer;
      },
      { deadlineMs: DEADLINE_MS, what: 'something to move' },
    );
    expect(shown.stdout).toMatch(/2 move\(s\): hosts have 1 to 4 instance\(s\) each now, 3 then\n$/);
    expect(await cluster.pids(...UNITS), 'it was only shown').toEqual(before);

    const first = await moved('--service', 'once');
    expect(first.map(({ unit, to }) => `${unit} → ${to}`)).toEqual(['once.service → w3']);
    const [view] = await viewUnits(cluster.lab.host('w3'), ['once.service']);
    const ended = await stoppedAt(cluster.lab.host(first[0]?.from ?? ''), 'once.service');
    expect(ended, 'what may run once only has ended here before it begins there').toBeLessThan(
      view?.activeEnterMs ?? 0,
    );
    const made = [...first, ...(await moved())];
    expect(made).toHaveLength(2);

    const after = await cluster.pids(...UNITS);
    const gone = new Set(made.map(({ unit, from }) => `${from} ${unit}`));
    const kept = Object.fromEntries(Object.entries(before).filter(([key]) => !gone.has(key)));
    expect(after, 'what need not move runs on, in the same process').toMatchObject(kept);
    const loads = ['w1', 'w2', 'w3'].map(
      (name) => Object.keys(after).filter((key) => key.startsWith(`${name} `)).length,
    );
    expect(loads).toEqual([3, 3, 3]);

    const again = await command('rebalance', '--yes');
    expect(again).toMatchObject({ code: 0, stdout: 'nothing to move: hosts have 3 instance(s) each\n' });
    expect(await cluster.pids(...UNITS)).toEqual(after);
    const isTold = async () =>
      /moved .*to even out the load, as asked for on w1/.test(
        (await command('events', '--service', made[0]?.unit ?? '')).stdout,
      );
    await until(isTold, { deadlineMs: DEADLINE_MS, what: 'the move to be told' });
  });
});
