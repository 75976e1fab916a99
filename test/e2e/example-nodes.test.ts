/** Ten nodes started at once come up one after the other, each seeing all before it: deploy/examples/nodes, as it stands. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { faultsOf, NAMES, Nodes } from '../examples/nodes.ts';
import { describeOnHosts } from '../harness/requirements.ts';

describeOnHosts('ten nodes on five hosts', () => {
  let nodes: Nodes;
  beforeAll(async () => {
    nodes = await Nodes.create(new AbortController().signal);
  });
  afterAll(() => nodes?.destroy());

  it('start one after the other by `start: serial`, when all daemons are started at once', async () => {
    const views = await nodes.startSerially((line) => console.log(line));
    expect(faultsOf(views)).toEqual([]);
    expect(views.map(({ saw }) => saw.length)).toEqual(NAMES.map((_, index) => index));
    expect(new Set(views.map(({ host }) => host)).size).toBe(5);
  }, 120_000);

  it('start one after the other by a lease in ExecStartPre=, when all units are started at once', async () => {
    const views = await nodes.startWithLeases((line) => console.log(line));
    expect(faultsOf(views)).toEqual([]);
    expect(views.map(({ saw }) => saw.length)).toEqual(NAMES.map((_, index) => index));
    for (const host of nodes.lab.hosts) expect(await host.mustSh('systemctl', '--failed', '--quiet')).toBe('');
  }, 120_000);
});
