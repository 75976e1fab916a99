/** Templates' programs as transient services, over a systemd that ends them as told. */
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { transientUnit } from '../../src/executor/systemd/transient.ts';
import type { ExitInfo, JobOutcome, TransientCommand } from '../../src/executor/systemd.ts';
import { type ServiceProgram, TemplatePrograms } from '../../src/executor/template-programs.ts';
import type { CommandResult } from '../../src/shared/run-command.ts';
import { EXIT, ending, systemdOfCommands } from '../fakes/systemd-commands.ts';

let folder: string;
let aborting: AbortController;
let ran: TransientCommand[];
let reset: string[];
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'servicewatcher-programs-')), 'programs');
  aborting = new AbortController();
  ran = [];
  reset = [];
});
afterEach(() => rm(join(folder, '..'), { recursive: true }));

const program = (more: Partial<ServiceProgram> = {}): ServiceProgram => ({
  name: 'abc123',
  description: 'Check of x\nExecStart=/bin/evil',
  argv: ['haproxy', '-c', '$HOME'],
  timeoutMs: 2_000,
  maxOutputBytes: 8,
  signal: aborting.signal,
  ...more,
});

/** Runs a program on a systemd that ends it like this, after it has printed so much. */
function run(end: () => Promise<JobOutcome>, exit = EXIT, printed = '', more: Partial<ServiceProgram> = {}) {
  const printing = async (command: TransientCommand) => {
    ran.push(command);
    const file = command.outputFile ?? '';
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await writeFile(file, printed);
    return end();
  };
  const systemd = systemdOfCommands({ run: printing, exit, onReset: (unit) => reset.push(unit) });
  return new TemplatePrograms(systemd, folder).run(program(more));
}

describe("a template's program", () => {
  it('is a service of its own, within limits, whose output is read and gone afterwards', async () => {
    expect(await run(ending({ kind: 'done' }), EXIT, 'right\n')).toEqual({
      kind: 'exited',
      code: 0,
      output: 'right\n',
    });
    expect(ran[0]).toMatchObject({
      unit: 'servicewatcher-template-abc123.service',
      argv: ['/usr/bin/env', '--', 'haproxy', '-c', '$HOME'],
      timeoutMs: 2_000,
      limits: { tasks: 128, memoryBytes: 2 ** 29, fileBytes: 2 ** 28 },
    });
    expect(await readdir(folder)).toEqual([]);
    const properties = JSON.stringify(
      transientUnit(ran[0] ?? { ...program(), unit: '', environment: {} }),
      (_key, value) => (typeof value === 'bigint' ? Number(value) : value),
    );
    for (const name of ['StandardOutputFile', 'TasksMax', 'MemoryMax', 'LimitFSIZE'])
      expect(properties).toContain(name);
  });

  it('cannot write settings into its unit by its description', async () => {
    await run(ending({ kind: 'done' }));
    expect(ran[0]?.description).not.toContain('\n');
  });

  it.each<[JobOutcome, ExitInfo, CommandResult]>([
    [{ kind: 'failed' }, EXIT, { kind: 'exited', code: 3, output: '12345678' }],
    [
      { kind: 'failed' },
      { result: 'signal', code: 'killed', status: 9 },
      { kind: 'killed', signal: 'SIGKILL', output: '12345678' },
    ],
    [
      { kind: 'failed' },
      { result: 'resources', code: 'none', status: 0 },
      { kind: 'failed', why: 'it did not start (resources)' },
    ],
    [{ kind: 'failed' }, { result: 'timeout', code: 'killed', status: 15 }, { kind: 'timeout', output: '12345678' }],
    [{ kind: 'timeout' }, EXIT, { kind: 'timeout', output: '12345678' }],
    [{ kind: 'deadline' }, EXIT, { kind: 'timeout', output: '12345678' }],
    [{ kind: 'disconnected' }, EXIT, { kind: 'failed', why: 'it was interrupted (disconnected)' }],
    [
      { kind: 'refused', error: 'x', message: 'no room' },
      EXIT,
      { kind: 'failed', why: 'systemd did not run it: no room' },
    ],
  ])(
    'that ends %j and %j is told as a command is, with the first of what it printed',
    async (outcome, exit, expected) => {
      expect(await run(ending(outcome), exit, '123456789')).toEqual(expected);
      expect(reset).toEqual(outcome.kind === 'failed' ? ['servicewatcher-template-abc123.service'] : []);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('says that it was ended when nobody wants it any more, and what else went wrong', async () => {
    const failing = async (): Promise<JobOutcome> => {
      throw new Error('the bus is gone');
    };
    expect(await run(failing)).toEqual({ kind: 'failed', why: 'the bus is gone' });
    aborting.abort(new Error('the daemon ends'));
    expect(await run(failing)).toEqual({ kind: 'aborted', output: '' });
  });

  it('with a null byte among its arguments is not run: such a message would end the connection', async () => {
    const result = await run(ending({ kind: 'done' }), EXIT, '', { argv: ['a', 'b\0'] });
    expect([result, ran]).toEqual([{ kind: 'failed', why: 'its arguments hold a null byte' }, []]);
  });
});
