/** `servicewatcher plan FILE` and `servicewatcher apply FILE`: what a file would change, and making it the cluster's. */
import { hostname } from 'node:os';
import { objection, type Plan, type PlannedChange, planChange, stopsTooMuch } from '../leader/plan.ts';
import { readSnapshot } from '../shared/snapshot.ts';
import { describeOutcome, proposeSpec } from '../shared/spec-store.ts';
import { describeNotes } from './leader-notes.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface PlanOptions {
  readonly json: boolean;
  /** Hosts to be thought of as gone. */
  readonly without: readonly string[];
}

/** Exit code of `plan` when something would change. */
const CHANGES = 2;

/** Prints what the file would change; answers 0 for nothing, 2 for changes, 1 for a bad file or an unknown host, 3 as all commands. */
export async function plan(file: string, options: PlanOptions): Promise<number> {
  const config = await readConfig(file, { warn: true });
  if (!config) return EXIT.no;
  return withStore(config, async (store) => {
    const snapshot = await readSnapshot(store);
    const unknown = options.without.filter((host) => !snapshot.members.has(host));
    if (unknown.length > 0) {
      process.stderr.write(
        `--without: no such host: ${unknown.join(', ')}; hosts are ${[...snapshot.members.keys()].join(', ')}\n`,
      );
      return EXIT.no;
    }
    const planned = planChange(config.spec, snapshot, options.without, Date.now());
    const waits = describeNotes(snapshot);
    process.stdout.write(options.json ? `${JSON.stringify({ ...planned, waits })}\n` : render(planned, waits));
    return planned.changes.length === 0 ? EXIT.ok : CHANGES;
  });
}

/** Makes the file the cluster's configuration; answers 0, or 1 when it was refused, or 2, 3 as all commands. */
export async function apply(
  file: string,
  options: { readonly json: boolean; readonly force: boolean },
): Promise<number> {
  const config = await readConfig(file, { warn: true });
  if (!config) return EXIT.usage;
  return withStore(config, async (store) => {
    const { spec, specDigest: digest } = config;
    const object = async () =>
      options.force ? undefined : objection(planChange(spec, await readSnapshot(store), []), file);
    const at = new Date().toISOString();
    const outcome = await proposeSpec(store, { spec, digest, proposedBy: hostname(), at, intent: 'replace', object });
    const { level, text } = describeOutcome(outcome, file);
    if (options.json) process.stdout.write(`${JSON.stringify({ ...outcome, digest })}\n`);
    else (level === 'info' ? process.stdout : process.stderr).write(`${text}\n`);
    return level === 'info' ? EXIT.ok : EXIT.no;
  });
}

function render(planned: Plan, waits: readonly string[]): string {
  const lines = [...waits, ...planned.changes.map(describe)];
  for (const { unit, wanted, placed, why } of planned.unplaced) {
    const reasons = why.map(({ reason, hosts }) => `${reason} on ${hosts} host(s)`).join(', ');
    lines.push(`unplaced  ${unit}: ${placed} of ${wanted} placed; ${reasons}`);
  }
  lines.push(planned.changes.length === 0 ? 'nothing changes' : `${planned.changes.length} change(s)`);
  if (stopsTooMuch(planned)) {
    lines.push(
      `${planned.stopped} of the ${planned.running} instances that run would be stopped: apply asks for --force`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function describe(change: PlannedChange): string {
  const where = change.kind === 'move' ? `${change.from} → ${change.to}` : change.host;
  return `${change.kind.padEnd(8)}  ${change.unit} on ${where}: ${change.why}`;
}
