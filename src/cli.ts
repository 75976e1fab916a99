/** The command line: what is asked for, and which file under `cli/` does it. */
import { Command, CommanderError } from 'commander';
import type { DrainOptions, IntentOptions } from './cli/host-intent.ts';
import type { HostsOptions } from './cli/hosts.ts';
import type { PickOptions } from './cli/pick.ts';
import type { RebalanceOptions } from './cli/rebalance.ts';
import { toWatchText, type WatchFlags } from './cli/watch-flags.ts';
import { messageOf } from './shared/error-text.ts';

const DEFAULT_CONFIG = '/etc/servicewatcher/config.yml';
/** Set when the program is built, from package.json. */
const VERSION = process.env.SERVICEWATCHER_VERSION ?? 'development';

interface Common {
  readonly config: string;
  readonly json: boolean;
}

const program = new Command('servicewatcher')
  .description('Keeps a declared set of systemd services running on a set of plain Linux hosts')
  .version(VERSION)
  .showSuggestionAfterError()
  .exitOverride();

/** A command with the options that all have. */
function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--config <file>', 'configuration file', DEFAULT_CONFIG)
    .option('--json', 'machine-readable output', false);
}

function exitWith(code: number): void {
  process.exitCode = code;
}

command('controller', 'run the daemon in the foreground, as systemd does')
  .alias('monitor')
  .action(async (options: Common) => {
    const { controller } = await import('./cli/controller.ts');
    // what is left open after an orderly stop must not keep the process alive
    process.exit(await controller(options.config, { json: options.json, software: VERSION }));
  });

command('status', 'show what runs where')
  .option('--watch', 'show it again every second', false)
  .action(async (options: Common & { readonly watch: boolean }) => {
    const { status } = await import('./cli/status.ts');
    exitWith(await status(options.config, options));
  });

command('check', 'say whether a configuration file is right')
  .argument('[file]', 'the file; default: that of --config')
  .action(async (file: string | undefined, options: Common) => {
    const { check } = await import('./cli/check.ts');
    exitWith(await check(file ?? options.config, options));
  });

command('plan', 'say what a configuration file would start, stop and move, and why (exit 2: something)')
  .argument('[file]', 'the file; default: that of --config')
  .option('--without <host...>', 'as if these hosts were gone', [])
  .action(async (file: string | undefined, options: Common & { readonly without: string[] }) => {
    const { plan } = await import('./cli/propose.ts');
    exitWith(await plan(file ?? options.config, options));
  });

command('apply', "make a configuration file the cluster's")
  .argument('[file]', 'the file; default: that of --config')
  .option('--force', 'even if it stops more than half of what runs', false)
  .action(async (file: string | undefined, options: Common & { readonly force: boolean }) => {
    const { apply } = await import('./cli/propose.ts');
    exitWith(await apply(file ?? options.config, options));
  });

command('events', 'show what happened and why, oldest first (exit 1: no such event)')
  .option('--follow', 'the last 10, then new ones as they happen, until interrupted', false)
  .option('--service <name>', 'only of this service or unit')
  .option('--host <name>', 'only of this host')
  .action(async (options: Common & { readonly follow: boolean; readonly service?: string; readonly host?: string }) => {
    const { events } = await import('./cli/events.ts');
    exitWith(await events(options.config, options));
  });

command(
  'acquire-lease',
  'wait for a startup lease and take it; it is held on when this has ended (exit 1: others had it)',
)
  .requiredOption('--label <name>', 'the lease')
  .requiredOption('--service-id <id>', 'who takes it; the same id gets it again at once while it holds it')
  .option('--acquire-timeout <duration>', 'how long to wait', '60s')
  .option('--lease-timeout <duration>', 'the lease ends so long after it was taken', '5m')
  .option('--host-ip <address>', 'told to those who wait')
  .action(
    async (
      options: Common & {
        readonly label: string;
        readonly serviceId: string;
        readonly acquireTimeout: string;
        readonly leaseTimeout: string;
        readonly hostIp?: string;
      },
    ) => {
      const { acquireLeaseCommand } = await import('./cli/acquire-lease.ts');
      exitWith(await acquireLeaseCommand(options.config, options));
    },
  );

command('release-lease', 'end a startup lease that this id holds (exit 1: another holds it)')
  .requiredOption('--label <name>', 'the lease')
  .requiredOption('--service-id <id>', 'who holds it')
  .action(async (options: Common & { readonly label: string; readonly serviceId: string }) => {
    const { releaseLeaseCommand } = await import('./cli/release-lease.ts');
    exitWith(await releaseLeaseCommand(options.config, options));
  });

command(
  'pick',
  'choose the least-loaded live server of a label; with --hold or a command this client counts as long as it lives (exit 1: no server)',
)
  .argument('[command...]', 'run with a server, restarted with another; {address}, {host}, {port} are replaced')
  .requiredOption('--label <name>', 'what the servers are registered as')
  .requiredOption('--client <id>', 'who counts; the same id again takes the place of the earlier one')
  .option('--hold', 'print the address, and each that takes its place, until interrupted', false)
  .option(
    '--wait [duration]',
    'how long to wait for a first server; default: not at all, for ever with --hold or a command',
  )
  .option('--signal <name>', 'send this to the command when it has another server, instead of restarting it')
  .action(async (words: string[], options: Common & Omit<PickOptions, 'json'>) => {
    const { pick } = await import('./cli/pick.ts');
    exitWith(await pick(options.config, options, words));
  });

