/** Commands about one host. */
import type { CommandLine, Common } from './command-line.ts';
import type { DrainOptions, IntentOptions } from './host-intent.ts';

export function addHostCommands({ command, exitWith }: CommandLine): void {
  const hostCommand = (name: string, description: string) =>
    command(name, description).argument('<host>', 'its name').option('--force', 'even if no such host is known', false);

  hostCommand('drain', 'move everything off a host and keep it free (exit 1: no such host, or not done in time)')
    .option('--why <text>', 'shown by status, explain and events')
    .option('--wait [duration]', 'until none of its units runs there any more (default: 10m at most)')
    .action(async (host: string, options: Common & Omit<DrainOptions, 'json'>) => {
      const { drain } = await import('./host-intent.ts');
      exitWith(await drain(options.config, host, options));
    });

  hostCommand('cordon', 'let a host keep what it has, and give it nothing new (exit 1: no such host)')
    .option('--why <text>', 'shown by status, explain and events')
    .action(async (host: string, options: Common & Omit<IntentOptions, 'json'>) => {
      const { cordon } = await import('./host-intent.ts');
      exitWith(await cordon(options.config, host, options));
    });

  hostCommand('uncordon', 'let a drained or cordoned host take part again (exit 1: no such host)').action(
    async (host: string, options: Common & Omit<IntentOptions, 'json'>) => {
      const { uncordon } = await import('./host-intent.ts');
      exitWith(await uncordon(options.config, host, options));
    },
  );
}
