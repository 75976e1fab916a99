/** All commands alike: what they are called, which options and exit codes they have, and that shells can complete them. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { commandShapes, runCommandLine } from '../../src/cli/command-line.ts';
import { type CommandShape, completion } from '../../src/cli/completion.ts';
import { projectRoot } from '../harness/project.ts';

/** Each with what it cannot do without. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  controller: [],
  status: [],
  check: [],
  plan: [],
  apply: [],
  events: [],
  explain: ['web'],
  render: [join(projectRoot, '.gitattributes')],
  rebalance: [],
  ensemble: [],
  drain: ['w1'],
  cordon: ['w1'],
  uncordon: ['w1'],
  hosts: ['--label', 'web'],
  watch: ['--label', 'web', '--service-id', 'x', '--tcp', 'localhost:1'],
  pick: ['--label', 'web', '--client', 'x'],
  'acquire-lease': ['--label', 'web', '--service-id', 'x'],
  'release-lease': ['--label', 'web', '--service-id', 'x'],
  completion: [],
};
const NAMES = Object.keys(COMMANDS);

let folder: string;
let written: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-cli-'));
  await writeFile(join(folder, 'bad.yml'), 'services: 7\n');
  // nobody listens there
  await writeFile(join(folder, 'good.yml'), 'zookeeper: {quorum: "127.0.0.1:1"}\nservices: []\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  written = '';
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
});
afterEach(() => vi.restoreAllMocks());

/** The exit code; of a command that runs until it is stopped, the one it would end the process with. */
async function code(...words: string[]): Promise<number> {
  const ended: number[] = [];
  const answer = await runCommandLine(words, '1.2.3', (now) => ended.push(now));
  return ended[0] ?? answer;
}

const run = (name: string, file: string) => code(name, ...(COMMANDS[name] ?? []), '--config', join(folder, file));

describe('the commands', () => {
  const shapes = commandShapes();

  it('are those that users are told of', () => {
    expect(shapes.map(({ name }) => name).sort()).toEqual([...NAMES].sort());
    expect(shapes.find(({ name }) => name === 'controller')?.aliases).toEqual(['monitor']);
  });

  it.each(shapes)(
    '$name takes --config FILE and --json, and each option says what it is for',
    ({ options, description }) => {
      expect(options).toContainEqual({ name: '--config', description: 'configuration file', takesValue: true });
      expect(options).toContainEqual({ name: '--json', description: 'machine-readable output', takesValue: false });
      for (const option of options) expect(option.description).not.toBe('');
      expect(description).not.toBe('');
    },
  );

  it('are all listed by --help, and explained by their own', async () => {
    expect(await code('--help')).toBe(0);
    for (const name of NAMES) expect(written).toMatch(new RegExp(`^  ${name}[ |]`, 'm'));
    for (const name of NAMES) expect(await code(name, '--help')).toBe(0);
  });
});

describe('the exit code is', () => {
  it('2 for what is no command, and 0 for the version', async () => {
    expect([await code(), await code('statsu'), await code('--version')]).toEqual([2, 2, 0]);
    expect(written).toContain('Did you mean status?');
  });

  it.each(NAMES)('2 for a wrong option of %s', async (name) => {
    expect(await code(name, ...(COMMANDS[name] ?? []), '--no-such-option')).toBe(2);
  });

  it.each([
    ['drain', '--wait', 'soon'],
    ['cordon', 'w 1'],
    ['hosts', '--port', '0'],
    ['rebalance', '--at-once', '0'],
    ['rebalance', '--at-once', '101'],
    ['rebalance', '--at-once', 'all'],
    ['rebalance', '--wait', 'soon'],
    ['rebalance', '--wait', '0'],
    ['completion', 'tcsh'],
  ])('2 for what cannot be meant: %s %s %s', async (name, ...words) => {
    const given = words[0]?.startsWith('--') ? [...(COMMANDS[name] ?? []), ...words] : words;
    expect(await code(name, ...given)).toBe(2);
  });

  // 2 says that something would change
  const showing = ['plan', 'rebalance'];
  it.each(NAMES.filter((name) => name !== 'completion'))(
    '2 for a bad configuration, and 1 where 2 means changes: %s',
    async (name) => {
      expect(await run(name, 'bad.yml')).toBe(showing.includes(name) ? 1 : 2);
      // the daemon writes to its log
      if (name !== 'controller') expect(written).toContain('bad.yml:1:11: ');
    },
  );

  it('2 for a bad configuration of a rebalance that is to be carried out', async () => {
    expect(await code('rebalance', '--yes', '--config', join(folder, 'bad.yml'))).toBe(2);
  });

  it('0 for a right configuration that is only checked, and for completion', async () => {
    expect(await run('check', 'good.yml')).toBe(0);
    expect(await run('completion', 'bad.yml')).toBe(0);
  });

  it('3 when ZooKeeper cannot be reached, for all that need it', async () => {
    const local = ['controller', 'check', 'completion', 'watch', 'ensemble'];
    const names = NAMES.filter((name) => !local.includes(name));
    const codes = await Promise.all(names.map(async (name) => [name, await run(name, 'good.yml')]));
    expect(Object.fromEntries(codes)).toEqual(Object.fromEntries(names.map((name) => [name, 3])));
  });
});

describe('completion', () => {
  const shapes: readonly CommandShape[] = commandShapes();

  /** What bash offers for the last of these words. */
  function offered(...words: string[]): string[] {
    const script = `${completion('bash', shapes)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _servicewatcher; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', 'servicewatcher', ...words], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout.split('\n').filter(Boolean).sort();
  }

  it('knows all commands', () => {
    expect(offered('')).toEqual([...NAMES, 'monitor', '--help', '--version'].sort());
    expect(offered('re')).toEqual(['rebalance', 'release-lease', 'render']);
  });

  it.each(shapes)('knows all options of $name', ({ name, aliases, options }) => {
    const expected = [...options.map((option) => option.name), '--help'].sort();
    for (const each of [name, ...aliases]) expect(offered(each, '--')).toEqual(expected);
  });

  it('leaves values, and the command that a client runs, to the names of files', () => {
    expect(offered('status', '--config', '')).toEqual([]);
    expect(offered('pick', '--label', 'a', '--', 'mosq')).toEqual([]);
    expect(offered('completion', 'z')).toEqual(['zsh']);
  });

  it.each(['bash', 'zsh', 'fish'] as const)(
    'has a script for %s that names every command and option',
    async (shell) => {
      expect(await code('completion', shell)).toBe(0);
      const script = written;
      for (const { name, options } of shapes) {
        expect(script).toContain(name);
        for (const option of options) expect(script).toContain(option.name.replace(/^--/, ''));
      }
      written = '';
      await code('completion', shell, '--json');
      expect(JSON.parse(written)).toEqual({ shell, script });
    },
  );
});
