/** Checks of what runs: how its health is shown, and what is done about it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Health } from '../../src/shared/state.ts';
import type { Host } from '../harness/host.ts';
import { addressOf } from '../harness/network.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };

/** Answers 200, or 503 once /run/sick-web is there, and at which address it was asked. */
const SERVER = `import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
createServer((request, answer) => {
  const sick = existsSync('/run/sick-web');
  answer.writeHead(sick ? 503 : 200).end(sick ? 'the disk is full, says ' + request.headers.host : 'fine');
}).listen(8080);
`;

/** Quick checks; `sick-NAME` in /run makes them fail. */
function checked(name: string, more: string, count = 1): string {
  const check = `exec: [test, '!', -e, '/run/sick-{instance}'], interval: 200ms, unhealthy_after: 2, ${more}`;
  return `{name: ${name}, count: ${count}, check: {${check}}}`;
}

const SERVICES = [
  "{name: web, count: 1, check: {http: 'http://{address}:8080/health', interval: 200ms, unhealthy_after: 2}}",
  checked('again', 'on_unhealthy: restart, limit_per_hour: 1'),
  checked('mover', 'on_unhealthy: move'),
  checked('tied', 'on_unhealthy: move, limit_per_hour: 1'),
  checked('everywhere', 'on_unhealthy: move', 3),
  "{name: stuck, type: global, check: {exec: [sh, -c, 'sleep 4321 & exec sleep 4321'], timeout: 60s}}",
];

