/** An instance dies on one host → HAProxy on another has been reloaded with a file that does not list it any more. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HAPROXY, HAPROXY_CONFIG, haproxyTemplate, serversOf } from '../test/harness/haproxy.ts';
import type { Host } from '../test/harness/host.ts';
import { mainPidOf } from '../test/harness/main-pid.ts';
import { projectRoot } from '../test/harness/project.ts';
import { monotonicNow, pause, until } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { DAEMON, isStarted } from './observe.ts';
import type { Row } from './row.ts';

const UNIT = 'unit@web.service';
const BALANCER = 'unit@balancer.service';
const SOURCE = '/etc/servicewatcher/haproxy.tpl';
const DEADLINE_MS = 30_000;
/** Longer than the daemon rests after a rendering (`debounce`, 50 ms): what is measured is a change after a quiet time. */
const QUIET_MS = 500;

/** One instance on each host, and one host where the file is rendered: what `services:` holds, and the template after it. */
export const TEMPLATED_SERVICES = `  - name: unit@web
    type: global
    discovery: {label: web, port: 8080}
  - name: unit@balancer
    count: 1
templates:
  - source: ${SOURCE}
    destination: ${HAPROXY_CONFIG}
    on: {service: unit@balancer}
    check: haproxy -c -f {file}
    reload: ${HAPROXY}
`;

const TEMPLATE = haproxyTemplate('discovery.web');
/** As deploy/examples/haproxy has it: HAProxy does not read the system's certificates each time that it starts. */
const WITHOUT_CERTIFICATES = 'httpclient.ssl.verify none';
const TEMPLATE_OF_EXAMPLE = TEMPLATE.replace('global\n', `global\n  ${WITHOUT_CERTIFICATES}\n`);
const DROP_IN = '/etc/systemd/system/haproxy.service.d/reload.conf';
const GOALS = [{ of: 'median', atMost: 150 }] as const;

/**
 * From the SIGKILL of the main process of a unit that systemd does not restart (Restart=no), until on another host both
 * are so: haproxy.cfg does not list the instance, and systemd's job to reload Debian's haproxy.service has ended, by the
 * time in the journal of that host's systemd (CLOCK_MONOTONIC, one for all hosts of the machine). The product's
 * defaults: the file is checked by `haproxy -c` before it is put in its place; Debian's unit does so once more in its
 * reload. For the second row HAProxy does not read the system's certificates each time it starts, by a line of the template
 * of deploy/examples/haproxy; for the third it is not asked to check the file in its reload either, by the example's
 * drop-in. Before, all has been quiet for half a second. What comes after the job is HAProxy's own: its new worker takes
 * over without a moment in which nobody listens.
 */
export async function measureTemplate(
  cluster: Cluster,
  runs: number,
  progress: (ms: number) => void,
): Promise<readonly Row[]> {
  const reader = await prepare(cluster);
  const name = 'an instance is killed → HAProxy on another host is reloaded without it';
  const asDebian = await sample(cluster, reader, runs, progress);
  await giveTemplate(cluster, reader, TEMPLATE_OF_EXAMPLE);
  const isWritten = async () => (await reader.read(HAPROXY_CONFIG)).includes(WITHOUT_CERTIFICATES);
  await until(isWritten, { deadlineMs: DEADLINE_MS, what: `${HAPROXY_CONFIG} to be written from the other template` });
  const withoutCertificates = await sample(cluster, reader, runs, progress);
  const dropIn = join(projectRoot, 'deploy/examples/haproxy/haproxy.service.d/reload.conf');
  await reader.write(DROP_IN, await readFile(dropIn, 'utf8'));
  await reader.systemctl('daemon-reload');
  const asExample = await sample(cluster, reader, runs, progress);
  return [
    { name: `${name}, by Debian’s unit`, unit: 'ms', samples: asDebian, goals: GOALS },
    { name: `${name}, which reads no certificates`, unit: 'ms', samples: withoutCertificates, goals: GOALS },
    { name: `${name}, as the example has it`, unit: 'ms', samples: asExample, goals: GOALS },
  ];
}

