/** The command line: what all commands have in common, and what they are; each is done by a file of its own. */
import { Command, CommanderError } from 'commander';
import { messageOf } from '../shared/error-text.ts';
import { addClusterCommands } from './cluster-commands.ts';
import type { CommandShape } from './completion.ts';
import { addDiscoveryCommands } from './discovery-commands.ts';
import { EXIT } from './exit.ts';
import { addHostCommands } from './host-commands.ts';

const DEFAULT_CONFIG = '/etc/servicewatcher/config.yml';

/** Options that all commands have. */
export interface Common {
  readonly config: string;
  readonly json: boolean;
}

/** What a command is added with. */
export interface CommandLine {
  /** A command with the options that all have. */
  readonly command: (name: string, description: string) => Command;
  /** Sets the exit code; 0 if it is never called. */
  readonly exitWith: (code: number) => void;
  /** Ends the process: what a command left open must not keep it alive. */
  readonly exitNow: (code: number) => void;
  readonly version: string;
  /** All commands. */
  readonly shape: () => readonly CommandShape[];
}

/**
 * Does what is asked for; answers the exit code. Never rejects. `args`: without the program's name. `exitNow`: how the process
 * is ended by commands that run until they are stopped.
 */
export async function runCommandLine(
  args: readonly string[],
  version: string,
  exitNow: (code: number) => void = (code) => process.exit(code),
): Promise<number> {
  let code: number = EXIT.ok;
  const exitWith = (given: number) => {
    code = given;
  };
  const program = createProgram({ version, exitWith, exitNow });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    // help and --version come here too, with 0; every wrong usage is 2
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    process.stderr.write(`servicewatcher: ${messageOf(error)}\n`);
    return EXIT.no;
  }
}

/** The name, aliases and options of all commands. */
export function commandShapes(): readonly CommandShape[] {
  return shapeOf(createProgram({ version: '', exitWith: () => {}, exitNow: () => {} }));
}

function createProgram(given: Pick<CommandLine, 'version' | 'exitWith' | 'exitNow'>): Command {
  const program = new Command('servicewatcher')
    .description('Keeps a declared set of systemd services running on a set of plain Linux hosts')
    .version(given.version)
    .showSuggestionAfterError()
    .exitOverride();
  const command = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .option('--config <file>', 'configuration file', DEFAULT_CONFIG)
      .option('--json', 'machine-readable output', false);
  const commandLine: CommandLine = { ...given, command, shape: () => shapeOf(program) };
  addClusterCommands(commandLine);
  addHostCommands(commandLine);
  addDiscoveryCommands(commandLine);
  return program;
}

function shapeOf(program: Command): CommandShape[] {
  return program.commands.map((command) => ({
    name: command.name(),
    aliases: command.aliases(),
    description: command.description(),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    options: command.options.map(({ long, description, required, optional }) => ({
      name: long ?? '',
      description,
      takesValue: required || optional,
    })),
  }));
}
