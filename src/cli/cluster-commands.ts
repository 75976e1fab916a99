/** Commands about the cluster as a whole: what runs where, and why; other configurations; its daemon and its ZooKeeper. */
import { Argument } from 'commander';
import type { CommandLine, Common } from './command-line.ts';
import { SHELLS, type Shell } from './completion.ts';
import type { RebalanceOptions } from './rebalance.ts';

export function addClusterCommands({ command, exitWith, exitNow, version, shape }: CommandLine): void {
  command('controller', 'run the daemon in the foreground, as systemd does')
    .alias('monitor')
    .action(async (options: Common) => {
      const { controller } = await import('./controller.ts');
      exitNow(await controller(options.config, { json: options.json, software: version }));
    });

  command('status', 'show what runs where')
    .option('--watch', 'show it again every second', false)
    .action(async (options: Common & { readonly watch: boolean }) => {
      const { status } = await import('./status.ts');
      exitWith(await status(options.config, options));
    });

  command('check', 'say whether a configuration file is right')
    .argument('[file]', 'the file; default: that of --config')
    .action(async (file: string | undefined, options: Common) => {
      const { check } = await import('./check.ts');
      exitWith(await check(file ?? options.config, options));
    });

  command('plan', 'say what a configuration file would start, stop and move, and why (exit 2: something)')
    .argument('[file]', 'the file; default: that of --config')
    .option('--without <host...>', 'as if these hosts were gone', [])
    .action(async (file: string | undefined, options: Common & { readonly without: string[] }) => {
      const { plan } = await import('./propose.ts');
      exitWith(await plan(file ?? options.config, options));
    });

  command('apply', "make a configuration file the cluster's")
    .argument('[file]', 'the file; default: that of --config')
    .option('--force', 'even if it stops more than half of what runs', false)
    .action(async (file: string | undefined, options: Common & { readonly force: boolean }) => {
      const { apply } = await import('./propose.ts');
      exitWith(await apply(file ?? options.config, options));
    });

  command('events', 'show what happened and why, oldest first (exit 1: no such event)')
    .option('--follow', 'the last 10, then new ones as they happen, until interrupted', false)
    .option('--service <name>', 'only of this service or unit')
    .option('--host <name>', 'only of this host')
    .action(
      async (options: Common & { readonly follow: boolean; readonly service?: string; readonly host?: string }) => {
        const { events } = await import('./events.ts');
        exitWith(await events(options.config, options));
      },
    );

  command('explain', 'say why each instance of a service is where it is, and why other hosts have none')
    .argument('<name>', 'a service, or one of its units')
    .action(async (name: string, options: Common) => {
      const { explain } = await import('./explain.ts');
      exitWith(await explain(options.config, name, options));
    });

  command('render', 'render a template as a daemon of this host would, and print it (exit 1: it is wrong)')
    .argument('<file>', 'the template')
    .option('--out <file>', 'write it there instead')
    .action(async (file: string, options: Common & { readonly out?: string }) => {
      const { render } = await import('./render.ts');
      exitWith(await render(options.config, file, options));
    });

  command(
    'rebalance',
    'say what would have to move for an even load, as hosts that joined late stay empty otherwise (exit 2: something); with --yes move it',
  )
    .option('--yes', 'do it, one move after the other, each when the one before is up', false)
    .option('--service <name>', 'move only instances of this service')
    .option('--at-once <number>', 'so many moves under way at once, each of another service (default: 1)')
    .option('--wait <duration>', 'how long each move may take (default: 10m)')
    .action(async (options: Common & RebalanceOptions) => {
      const { rebalanceCommand } = await import('./rebalance.ts');
      exitWith(await rebalanceCommand(options.config, options));
    });

  command('ensemble', "show each ZooKeeper server's role (exit 1: no quorum)").action(async (options: Common) => {
    const { ensemble } = await import('./ensemble.ts');
    exitWith(await ensemble(options.config, options));
  });

  command('completion', 'print a script that completes commands and options in a shell')
    .addArgument(new Argument('[shell]', 'the shell').choices(SHELLS).default('bash'))
    .action(async (shell: Shell, { json }: Common) => {
      const { completion } = await import('./completion.ts');
      const script = completion(shell, shape());
      process.stdout.write(json ? `${JSON.stringify({ shell, script })}\n` : script);
    });
}
