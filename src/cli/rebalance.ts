/** `servicewatcher rebalance`: which instances would have to move for an even load, and, asked to, moving them. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { placeAll } from '../leader/decision.ts';
import { decisionInput } from '../leader/plan.ts';
import { type Rebalance, rebalance } from '../leader/rebalance.ts';
import { systemClock } from '../shared/clock.ts';
import type { AskedMove } from '../shared/cluster.ts';
import { suggestion } from '../shared/config/nearest.ts';
import { formatDuration, readDuration } from '../shared/config/scalars.ts';
import { escapeControl } from '../shared/log.ts';
import { MAX_AT_ONCE } from '../shared/rebalance.ts';
import { readSnapshot, type Snapshot } from '../shared/snapshot.ts';
import type { Store } from '../shared/store.ts';
import { describeNotes } from './leader-notes.ts';
import type { MoveEnd } from './moved.ts';
import { carryOut, type RunEnd } from './rebalance-run.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface RebalanceOptions {
  readonly json: boolean;
  /** Do it. */
  readonly yes: boolean;
  /** Move only instances of this one. */
  readonly service?: string;
  /** So many moves under way at once, as given. */
  readonly atOnce?: string;
  /** How long each may take, as given. */
  readonly wait?: string;
}

/** Exit code without `--yes` when something would be moved, as of `plan`. */
const CHANGES = 2;
const DEFAULT_WAIT_MS = 10 * 60_000;
const CODES: Readonly<Record<RunEnd['kind'], number>> = {
  done: EXIT.ok,
  busy: EXIT.no,
  stopped: EXIT.no,
  interrupted: EXIT.no,
  unreachable: EXIT.unreachable,
};

type NamedMove = AskedMove & { readonly service: string };
type Shown = Omit<Rebalance, 'moves'> & {
  readonly moves: readonly NamedMove[];
  /** Hosts that take no part, and why. */
  readonly leftOut: readonly { readonly host: string; readonly state: string }[];
};

/**
 * Without `yes` it shows the moves: 0 there are none, 2 there are some, 1 there can be none now (and for a bad file). With it
 * they are made: 0 all were, 1 not all were, 2 wrong usage or configuration. 3 as all commands.
 */
export async function rebalanceCommand(file: string, options: RebalanceOptions): Promise<number> {
  const { atOnce: most = '1', wait } = options;
  const atOnce = /^\d{1,3}$/.test(most) ? Number(most) : 0;
  const waitMs = wait === undefined ? DEFAULT_WAIT_MS : readDuration(wait);
  const faults: string[] = [];
  if (atOnce < 1 || atOnce > MAX_AT_ONCE) faults.push(`--at-once: ${most} is no number from 1 to ${MAX_AT_ONCE}`);
  if (waitMs === undefined || waitMs === 0) faults.push(`--wait: ${wait} is no number of seconds, nor 500ms, 4s, 1m`);
  const config = faults.length === 0 ? await readConfig(file) : undefined;
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  if (waitMs === undefined || faults.length > 0) return EXIT.usage;
  if (!config) return options.yes ? EXIT.usage : EXIT.no;
  return withStore(config, async (store) => {
    const snapshot = await readSnapshot(store);
    const obstacle = obstacleOf(snapshot, options);
    if (obstacle !== undefined) {
      process.stderr.write(`${obstacle}\n`);
      return EXIT.no;
    }
    const shown = show(snapshot, options.service);
    if (!options.json) process.stdout.write(`${[...describeNotes(snapshot), ...render(shown)].join('\n')}\n`);
    if (!options.yes || shown.moves.length === 0) {
      if (options.json) process.stdout.write(`${JSON.stringify(shown)}\n`);
      return shown.moves.length === 0 ? EXIT.ok : CHANGES;
    }
    return run(store, shown, options, atOnce, waitMs);
  });
}

/** Why nothing can be moved now, if so. */
function obstacleOf(snapshot: Snapshot, { service }: RebalanceOptions): string | undefined {
  const { spec, leader, notes } = snapshot;
  if (leader === undefined) return 'there is no leader: nothing can be moved now';
  if (!spec) return 'the cluster has no configuration that can be read: see servicewatcher status';
  if (notes?.brake) return `nothing can be moved now: ${describeNotes(snapshot).join('; ')}`;
  const names = spec.spec.services.map(({ name }) => name);
  if (service === undefined || names.includes(service)) return undefined;
  const hint = names.length === 0 ? 'there are none' : suggestion(service, names);
  return `${escapeControl(service)} is no service of the cluster's configuration; ${hint}`;
}

