/** The command line: what is asked for, and which file under `cli/` does it. */
import { Command, CommanderError } from 'commander';
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
