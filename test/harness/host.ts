/** One host of a lab: a full systemd with its own bus, journal, disk, address and cable. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { freshControlGroup, killControlGroup, spawnInControlGroup } from './control-group.ts';
import { prepareImage } from './host-image.ts';
import { type InstallOptions, install } from './install.ts';
import type { LabNames } from './lab-state.ts';
import { addressOf, pullCable, removeCable, replugCable } from './network.ts';
import { nspawnCommand, systemdBelow } from './nspawn.ts';
import { mustRun, type RunOptions, type RunResult, run } from './process.ts';
import { until } from './until.ts';

const BOOT_DEADLINE_MS = 60_000;
/** A service may take 90 s to stop, the daemon 100 s. */
const SHUT_DOWN_DEADLINE_MS = 150_000;

/** What `systemctl show` says of a unit. */
export interface UnitState {
  readonly load: string;
  readonly active: string;
  readonly sub: string;
  /** 0 when none runs. */
  readonly mainPid: number;
}

export class Host {
  readonly name: string;
  readonly address: string;
  /** Its end of the cable in the lab's network namespace. */
  readonly #cable: string;
  readonly #machine: string;
  readonly #folder: string;
  readonly #group: string;
  readonly #lab: LabNames;
  #nspawn: ChildProcess | undefined;
  #pid: number | undefined;

  private constructor(lab: LabNames, name: string) {
    this.name = name;
    this.address = addressOf(name);
    this.#lab = lab;
    this.#machine = `${lab.id}-${name}`;
    this.#cable = `vb-${this.#machine}`;
    this.#folder = join(lab.folder, name);
    this.#group = join(lab.controlGroup, name);
  }

