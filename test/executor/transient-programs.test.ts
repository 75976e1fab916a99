/** What programs of hooks and of templates have in common, over a systemd that ends them as told. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ExitInfo, JobOutcome, TransientCommand } from '../../src/executor/systemd.ts';
import { type ProgramEnd, type TransientProgram, TransientPrograms } from '../../src/executor/transient-programs.ts';
import { EXIT, ending, systemdOfCommands } from '../fakes/systemd-commands.ts';

const PROGRAM: TransientProgram = {
  name: 'abc123',
  unit: 'a.service',
  description: 'A program',
  argv: ['/opt/told', 'a b', '$HOME'],
  timeoutMs: 2_000,
  environment: { A: 'b' },
  limits: { tasks: 1, memoryBytes: 2, cpuWeight: 3 },
  file: { kind: 'input', text: 'in' },
};
const FAILED: JobOutcome = { kind: 'failed' };
const never = new AbortController().signal;

let folder: string;
let ran: TransientCommand[];
let reset: string[];
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'servicewatcher-transient-')), 'programs');
  ran = [];
  reset = [];
});
afterEach(() => rm(join(folder, '..'), { recursive: true }));

/** Programs on a systemd that ends each like this. */
function programs(end: (command: TransientCommand) => Promise<JobOutcome>, exit?: ExitInfo): TransientPrograms {
  const run = async (command: TransientCommand) => {
    ran.push(command);
    return end(command);
  };
  const systemd = systemdOfCommands({ run, ...(exit && { exit }), onReset: (unit) => reset.push(unit) });
  return new TransientPrograms(systemd, folder);
}

/** A program that prints this, then fails. */
const printing = (text: string) => async (command: TransientCommand) => {
  await writeFile(command.outputFile ?? '', text);
  return FAILED;
};

describe('a program', () => {
  it('is asked for as it was given, with a file of its own that is gone afterwards', async () => {
    let input: { text: string; mode: number } | undefined;
    const reading = async ({ inputFile = '' }: TransientCommand): Promise<JobOutcome> => {
      input = { text: await readFile(inputFile, 'utf8'), mode: (await stat(inputFile)).mode & 0o777 };
      return { kind: 'done' };
    };
    expect(await programs(reading).run(PROGRAM, never)).toEqual({ kind: 'done', output: '' });
    expect(input).toEqual({ text: 'in', mode: 0o600 });
    const { name, file: _, ...asked } = PROGRAM;
    expect(ran).toEqual([{ ...asked, inputFile: join(folder, name) }]);
    expect(await readdir(folder)).toEqual([]);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['a line that would be a setting', 'x\nExecStart=/bin/evil', 'x\\nExecStart=/bin/evil'],
    ['what would clear a screen', 'x\u001b[2J', 'x\\x1b[2J'],
  ])('cannot write %s into its unit by its description', async (_what, description, escaped) => {
    await programs(ending({ kind: 'done' })).run({ ...PROGRAM, description }, never);
    expect(ran[0]?.description).toBe(escaped);
  });

  it.each<[string, TransientProgram['argv']]>([
    ['its path', ['/opt/to\0ld']],
    ['an argument', ['/opt/told', 'a', 'b\0']],
  ])('with a null byte in %s does not reach the bus', async (_what, argv) => {
    expect(await programs(ending({ kind: 'done' })).run({ ...PROGRAM, argv }, never)).toEqual({
      kind: 'failed',
      why: 'its arguments hold a null byte',
    });
    expect(ran).toEqual([]);
  });

  it.each<[JobOutcome, ExitInfo, Partial<ProgramEnd>]>([
    [FAILED, EXIT, { kind: 'exited', status: 3, result: 'exit-code' }],
    [FAILED, { result: 'signal', code: 'killed', status: 9 }, { kind: 'killed', status: 9, result: 'signal' }],
    [FAILED, { result: 'core-dump', code: 'dumped', status: 11 }, { kind: 'killed', status: 11, result: 'core-dump' }],
    [FAILED, { result: 'resources', code: 'none', status: 0 }, { kind: 'failed', why: 'it did not start (resources)' }],
    [FAILED, { result: 'timeout', code: 'killed', status: 15 }, { kind: 'timeout' }],
    [FAILED, { result: 'timeout', code: 'exited', status: 0 }, { kind: 'timeout' }],
    [{ kind: 'timeout' }, EXIT, { kind: 'timeout' }],
    [{ kind: 'deadline' }, EXIT, { kind: 'timeout' }],
    [
      { kind: 'refused', error: 'x', message: 'bad path' },
      EXIT,
      { kind: 'failed', why: 'systemd did not run it: bad path' },
    ],
    [{ kind: 'disconnected' }, EXIT, { kind: 'interrupted', why: 'it was interrupted (disconnected)' }],
    [{ kind: 'canceled' }, EXIT, { kind: 'interrupted', why: 'it was interrupted (canceled)' }],
  ])(
    'whose job ends %j (%j) is said to have ended so, and what failed is forgotten',
    async (outcome, exit, expected) => {
      expect(await programs(ending(outcome), exit).run(PROGRAM, never)).toEqual({
        ...expected,
        ...('why' in expected ? {} : { output: '' }),
      });
      expect(reset).toEqual(outcome === FAILED ? ['a.service'] : []);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it.each([
    ['all that it printed', 100, 'wrong: é', 'wrong: é'],
    ['the first bytes of what it printed', 5, 'wrong: é', 'wrong'],
    ['no part of a character', 8, 'wrong: é', 'wrong: '],
    ['nothing', 100, '', ''],
  ])('tells %s where that is read', async (_what, maxBytes, printed, output) => {
    const file = { kind: 'output', maxBytes } as const;
    expect(await programs(printing(printed)).run({ ...PROGRAM, file }, never)).toMatchObject({
      kind: 'exited',
      output,
    });
    expect(ran[0]).not.toHaveProperty('inputFile');
    expect(await readdir(folder)).toEqual([]);
  });

  it('that cannot be asked for, or has no disk for its file, is told by a rejection, and leaves no file', async () => {
    const broken = programs(() => Promise.reject(new Error('not connected')));
    await expect(broken.run(PROGRAM, never)).rejects.toThrow('not connected');
    expect(await readdir(folder)).toEqual([]);
    await rm(folder, { recursive: true });
    await writeFile(folder, 'a file');
    await expect(programs(ending({ kind: 'done' })).run(PROGRAM, never)).rejects.toThrow(folder);
  });

  it('left its file behind when its daemon was killed: it is removed', async () => {
    const some = programs(ending({ kind: 'done' }));
    await some.clean();
    await some.run(PROGRAM, never);
    await writeFile(join(folder, 'old'), 'x');
    await some.clean();
    expect(await readdir(folder)).toEqual([]);
  });
});
