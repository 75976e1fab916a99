/** Commands for programs of others: what is registered, by whom, who is a client of it, and leases. */
import type { CommandLine, Common } from './command-line.ts';
import type { HostsOptions } from './hosts.ts';
import type { PickOptions } from './pick.ts';
import { toWatchText, type WatchFlags } from './watch-flags.ts';

export function addDiscoveryCommands({ command, exitWith, exitNow }: CommandLine): void {
  command(
    'hosts',
    'print the addresses of what is registered under a label (exit 1: nothing is; --json prints [] then)',
  )
    .requiredOption('--label <name>', 'the label')
    .option('--port <port>', 'add it to each address')
    .option('--healthy', 'only those whose check says so', false)
    .option('--role <role>', 'only those of this role')
    .option('--wait [seconds]', 'until there is one, so long at most')
    .action(async (options: Common & Omit<HostsOptions, 'json'>) => {
      const { hosts } = await import('./hosts.ts');
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
      const { watch } = await import('./watch.ts');
      exitNow(await watch(config, { json, ...(file !== undefined && { file }), check: toWatchText(check) }));
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
      const { pick } = await import('./pick.ts');
      exitWith(await pick(options.config, options, words));
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
        const { acquireLeaseCommand } = await import('./acquire-lease.ts');
        exitWith(await acquireLeaseCommand(options.config, options));
      },
    );

  command('release-lease', 'end a startup lease that this id holds (exit 1: another holds it)')
    .requiredOption('--label <name>', 'the lease')
    .requiredOption('--service-id <id>', 'who holds it')
    .action(async (options: Common & { readonly label: string; readonly serviceId: string }) => {
      const { releaseLeaseCommand } = await import('./release-lease.ts');
      exitWith(await releaseLeaseCommand(options.config, options));
    });
}