  /** Makes the host's disk; it does not boot yet. */
  static async create(lab: LabNames, name: string): Promise<Host> {
    const host = new Host(lab, name);
    await prepareImage(host.#folder, name);
    return host;
  }

  /** The pid of the host's systemd as seen from this machine. Throws while the host is off. */
  get pid(): number {
    if (this.#pid === undefined) throw new Error(`host ${this.name} is off`);
    return this.#pid;
  }

  get running(): boolean {
    return this.#pid !== undefined;
  }

  /** The address of the host's system bus, for a client on this machine. */
  get busAddress(): string {
    return `unix:path=/proc/${this.pid}/root/run/dbus/system_bus_socket`;
  }

  /** The host's disk as seen from this machine, also while it is off. `/run` and `/tmp` are not on it. */
  get disk(): string {
    return join(this.#folder, 'root');
  }

  /** Boots; resolves when `multi-user.target` is reached and the system bus answers. Its disk is as it was left. */
  async start(): Promise<void> {
    if (this.#pid !== undefined) throw new Error(`host ${this.name} is on already`);
    await removeCable(this.#lab.namespace, this.#cable);
    await freshControlGroup(this.#group);
    const nspawn = await spawnInControlGroup(this.#group, this.#nspawnCommand, join(this.#folder, 'console.log'), {
      ...process.env,
      SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1',
    });
    this.#nspawn = nspawn;
    try {
      this.#pid = await until(() => systemdBelow(nspawn), { deadlineMs: 20_000, what: 'its systemd', everyMs: 10 });
      await this.#booted();
    } catch (error) {
      const console = await readFile(join(this.#folder, 'console.log'), 'utf8');
      await this.powerOff();
      throw new Error(`host ${this.name} did not boot: ${String(error)}\n${console.slice(-4000)}`, { cause: error });
    }
  }

  /** Power cut: every process is gone at once, no connection is told. */
  async powerOff(): Promise<void> {
    if (this.#nspawn === undefined) return;
    // First the cable, as dying processes would still say goodbye to their peers.
    if (!hasEnded(this.#nspawn)) await this.cut();
    await killControlGroup(this.#group);
    await removeCable(this.#lab.namespace, this.#cable);
    this.#nspawn = undefined;
    this.#pid = undefined;
  }

  /** Orderly: `systemctl poweroff`; resolves when the host is off, rejects when it is not after 150 s. */
  async shutDown(): Promise<void> {
    const nspawn = this.#nspawn;
    if (nspawn === undefined) return;
    const signal = AbortSignal.timeout(SHUT_DOWN_DEADLINE_MS);
    const gone = hasEnded(nspawn) ? Promise.resolve() : once(nspawn, 'exit', { signal });
    // Nothing else may keep the process alive that waits for it.
    nspawn.ref();
    await this.systemctl('poweroff');
    await gone;
    await this.powerOff();
  }

  /** Pulls the network cable. */
  async cut(): Promise<void> {
    await pullCable(this.#lab.namespace, this.#cable);
  }

  /** Plugs the network cable in again. */
  async heal(): Promise<void> {
    await replugCable(this.#lab.namespace, this.#cable);
  }

  /** Runs a command on the host as root; any exit status is an answer. */
  sh(...argv: string[]): Promise<RunResult> {
    return this.run(argv);
  }

  /** As `sh`, with standard input or another deadline than 30 s. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.enter(argv), options);
  }

  /** Runs a command on the host and answers its output; another exit status than 0 rejects. */
  mustSh(...argv: string[]): Promise<string> {
    return mustRun(this.enter(argv));
  }

  /** The command line that runs `argv` on the host. */
  enter(argv: readonly string[]): string[] {
    const environment = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'];
    return ['nsenter', '-t', String(this.pid), '-a', '/usr/bin/env', '-i', ...environment, ...argv];
  }

  /** `systemctl ARGS`; another exit status than 0 rejects. */
  systemctl(...args: string[]): Promise<string> {
    return this.mustSh('systemctl', ...args);
  }

  async unitState(unit: string): Promise<UnitState> {
    const show = await this.#show(unit, 'LoadState', 'ActiveState', 'SubState', 'MainPID');
    return {
      load: show.get('LoadState') ?? '',
      active: show.get('ActiveState') ?? '',
      sub: show.get('SubState') ?? '',
      mainPid: Number(show.get('MainPID') ?? 0),
    };
  }

  /** When the unit last became active, in ms of `monotonicNow`'s clock; undefined if it never did. */
  async activeEnter(unit: string): Promise<number | undefined> {
    const show = await this.#show(unit, 'ActiveEnterTimestampMonotonic');
    const microseconds = Number(show.get('ActiveEnterTimestampMonotonic') ?? 0);
    return microseconds === 0 ? undefined : microseconds / 1000;
  }

  /** The journal of a unit, or all of it, one message a line; also of a host that is off. */
  journal(unit?: string): Promise<string> {
    const filter = ['--no-pager', '-o', 'short-monotonic', ...(unit === undefined ? [] : ['-u', unit])];
    return this.running
      ? this.mustSh('journalctl', ...filter)
      : mustRun(['journalctl', '-D', join(this.disk, 'var/log/journal'), ...filter]);
  }

  /** Writes a file, with its directories; `mode` defaults to 0644. Works on a host that is off, too. */
  async write(path: string, text: string, mode = 0o644): Promise<void> {
    const target = this.path(path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
    await chmod(target, mode);
  }

  read(path: string): Promise<string> {
    return readFile(this.path(path), 'utf8');
  }

  /** Where a path of the host is seen from this machine. Absolute symbolic links on the host are not followed there. */
  path(path: string): string {
    return this.running ? join(`/proc/${this.pid}/root`, path) : join(this.disk, path);
  }

  /** Installs ServiceWatcher from the checkout's `dist/`, and starts it; resolves when it says it is ready. */
  async install(options: InstallOptions): Promise<void> {
    await install(this, options);
  }

  async #show(unit: string, ...properties: string[]): Promise<Map<string, string>> {
    const text = await this.systemctl('show', `--property=${properties.join(',')}`, '--', unit);
    return new Map(
      text
        .trim()
        .split('\n')
        .map((line): [string, string] => {
          const at = line.indexOf('=');
          return [line.slice(0, at), line.slice(at + 1)];
        }),
    );
  }

  get #nspawnCommand(): string[] {
    const { namespace } = this.#lab;
    return nspawnCommand({ namespace, machine: this.#machine, hostname: this.name, disk: this.disk });
  }

  async #booted(): Promise<void> {
    const ready = `for _ in $(seq 600); do
  busctl --system status org.freedesktop.systemd1 >/dev/null 2>&1 &&
    [ "$(systemctl is-active multi-user.target labnet.service | sort -u)" = active ] && exit 0
  sleep 0.1
done
systemctl list-jobs; systemctl --failed; exit 1`;
    await mustRun(this.enter(['sh', '-c', ready]), { deadlineMs: BOOT_DEADLINE_MS });
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