async function sample(
  cluster: Cluster,
  reader: Host,
  runs: number,
  progress: (ms: number) => void,
): Promise<readonly number[]> {
  const others = cluster.hosts.filter((host) => host !== reader);
  const samples: number[] = [];
  while (samples.length < runs) {
    await untilListed(reader, cluster.hosts);
    await untilIdle(reader);
    await cluster.settled();
    await pause(QUIET_MS);
    const victim = others[samples.length % others.length];
    if (victim === undefined) throw new Error('the cluster has one host only');
    const pid = await mainPidOf(victim, UNIT);
    const killed = monotonicNow();
    process.kill(pid, 'SIGKILL');
    const left = cluster.hosts.filter((host) => host !== victim);
    await untilListed(reader, left, 2);
    const unlisted = monotonicNow();
    const ms = (await reloadedAfter(reader, unlisted)) - killed;
    samples.push(ms);
    progress(ms);
    await victim.systemctl('reset-failed', UNIT);
  }
  return samples;
}

/** Gives every host the template, and answers the one that renders it, where HAProxy runs. */
async function prepare(cluster: Cluster): Promise<Host> {
  const started = await Promise.all(cluster.hosts.map((host) => isStarted(host, BALANCER)));
  const reader = cluster.hosts[started.indexOf(true)];
  if (reader === undefined) throw new Error(`${BALANCER} runs nowhere although all is settled`);
  await reader.systemctl('start', HAPROXY);
  await giveTemplate(cluster, reader, TEMPLATE);
  return reader;
}

async function giveTemplate(cluster: Cluster, reader: Host, template: string): Promise<void> {
  for (const host of cluster.hosts) await host.write(SOURCE, template);
  process.kill(await mainPidOf(reader, DAEMON), 'SIGHUP');
}

/** Resolves when the file lists exactly these. */
async function untilListed(reader: Host, hosts: readonly Host[], everyMs = 100): Promise<void> {
  const expected = hosts.map(({ name }) => name).join();
  const isListed = async () => {
    const servers = serversOf(await reader.read(HAPROXY_CONFIG));
    return servers.map(({ id }) => id).join() === expected;
  };
  await until(isListed, { deadlineMs: DEADLINE_MS, what: `${HAPROXY_CONFIG} to list ${expected}`, everyMs });
}

/** Resolves when HAProxy is not being reloaded, as it was a moment ago with the file as it is. */
async function untilIdle(reader: Host): Promise<void> {
  const isIdle = async () => !(await reader.mustSh('systemctl', 'list-jobs', '--no-legend')).includes(HAPROXY);
  await until(isIdle, { deadlineMs: DEADLINE_MS, what: `${HAPROXY} to have been reloaded` });
}

/** When the first job to reload HAProxy after `since` ended, once it has: ms of CLOCK_MONOTONIC. */
async function reloadedAfter(reader: Host, since: number): Promise<number> {
  const ended = async () => {
    const jobs = [`UNIT=${HAPROXY}`, 'JOB_TYPE=reload', 'JOB_RESULT=done'];
    const fields = '--output-fields=__MONOTONIC_TIMESTAMP';
    const text = await reader.mustSh('journalctl', '--no-pager', '-n', '5', '-o', 'json', fields, '_PID=1', ...jobs);
    return text
      .split('\n')
      .filter(Boolean)
      .map(timeOf)
      .find((at) => at > since);
  };
  return await until(ended, { deadlineMs: DEADLINE_MS, what: `${HAPROXY} to be reloaded` });
}

function timeOf(line: string): number {
  const entry: unknown = JSON.parse(line);
  const time: unknown = typeof entry === 'object' && entry !== null && Reflect.get(entry, '__MONOTONIC_TIMESTAMP');
  return Number(time) / 1000;
}
