/** `servicewatcher ensemble`: each ZooKeeper server's role, and whether there is a quorum. */
import Table from 'cli-table3';
import colors from 'picocolors';
import { askServer, type ServerReport } from '../shared/zookeeper/srvr.ts';
import { EMBEDDED_SERVER, EXIT, readConfig } from './session.ts';

/** How long a server may take to answer, ms. */
const DEADLINE_MS = 2_000;

export interface EnsembleStatus {
  /** Some server leads, or stands alone: requests are served. */
  readonly quorum: boolean;
  /** In the order of the configuration. */
  readonly servers: readonly { readonly server: string; readonly report: ServerReport }[];
}

/** Prints the table; answers 0 when requests are served, 1 when there is no quorum, 3 when no server can be reached at all. */
export async function ensemble(file: string, options: { readonly json: boolean }): Promise<number> {
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  const { servers } = config.zookeeper;
  const addresses = servers === 'embedded' ? [EMBEDDED_SERVER] : servers;
  const status = summarize(
    await Promise.all(addresses.map(async (server) => ({ server, report: await askServer(server, DEADLINE_MS) }))),
  );
  process.stdout.write(options.json ? `${JSON.stringify(status)}\n` : `${render(status)}\n`);
  if (status.servers.every(({ report }) => report.kind === 'unreachable')) return EXIT.unreachable;
  return status.quorum ? EXIT.ok : EXIT.no;
}

/** Whether requests are served. A follower serves only while it has a leader, so one that serves is proof enough. */
export function summarize(servers: EnsembleStatus['servers']): EnsembleStatus {
  return { quorum: servers.some(({ report }) => report.kind === 'serving'), servers };
}

/** The table, and one sentence on the whole. */
export function render(status: EnsembleStatus): string {
  const table = new Table({
    head: ['server', 'role', 'latency min/avg/max ms', 'connections', 'zxid', 'version'].map((title) =>
      colors.bold(title),
    ),
    style: { head: [], border: [] },
  });
  for (const { server, report } of status.servers) table.push([server, ...cells(report)]);
  const serving = status.servers.filter(({ report }) => report.kind === 'serving').length;
  const word = status.quorum
    ? colors.green(`quorum: ${serving} of ${status.servers.length} servers serve`)
    : colors.red(`no quorum: none of ${status.servers.length} servers serves; all units run on as they are`);
  return `${table.toString()}\n${word}`;
}

function cells(report: ServerReport): string[] {
  switch (report.kind) {
    case 'serving': {
      const { min, avg, max } = report.latency;
      return [
        colors.green(report.role),
        `${min}/${avg}/${max}`,
        String(report.connections),
        report.zxid,
        report.version,
      ];
    }
    case 'not-serving':
      return [colors.yellow('not serving'), '', '', '', ''];
    case 'unreachable':
      return [colors.red(`unreachable: ${report.why}`), '', '', '', ''];
  }
}
