/** Backends that come and go behind two HAProxy, under a steady load: deploy/examples/haproxy, as it stands. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HaproxyExample, type Loss } from '../examples/haproxy.ts';
import { WAIT } from '../examples/haproxy-cluster.ts';
import { summary } from '../examples/requests.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { until, untilEqual } from '../harness/until.ts';

describeOnHosts('backends behind HAProxy on five hosts', () => {
  let example: HaproxyExample;
  beforeAll(async () => {
    example = await HaproxyExample.create(new AbortController().signal);
    // the daemons one after the other, the backends last
    await example.cluster.begin();
  });
  afterAll(() => example?.cluster.destroy());

  it('answer though the hosts, and what runs on them, came one after the other, the last one first', async () => {
    const { cluster } = example;
    expect(cluster.balancers).toHaveLength(2);
    expect(await cluster.backends()).toHaveLength(3);
  });

  it('are told to a hook, several at once', async () => {
    const { cluster } = example;
    const expected = (await cluster.backends()).map((host) => `registered ${host}`);
    await untilEqual(async () => [...(await cluster.told())].sort(), expected, {
      ...WAIT,
      what: 'the hook to be told',
    });
  });

  it('fail no request while one is added, stopped, moved, drained and taken away', async () => {
    for (const step of example.plannedSteps()) {
      const { what, requests, failed } = await step();
      console.info(`${what}: ${summary(requests)}`);
      expect(failed, what).toEqual([]);
      expect(requests.length).toBeGreaterThan(50);
    }
    // one each: with its daemon, moved, drained, one too many; 2 s, of which some pass until both HAProxy have reloaded
    const stops = async () => {
      const found = await example.cluster.quietBeforeStops();
      return found.length < 4 ? undefined : found;
    };
    // the last of them is stopped when the requests of its chapter have been answered already
    const quiet = await until(stops, { ...WAIT, what: 'four backends to be told to end' });
    console.info(`told to end so long after the last request, ms: ${quiet.join(', ')}`);
    // each has a request every 50 ms as long as it is in a file; how soon it is in none depends on the machine
    expect(quiet.filter((ms) => ms > 100).length, `${quiet}`).toBeGreaterThanOrEqual(quiet.length / 2);
  }, 90_000);

  const within = ({ what, requests, failed, atRisk }: Loss) => {
    console.info(`${what}: ${summary(requests)}; ${atRisk.length} were in flight at that moment`);
    expect(requests.length).toBeGreaterThan(50);
    expect(failed.length, what).toBeLessThanOrEqual(atRisk.length);
    expect(failed.filter((each) => !atRisk.includes(each))).toEqual([]);
  };

  it('fail no request but those in flight when one is killed, which systemd starts again where it was', async () => {
    within(await example.killBackend());
  });

  it('fail no request but those in flight when a host loses its power', async () => {
    within(await example.losePower());
  });

  it('answer again when a HAProxy was killed, and started by systemd without anything else', async () => {
    await example.killBalancer();
  });
});
