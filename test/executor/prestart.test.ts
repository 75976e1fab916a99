import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PRESTART_TIMEOUT_MS, Prestart, prestartUnit } from '../../src/executor/prestart.ts';
import type { JobOutcome, TransientCommand } from '../../src/executor/systemd.ts';
import { isUnitName } from '../../src/shared/names.ts';
import type { DesiredUnit } from '../../src/shared/state.ts';
import { ending, systemdOfCommands } from '../fakes/systemd-commands.ts';

let folder: string;
let ran: { command: TransientCommand; text: string; mode: number }[];
const never = new AbortController().signal;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-prestart-'));
  ran = [];
});
afterEach(() => rm(folder, { recursive: true }));

/** A prestart runner over a systemd whose commands end as told. */
function runner(end: () => Promise<JobOutcome>, into = folder): Prestart {
  const run = async (command: TransientCommand) => {
    const [file] = command.argv;
    ran.push({ command, text: await readFile(file, 'utf8'), mode: (await stat(file)).mode & 0o777 });
    return end();
  };
  return new Prestart(systemdOfCommands({ run }), into, 'w1');
}

const done = ending({ kind: 'done' });

function unit(script?: string, name = 'a.service'): DesiredUnit {
  const prestart = script === undefined ? {} : { prestart: { script, values: { 'm@3': ['w1', 'w2'] } } };
  return { unit: name, service: 'a', isolation: 'keep', why: { kind: 'kept' }, ...prestart };
}

describe('a prestart script', () => {
  it('is run with its references replaced, from a file of mode 0700 that is gone afterwards', async () => {
    expect(await runner(done).run(unit('#!/bin/bash\necho {instance:m@3}\n'), never)).toEqual({ kind: 'done' });
    expect(ran.map(({ text, mode }) => ({ text, mode }))).toEqual([{ text: '#!/bin/bash\necho w1,w2\n', mode: 0o700 }]);
    expect(ran[0]?.command).toMatchObject({
      unit: 'servicewatcher-prestart-a.service',
      timeoutMs: PRESTART_TIMEOUT_MS,
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it('without an interpreter is one for the shell', async () => {
    await runner(done).run(unit('echo hello'), never);
    expect(ran[0]?.text).toBe('#!/bin/sh\necho hello');
  });

  it('that does not exist needs nothing', async () => {
    expect(await runner(done).run(unit(), never)).toEqual({ kind: 'done' });
    expect(ran).toEqual([]);
  });

  it.each<[JobOutcome, string]>([
    [{ kind: 'failed' }, 'it ended with an error (failed)'],
    [{ kind: 'timeout' }, 'still running after 90 s'],
    [{ kind: 'deadline' }, 'still running after 90 s'],
    [{ kind: 'refused', error: 'x', message: 'no such thing' }, 'systemd did not run it: no such thing'],
  ])('that ends as %j has failed, and says where to look', async (outcome, words) => {
    const result = await runner(async () => outcome).run(unit('x'), never);
    expect(result).toMatchObject({ kind: 'failed', failure: { kind: 'prestart' } });
    const message = result.kind === 'failed' ? result.failure.message : '';
    expect(message).toContain(words);
    expect(message).toContain('journalctl -u servicewatcher-prestart-a.service');
    expect(await readdir(folder)).toEqual([]);
  });

  it.each<[JobOutcome]>([[{ kind: 'disconnected' }], [{ kind: 'canceled' }]])(
    'whose end is not known (%j) has not failed',
    async (outcome) => {
      expect((await runner(async () => outcome).run(unit('x'), never)).kind).toBe('unknown');
    },
  );

  it('that cannot be asked for has not failed, and leaves no file', async () => {
    const result = await runner(() => Promise.reject(new Error('not connected'))).run(unit('x'), never);
    expect(result).toEqual({ kind: 'unknown', why: 'not connected' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('that cannot be written has failed', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    const result = await runner(done, join(file, 'below')).run(unit('x'), never);
    expect(result.kind === 'failed' && result.failure.message).toContain('could not be written');
  });

  it('left behind by a killed daemon is removed', async () => {
    await writeFile(join(folder, 'old.service'), 'x');
    await runner(done).clean();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('the unit that runs a prestart script', () => {
  it('has a name that systemd takes, however long the unit it is for', () => {
    const long = `${'a'.repeat(247)}.service`;
    const other = `${'a'.repeat(246)}b.service`;
    for (const name of ['a@1.service', long, other]) expect(isUnitName(prestartUnit(name))).toBe(true);
    expect(prestartUnit(long)).not.toBe(prestartUnit(other));
  });
});
