/** `servicewatcher events`: what happened in the cluster, and why. */
import colors from 'picocolors';
import { delay, systemClock } from '../shared/clock.ts';
import type { HistoryEvent } from '../shared/history.ts';
import { HistoryReader, sortedByTime } from '../shared/history-reader.ts';
import { isWarning } from '../shared/history-text.ts';
import { escapeControl } from '../shared/log.ts';
import { toUnitName } from '../shared/names.ts';
import { isStoreError, type Store } from '../shared/store.ts';
import { HISTORY } from '../shared/znodes.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface EventsOptions {
  readonly json: boolean;
  /** Wait for new ones until interrupted. */
  readonly follow: boolean;
  /** Name of a service, or of a unit. */
  readonly service?: string;
  readonly host?: string;
}

/** Events of the past that `--follow` begins with, as `journalctl -f` does. */
const PAST_SHOWN = 10;
/** Hosts write what happened together some tenths of a second apart: so long new events wait for earlier ones, ms. */
const HOLD_MS = 200;
/** Pause after ZooKeeper did not answer. */
const RETRY_MS = 1_000;

/** Prints one line for each event; answers 0, or 1 when there is none, and 2 and 3 as all commands do. */
export async function events(file: string, options: EventsOptions): Promise<number> {
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  return withStore(config, (store) => (options.follow ? follow(store, options) : show(store, options)));
}

async function show(store: Store, options: EventsOptions): Promise<number> {
  const found = await readMatching(new HistoryReader(store), (await store.children(HISTORY)) ?? [], options);
  print(found, options);
  if (found.length > 0) return EXIT.ok;
  process.stderr.write('no such event is remembered\n');
  return EXIT.no;
}

async function follow(store: Store, options: EventsOptions): Promise<number> {
  const abort = new AbortController();
  const end = () => abort.abort(new Error('interrupted'));
  process.once('SIGINT', end);
  // whoever reads them is gone
  process.stdout.on('error', end);
  let names: readonly string[] = [];
  let wake = () => {};
  abort.signal.addEventListener('abort', () => wake(), { once: true });
  const watch = store.watchChildren(HISTORY, (now) => {
    names = now ?? [];
    wake();
  });
  const wait = (ms: number) => delay(systemClock, ms, abort.signal).catch(() => undefined);
  const reader = new HistoryReader(store);
  const held: HistoryEvent[] = [];
  let past = true;
  while (!abort.signal.aborted) {
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    try {
      const found = await readMatching(reader, names, options);
      held.push(...(past ? found.slice(-PAST_SHOWN) : found));
      if (names.length > 0) past = false;
      if (held.length > 0) {
        await wait(HOLD_MS);
        held.push(...(await readMatching(reader, names, options)));
        print(sortedByTime(held.splice(0)), options);
      }
      await changed;
    } catch (error) {
      // it connects again by itself
      if (!isStoreError(error, 'connection-loss', 'session-lost', 'deadline')) throw error;
      await wait(RETRY_MS);
    }
  }
  watch.close();
  return EXIT.ok;
}

async function readMatching(
  reader: HistoryReader,
  names: readonly string[],
  options: EventsOptions,
): Promise<readonly HistoryEvent[]> {
  const { events, problems } = await reader.read(names);
  for (const problem of problems) process.stderr.write(`${escapeControl(problem)}\n`);
  return events.filter((event) => matches(event, options));
}

/** Whether the event is about the service and the host asked for. */
export function matches(event: HistoryEvent, { service, host }: Pick<EventsOptions, 'service' | 'host'>): boolean {
  if (host !== undefined && ![event.host, event.from, event.to].includes(host)) return false;
  if (service === undefined) return true;
  if (event.service === service) return true;
  const { unit } = event;
  return unit !== undefined && (unit === toUnitName(service) || unit.startsWith(`${service}@`));
}

function print(found: readonly HistoryEvent[], options: EventsOptions): void {
  if (found.length === 0) return;
  const lines = options.json ? found.map((event) => JSON.stringify(event)) : renderEvents(found);
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Columns: time, host, unit, what, why. */
export function renderEvents(found: readonly HistoryEvent[]): string[] {
  const rows = found.map((event) => ({ event, cells: [event.host ?? '-', event.unit ?? '-', what(event)] }));
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map(({ cells }) => cells[column]?.length ?? 0)));
  return rows.map(({ event, cells }) => {
    const [host, unit, kind] = cells.map((cell, column) => escapeControl(cell).padEnd(widths[column] ?? 0));
    const paint = isWarning(event) ? colors.red : colors.bold;
    return `${colors.dim(event.at)}  ${host}  ${unit}  ${paint(kind ?? '')}  ${escapeControl(event.why)}`;
  });
}

function what({ kind, from }: HistoryEvent): string {
  return from === undefined ? kind : `${kind} from ${from}`;
}