describeOnHosts('units with checks on three hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      units: {
        'web.service': service('ExecStart=/usr/bin/env node /usr/local/lib/web.mjs'),
        'again.service': sleeping,
        'mover.service': sleeping,
        'tied.service': sleeping,
        'everywhere.service': sleeping,
        'stuck.service': sleeping,
      },
      files: { '/usr/local/lib/web.mjs': SERVER },
      services: SERVICES,
      // elsewhere a host is found by its name
      settingsOf: Object.fromEntries(['w1', 'w2', 'w3'].map((name) => [name, `host: {address: ${addressOf(name)}}\n`])),
    });
  });
  afterAll(() => cluster?.destroy());

  const hostOf = async (name: string): Promise<Host> => {
    const [host, other] = await cluster.runsOn(`${name}.service`);
    if (host === undefined || other !== undefined) throw new Error(`${name} does not run on one host`);
    return cluster.lab.host(host);
  };
  /** Where it runs once it has moved away from there. */
  const hostOtherThan = (name: string, from: Host): Promise<Host> =>
    until(
      async () => {
        const host = await hostOf(name);
        return host !== from && host;
      },
      { ...WAIT, what: `${name} to run on one host that is not ${from.name}` },
    );
  const setSick = (name: string, ...hosts: readonly Host[]) =>
    Promise.all(hosts.map((host) => host.write(`/run/sick-${name}`, '')));
  const setWell = (name: string, ...hosts: readonly Host[]) =>
    Promise.all(hosts.map((host) => host.mustSh('rm', '-f', `/run/sick-${name}`)));

  /** As the host itself says in `/status`. */
  async function health(host: Host, name: string): Promise<Health | undefined> {
    const { observed } = JSON.parse((await cluster.lab.http(host, '/status')).body);
    return observed.units.find(({ unit }: { unit: string }) => unit === `${name}.service`)?.health;
  }
  const untilHealth = (host: Host, name: string, state: Health['state']) =>
    until(async () => (await health(host, name))?.state === state, {
      ...WAIT,
      what: `${name} on ${host.name} to be ${state}`,
    });
  /** As the leader says. */
  async function assigned(host: Host, name: string) {
    const units = (await cluster.assignments()).hosts[host.name]?.units;
    return units?.find(({ unit }) => unit === `${name}.service`);
  }
  const untilAction = (host: Host, name: string, action: string) =>
    until(async () => (await assigned(host, name))?.health?.action === action, {
      ...WAIT,
      what: `${name} on ${host.name}: ${action}`,
    });

  it('whose check begins to fail are shown as unhealthy, and run on; a check that hangs delays none', async () => {
    const host = await hostOf('web');
    await untilHealth(host, 'web', 'healthy');
    expect(await health(host, 'stuck')).toEqual({ state: 'starting' });
    const pids = await cluster.pids('web.service');
    await setSick('web', host);
    await untilHealth(host, 'web', 'unhealthy');
    const said = `the disk is full, says ${addressOf(host.name)}:8080`;
    const unhealthy = { state: 'unhealthy', output: `HTTP 503 Service Unavailable: ${said}` };
    expect(await health(host, 'web')).toEqual(unhealthy);
    await until(async () => (await assigned(host, 'web'))?.health?.state === 'unhealthy', {
      ...WAIT,
      what: 'the leader to know',
    });
    expect(await assigned(host, 'web')).toMatchObject({ state: 'active', health: unhealthy });
    const status = await host.sh('servicewatcher', 'status');
    expect(status.stdout).toContain('0 / 1 ok');
    expect(status.stdout).toContain(`${host.name}: unhealthy: HTTP 503`);
    const isTold = async () =>
      /web\.service\s+unhealthy\s+HTTP 503/.test(
        (await host.sh('servicewatcher', 'events', '--service', 'web')).stdout,
      );
    await until(isTold, { ...WAIT, what: 'the event' });

    await setWell('web', host);
    await untilHealth(host, 'web', 'healthy');
    expect(await cluster.pids('web.service')).toEqual(pids);
  });

  it('are restarted as often as they may be, and then left as they are', async () => {
    const host = await hostOf('again');
    const [before] = Object.values(await cluster.pids('again.service'));
    await setSick('again', host);
    const limit = 'restarted 1 time within the last hour, as often as it may be (limit_per_hour): it is left as it is';
    await until(async () => (await health(host, 'again'))?.action === limit, { ...WAIT, what: 'the limit to be told' });
    const [after] = Object.values(await cluster.pids('again.service'));
    expect(after).toBeGreaterThan(0);
    expect(after).not.toBe(before);
    const journal = await host.journal('servicewatcher.service');
    expect(journal.split('stopping again.service: its check says that it is unhealthy')).toHaveLength(2);
    await setWell('again', host);
    await untilHealth(host, 'again', 'healthy');
    expect(Object.values(await cluster.pids('again.service'))).toEqual([after]);
  });

  it('move once where they are sick, and not back; sick everywhere, they pause, and end up where they run on, after as many moves as they may make', async () => {
    const first = await hostOf('mover');
    await setSick('mover', first);
    const second = await hostOtherThan('mover', first);
    await untilHealth(second, 'mover', 'healthy');
    expect(await assigned(second, 'mover')).toMatchObject({ why: `moved from ${first.name}: unhealthy there` });
    await setWell('mover', first);
    await cluster.untilSettled();
    expect((await hostOf('mover')).name).toBe(second.name);

    const before = await hostOf('tied');
    await Promise.all(['mover', 'tied', 'everywhere'].map((name) => setSick(name, ...cluster.lab.hosts)));
    const [third] = cluster.lab.hosts.filter(({ name }) => name !== first.name && name !== second.name);
    if (third === undefined) throw new Error('no third host');
    await cluster.untilRunsOn('mover.service', [third.name]);
    await untilAction(third, 'mover', 'moved 2 times within the last hour, and moves again after a pause of 20 s');
    const moved = async (): Promise<{ at: string; from: string; to: string; reason: string }[]> =>
      (await third.mustSh('servicewatcher', 'events', '--service', 'mover', '--json'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .filter(({ kind }) => kind === 'moved');
    const moves = async () => (await moved()).map(({ from, to, reason }) => `${from} ${to} ${reason}`);
    await untilEqual(moves, [`${first.name} ${second.name} unhealthy`, `${second.name} ${third.name} unhealthy`], {
      ...WAIT,
      what: 'the moves',
    });
    const [one, two] = (await moved()).map(({ at }) => Date.parse(at));
    // what is told is told a moment after it was decided
    expect((two ?? 0) - (one ?? 0)).toBeGreaterThan(9_000);
    expect(await cluster.runsOn('mover.service')).toEqual([third.name]);

    const tied = await hostOtherThan('tied', before);
    const spent = '1 of the 1 moves that it may make in an hour are made (limit_per_hour): it stays where it is';
    await untilAction(tied, 'tied', spent);
    expect(await cluster.runsOn('tied.service')).toEqual([tied.name]);
    const stays = 'no other host can take it at present: it stays where it is';
    for (const host of cluster.lab.hosts) await untilAction(host, 'everywhere', stays);
    expect(await cluster.runsOn('everywhere.service')).toEqual(['w1', 'w2', 'w3']);
    await setWell('mover', ...cluster.lab.hosts);
    await untilHealth(third, 'mover', 'healthy');
  });

  it('leave no process of a check behind when the daemon is stopped', async () => {
    const [host] = cluster.lab.hosts;
    if (host === undefined) throw new Error('no host');
    const left = async () => (await host.sh('pgrep', '-f', 'sleep 4321')).stdout.split('\n').length - 1;
    // after a minute there is another one, with other processes
    await untilEqual(left, 2, { ...WAIT, what: 'the processes of the check that hangs' });
    await host.systemctl('stop', 'servicewatcher.service');
    expect(await left()).toBe(0);
  });
});
