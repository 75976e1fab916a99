/** `servicewatcher ensemble`: each ZooKeeper server's role, and whether there is a quorum. */
import Table from 'cli-table3';
import colors from 'picocolors';
import {
  type AskedServer,
  askEnsemble,
  describeEnsemble,
  type EnsembleState,
  type EnsembleStatus,
} from '../shared/zookeeper/ensemble.ts';
import { askTickTime, tickTimeWarnings } from '../shared/zookeeper/tick-time.ts';
import { EXIT, readConfig, serversOf } from './session.ts';

/** How long a server may take to answer, ms. */
const DEADLINE_MS = 2_000;

/**
 * Prints the table, or with `json` an `EnsembleStatus` with `tickTimes` of the servers that serve, and `warnings`. Answers 0 when requests are served, 1 when they are not (no quorum,
 * no leader, or servers that are not one ensemble), 3 when no server answers at all.
 */
export async function ensemble(file: string, options: { readonly json: boolean }): Promise<number> {
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  const servers = serversOf(config);
  const [status, asked] = await Promise.all([
    askEnsemble(servers, DEADLINE_MS),
    Promise.all(servers.map((server) => askTickTime(server, DEADLINE_MS))),
  ]);
  const tickTimes = asked.filter((_, index) => status.servers[index]?.report.kind === 'serving');
  const warnings = tickTimeWarnings(tickTimes, config.zookeeper.sessionTimeoutMs);
  const told = options.json ? JSON.stringify({ ...status, tickTimes, warnings }) : render(status, warnings);
  process.stdout.write(`${told}\n`);
  return EXIT_CODES[status.state];
}

const EXIT_CODES = {
  quorum: EXIT.ok,
  'no-leader': EXIT.no,
  'no-quorum': EXIT.no,
  divided: EXIT.no,
  unreachable: EXIT.unreachable,
} as const satisfies Record<EnsembleState, number>;

const COLUMNS = ['server', 'role', 'answered in ms', 'latency min/avg/max ms', 'connections', 'zxid', 'version'];

/** The table, what is to be mended, and one sentence on the whole. */
export function render(status: EnsembleStatus, warnings: readonly string[] = []): string {
  const table = new Table({
    head: COLUMNS.map((title) => colors.bold(title)),
    style: { head: [], border: [] },
  });
  for (const asked of status.servers) table.push([asked.server, ...cells(asked)]);
  const paint = status.quorum ? colors.green : colors.red;
  const warned = warnings.map((warning) => colors.yellow(`warning: ${warning}`));
  return [table.toString(), ...warned, paint(describeEnsemble(status))].join('\n');
}

function cells({ report, answeredInMs }: AskedServer): string[] {
  const answered = answeredInMs.toFixed(1);
  switch (report.kind) {
    case 'serving': {
      const { min, avg, max } = report.latency;
      const role = colors.green(report.role);
      return [role, answered, `${min}/${avg}/${max}`, String(report.connections), report.zxid, report.version];
    }
    case 'not-serving':
      return [colors.yellow('not serving'), answered, '', '', '', ''];
    case 'unreachable':
      return [colors.red(`unreachable: ${report.why}`), '', '', '', '', ''];
  }
}
