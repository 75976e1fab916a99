/** `servicewatcher cordon`, `drain` and `uncordon`: takes a host out of the placement, and back in. */
import { hostname } from 'node:os';
import { planChange } from '../leader/plan.ts';
import { systemClock } from '../shared/clock.ts';
import type { HostIntent } from '../shared/cluster.ts';
import { suggestion } from '../shared/config/nearest.ts';
import { formatDuration, readDuration } from '../shared/config/scalars.ts';
import { changeIntent, type IntentOutcome } from '../shared/host-intents.ts';
import { escapeControl } from '../shared/log.ts';
import { isHostName, unitsOf } from '../shared/names.ts';
import { readSnapshot, type Snapshot } from '../shared/snapshot.ts';
import type { Store } from '../shared/store.ts';
import { type DrainEnd, untilDrained } from './drained.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface IntentOptions {
  readonly json: boolean;
  /** Even for a host that is not known. */
  readonly force: boolean;
  readonly why?: string;
}

export interface DrainOptions extends IntentOptions {
  /** Until nothing runs there any more: as long as the default, or a duration as in the configuration. */
  readonly wait?: string | true;
}

const DEFAULT_WAIT_MS = 10 * 60_000;
/** Longer than any reason, and short enough for a line of a table. */
const MAX_WHY = 500;

/** An instance that leaves its host, and where it goes; `null`: nowhere. */
interface Leaving {
  readonly unit: string;
  readonly to: string | null;
  /** Why it goes nowhere. */
  readonly why?: string;
}

/** It keeps what it has and gets nothing new. Answers 0, 1 for an unknown host, and 2 and 3 as all commands do. */
export function cordon(file: string, host: string, options: IntentOptions): Promise<number> {
  return change(file, host, options, 'cordoned', async (_store, _before, outcome) => {
    const text = `${stateOf(host, outcome)}: it keeps what it has and gets nothing new until servicewatcher uncordon ${host}`;
    return { code: EXIT.ok, lines: [text], more: {} };
  });
}

/** It gives everything away. Answers as `cordon` does, and 1 when it was waited for in vain. */
export async function drain(file: string, host: string, options: DrainOptions): Promise<number> {
  const { wait } = options;
  const waitMs = typeof wait === 'string' ? readDuration(wait) : DEFAULT_WAIT_MS;
  if (waitMs === undefined) {
    process.stderr.write(`--wait: ${JSON.stringify(wait)} is no number of seconds, nor 500ms, 4s, 1m\n`);
    return EXIT.usage;
  }
  return change(file, host, options, 'draining', async (store, before, outcome) => {
    const leaves = leavingUnits(before, host, outcome);
    const lines = [
      `${stateOf(host, outcome)}: ${leaves.length} instance(s) leave it, and it gets nothing new until servicewatcher uncordon ${host}`,
      ...leaves.map(({ unit, to, why }) => `  ${unit} → ${to ?? `nowhere: ${why}`}`),
    ];
    if (wait === undefined) return { code: EXIT.ok, lines, more: { leaves } };
    if (!options.json) process.stdout.write(`${lines.splice(0).join('\n')}\n`);
    const say = (text: string) => process.stderr.write(`${text}\n`);
    const end = await untilDrained(store, systemClock, host, waitMs, interrupted(), (left) =>
      say(`${host} has yet to stop ${left.join(', ')}`),
    );
    const { code, text } = describeEnd(end, host, waitMs);
    return { code, lines: [text], more: { leaves, drained: end.kind === 'drained' } };
  });
}

/** Ends `cordon` and `drain`. Answers as `cordon` does. */
export function uncordon(file: string, host: string, options: IntentOptions): Promise<number> {
  return change(file, host, options, 'ready', async (_store, _before, { changed }) => {
    const text = changed ? `${host} takes part again` : `${host} is not cordoned and not draining: nothing is changed`;
    return { code: EXIT.ok, lines: [text], more: {} };
  });
}

/** What came of it. */
interface Answer {
  readonly code: number;
  /** For people, on standard output, or on standard error when the code is not 0. */
  readonly lines: readonly string[];
  /** For machines, beside what holds now. */
  readonly more: object;
}

