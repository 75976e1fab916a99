/** The example of deploy/examples/mosquitto: real brokers in a mesh, and clients that go on when they lose theirs. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BROKER, type Loss, MosquittoExample } from '../examples/mosquitto-cluster.ts';
import type { Count } from '../examples/mqtt-ledger.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { until, untilEqual } from '../harness/until.ts';
import { DEADLINE_MS } from './cluster.ts';

/** Session timeout, one tick of ZooKeeper, and 0.3 s; then the client connects. */
const LOST_MS = 4_000 + 500 + 300;
/** For what the clients do themselves, on a busy machine: less than a session lasts. */
const SLACK_MS = 3_000;

describeOnHosts('three brokers of four hosts, and five clients', () => {
  let example: MosquittoExample;
  let killed = '';
  beforeAll(async () => {
    example = await MosquittoExample.start();
  });
  afterAll(() => example?.destroy());

  const expectOnce = ({ sent, received, missing, repeated }: Count) => {
    expect(sent).toBeGreaterThanOrEqual(5 * 8);
    expect([received, missing, repeated]).toEqual([sent * 5, 0, 0]);
  };
  /** Of those that were there when they chose: who came since may have none. */
  const expectEven = ({ loads }: Loss, among: readonly string[]) => {
    const counts = among.map((broker) => loads[broker] ?? 0);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(Object.values(loads).reduce((sum, clients) => sum + clients, 0)).toBe(5);
  };
  const tell = ({ broker, without }: Loss) =>
    process.stdout.write(`clients of ${broker} without a broker, ms: ${Object.values(without).join(', ')}\n`);

  it('have two, two and one client, and each message reaches every client once', async () => {
    await example.startClients();
    const loads = async () => Object.values(await example.loads()).sort();
    await untilEqual(loads, [1, 2, 2], { deadlineMs: DEADLINE_MS, what: 'the clients of each broker' });
    await example.untilWhole();
    expectOnce(await example.quiet());
  });

  it('lose one that is killed: its clients have others at once, which they say, and another host gets a broker', async () => {
    killed = await example.busiest();
    const others = Object.keys(await example.loads()).filter((broker) => broker !== killed);
    const loss = await example.kill(killed);
    tell(loss);
    expect(Object.keys(loss.without)).toHaveLength(2);
    for (const ms of Object.values(loss.without)) expect(ms).toBeLessThan(SLACK_MS);
    expectEven(loss, others);
    for (const client of Object.keys(loss.without)) {
      expect(await example.notes(client)).toContain(`${killed} is not registered as mqtt any more; choosing another`);
    }
    const brokers = await example.untilBrokers(3);
    expect(brokers).not.toContain(killed);
    // who runs a broker is registered before the table has it
    const row = await until(
      async () => {
        const status = await example.cluster.lab.host(killed).sh('servicewatcher', 'status', '--json');
        const [first] = JSON.parse(status.stdout).units;
        return first.healthy === 3 && first;
      },
      { deadlineMs: DEADLINE_MS, what: 'three healthy brokers in the table' },
    );
    expect(row).toMatchObject({ name: 'mosquitto', hosts: { active: brokers, failed: [killed] } });
    expect(row.notes).toEqual([expect.stringContaining(`${killed}: `)]);
    await example.untilWhole();
    expectOnce(await example.quiet());
  });

  it('lose one with its host: its clients have others within the session timeout, and none has more than one more', async () => {
    await example.forgive(killed);
    const off = await example.busiest();
    const others = Object.keys(await example.loads()).filter((broker) => broker !== off);
    const loss = await example.powerOff(off);
    tell(loss);
    for (const ms of Object.values(loss.without)) expect(ms).toBeLessThan(LOST_MS + SLACK_MS);
    expectEven(loss, others);
    expect(await example.untilBrokers(3)).toContain(killed);
    await example.untilWhole();
    expectOnce(await example.quiet());
  });

  it('are as many as the configuration says', async () => {
    await example.setNumber(2);
    const brokers = await example.untilBrokers(2);
    await example.cluster.untilRunsOn(BROKER, brokers);
    await example.untilWhole();
    expectOnce(await example.quiet());
    const { sent, confirmed, missing, lost, repeated } = await example.total();
    process.stdout.write(
      `${sent} sent, ${confirmed} confirmed, ${missing} missed, ${lost} lost, ${repeated} repeated\n`,
    );
    expect(confirmed).toBeGreaterThanOrEqual(sent - 5);
    // what the killed broker had just taken; what came to a broker that was found no more before its clients had gone
    expect(lost).toBeLessThan(sent * 5 * 0.01);
    await example.stopClients();
  });
});
