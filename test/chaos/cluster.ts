/** The cluster that is tried: real hosts, a real ensemble, the daemon with its defaults on every host. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Assignments } from '../../src/leader/assignments.ts';
import { viewUnits } from '../e2e/unit-view.ts';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { Lab } from '../harness/lab.ts';
import { mustRun } from '../harness/process.ts';
import { monotonicNow } from '../harness/until.ts';
import type { Look } from './counts.ts';
import type { FaultRecord } from './faults.ts';
import { DAEMON, FIELDS, type JournalEntry, MATCHES, readJournal } from './journal.ts';
import { configuration, DECLARED, HOST_FILES, PROCESS_LOG, SHARED, STRANGERS, TICK_MS } from './world.ts';

/** Of the state directory: it can be filled at once, and survives a power cut as a disk does. */
const DISK_MIB = 2;
const JOURNAL_DEADLINE_MS = 60_000;
/** How journalctl begins its last line. */
const CURSOR = '-- cursor: ';

export interface ClusterOptions {
  readonly hosts: number;
  readonly servers: number;
  /** The program to try; default the checkout's `dist/cli.js`. */
  readonly cli?: string;
}

export class ChaosCluster {
  /** Of the last entry that was answered, in journalctl's own words. */
  readonly #cursors = new Map<Host, string>();

  private constructor(readonly lab: Lab) {}

  /** Boots all; resolves when every daemon is ready. On failure nothing is left behind. */
  static async start({ hosts, servers, cli }: ClusterOptions): Promise<ChaosCluster> {
    const lab = await Lab.create({
      hosts,
      zookeeper: servers,
      tickTime: TICK_MS,
      prepare: (host, unready) => prepare(host, unready, cli),
    });
    return new ChaosCluster(lab);
  }

  destroy(): Promise<void> {
    return this.lab.destroy();
  }

  /** Hosts that are on, by name. */
  get on(): readonly Host[] {
    return this.lab.hosts.filter((host) => host.running);
  }

  /** Where systemd says that the unit is active: hosts that are on, in order. One that is being switched off says nothing. */
  async runsOn(unit: string): Promise<string[]> {
    const hosts = this.on;
    const views = await Promise.all(hosts.map((host) => viewUnits(host, [unit]).catch(() => undefined)));
    return hosts.flatMap(({ name }, index) => (views[index]?.[0]?.active === 'active' ? [name] : []));
  }

  /** What the leader and all of systemd say at this moment. */
  async look(): Promise<Look> {
    const hosts = this.on;
    const units = DECLARED.map(({ unit }) => unit);
    const ask = (path: string) => Promise.all(hosts.map((host) => this.lab.http(host, path).catch(() => undefined)));
    const [answers, readiness, views] = await Promise.all([
      ask('/assignments'),
      ask('/readyz'),
      Promise.all(hosts.map((host) => viewUnits(host, units))),
    ]);
    const active = new Map(
      units.map((unit, index): [string, string[]] => [
        unit,
        hosts.flatMap(({ name }, at) => (views[at]?.[index]?.active === 'active' ? [name] : [])),
      ]),
    );
    const leading = answers.find((answer) => answer?.status === 200);
    const unready = hosts.flatMap(({ name }, at) => (readiness[at]?.status === 200 ? [] : [name]));
    return { at: monotonicNow(), hosts: this.lab.hosts.length, leader: readLeader(leading?.body), unready, active };
  }

  /** The name of the host that leads; undefined when none says so. */
  async leader(): Promise<string | undefined> {
    const hosts = this.on;
    const answers = await Promise.all(hosts.map((host) => this.lab.http(host, '/assignments').catch(() => undefined)));
    return hosts[answers.findIndex((answer) => answer?.status === 200)]?.name;
  }

  /** Whether a majority of the servers serves, under one leader. */
  async hasQuorum(): Promise<boolean> {
    const modes = await Promise.all(this.lab.servers.map((server) => server.mode()));
    const serving = modes.filter((mode) => mode === 'leader' || mode === 'follower').length;
    return modes.filter((mode) => mode === 'leader').length === 1 && serving > modes.length / 2;
  }

  /** Writes the configuration file of every host, also of those that are off. */
  async writeFiles(changed: boolean): Promise<void> {
    const text = configuration(this.lab.quorum, changed);
    await Promise.all(this.lab.hosts.map((host) => writeFile(join(host.disk, CONFIG_FILE), text)));
  }

