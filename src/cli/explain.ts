/** `servicewatcher explain`: why each instance is where it is, and why other hosts have none. */
import colors from 'picocolors';
import { suggestion } from '../shared/config/nearest.ts';
import { escapeControl } from '../shared/log.ts';
import { readSnapshot } from '../shared/snapshot.ts';
import { type AbsenceExplanation, explainUnits, knownNames, type UnitExplanation } from './explanation.ts';
import { describeNotes } from './leader-notes.ts';
import { EXIT, readConfig, withStore } from './session.ts';

/** Hosts with the same reason are named together, so many of them; `--json` has all. */
const HOSTS_SHOWN = 8;

/** Prints a paragraph for each unit of a service, or for one; answers 0, 1 when there is none, and 2 and 3 as all commands do. */
export async function explain(file: string, name: string, options: { readonly json: boolean }): Promise<number> {
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  return withStore(config, async (store) => {
    const snapshot = await readSnapshot(store);
    const found = explainUnits(name, snapshot, Date.now());
    for (const problem of snapshot.problems) process.stderr.write(`${escapeControl(problem)}\n`);
    if (found.length === 0) {
      const known = knownNames(snapshot);
      const hint = known.length === 0 ? 'there are none' : suggestion(name, known);
      process.stderr.write(
        `${escapeControl(name)} is no service and no unit of the cluster's configuration; ${hint}\n`,
      );
      return EXIT.no;
    }
    const waits = describeNotes(snapshot);
    if (options.json) {
      const { leader, epoch } = snapshot;
      process.stdout.write(
        `${JSON.stringify({ leader: leader ?? null, epoch: epoch ?? null, units: found, waits })}\n`,
      );
    } else {
      if (snapshot.leader === undefined) process.stdout.write(`${colors.red('no leader: nothing is decided now')}\n`);
      for (const line of waits) process.stdout.write(`${colors.yellow(line)}\n`);
      process.stdout.write(`${found.map(renderUnit).join('\n\n')}\n`);
    }
    return EXIT.ok;
  });
}

/** `web.service: 2 of 2 placed`, its instances, and the other hosts by reason. */
export function renderUnit(unit: UnitExplanation): string {
  const { placed, wanted } = unit;
  const count = unit.enabled ? `${placed} of ${wanted} placed` : 'disabled';
  const lines = [`${colors.bold(unit.unit)} (${unit.type}): ${placed < wanted ? colors.red(count) : count}`];
  for (const { host, state, why, notes } of unit.instances) {
    lines.push(escapeControl(`  ${host}: ${state}${why === undefined ? '' : `; ${why}`}`));
    for (const note of notes) lines.push(`    ${escapeControl(note)}`);
  }
  for (const [why, hosts] of byReason(unit.enabled ? unit.elsewhere : [])) {
    lines.push(`  not on ${cut(hosts)}: ${escapeControl(why)}`);
  }
  return lines.join('\n');
}

function byReason(elsewhere: readonly AbsenceExplanation[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { host, why } of elsewhere) {
    const hosts = groups.get(why);
    if (hosts) hosts.push(host);
    else groups.set(why, [host]);
  }
  return groups;
}

function cut(hosts: readonly string[]): string {
  if (hosts.length <= HOSTS_SHOWN) return hosts.join(', ');
  return `${hosts.slice(0, HOSTS_SHOWN).join(', ')}, … (${hosts.length})`;
}
