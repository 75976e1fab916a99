/** Hooks' programs as transient services, over a systemd that ends them as told. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HookProgram, HookPrograms, hookUnit } from '../../src/executor/hook-programs.ts';
import { transientUnit } from '../../src/executor/systemd/transient.ts';
import type { ExitInfo, JobOutcome, TransientCommand } from '../../src/executor/systemd.ts';
import { EXIT, ending, systemdOfCommands } from '../fakes/systemd-commands.ts';

const PROGRAM: HookProgram = {
  name: 'abc123',
  description: 'Hook x\nExecStart=/bin/evil',
  argv: ['/opt/told', 'a b', '$HOME'],
  timeoutMs: 2_000,
  environment: { SERVICEWATCHER_EVENT: 'member-join' },
  input: 'w1\t-\n',
  journalFields: { SERVICEWATCHER_HOOK: '/opt/told' },
};

let folder: string;
let ran: { readonly command: TransientCommand; readonly input: string; readonly mode: number }[];
let reset: string[];
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'servicewatcher-hooks-')), 'hooks');
  ran = [];
  reset = [];
});
afterEach(() => rm(join(folder, '..'), { recursive: true }));

/** Programs on a systemd that ends each like this. */
function programs(end: () => Promise<JobOutcome>, exit = EXIT): HookPrograms {
  const run = async (command: TransientCommand) => {
    const file = command.inputFile ?? '';
    ran.push({ command, input: await readFile(file, 'utf8'), mode: (await stat(file)).mode & 0o777 });
    return end();
  };
  return new HookPrograms(systemdOfCommands({ run, exit, onReset: (unit) => reset.push(unit) }), folder);
}

describe("a hook's program", () => {
  it('reads its input from a file that nobody else may read and that is gone afterwards', async () => {
    expect(await programs(ending({ kind: 'done' })).run(PROGRAM)).toEqual({ kind: 'done' });
    expect(ran).toHaveLength(1);
    expect(ran[0]).toMatchObject({ input: 'w1\t-\n', mode: 0o600 });
    expect(ran[0]?.command).toMatchObject({
      unit: 'servicewatcher-hook-abc123.service',
      argv: PROGRAM.argv,
      timeoutMs: 2_000,
      environment: PROGRAM.environment,
      limits: { tasks: 128, memoryBytes: 2 ** 29, cpuWeight: 20 },
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it('cannot write settings into its unit by its description', async () => {
    await programs(ending({ kind: 'done' })).run(PROGRAM);
    expect(ran[0]?.command.description).not.toContain('\n');
  });

  it.each<[JobOutcome, ExitInfo, string, string]>([
    [{ kind: 'failed' }, EXIT, 'failed', 'it ended with status 3 (exit-code)'],
    [
      { kind: 'failed' },
      { result: 'signal', code: 'killed', status: 9 },
      'failed',
      'it was killed by signal 9 (signal)',
    ],
    [
      { kind: 'failed' },
      { ...EXIT, status: 203 },
      'failed',
      'it could not be executed: see that it is there, and executable',
    ],
    [{ kind: 'failed' }, { result: 'resources', code: 'none', status: 0 }, 'failed', 'it did not start (resources)'],
    [
      { kind: 'failed' },
      { result: 'timeout', code: 'killed', status: 15 },
      'timeout',
      'it was still running after 2 s, and was killed with all its processes',
    ],
    [{ kind: 'deadline' }, EXIT, 'timeout', 'it was still running after 2 s, and was killed with all its processes'],
    [{ kind: 'refused', error: 'x', message: 'bad path' }, EXIT, 'failed', 'systemd did not run it: bad path'],
    [{ kind: 'disconnected' }, EXIT, 'unknown', 'it was interrupted (disconnected)'],
    [{ kind: 'canceled' }, EXIT, 'unknown', 'it was interrupted (canceled)'],
  ])('that ends as %j (%j): %s', async (outcome, exit, kind, why) => {
    expect(await programs(ending(outcome), exit).run(PROGRAM)).toEqual({ kind, why });
    expect(await readdir(folder)).toEqual([]);
  });

  it('that failed is forgotten by systemd: it is no unit that anybody could mend', async () => {
    await programs(ending({ kind: 'failed' })).run(PROGRAM);
    expect(reset).toEqual([hookUnit('abc123')]);
  });

  it('that cannot be asked for, or has no disk for its input, has an unknown end', async () => {
    const broken = programs(() => Promise.reject(new Error('not connected')));
    expect(await broken.run(PROGRAM)).toEqual({ kind: 'unknown', why: 'not connected' });
    await rm(folder, { recursive: true });
    await writeFile(folder, 'a file');
    expect((await programs(ending({ kind: 'done' })).run(PROGRAM)).kind).toBe('unknown');
  });

  it('with a null byte among its arguments does not reach the bus', async () => {
    const odd = { ...PROGRAM, argv: ['/opt/told', 'a\0b'] as const };
    expect(await programs(ending({ kind: 'done' })).run(odd)).toMatchObject({ kind: 'failed' });
    expect(ran).toEqual([]);
  });

  it('left input behind when its daemon was killed: it is removed', async () => {
    const some = programs(ending({ kind: 'done' }));
    await some.clean();
    await some.run(PROGRAM);
    await writeFile(join(folder, 'old'), 'x');
    await some.clean();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('its transient unit', () => {
  const command: TransientCommand = {
    unit: 'x.service',
    description: 'X',
    argv: ['/x'],
    timeoutMs: 1_000,
    environment: {},
  };
  const names = (given: TransientCommand) => {
    const properties = transientUnit(given)[2];
    return Array.isArray(properties) ? properties.map(([name]) => name) : [];
  };

  it('has input, limits and journal fields where they are asked for, and else not', () => {
    const limits = { tasks: 1, memoryBytes: 1, cpuWeight: 1 };
    const more = ['StandardInputFile', 'LogExtraFields', 'TasksMax', 'MemoryMax', 'CPUWeight'];
    expect(names({ ...command, inputFile: '/x', limits, journalFields: { A: 'b' } })).toEqual([
      ...names(command),
      ...more,
    ]);
    for (const name of more) expect(names(command)).not.toContain(name);
  });
});