async function change(
  file: string,
  host: string,
  options: IntentOptions,
  state: HostIntent['state'] | 'ready',
  follow: (store: Store, before: Snapshot, outcome: IntentOutcome) => Promise<Answer>,
): Promise<number> {
  const fault = faultOf(host, options.why);
  if (fault !== undefined) {
    process.stderr.write(`${fault}\n`);
    return EXIT.usage;
  }
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  return withStore(config, async (store) => {
    const before = await readSnapshot(store);
    if (!options.force && !isKnown(host, before)) {
      const names = [...before.members.keys()];
      const hint = names.length === 0 ? 'there are no hosts' : suggestion(host, names);
      process.stderr.write(`${host} is no host of this cluster; ${hint} (--force: for a host that is to come)\n`);
      return EXIT.no;
    }
    const at = new Date().toISOString();
    const outcome = await changeIntent(store, { host, state, why: options.why, by: hostname(), at });
    const { code, lines, more } = await follow(store, before, outcome);
    const { changed, intent } = outcome;
    if (options.json) {
      const now = intent ? { state: intent.state, since: intent.since, why: intent.why } : { state: 'ready' };
      process.stdout.write(`${JSON.stringify({ host, changed, ...now, ...more })}\n`);
    } else (code === EXIT.ok ? process.stdout : process.stderr).write(`${lines.join('\n')}\n`);
    return code;
  });
}

function faultOf(host: string, why: string | undefined): string | undefined {
  if (!isHostName(host)) return `${JSON.stringify(host)} cannot be the name of a host`;
  if (why !== undefined && why.length > MAX_WHY)
    return `--why: ${why.length} characters are too many, ${MAX_WHY} the most`;
  return undefined;
}

/** Not only members: one that is down can be kept from getting anything when it is back. */
function isKnown(host: string, { members, desired, intents }: Snapshot): boolean {
  return members.has(host) || desired.has(host) || intents.has(host);
}

function stateOf(host: string, { changed, intent }: IntentOutcome): string {
  if (!intent) return host;
  const since = changed ? '' : ` already, since ${intent.since}`;
  return `${host} is ${intent.state}${since} (${escapeControl(intent.why)})`;
}

/** What the leader will do about it, by the very same rules. */
function leavingUnits(before: Snapshot, host: string, { intent }: IntentOutcome): Leaving[] {
  if (!before.spec || !intent) return [];
  const intents = new Map(before.intents).set(host, intent);
  const { spec } = before.spec;
  const everywhere = new Set(spec.services.flatMap((each) => (each.type === 'global' ? unitsOf(each) : [])));
  return planChange(spec, { ...before, intents }, [], Date.now()).changes.flatMap((each): Leaving[] => {
    if (each.kind === 'move' && each.from === host) return [{ unit: each.unit, to: each.to }];
    if (each.kind !== 'stop' || each.host !== host) return [];
    const why = everywhere.has(each.unit) ? 'each host has its own' : 'no other host takes it';
    return [{ unit: each.unit, to: null, why }];
  });
}

function interrupted(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => abort.abort(new Error('interrupted')));
  return abort.signal;
}

function describeEnd(end: DrainEnd, host: string, waitMs: number): { readonly code: number; readonly text: string } {
  switch (end.kind) {
    case 'drained':
      return { code: EXIT.ok, text: `${host} is drained: none of its units runs there any more` };
    case 'no-member':
      return {
        code: EXIT.no,
        text: `${host} is not a member of the cluster now: what runs there is not known; look with systemctl there`,
      };
    case 'late': {
      const left = end.left.length === 0 ? 'the host has not said so' : `${end.left.join(', ')} yet to stop`;
      return {
        code: EXIT.no,
        text: `${host} is not drained after ${formatDuration(waitMs)}: ${left}; it goes on draining`,
      };
    }
    case 'unreachable':
      return { code: EXIT.unreachable, text: 'ZooKeeper cannot be reached any more; the host goes on draining' };
    case 'interrupted':
      return { code: EXIT.no, text: `no longer waited for; ${host} goes on draining` };
  }
}
