/** Scripts that complete commands and options in a shell, made from the commands there are. Pure. */

/** A command as far as a shell needs to know it. */
export interface CommandShape {
  readonly name: string;
  readonly aliases: readonly string[];
  /** One line. */
  readonly description: string;
  /** What an argument may be, where that is a fixed list. */
  readonly choices: readonly string[];
  readonly options: readonly { readonly name: string; readonly description: string; readonly takesValue: boolean }[];
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const INSTALL: Readonly<Record<Shell, string>> = {
  bash: 'servicewatcher completion bash > /etc/bash_completion.d/servicewatcher',
  zsh: 'add to ~/.zshrc: source <(servicewatcher completion zsh)',
  fish: 'servicewatcher completion fish > /etc/fish/completions/servicewatcher.fish',
};

/** The text of the script. Names of commands and options must be what commands and options are called: no shell's special characters. */
export function completion(shell: Shell, commands: readonly CommandShape[]): string {
  const head = `# Completes servicewatcher in ${shell}. To install it: ${INSTALL[shell]}\n`;
  switch (shell) {
    case 'bash':
      return `${head}${bash(commands)}`;
    case 'zsh':
      return `${head}autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
    case 'fish':
      return `${head}${fish(commands)}`;
  }
}

function namesOf({ name, aliases }: CommandShape): readonly string[] {
  return [name, ...aliases];
}

/** Values, and what follows `--`, are completed as file names. */
function bash(commands: readonly CommandShape[]): string {
  const valued = new Set(
    commands.flatMap(({ options }) => options.flatMap(({ name, takesValue }) => (takesValue ? [name] : []))),
  );
  const cases = commands.map((command) => {
    const words = [...command.choices, ...command.options.map(({ name }) => name)];
    return `    ${namesOf(command).join('|')}) words='${words.join(' ')}' ;;`;
  });
  return `_servicewatcher() {
  local word=\${COMP_WORDS[COMP_CWORD]} words='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [ "\${COMP_WORDS[i]}" = -- ] && return
  done
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.flatMap(namesOf).join(' ')} --help --version' -- "$word"))
    return
  fi
  case \${COMP_WORDS[COMP_CWORD - 1]} in
    ${[...valued].sort().join('|')}) return ;;
  esac
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words --help" -- "$word"))
}
complete -o default -F _servicewatcher servicewatcher
`;
}

function fish(commands: readonly CommandShape[]): string {
  const first = commands.flatMap((command) =>
    namesOf(command).map(
      (name) => `complete -c servicewatcher -n __fish_use_subcommand -f -a ${name} -d ${quote(command.description)}`,
    ),
  );
  const others = commands.flatMap((command) => {
    const within = `complete -c servicewatcher -n '__fish_seen_subcommand_from ${namesOf(command).join(' ')}'`;
    return [
      ...command.choices.map((choice) => `${within} -f -a ${choice}`),
      ...command.options.map(
        ({ name, description, takesValue }) =>
          `${within} -l ${name.replace(/^--/, '')}${takesValue ? ' -r' : ''} -d ${quote(description)}`,
      ),
    ];
  });
  return `${[...first, ...others].join('\n')}\n`;
}

/** Within single quotes fish knows two escapes. */
function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