  /** The log that all units of all hosts write to. */
  async processes(): Promise<string> {
    return readFile(join(sharedFolder(this.lab), PROCESS_LOG), 'utf8');
  }

  /** What the journals of all hosts hold, of all their boots, that was not answered before. */
  async journals(): Promise<JournalEntry[]> {
    const news = await Promise.all(this.lab.hosts.map((host) => this.#news(host)));
    return news.flat();
  }

  async #news(host: Host): Promise<JournalEntry[]> {
    const cursor = this.#cursors.get(host);
    const argv = [
      'journalctl',
      '--no-pager',
      '--quiet',
      '--output=json',
      '--show-cursor',
      `--output-fields=${FIELDS.join(',')}`,
      ...(cursor === undefined ? [] : [`--after-cursor=${cursor}`]),
    ];
    const command = host.running
      ? host.enter([...argv, ...MATCHES])
      : [...argv, `--directory=${join(host.disk, 'var/log/journal')}`, ...MATCHES];
    const text = await mustRun(command, { deadlineMs: JOURNAL_DEADLINE_MS });
    const lines = text.split('\n');
    const next = lines.find((line) => line.startsWith(CURSOR));
    if (next !== undefined) this.#cursors.set(host, next.slice(CURSOR.length));
    return readJournal(host.name, lines.filter((line) => !line.startsWith(CURSOR)).join('\n'));
  }

  /** Copies journals and the units' log, as text, into a folder of this machine, and notes the faults there. */
  async saveEvidence(folder: string, faults: readonly FaultRecord[]): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (const host of this.lab.hosts) {
      await writeFile(
        join(folder, `${host.name}.journal`),
        await host.journal().catch((error: unknown) => String(error)),
      );
    }
    await writeFile(join(folder, PROCESS_LOG), await this.processes());
    await writeFile(join(folder, 'faults.json'), JSON.stringify(faults, undefined, 2));
  }
}

/** `systemctl reset-failed`; a unit that systemd does not even know at this moment has not failed either. */
export async function resetFailed(host: Host, ...units: readonly string[]): Promise<void> {
  await host.sh('systemctl', 'reset-failed', ...units);
}

function sharedFolder(lab: Lab): string {
  return join(lab.folder, 'shared');
}

/** Everything is there before the host boots for the first time, and the daemon is started by the boot. */
async function prepare(host: Host, lab: Lab, cli: string | undefined): Promise<void> {
  const shared = sharedFolder(lab);
  await mkdir(shared, { recursive: true });
  await writeFile(join(shared, PROCESS_LOG), '', { flag: 'a' });
  await mkdir(join(host.disk, SHARED));
  await mustRun(['mount', '--bind', shared, join(host.disk, SHARED)]);
  const state = join(host.disk, 'var/lib/servicewatcher');
  await mkdir(state, { recursive: true });
  await mustRun(['mount', '-t', 'tmpfs', '-o', `size=${DISK_MIB}m,mode=700`, 'tmpfs', state]);
  for (const { path, text, mode } of HOST_FILES) await host.write(path, text, mode);
  await host.install({ config: configuration(lab.quorum), ...(cli !== undefined && { cli }) });
  const wants = join(host.disk, 'etc/systemd/system/multi-user.target.wants');
  await mkdir(wants, { recursive: true });
  for (const unit of [DAEMON, ...STRANGERS]) {
    const file = unit.replace(/@.*\./, '@.');
    await symlink(join('/etc/systemd/system', basename(file)), join(wants, unit));
  }
}

function readLeader(body: string | undefined): Look['leader'] {
  if (body === undefined) return undefined;
  const said: Assignments = JSON.parse(body);
  const placed = new Map<string, string[]>();
  for (const [host, { units }] of Object.entries(said.hosts)) {
    for (const { unit } of units) placed.set(unit, [...(placed.get(unit) ?? []), host]);
  }
  return {
    name: said.leader,
    epoch: said.epoch,
    generation: said.generation,
    settled: said.settled && !said.brake,
    placed,
    ready: Object.values(said.hosts).filter(({ state }) => state === 'ready').length,
    failed: said.failed.map(({ unit }) => unit),
  };
}
