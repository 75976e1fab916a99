/** `servicewatcher status`: the table of the cluster. */
import Table from 'cli-table3';
import colors from 'picocolors';
import { readAllLoads } from '../discovery/client-loads.ts';
import { readLeases } from '../discovery/lease-list.ts';
import { delay, systemClock } from '../shared/clock.ts';
import { escapeControl } from '../shared/log.ts';
import { readSnapshot } from '../shared/snapshot.ts';
import type { Store } from '../shared/store.ts';
import { type ClusterStatus, COLUMNS, clusterStatus, type StatusColumn, type UnitRow } from './cluster-status.ts';
import { leaseLines } from './lease-lines.ts';
import { runningConfig } from './running-config.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface StatusOptions {
  readonly json: boolean;
  /** Draw again every second until interrupted. */
  readonly watch: boolean;
}

/** How often `--watch` looks again, ms. */
const WATCH_MS = 1_000;
/** A host list longer than this is cut in the table; `--json` has all. */
const HOSTS_SHOWN = 8;

/**
 * Prints the table; answers 0, or 2 and 3 as all commands do. With a bad file it is the table of the daemon's cluster, if
 * `running` knows it, and 2 all the same.
 */
export async function status(file: string, options: StatusOptions, running = runningConfig): Promise<number> {
  const config = await readConfig(file);
  if (config) return withStore(config, (store) => show(store, options));
  const inForce = await running(file);
  if (!inForce) return EXIT.usage;
  const notice = escapeControl(
    `${file} is bad (servicewatcher check says why): shown by the last good configuration, with which the daemon of this host runs`,
  );
  process.stderr.write(`${notice}\n`);
  // what was said before is wiped from the screen
  const before = options.watch ? [colors.red(notice)] : [];
  await withStore(inForce, (store) => show(store, options, before));
  return EXIT.usage;
}

/** Prints the table, with these lines before it, once or (`watch`) until interrupted. */
export async function show(store: Store, options: StatusOptions, before: readonly string[] = []): Promise<number> {
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort(new Error('interrupted')));
  for (;;) {
    const now = clusterStatus(await readSnapshot(store), Date.now());
    const clients = await readAllLoads(store);
    const leases = await readLeases(store);
    const text = options.json
      ? JSON.stringify({ ...now, clients, ...(leases.length > 0 && { leases }) })
      : [...before, render(now), ...loadLines(clients), ...leaseLines(leases)].join('\n');
    // clear the screen and go home, as watch(1) does
    process.stdout.write(options.watch && !options.json ? `\x1b[H\x1b[2J${text}\n` : `${text}\n`);
    if (!options.watch) return EXIT.ok;
    await delay(systemClock, WATCH_MS, abort.signal).catch(() => undefined);
    if (abort.signal.aborted) return EXIT.ok;
  }
}

/** The table, with what a person needs to know around it. */
export function render(now: ClusterStatus): string {
  const table = new Table({
    head: ['name', 'type', 'instance', ...COLUMNS, 'health'].map((title) => colors.bold(title)),
    style: { head: [], border: [] },
    wordWrap: true,
  });
  for (const row of now.units) {
    table.push([row.name, row.type, row.instance ?? '', ...COLUMNS.map((column) => cell(row, column)), health(row)]);
  }
  const lines = [header(now), table.toString()];
  for (const row of now.units) for (const note of row.notes) lines.push(escapeControl(`${row.unit} on ${note}`));
  for (const wait of now.waits) lines.push(colors.yellow(wait));
  for (const problem of now.problems) lines.push(colors.red(escapeControl(problem)));
  for (const { name, state, stale, intent } of now.hosts) {
    if (intent) lines.push(escapeControl(`${name}: ${state} since ${intent.since} (${intent.why})`));
    if (stale) lines.push(colors.yellow(`${name}: its configuration file is not the cluster's`));
  }
  return lines.join('\n');
}

/** `clients of mqtt: w1 3, w2 2`, a line for each label. */
export function loadLines(clients: Awaited<ReturnType<typeof readAllLoads>>): string[] {
  return Object.entries(clients).map(([label, counts]) => {
    const each = Object.entries(counts).map(([server, count]) => `${server} ${count}`);
    return escapeControl(`clients of ${label}: ${each.join(', ')}`);
  });
}

function header(now: ClusterStatus): string {
  const leader = now.leader === undefined ? colors.red('no leader') : `leader ${now.leader}, epoch ${now.epoch}`;
  const hosts = now.hosts.map((host) => (host.state === 'ready' ? host.name : `${host.name} (${host.state})`));
  return `${leader}; ${hosts.length} host(s): ${cut(hosts)}`;
}

const paint: Record<StatusColumn, (text: string) => string> = {
  active: colors.green,
  inactive: (text) => text,
  failed: colors.red,
  activating: colors.yellow,
  deactivating: colors.yellow,
};

function cell(row: UnitRow, column: StatusColumn): string {
  const hosts = row.hosts[column];
  return hosts.length === 0 ? '' : paint[column](cut(hosts));
}

function health(row: UnitRow): string {
  if (!row.enabled) return row.hosts.active.length === 0 ? 'disabled' : colors.yellow('disabled, stopping');
  const text = `${row.healthy} / ${row.wanted}`;
  return row.healthy >= row.wanted ? colors.green(`${text} ok`) : colors.red(`${text} ok`);
}

function cut(hosts: readonly string[]): string {
  if (hosts.length <= HOSTS_SHOWN) return hosts.join(', ');
  return `${hosts.slice(0, HOSTS_SHOWN).join(', ')}, … (${hosts.length})`;
}