command('hosts', 'print the addresses of what is registered under a label (exit 1: nothing is)')
  .requiredOption('--label <name>', 'the label')
  .option('--port <port>', 'add it to each address')
  .option('--healthy', 'only those whose check says so', false)
  .option('--role <role>', 'only those of this role')
  .option('--wait [seconds]', 'until there is one, so long at most')
  .action(async (options: Common & Omit<HostsOptions, 'json'>) => {
    const { hosts } = await import('./cli/hosts.ts');
    exitWith(await hosts(options.config, options));
  });

command('watch', 'register something as long as it is healthy, until interrupted')
  .option('--label <name>', 'what others look for')
  .option('--service-id <id>', 'its name, unique for the label on this host')
  .option('--monitor-url <url>', 'healthy: it answers 2xx')
  .option('--tcp <host:port>', 'healthy: it accepts connections')
  .option('--exec <command...>', 'healthy: it exits with 0; one text is split into words')
  .option('--interval <time>', 'a failure shows within it (default: 5s)')
  .option('--timeout <time>', 'a probe without an answer by then has failed (default: 2s)')
  .option('--healthy-after <times>', 'successes in a row before it is registered (default: 1)')
  .option('--unhealthy-after <times>', 'failures in a row before it is not any more (default: 1)')
  .option('--host-ip <address>', "where others reach it (default: this host's address)")
  .option('--service-info <info>', 'published with it: JSON, k=v,k=v or @FILE')
  .option('--port <port>', 'published with it')
  .option('--role <role>', 'published with it')
  .option('--file <file>', 'a YAML list of such checks, instead of one')
  .action(async ({ config, json, file, ...check }: Common & { readonly file?: string } & WatchFlags) => {
    const { watch } = await import('./cli/watch.ts');
    process.exit(await watch(config, { json, ...(file !== undefined && { file }), check: toWatchText(check) }));
  });

command('render', 'render a template as a daemon of this host would, and print it (exit 1: it is wrong)')
  .argument('<file>', 'the template')
  .option('--out <file>', 'write it there instead')
  .action(async (file: string, options: Common & { readonly out?: string }) => {
    const { render } = await import('./cli/render.ts');
    exitWith(await render(options.config, file, options));
  });

command('explain', 'say why each instance of a service is where it is, and why other hosts have none')
  .argument('<name>', 'a service, or one of its units')
  .action(async (name: string, options: Common) => {
    const { explain } = await import('./cli/explain.ts');
    exitWith(await explain(options.config, name, options));
  });

/** A command about one host. */
function hostCommand(name: string, description: string): Command {
  return command(name, description)
    .argument('<host>', 'its name')
    .option('--force', 'even if no such host is known', false);
}

hostCommand('drain', 'move everything off a host and keep it free (exit 1: no such host, or not done in time)')
  .option('--why <text>', 'shown by status, explain and events')
  .option('--wait [duration]', 'until none of its units runs there any more (default: 10m at most)')
  .action(async (host: string, options: Common & Omit<DrainOptions, 'json'>) => {
    const { drain } = await import('./cli/host-intent.ts');
    exitWith(await drain(options.config, host, options));
  });

hostCommand('cordon', 'let a host keep what it has, and give it nothing new (exit 1: no such host)')
  .option('--why <text>', 'shown by status, explain and events')
  .action(async (host: string, options: Common & Omit<IntentOptions, 'json'>) => {
    const { cordon } = await import('./cli/host-intent.ts');
    exitWith(await cordon(options.config, host, options));
  });

hostCommand('uncordon', 'let a drained or cordoned host take part again (exit 1: no such host)').action(
  async (host: string, options: Common & Omit<IntentOptions, 'json'>) => {
    const { uncordon } = await import('./cli/host-intent.ts');
    exitWith(await uncordon(options.config, host, options));
  },
);

command(
  'rebalance',
  'say what would have to move for an even load, as hosts that joined late stay empty otherwise (exit 2: something); with --yes move it',
)
  .option('--yes', 'do it, one move after the other, each when the one before is up', false)
  .option('--service <name>', 'move only instances of this service')
  .option('--at-once <number>', 'so many moves under way at once, each of another service (default: 1)')
  .option('--wait <duration>', 'how long each move may take (default: 10m)')
  .action(async (options: Common & RebalanceOptions) => {
    const { rebalanceCommand } = await import('./cli/rebalance.ts');
    exitWith(await rebalanceCommand(options.config, options));
  });

command('ensemble', "show each ZooKeeper server's role (exit 1: no quorum)").action(async (options: Common) => {
  const { ensemble } = await import('./cli/ensemble.ts');
  exitWith(await ensemble(options.config, options));
});

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // help and --version come here too, with 0; every wrong usage is 2
    exitWith(error.exitCode === 0 ? 0 : 2);
    return;
  }
  process.stderr.write(`servicewatcher: ${messageOf(error)}\n`);
  exitWith(1);
});