function show(snapshot: Snapshot, only: string | undefined): Shown {
  if (!snapshot.spec) throw new Error('a rebalance is computed of a cluster that has a configuration');
  const given = decisionInput(snapshot.spec.spec, snapshot, [], Date.now());
  const { placement, input } = placeAll(given);
  const { moves, ...rest } = rebalance(input, placement, only);
  const named = moves.map((move) => ({ ...move, service: placement.units.get(move.unit)?.service ?? '' }));
  const leftOut = given.hosts.flatMap(({ name, state }) => (state === 'ready' ? [] : [{ host: name, state }]));
  return { moves: named, ...rest, leftOut };
}

/** The moves, what they lead to, and who takes no part. */
export function render({ moves, before, after, restarts, leftOut }: Shown): string[] {
  const range = ({ least, most }: Shown['before']) => (least === most ? `${least}` : `${least} to ${most}`);
  const out = leftOut.map(({ host, state }) => `${host} (${state})`);
  return [
    ...moves.map(({ unit, from, to }) => `move      ${unit} on ${from} → ${to}: to even out the load`),
    ...restarts.map(({ unit, host }) => `restart   ${unit} on ${host}: the hosts named in its prestart script change`),
    ...(out.length > 0 ? [`left out: ${out.join(', ')}`] : []),
    moves.length === 0
      ? `nothing to move: hosts have ${range(before)} instance(s) each`
      : `${moves.length} move(s): hosts have ${range(before)} instance(s) each now, ${range(after)} then`,
  ];
}

async function run(
  store: Store,
  shown: Shown,
  { json, service }: RebalanceOptions,
  atOnce: number,
  deadlineMs: number,
): Promise<number> {
  const made: AskedMove[] = [];
  const { stop, leave } = interruptions();
  const end = await carryOut({
    store,
    clock: systemClock,
    id: randomUUID(),
    by: hostname(),
    moves: shown.moves,
    atOnce,
    deadlineMs,
    stop,
    leave,
    onEnd: (move, how) => {
      if (how.kind === 'moved') made.push(move);
      if (!json && how.kind === 'moved') process.stdout.write(`moved     ${move.unit} on ${move.from} → ${move.to}\n`);
    },
  });
  const text = describeEnd(end, made.length, shown.moves.length, service, deadlineMs);
  if (json) {
    const more = end.kind === 'done' ? {} : { why: text };
    process.stdout.write(`${JSON.stringify({ ...shown, made, end: end.kind, ...more })}\n`);
  } else (end.kind === 'done' ? process.stdout : process.stderr).write(`${text}\n`);
  return CODES[end.kind];
}

/** The first interruption: begin no more; the second: do not wait either. */
function interruptions(): { readonly stop: AbortSignal; readonly leave: AbortSignal } {
  const stop = new AbortController();
  const leave = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) leave.abort(new Error('interrupted'));
    else {
      stop.abort(new Error('interrupted'));
      process.stderr.write('no more moves begin; waiting for what is under way (again: do not wait)\n');
    }
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
  return { stop: stop.signal, leave: leave.signal };
}

function describeEnd(end: RunEnd, made: number, all: number, service: string | undefined, deadlineMs: number): string {
  const again = `${made} of ${all} move(s) made; servicewatcher rebalance${service === undefined ? '' : ` --service ${service}`} shows what is left`;
  switch (end.kind) {
    case 'done':
      return `${made} move(s) made`;
    case 'busy':
      return `a rebalance is under way already (${escapeControl(end.by)}): nothing is moved`;
    case 'interrupted':
      return `interrupted: ${again}`;
    case 'unreachable':
      return `${end.why}: ${again}`;
    case 'stopped': {
      const { unit, from, to } = end.move;
      return `${unit} on ${from} → ${to} ${describeMoveEnd(end.end, deadlineMs)}: ${again}`;
    }
  }
}

function describeMoveEnd(end: Exclude<MoveEnd, { kind: 'moved' }>, deadlineMs: number): string {
  switch (end.kind) {
    case 'refused':
      return `was refused by the leader (${escapeControl(end.why)})`;
    case 'failed':
      return `did not succeed (${escapeControl(end.why)})`;
    case 'late':
      return `was not done within ${formatDuration(deadlineMs)} (${escapeControl(end.why)})`;
    case 'interrupted':
      return 'was not waited for';
  }
}
